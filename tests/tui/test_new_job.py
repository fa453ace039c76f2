"""The New job form as it is drawn, filled and refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.jobs import JobState, get_job, list_jobs
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.import_data import ImportScreen
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.screens.new_job import NewJobScreen
from refusal_tui.tui.state.new_job import offered_kinds
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.remark import Remark
from tests.support.processes import Runner
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.live import until


@pytest.fixture
def runner(workspace) -> Iterator[Runner]:
    """The processes of the workspace, gone when the test ends."""
    found = Runner(workspace)
    yield found
    found.kill_all()


def remark(pilot, selector: str) -> str:
    return pilot.app.screen.query_one(selector, Remark).content.plain


def remarks(pilot) -> list[str]:
    return [shown.content.plain for shown in pilot.app.screen.query("FieldRow Remark").results(Remark)]


async def write(pilot, selector: str, text: str) -> None:
    editor = pilot.app.screen.query_one(selector, LineInput)
    editor.focus()
    editor.value = text
    await settle(pilot)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
@pytest.mark.parametrize("kind", ["label", "export"])
async def test_the_form_looks_like_this(workspace, open_app, svg, size, kind) -> None:
    parameters = {"selection": "dataset:frindle-qa label:hard", "kind": kind}
    async with open_app(workspace, "new_job", size=SIZES[size], **parameters) as pilot:
        assert svg(pilot.app, f"{kind}-{size}")


async def test_the_final_dataset_is_asked_for_in_one_page(workspace, open_app, svg) -> None:
    async with open_app(workspace, "new_job", selection="dataset:frindle-qa", kind="export-final") as pilot:
        assert svg(pilot.app, "export-final-80x24")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_a_judge_that_asks_a_model_shows_its_settings_and_what_it_costs(workspace, open_app, svg, size) -> None:
    with closing(workspace.open()) as connection:
        options = {"price_in": 0.5, "price_out": 1.5}
        save_endpoint(connection, Endpoint("local", "custom", ("http://127.0.0.1:9/v1",), "m", options=options))
    async with open_app(workspace, "new_job", size=SIZES[size]) as pilot:
        assert not pilot.app.screen.query_one("#field-endpoint").parent.display
        await pilot.press("down", "down", "right", "right")  # linear, lexical, atoms
        await settle(pilot)
        assert pilot.app.screen.query_one("#field-endpoint").parent.display
        await write(pilot, "#field-endpoint", "local")
        said = remark(pilot, "#cost")
        assert said.startswith("About 32 requests") and "USD" in said and "A pilot: about 15 requests" in said
        assert svg(pilot.app, size)


async def test_an_unknown_price_is_said_before_the_start(workspace, open_app) -> None:
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint("local", "custom", ("http://127.0.0.1:9/v1",), "m"))
    async with open_app(workspace, "new_job") as pilot:
        await pilot.press("down", "down", "right", "right")  # linear, lexical, atoms
        await write(pilot, "#field-endpoint", "local")
        assert "cost unknown (local has no price)" in remark(pilot, "#cost")


async def test_wrong_values_are_told_beside_their_fields(workspace, open_app, svg) -> None:
    async with open_app(workspace, "new_job") as pilot:
        await write(pilot, "#selection", "dataset:nowhere")
        await write(pilot, "#field-max_rate", "fast")
        assert any("no dataset 'nowhere'" in text for text in remarks(pilot))
        assert any("valid number" in text for text in remarks(pilot))
        assert svg(pilot.app, "80x24")


async def test_the_number_of_rows_is_shown_while_one_types(workspace, open_app) -> None:
    async with open_app(workspace, "new_job") as pilot:
        assert "44 rows" in remarks(pilot)
        await write(pilot, "#selection", "dataset:frindle-qa")
        assert "32 rows" in remarks(pilot)


async def test_the_command_below_the_form_follows_it(workspace, open_app) -> None:
    async with open_app(workspace, "new_job", selection="label:hard") as pilot:
        await write(pilot, "#field-max_rate", "20")
        assert remark(pilot, "#command") == "$ refusal-tui run label label:hard --max-rate 20.0"


async def test_another_kind_brings_its_own_fields_and_keeps_the_rows(workspace, open_app) -> None:
    async with open_app(workspace, "new_job", selection="label:hard") as pilot:
        kinds = [kind.name for kind in offered_kinds()]
        for _ in range(kinds.index("export") - kinds.index("label")):
            await pilot.press("right")
            await settle(pilot)
        assert pilot.app.screen.query("#field-out")
        assert not pilot.app.screen.query("#field-max_rate")
        assert remark(pilot, "#command") == "$ refusal-tui run export label:hard …"


async def test_arrows_move_through_the_fields(workspace, open_app) -> None:
    async with open_app(workspace, "new_job") as pilot:
        seen = [pilot.app.screen.focused.id]
        for _ in range(3):
            await pilot.press("down")
            seen.append(pilot.app.screen.focused.id)
        assert seen[:3] == ["kind", "selection", "field-judge"]
        await pilot.press("up", "up")
        assert pilot.app.screen.focused.id == "selection"
        await pilot.press("up", "up")
        assert pilot.app.screen.focused.id == "field-max_rate", "from the first field to the last one"


async def test_nothing_starts_while_a_value_is_wrong(workspace, open_app) -> None:
    async with open_app(workspace, "new_job", selection="split:nowhere") as pilot:
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert "Not yet: the selection holds no rows" in remark(pilot, "#ready")
    with closing(workspace.open()) as connection:
        assert len(list_jobs(connection)) == 1


async def test_what_the_engine_finds_wrong_with_a_field_stands_beside_it(workspace, open_app, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    async with open_app(workspace, "new_job", kind="export") as pilot:
        await write(pilot, "#field-out", str(tmp_path / "full"))
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert any("is not empty" in text for text in remarks(pilot))
        await write(pilot, "#field-out", str(tmp_path / "new"))
        assert not any("is not empty" in text for text in remarks(pilot))


async def test_a_letter_typed_into_a_field_starts_nothing(workspace, open_app) -> None:
    async with open_app(workspace, "new_job") as pilot:
        await pilot.press("down", "p", "q", "i")
        await settle(pilot)
        assert isinstance(pilot.app.screen, NewJobScreen)
        assert pilot.app.screen.query_one("#selection", LineInput).value == "pqi"


async def test_an_import_has_a_screen_of_its_own(workspace, open_app) -> None:
    async with open_app(workspace, "new_job") as pilot:
        await pilot.press("i")
        assert isinstance(pilot.app.screen, ImportScreen)


async def test_an_export_has_no_pilot(workspace, open_app) -> None:
    async with open_app(workspace, "new_job", kind="export") as pilot:
        assert "pilot" not in {one.binding.action for one in pilot.app.screen.active_bindings.values()}
        await pilot.press("f5")
        assert not isinstance(pilot.app.screen, JobScreen)
    async with open_app(workspace, "new_job", kind="label") as pilot:
        assert "pilot" in {one.binding.action for one in pilot.app.screen.active_bindings.values()}


@pytest.mark.parametrize("hostile", hostile_cases(longest=10_000))
async def test_a_hostile_selection_does_no_harm(workspace, open_app, hostile) -> None:
    async with open_app(workspace, "new_job", selection=hostile.text) as pilot:
        shown = "".join([*remarks(pilot), remark(pilot, "#command"), remark(pilot, "#ready")])
        assert not set(shown) & {"\x1b", "\x00", "\x07", "\u202e"}
        picture = pilot.app.export_screenshot()
        assert not set(picture) & {"\x1b", "\x00", "\x07", "\u202e"}


async def test_started_from_browse_the_filter_is_the_selection(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="label:hard") as pilot:
        await pilot.press("J")
        await settle(pilot)
        assert pilot.app.screen.query_one("#selection", LineInput).value == "label:hard"
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


@pytest.mark.kill
async def test_a_pilot_shows_twenty_answers_and_then_the_same_job_goes_on(workspace, open_app, runner) -> None:
    async with open_app(workspace, "new_job", selection="dataset:frindle-qa") as pilot:
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await until(pilot, lambda: runner.job(2).state is JobState.PAUSED)
        await until(pilot, lambda: "Answers" in _body(pilot) and "20 of 20 rows" in _head(pilot))
        await pilot.press("r")
        await until(pilot, lambda: runner.job(2).state is JobState.DONE)
        await until(pilot, lambda: "32 of 32 rows" in _head(pilot))
    with closing(workspace.open()) as connection:
        assert get_job(connection, 2).n_ok == 32


def _head(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one("#job-head").shown)


def _body(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one("#job-body").shown)
