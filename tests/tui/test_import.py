"""The Import screen: look at a source, change what is wrong, start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.store.browse import count_items
from refusal_tui.store.jobs import JobState
from refusal_tui.tui.screens.import_data import ImportScreen
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.state.import_data import Look, PlanView, PreviewRow
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark
from tests.support.processes import Runner
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.live import until

PLAN = PlanView(
    adapter="generic",
    name="frindle-notes",
    licence="not known",
    rows=51,
    mapping="prompt=question,response=answer",
    reasons=("no known dataset has these columns, so they are mapped one by one",),
    warnings=("the column 'answer' is empty in 3 of 50 rows",),
    rejected=("line 51: broken JSON",),
    preview=(
        PreviewRow("How does one [INST] fold blorptanium?", "Sure. Take the left corner first."),
        PreviewRow("What is the frindle ritual?", "I'm sorry, but I can't help with that."),
        PreviewRow("A prompt without an answer", None),
    ),
)


@pytest.fixture
def runner(workspace) -> Iterator[Runner]:
    """The processes of the workspace, gone when the test ends."""
    found = Runner(workspace)
    yield found
    found.kill_all()


def plan_of(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one("#plan", LineList).shown)


def value_of(pilot, name: str) -> str:
    return pilot.app.screen.query_one(f"#field-{name}", LineInput).value


def source_file(folder: Path, rows: int = 30) -> Path:
    path = folder / "notes.jsonl"
    lines = [
        json.dumps({"question": f"What is frindle {n}?", "answer": "I can't help with that."}) for n in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_before_a_source_is_named_the_screen_asks_for_one(workspace, open_app, svg, size) -> None:
    async with open_app(workspace, "import", size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_a_look_shows_columns_warnings_and_first_rows(workspace, open_app, svg, size) -> None:
    async with open_app(workspace, "import", size=SIZES[size], source="/data/frindle notes.jsonl") as pilot:
        pilot.app.screen._looked_at = dict(pilot.app.screen._state.values)
        pilot.app.screen._looked(Look(PLAN))
        await settle(pilot)
        assert svg(pilot.app, size)


async def test_a_look_that_failed_says_why(workspace, open_app, svg) -> None:
    async with open_app(workspace, "import", source="/data/nowhere.csv") as pilot:
        said = "/data/nowhere.csv does not exist.\nCheck the path; a Hub dataset is written hf:owner/name."
        pilot.app.screen._looked(Look(problem=said))
        await settle(pilot)
        assert "does not exist" in plan_of(pilot)
        assert svg(pilot.app, "80x24")


async def test_what_was_typed_stays_and_what_was_found_fills_the_rest(workspace, open_app) -> None:
    async with open_app(workspace, "import", source="/data/x.jsonl") as pilot:
        pilot.app.screen.query_one("#field-name", LineInput).value = "mine"
        await settle(pilot)
        pilot.app.screen._looked(Look(PLAN))
        await settle(pilot)
        assert value_of(pilot, "name") == "mine"
        assert value_of(pilot, "map") == "prompt=question,response=answer"


async def test_a_mapping_that_is_no_pair_is_told_beside_its_field(workspace, open_app) -> None:
    async with open_app(workspace, "import", source="/data/x.jsonl") as pilot:
        pilot.app.screen.query_one("#field-map", LineInput).value = "question"
        await settle(pilot)
        said = [shown.content.plain for shown in pilot.app.screen.query("FieldRow Remark").results(Remark)]
        assert any("not of the form key=value" in text for text in said)


async def test_without_a_source_neither_look_nor_start_do_anything(workspace, open_app) -> None:
    async with open_app(workspace, "import") as pilot:
        await pilot.press("enter", "ctrl+s", "f5")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ImportScreen)


async def test_a_real_file_is_looked_at_imported_and_its_rows_are_there(workspace, open_app, runner, tmp_path) -> None:
    path = source_file(tmp_path)
    async with open_app(workspace, "import", source=str(path)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "What is frindle 0?" in plan_of(pilot))
        assert value_of(pilot, "name") == "notes"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen))
        await until(pilot, lambda: runner.job(2).state is JobState.DONE)
    with closing(workspace.open()) as connection:
        assert count_items(connection, "dataset:notes") == 30


async def test_leaving_while_the_look_runs_ends_it(workspace, open_app, runner, tmp_path) -> None:
    path = source_file(tmp_path)
    async with open_app(workspace, "import", source=str(path)) as pilot:
        await pilot.press("enter", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ImportScreen))
        await settle(pilot)


@pytest.mark.parametrize("hostile", hostile_cases())
async def test_a_hostile_source_does_no_harm(workspace, open_app, hostile) -> None:
    text = hostile.text
    plan = PlanView(text, text, text, 3, text, (text,), (text,), (text,), (PreviewRow(text, text),))
    async with open_app(workspace, "import", source="/data/x.jsonl") as pilot:
        pilot.app.screen._looked(Look(plan))
        await settle(pilot)
        shown = plan_of(pilot)
        assert not set(shown) & {"\x1b", "\x00", "\x07", "\u202e"}
        assert not set(pilot.app.export_screenshot()) & {"\x1b", "\x00", "\x07", "\u202e"}
