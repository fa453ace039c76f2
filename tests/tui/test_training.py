"""Training as it is drawn and as it answers keys, on runs whose predictions we wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from refusal_tui.classify.document import PAGE
from refusal_tui.classify.files import STEPS, TRIALS
from refusal_tui.store.workspace import Workspace
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.dossier import DossierScreen
from refusal_tui.tui.screens.review_new import ReviewNewScreen
from refusal_tui.tui.screens.training import TrainingScreen
from refusal_tui.tui.screens.training_mistake import TrainingMistakeScreen
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import settle


@pytest.fixture
def runs(built_runs: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(built_runs, tmp_path / "demo")
    return Workspace(tmp_path / "demo")


async def press(pilot, *pressed: str) -> None:
    for key in pressed:
        await pilot.press(key)
        await settle(pilot)


async def stand_on(pilot, key: str) -> None:
    pilot.app.screen.query_one(LineList).choose(key)
    await settle(pilot)


async def test_its_parts_look_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "training", job_id=1) as pilot:
        for number, name in ((2, "result"), (3, "calibration"), (4, "slices"), (5, "robustness"), (6, "mistakes")):
            await press(pilot, str(number))
            if name == "result":
                await stand_on(pilot, "cell:0")
                await press(pilot, "right")
            assert svg(pilot.app, name)
        await press(pilot, "enter")
        assert svg(pilot.app, "why")
        await press(pilot, "escape", "7")
        await stand_on(pilot, "run:2")
        await press(pilot, "enter")
        assert svg(pilot.app, "runs")


async def test_a_run_that_goes_on_looks_like_this_and_moves(runs, open_app, svg) -> None:
    async with open_app(runs, "training") as pilot:
        assert svg(pilot.app, "live")
        steps = runs.artifacts / "job-3" / TRIALS / "final" / STEPS
        last = json.loads(steps.read_text().splitlines()[-1])
        with steps.open("a") as file:
            file.write(json.dumps({**last, "step": 90, "loss": 0.125}) + "\n")
        pilot.app.screen.store_changed()
        assert "step 90 of 120  loss 0.125" in pilot.app.screen.query_one(LineList).shown[0].content.plain


async def test_on_a_wide_screen_it_looks_like_this(runs, open_app, svg) -> None:
    async with open_app(runs, "training", job_id=1, size=(120, 40)) as pilot:
        assert svg(pilot.app, "training-120x40")
        await press(pilot, "2")
        assert svg(pilot.app, "result-120x40")


async def test_a_cell_opens_its_rows_and_mistakes_lead_to_why_to_their_row_and_to_a_queue(runs, open_app) -> None:
    async with open_app(runs, "training", job_id=1) as pilot:
        await press(pilot, "s")
        await stand_on(pilot, "cell:0")
        await press(pilot, "right", "enter")
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen) and len(screen.state.ids) == 2
        await press(pilot, "escape", "6", "enter", "n")
        assert isinstance(pilot.app.screen, TrainingMistakeScreen) and pilot.app.screen.place == 1
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, DossierScreen)
        await press(pilot, "escape", "escape", "v")
        assert isinstance(pilot.app.screen, ReviewNewScreen)
        fields = " ".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
        assert "@classifier-1-mistakes" in fields and "--aims none" in fields


async def test_v_on_the_job_leads_here_and_e_writes_the_report(runs, open_app) -> None:
    async with open_app(runs, "job", job_id=1) as pilot:
        await press(pilot, "v")
        assert isinstance(pilot.app.screen, TrainingScreen) and pilot.app.screen.state.job_id == 1
        await press(pilot, "e")
        assert (runs.artifacts / "job-1" / PAGE).exists()
        await press(pilot, "left_square_bracket", "left_square_bracket")
        assert pilot.app.screen.state.job_id == 3
        header = pilot.app.screen._compositor.render_strips()[0].text
        assert header.startswith(" Jobs › Job 3 › Training")
