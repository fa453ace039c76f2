"""A raw-against-cleaned run on the Robustness screen, as it is drawn and as it answers keys."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.finetune.document import PAGE
from refusal_tui.results.compare import Comparison, Difference
from refusal_tui.results.table import Cell, Rate, ResultsTable
from refusal_tui.stats.intervals import Interval
from refusal_tui.store.results import MEASURES
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.raw_cleaned_lines import compared_lines
from refusal_tui.tui.screens.results import ResultsScreen
from refusal_tui.tui.screens.results_lines import results_lines
from refusal_tui.tui.screens.robustness import RobustnessScreen
from refusal_tui.tui.screens.robustness_lines import head, tabs
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.results import ResultsState
from refusal_tui.tui.state.robustness import CLEANED_TABS, RESULT, TRAINING, RobustnessState, see
from tests.finetune.made import N
from tests.tui import robustness_run
from tests.tui.raw_cleaned_run import add_answers, add_run
from tests.tui.small_workspace import EPOCH, frozen_time
from tests.tui.test_robustness import press, stand_on

WIDTH = 77


@pytest.fixture(scope="module")
def built_tidy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Job 1 is a robustness run, job 2 a comparison that was graded, job 3 one that goes on."""
    with frozen_time():
        workspace = create_workspace(tmp_path_factory.mktemp("tidy") / "demo")
        robustness_run.add_run(workspace)
        add_answers(workspace, add_run(workspace), graded=True)
        add_run(workspace, looked_at=2)
    return workspace.root


@pytest.fixture
def runs(built_tidy: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(built_tidy, tmp_path / "demo")
    return Workspace(tmp_path / "demo")


async def test_its_parts_look_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "robustness", job_id=2) as pilot:
        assert svg(pilot.app, "result")
        await press(pilot, "2")
        assert svg(pilot.app, "diversity")
        await press(pilot, "3")
        await stand_on(pilot, "cleaned")
        assert svg(pilot.app, "paired")
        await press(pilot, "left_square_bracket")
        assert pilot.app.screen.state.job_id == 3
        await press(pilot, "4")
        assert svg(pilot.app, "live")


@pytest.mark.nightly
async def test_on_a_wide_screen_it_looks_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "robustness", job_id=2, size=(120, 40)) as pilot:
        assert svg(pilot.app, "result-120x40")


async def test_v_on_the_job_leads_here_enter_opens_answers_c_results_e_writes_and_other_runs_are_beside_it(
    runs, open_app
) -> None:
    async with open_app(runs, "job", job_id=2) as pilot:
        await press(pilot, "v")
        screen = pilot.app.screen
        assert isinstance(screen, RobustnessScreen) and screen.crumbs() == "Jobs › Job 2 › Raw against cleaned"
        await stand_on(pilot, "raw")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 3 * N
        await press(pilot, "escape", "c")
        assert isinstance(pilot.app.screen, ResultsScreen) and "tiny+cleaned" in pilot.app.screen.state.wanted.selection
        assert pilot.app.screen.state.wanted.by == ("split", "model"), "benign prompts and others are not mixed"
        await press(pilot, "escape", "e")
        assert (runs.artifacts / "job-2" / PAGE).exists()
        await press(pilot, "2", "right_square_bracket")
        assert screen.crumbs() == "Jobs › Job 1 › Robustness" and screen.state.tab == RESULT


def test_no_line_is_longer_than_the_screen_and_every_part_says_something(runs) -> None:
    with closing(runs.open(read_only=True)) as connection:
        for job_id in (2, 3):
            for tab in CLEANED_TABS:
                state = RobustnessState(job_id=job_id, chosen=tab)
                state.read_job(connection, JobWatch(), EPOCH)
                state.take(see(runs.artifacts / f"job-{job_id}", job_id, connection))
                lines = [line.content.plain for line in compared_lines(state, None, WIDTH, 17)]
                assert max(map(cell_width, [*lines, head(state, 76).plain, tabs(state).plain])) <= WIDTH
                assert any(line.strip() for line in lines), tab
        state = RobustnessState(job_id=3)
        state.read_job(connection, JobWatch(), EPOCH)
        assert state.tab == TRAINING, "it goes on"


def test_results_compares_two_models_by_kind_of_prompts_where_its_table_keeps_them_apart() -> None:
    one = Difference(100, 0.1, 0.4, Interval(-0.3, -0.4, -0.2), 0, 30, 0.0, 0.0)
    lines = ((("benign",), {"refusal": one}), (("prompts",), {"refusal": one}))
    rates = {measure: Rate(Interval(0.1, 0.0, 0.2), 100, 100) for measure in MEASURES}
    cell = Cell(("benign", "a"), 90, 10, 0, 0, rates, "")
    table = ResultsTable(("split", "model"), "", None, (cell,), 0, ())
    state = ResultsState(table=table, comparison=Comparison("a", "b", "", None, ("split",), lines))
    shown = [(line.key, line.content.plain) for line in results_lines(state, 80)]
    assert [key for key, _ in shown if key and key != "0"] == ["compare:benign:refusal", "compare:prompts:refusal"]
    assert [text for _, text in shown if text in ("benign", "prompts")] == ["benign", "prompts"]
