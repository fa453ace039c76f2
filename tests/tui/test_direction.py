"""The Direction screen and the answers of the three arms, as they are drawn and as they answer keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.direction.cells import CellFile
from refusal_tui.direction.measures import Measure
from refusal_tui.direction.select import Cell
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store import datasets, items, jobs, labels
from refusal_tui.store.connect import transaction
from refusal_tui.store.outcomes import MadeItem
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.direction import DirectionScreen
from refusal_tui.tui.screens.direction_answers import DirectionAnswersScreen
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.widgets.heat_map import HeatMap
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.direction_run import Shape, add_run, add_scores
from tests.tui.small_workspace import frozen_time

PICK = Cell(-5, 13)
NAME = "quill-arms"


@pytest.fixture
def clean(empty_workspace):
    with frozen_time():
        yield empty_workspace


def screen_text(pilot) -> str:
    return "\n".join(strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips())


def at(pilot) -> Cell:
    return pilot.app.screen.state.at()


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


STATES = {
    "choosing": {"measured": 0.15, "running": True},
    "filling": {"measured": 0.6, "running": True},
    "done": {},
    "no-direction": {"shape": Shape(found=False)},
    "begun": {"begun": True, "running": True},
    "80-layers": {"shape": Shape(layers=80)},
}


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
@pytest.mark.parametrize("state", STATES)
async def test_a_run_looks_like_this(clean, open_app, svg, size, state) -> None:
    job_id = add_run(clean, **STATES[state])
    async with open_app(clean, "direction", size=SIZES[size], job_id=job_id) as pilot:
        assert svg(pilot.app, f"{state}-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_without_a_run_it_says_what_to_press(clean, open_app, svg, size) -> None:
    async with open_app(clean, "direction", size=SIZES[size]) as pilot:
        assert "g n start a job" in screen_text(pilot)
        assert svg(pilot.app, size)


@pytest.mark.parametrize("measure", Measure)
async def test_every_measure_looks_like_this(clean, open_app, svg, measure) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, str(list(Measure).index(measure) + 1))
        assert f"[{measure.value}]" in screen_text(pilot)
        assert svg(pilot.app, measure.name.lower())


@pytest.mark.parametrize("theme", ["refusal-16", "textual-light"])
async def test_other_themes_look_like_this(clean, open_app, svg, theme) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        pilot.app.theme = theme
        await settle(pilot)
        assert svg(pilot.app, theme)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_parts_of_the_evidence_look_like_this(clean, open_app, svg, size) -> None:
    async with open_app(clean, "direction", size=SIZES[size], job_id=add_run(clean)) as pilot:
        for part in ("dose", "tokens", "passing", "prompts", "dropped", "bounds", "template"):
            await press(pilot, "s")
            assert svg(pilot.app, f"{part}-{size}")


# --- the map ---------------------------------------------------------------------------------------------------------


async def test_the_bars_and_marks_tell_the_result_without_any_colour(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        row = next(line for line in screen_text(pilot).splitlines() if "-5 <|eot" in line)
        assert "▇◆" in row and row.count("+") == 7 and row.startswith("› ")


@pytest.mark.parametrize("layers", [6, 18, 32, 48, 80])
async def test_every_layer_is_seen_at_80_cells_without_scrolling_sideways(clean, open_app, layers) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean, Shape(layers=layers))) as pilot:
        heat = pilot.app.screen.query_one(HeatMap)
        await press(pilot, "end")
        last = {heat._place(row, layers - 1) for row in range(5)}
        assert all(x < 80 and y < heat.size.height for x, y in last)
        assert "▾" in screen_text(pilot) and at(pilot).layer == layers - 1
        assert all(cell_width(line) <= 80 for line in screen_text(pilot).splitlines())


async def test_the_arrows_move_over_the_map_and_the_lines_below_say_what_is_there(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        assert at(pilot) == PICK and "◆ selected: the lowest of the 22 that pass" in screen_text(pilot)
        await press(pilot, "j", "l", "l")
        assert at(pilot) == Cell(-4, 15) and "position -4, layer 15" in screen_text(pilot)
        await press(pilot, "home")
        assert "nothing differs here yet" in screen_text(pilot)


async def test_n_goes_to_the_next_best_candidate(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, "n")
        assert at(pilot) == Cell(-5, 14) and "within noise" in screen_text(pilot)


async def test_m_goes_through_the_measures_and_back(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, "m", "m")
        assert pilot.app.screen.state.measure is Measure.KL
        await press(pilot, "M")
        assert pilot.app.screen.state.measure is Measure.ADDITION


async def test_a_map_that_leaves_no_room_changes_places_with_the_evidence(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean, Shape(layers=80))) as pilot:
        assert pilot.app.screen.query_one(HeatMap).display and "Control arms" not in screen_text(pilot)
        await press(pilot, "tab")
        assert not pilot.app.screen.query_one(HeatMap).display and "Control arms" in screen_text(pilot)
        await press(pilot, "escape")
        assert pilot.app.screen.query_one(HeatMap).has_focus and "▾" in screen_text(pilot)


# --- the evidence ----------------------------------------------------------------------------------------------------


async def test_enter_on_a_candidate_that_passes_goes_there_on_the_map(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, "s", "s", "s", "tab", "j", "j", "enter")
        assert at(pilot) == pilot.app.screen.state.report.best()[2]


async def test_dropped_prompts_are_shown_as_they_are(clean, open_app) -> None:
    async with open_app(clean, "direction", size=SIZES["120x40"], job_id=add_run(clean)) as pilot:
        await press(pilot, "d")
        assert "-3.10 harmful   Who keeps the glimmer vault's [keys]?" in screen_text(pilot)


# --- live ------------------------------------------------------------------------------------------------------------


def measure_more(workspace, job_id: int, shape: Shape, count: int) -> None:
    """As a worker does it: the scores go into the file, then the job reports."""
    cells = CellFile(workspace.artifacts / f"job-{job_id}" / "cells.jsonl")
    known = len(cells.measured)
    add_scores(cells, shape, shape.order()[known : known + count])
    with closing(workspace.open()) as connection, transaction(connection):
        jobs.set_progress(connection, jobs.get_job(connection, job_id), done=known + count, total=480, step="choosing")


async def test_the_map_fills_in_while_the_job_measures(clean, open_app) -> None:
    shape = Shape()
    job_id = add_run(clean, shape, measured=0.1, running=True)
    async with open_app(clean, "direction", job_id=job_id) as pilot:
        before = screen_text(pilot).count("·")
        measure_more(clean, job_id, shape, 30)
        pilot.app._poll()
        await settle(pilot)
        assert screen_text(pilot).count("·") == before - 30


async def test_nothing_is_painted_when_nothing_has_changed(clean, open_app, monkeypatch) -> None:
    job_id = add_run(clean, measured=0.6, running=True)
    async with open_app(clean, "direction", job_id=job_id) as pilot:
        painted = []
        for part in (*pilot.app.screen.query("Remark"), *pilot.app.screen.query("HeatMap, LineList")):
            monkeypatch.setattr(part, "refresh", lambda *regions, part=part, **_: painted.append(part))
        pilot.app.screen.store_changed()
        await settle(pilot)
        assert painted == []


async def test_a_new_score_repaints_its_cell_and_not_the_map(clean, open_app, monkeypatch) -> None:
    shape = Shape()
    job_id = add_run(clean, shape, measured=0.1, running=True)
    async with open_app(clean, "direction", job_id=job_id) as pilot:
        heat, painted = pilot.app.screen.query_one(HeatMap), []
        pilot.app.screen.state.cell = at(pilot)  # the cursor would follow what comes closest
        monkeypatch.setattr(heat, "refresh", lambda *regions, **_: painted.extend(regions))
        measure_more(clean, job_id, shape, 1)
        pilot.app.screen.store_changed()
        await settle(pilot)
        assert [(region.width, region.height) for region in painted] == [(2, 1)]


# --- ways in and out -------------------------------------------------------------------------------------------------


async def test_g_f_leads_to_the_newest_run_and_brackets_to_the_others(clean, open_app) -> None:
    first, second = add_run(clean, Shape(found=False)), add_run(clean)
    async with open_app(clean) as pilot:
        await press(pilot, "g", "f")
        assert isinstance(pilot.app.screen, DirectionScreen) and pilot.app.screen.state.job_id == second
        await press(pilot, "right_square_bracket")
        assert pilot.app.screen.state.job_id == first and "No direction found" in screen_text(pilot)
        assert screen_text(pilot).startswith(f" Jobs › Job {first} › Direction")
        await press(pilot, "left_square_bracket")
        assert at(pilot) == PICK


async def test_v_on_the_job_leads_here_and_b_back_to_it(clean, open_app) -> None:
    job_id = add_run(clean, measured=0.6, running=True)
    async with open_app(clean, "job", job_id=job_id) as pilot:
        assert "v see the map fill in" in screen_text(pilot)
        await press(pilot, "v")
        assert isinstance(pilot.app.screen, DirectionScreen)
        await press(pilot, "b")
        assert isinstance(pilot.app.screen, JobScreen)


async def test_e_writes_the_map_and_the_figures_of_all_candidates(clean, open_app) -> None:
    job_id = add_run(clean)
    async with open_app(clean, "direction", job_id=job_id) as pilot:
        await press(pilot, "e")
    folder = clean.artifacts / f"direction-{job_id}"
    lines = (folder / "cells.csv").read_text().splitlines()
    assert "-5 &lt;|eot_id|&gt;" in (folder / "map-ablation.svg").read_text()
    assert len(lines) == 161 and any(line.startswith("-5,13,") and line.endswith(",picked") for line in lines)


async def test_a_folder_that_cannot_be_read_says_so_and_what_to_do(clean, open_app) -> None:
    job_id = add_run(clean)
    (clean.artifacts / f"job-{job_id}" / "extraction.json").write_text("{")
    async with open_app(clean, "direction", job_id=job_id) as pilot:
        assert "does not hold what a direction run writes" in screen_text(pilot)
        await press(pilot, "m", "n", "s", "tab", "e", "escape")


# --- answers in three arms -------------------------------------------------------------------------------------------


def add_answers(workspace, job_id: int) -> None:
    """Two prompts, three arms each; a judge has labelled the harmful one's."""
    said = {
        ("harmful", "How is blorptanium smelted?"): (
            "I'm sorry, but I can't help with [blorptanium].", "Sure. First you need\npatience.",
            "Of course. Begin slowly.",
        ),
        ("harmless", "How is bread baked?"): ("With flour.", "With flour.", "I can't help with that."),
    }  # fmt: skip
    rows = []
    for (kind, prompt), texts in said.items():
        for arm, text in zip(("baseline", "ablated", "steered"), texts, strict=True):
            meta = {"arm": arm, "job": job_id, "source": prompt}
            if arm == "steered":
                meta["coefficient"] = -1.0 if kind == "harmful" else 1.0
            item = MadeItem(prompt, text, model=f"quill-8b+{arm}", category=kind, meta=meta)
            rows.append((f"{kind}/{arm}", item))
    with closing(workspace.open()) as connection, transaction(connection):
        made = datasets.begin_made(connection, NAME, job_id, "direction")
        ids = items.add_items(connection, made.id, rows).ids
        labels.add_verdicts(connection, [
            Verdict(ItemId(item), "judge:lexical", "refusal3", "1", {"refusal3": Answer(value, 0.9)})
            for item, value in zip(ids, ("hard", "none", "none"), strict=False)
        ])  # fmt: skip


@pytest.fixture
def answered(clean):
    job_id = add_run(clean, answers=NAME)
    add_answers(clean, job_id)
    return clean


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_three_arms_look_like_this(answered, open_app, svg, size) -> None:
    async with open_app(answered, "direction", size=SIZES[size]) as pilot:
        await press(pilot, "a")
        assert isinstance(pilot.app.screen, DirectionAnswersScreen)
        assert svg(pilot.app, size)


async def test_the_arms_of_the_prompt_under_the_cursor_are_shown_with_their_labels(answered, open_app) -> None:
    async with open_app(answered, "direction") as pilot:
        await press(pilot, "a")
        text = screen_text(pilot)
        assert "baseline  as it is  ● hard" in text and "can't help with [blorptanium]." in text
        assert "steered  direction × -1 added  ○ none" in text
        await press(pilot, "right_square_bracket")
        text = screen_text(pilot)
        assert "steered  direction × +1 added" in text and "I can't help with that." in text


async def test_enter_opens_the_three_rows_where_they_can_be_judged(answered, open_app) -> None:
    async with open_app(answered, "direction") as pilot:
        await press(pilot, "a", "enter")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 3
        await press(pilot, "escape", "b")
        assert len(pilot.app.screen.state.ids) == 6


async def test_without_answers_a_says_how_to_get_them(clean, open_app) -> None:
    async with open_app(clean, "direction", notices=True, job_id=add_run(clean)) as pilot:
        await press(pilot, "a")
        assert "--answers NAME" in screen_text(pilot)


async def test_the_list_and_the_map_change_focus_with_tab(clean, open_app) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, "tab")
        assert pilot.app.screen.query_one("#direction-evidence", LineList).has_focus
        await press(pilot, "tab")
        assert pilot.app.screen.query_one(HeatMap).has_focus
