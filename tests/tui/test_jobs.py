"""The Jobs screen as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.tui.confirm import Confirm
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.screens.jobs import JobsScreen
from refusal_tui.tui.screens.new_job import NewJobScreen
from refusal_tui.tui.widgets.window_table import WindowTable
from tests.tui.conftest import SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.job_rows import add_job, change_job, fail_rows, one_of_each


def state_in_store(workspace, job_id: int) -> JobState:
    with closing(workspace.open(read_only=True)) as connection:
        return get_job(connection, job_id).state


def table_of(pilot) -> WindowTable:
    return pilot.app.screen.query_one(WindowTable)


@pytest.mark.parametrize("size", SIZES)
async def test_jobs_look_like_this(workspace, open_app, svg, size) -> None:
    one_of_each(workspace)
    async with open_app(workspace, "jobs", size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


async def test_without_jobs_the_screen_says_how_to_start_one(empty_workspace, open_app, svg) -> None:
    async with open_app(empty_workspace, "jobs") as pilot:
        assert svg(pilot.app, "80x24")


async def test_the_cursor_stays_on_its_job_when_a_newer_one_comes(workspace, open_app) -> None:
    add_job(workspace, JobState.DONE)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("j")
        assert table_of(pilot).cursor_id == 1
        add_job(workspace, JobState.QUEUED)
        pilot.app.store_changed()
        assert list(table_of(pilot).ids) == [3, 2, 1]
        assert table_of(pilot).cursor_id == 1


async def test_f_and_tab_step_through_the_filters(workspace, open_app) -> None:
    one_of_each(workspace)
    async with open_app(workspace, "jobs") as pilot:
        counts = []
        for key in ("f", "tab", "f", "tab"):
            await pilot.press(key)
            counts.append(len(table_of(pilot).ids))
        assert counts == [2, 3, 1, 6]


async def test_progress_shows_without_a_key_press(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=1, active_seconds=1.0)
    async with open_app(workspace, "jobs") as pilot:
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, n_ok=16)
        pilot.app._poll()
        row = table_of(pilot).cursor_row
        assert row.done == 16


async def test_enter_opens_the_job_and_n_a_new_one(workspace, open_app) -> None:
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, JobScreen)
        await pilot.press("escape", "n")
        await settle(pilot)
        assert isinstance(pilot.app.screen, NewJobScreen)


async def test_p_pauses_a_queued_job(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.QUEUED)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("p")
        await settle(pilot)
        assert state_in_store(workspace, job_id) is JobState.PAUSED


async def test_cancelling_asks_and_the_same_key_again_means_yes(workspace, open_app, svg) -> None:
    job_id = add_job(workspace, JobState.PAUSED, n_ok=3)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("x")
        assert isinstance(pilot.app.screen, Confirm)
        assert svg(pilot.app, "question")
        assert state_in_store(workspace, job_id) is JobState.PAUSED
        await pilot.press("x")
        await settle(pilot)
        assert state_in_store(workspace, job_id) is JobState.CANCELLED


@pytest.mark.parametrize("key", ["escape", "n", "enter", "y"])
async def test_any_other_key_leaves_the_job_alone(workspace, open_app, key) -> None:
    job_id = add_job(workspace, JobState.PAUSED, n_ok=3)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("x", key)
        await settle(pilot)
        assert isinstance(pilot.app.screen, JobsScreen)
        assert state_in_store(workspace, job_id) is JobState.PAUSED


async def test_what_the_engine_refuses_is_a_notice_with_its_reason(workspace, open_app) -> None:
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("p")  # the only job is done
        await settle(pilot)
        assert [note.message for note in pilot.app._notifications] == [
            "Job 1 is done: it cannot be paused.\nLook at it with: refusal-tui jobs show 1"
        ]


async def test_keys_without_a_job_do_nothing(empty_workspace, open_app) -> None:
    async with open_app(empty_workspace, "jobs") as pilot:
        await pilot.press("p", "r", "x", "R", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, JobsScreen)


@pytest.mark.parametrize("hostile", hostile_cases())
async def test_hostile_titles_and_messages_do_no_harm(workspace, open_app, hostile) -> None:
    text = hostile.text.encode("utf-8", "backslashreplace").decode()
    job_id = add_job(workspace, JobState.FAILED, title=text, note=text, selection=text)
    fail_rows(workspace, job_id, 3, text)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("x")
        await pilot.press("escape", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, JobScreen)
        picture = pilot.app.export_screenshot()
        assert not set(picture) & {"\x1b", "\x00", "\x07", "\u202e"}
