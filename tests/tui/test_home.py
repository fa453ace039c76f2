"""Home as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.home import HomeScreen
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.screens.jobs import JobsScreen
from refusal_tui.tui.screens.new_job import NewJobScreen
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.job_rows import add_job, change_job, one_of_each


def no_gpu() -> str:
    return ""


def text_of(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one(LineList).shown)


@pytest.mark.parametrize("size", SIZES)
async def test_home_looks_like_this(workspace, open_app, svg, size) -> None:
    one_of_each(workspace)
    async with open_app(workspace, "home", size=SIZES[size], gpu_line=no_gpu) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_workspace_tells_what_to_do_first(empty_workspace, open_app, svg, size) -> None:
    async with open_app(empty_workspace, "home", size=SIZES[size], gpu_line=no_gpu) as pilot:
        assert "refusal-tui demo" in text_of(pilot)
        assert svg(pilot.app, size)


async def test_the_gpu_is_told_where_there_is_one(workspace, open_app) -> None:
    async with open_app(workspace, "home", gpu_line=lambda: "GPU 0 Frindle 80 GB, 3 GB used") as pilot:
        assert "Frindle 80 GB" in text_of(pilot)


@pytest.mark.parametrize(
    ("key", "screen"), [("b", BrowseScreen), ("J", JobsScreen), ("n", NewJobScreen), ("v", BrowseScreen)]
)
async def test_a_letter_opens_its_place_and_escape_comes_back(workspace, open_app, key, screen) -> None:
    async with open_app(workspace, "home", gpu_line=no_gpu) as pilot:
        await pilot.press(key)
        await settle(pilot)
        assert isinstance(pilot.app.screen, screen)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, HomeScreen)


async def test_the_cursor_passes_over_headings_and_enter_opens_a_job(workspace, open_app) -> None:
    add_job(workspace, JobState.INTERRUPTED, n_ok=3)
    async with open_app(workspace, "home", gpu_line=no_gpu) as pilot:
        seen = []
        for _ in range(6):
            seen.append(pilot.app.screen.query_one(LineList).key)
            await pilot.press("j")
        assert seen == ["datasets:", "browse:", "import:", "jobs:", "new_job:", "job:2"]
        await pilot.press("k", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, JobScreen)


async def test_a_model_leads_to_its_labelled_rows(workspace, open_app) -> None:
    async with open_app(workspace, "home", gpu_line=no_gpu) as pilot:
        await pilot.press("G", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen)
        assert len(screen.state.ids) == 15, "16 rows, one of them without a label"


async def test_a_job_that_moves_changes_one_line_and_nothing_else(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=1, active_seconds=1.0)
    async with open_app(workspace, "home", gpu_line=no_gpu) as pilot:
        before = [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, n_ok=16)
        pilot.app.store_changed()
        await settle(pilot)
        after = [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]
        changed = [line for one, line in zip(before, after, strict=True) if one != line]
        assert len(changed) == 1
        assert "50 %" in changed[0]


async def test_labels_that_arrive_are_counted(workspace, open_app) -> None:
    async with open_app(workspace, "home", gpu_line=no_gpu) as pilot:
        assert "31 labelled by a judge" in text_of(pilot)
        with closing(workspace.open()) as connection, transaction(connection):
            connection.execute("DELETE FROM label WHERE annotator LIKE 'judge:%' AND item_id = 1")
            connection.execute("UPDATE dataset SET n_rejected = 9")
        screen = pilot.app.screen
        screen._count_again()  # the pause between two counts is over
        await settle(pilot)
        assert "30 labelled by a judge" in text_of(pilot)


@pytest.mark.parametrize("hostile", hostile_cases())
async def test_hostile_names_are_shown_and_obeyed_by_nobody(workspace, open_app, hostile) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        text = hostile.text.encode("utf-8", "backslashreplace").decode()
        connection.execute("UPDATE item SET model = ? WHERE model = 'quill-7b'", (text,))
    add_job(workspace, JobState.RUNNING, title=text, note=text, n_ok=1)
    async with open_app(workspace, "home", gpu_line=lambda: text) as pilot:
        lines = [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]
        assert not set("".join(lines)) & {"\n", "\x1b", "\x00", "\x07", "\u202e"}
        assert all(cell_width(line) <= 77 for line in lines)
