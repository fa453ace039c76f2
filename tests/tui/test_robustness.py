"""Robustness as it is drawn and as it answers keys, on runs whose outcomes we wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from refusal_tui.finetune.document import PAGE
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.results import ResultsScreen
from refusal_tui.tui.screens.robustness import RobustnessScreen
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import settle
from tests.tui.robustness_run import NO_EFFECT, add_answers, add_run
from tests.tui.small_workspace import frozen_time


@pytest.fixture(scope="session")
def built_robust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Job 1 has ended, job 2 as well and found nothing, job 3 goes on."""
    with frozen_time():
        workspace = create_workspace(tmp_path_factory.mktemp("robust") / "demo")
        add_answers(workspace, add_run(workspace))
        add_run(workspace, NO_EFFECT, {arm: [1.0, 0.2] for arm in NO_EFFECT})
        add_run(workspace, looked_at=7)
    return workspace.root


@pytest.fixture
def runs(built_robust: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(built_robust, tmp_path / "demo")
    return Workspace(tmp_path / "demo")


async def press(pilot, *pressed: str) -> None:
    for key in pressed:
        await pilot.press(key)
        await settle(pilot)


async def stand_on(pilot, arm: str) -> None:
    lines = pilot.app.screen.query_one(LineList)
    lines.choose(next(line.key for line in lines.shown if (line.key or "").startswith(f"arm:{arm}:")))
    await settle(pilot)


async def test_its_parts_look_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "robustness", job_id=1) as pilot:
        assert svg(pilot.app, "result")
        await press(pilot, "2")
        await stand_on(pilot, "subspace")
        assert svg(pilot.app, "curve")
        await press(pilot, "3")
        assert svg(pilot.app, "paired")
        await press(pilot, "right_square_bracket")
        await press(pilot, "left_square_bracket", "1")
        assert pilot.app.screen.state.job_id == 2
        assert svg(pilot.app, "no-effect")


async def test_a_run_that_goes_on_looks_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "robustness") as pilot:
        assert pilot.app.screen.state.job_id == 3
        assert svg(pilot.app, "live")


async def test_on_a_wide_screen_it_looks_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "robustness", job_id=1, size=(120, 40)) as pilot:
        await press(pilot, "2")
        assert svg(pilot.app, "curve-120x40")


async def test_v_on_the_job_leads_here_an_arm_opens_its_answers_and_c_the_results(runs, open_app) -> None:
    async with open_app(runs, "job", job_id=1) as pilot:
        await press(pilot, "v")
        screen = pilot.app.screen
        assert isinstance(screen, RobustnessScreen) and screen.state.job_id == 1
        await stand_on(pilot, "vanilla")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 2
        await press(pilot, "escape", "c")
        assert isinstance(pilot.app.screen, ResultsScreen)
        assert "tiny+subspace@8" in pilot.app.screen.state.wanted.selection
        await press(pilot, "escape", "e")
        assert (runs.artifacts / "job-1" / PAGE).exists()
