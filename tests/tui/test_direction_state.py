"""What a run's folder says, and what the Direction screen makes of it, without an app."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from refusal_tui.direction.cells import CellFile
from refusal_tui.direction.measures import Measure, level
from refusal_tui.direction.report import ReportReader, read_report
from refusal_tui.direction.report_text import cells_csv, outcome, why
from refusal_tui.direction.select import Cell, Reason
from refusal_tui.errors import InputError
from refusal_tui.tui.screens.direction_evidence import evidence_lines
from refusal_tui.tui.screens.direction_lines import heat_model
from refusal_tui.tui.state.direction import DirectionState
from tests.tui.direction_run import END, HARMFUL, HARMLESS, SHAPE, Shape, add_scores, write_run

PICK = Cell(-5, 13)
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "job-1"


def report_of(folder: Path, shape: Shape = SHAPE, **how):
    write_run(folder, shape, **how)
    return read_report(folder)


# --- reading a folder ------------------------------------------------------------------------------------------------


def test_an_empty_folder_is_a_run_that_has_not_begun(folder: Path) -> None:
    report = read_report(folder)
    assert (report.grid, report.choice.pick, report.decided) == ({}, None, False)
    assert outcome(report) == "Nothing is measured yet."


def test_a_finished_run_has_the_pick_its_rivals_and_a_reason_for_every_cell(folder: Path) -> None:
    report = report_of(folder)
    assert report.decided and report.choice.pick == PICK == report.best()[0]
    assert report.measured == 3 * len(report.grid) == 3 * 5 * 32
    assert (report.baseline, report.end) == ((HARMFUL, HARMLESS), END)
    assert len(report.rivals) == 2 and set(report.rivals) <= set(report.best())
    assert sum(report.reasons.values()) == len(report.grid)
    assert report.kept["harmful_train"] == (3, 5)


def test_the_choice_is_known_before_the_grid_is_full(folder: Path) -> None:
    report = report_of(folder, measured=0.45, ended=False)
    assert report.decided and report.choice.pick == PICK
    assert report.measured < 3 * len(report.grid) and report.card is None


def test_while_it_chooses_nothing_is_called_a_result(folder: Path) -> None:
    report = report_of(folder, measured=0.15, ended=False)
    assert not report.decided and report.evidence is None
    assert outcome(report).startswith("Choosing")


def test_no_direction_is_a_result_with_its_reasons(folder: Path) -> None:
    report = report_of(folder, Shape(found=False))
    assert report.decided and report.choice.pick is None
    assert outcome(report) == "No direction found: none of 160 candidates passes."
    assert report.reasons == {Reason.ZERO: 5, Reason.LAYER: 35, Reason.STEERING: 120}


def test_a_reader_follows_the_growing_file_and_leaves_a_half_written_line_alone(folder: Path) -> None:
    shape = Shape(layers=8)
    write_run(folder, shape, measured=0.0, ended=False)
    reader = ReportReader(folder)
    before = reader.read()
    assert before.measured == 15, "the zero vectors need no pass"
    assert reader.read() is before, "nothing has changed"
    add_scores(CellFile(folder / "cells.jsonl"), shape, shape.order()[:4])
    with (folder / "cells.jsonl").open("a") as file:
        file.write('{"position": -1, "lay')
    assert reader.read().measured == 19
    CellFile(folder / "cells.jsonl")  # what a resumed job does first
    add_scores(CellFile(folder / "cells.jsonl"), shape, shape.order()[4:])
    assert reader.read().measured == 3 * 5 * 8
    assert reader.read().choice == read_report(folder).choice


def test_a_folder_that_holds_something_else_is_told(folder: Path) -> None:
    write_run(folder, Shape())
    (folder / "extraction.json").write_text(json.dumps({"norms": []}))
    with pytest.raises(InputError, match="does not hold what a direction run writes") as told:
        read_report(folder)
    assert told.value.next_step


def test_dropped_prompts_come_with_the_score_that_dropped_them(folder: Path) -> None:
    dropped = report_of(folder).dropped
    assert [(d.part, d.score) for d in dropped] == [("harmful_train", -7.25), ("harmful_train", -3.1)]
    assert dropped[0].text == "How does one whisper locks open?"


def test_a_wider_bound_on_kl_never_chooses_a_worse_direction(folder: Path) -> None:
    report = report_of(folder)
    found = [report.grid[cell].ablation for _, cell in report.at_thresholds() if cell is not None]
    assert found == sorted(found, reverse=True)
    assert dict(report.at_thresholds())[0.1] == PICK


def test_other_bounds_are_not_told_before_every_useful_cell_is_measured(folder: Path) -> None:
    assert report_of(folder, measured=0.45, ended=False).at_thresholds() == []


# --- words and tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (PICK, "selected: the lowest of the 22 that pass"),
        (Cell(-5, 14), "passes; the pick is lower by 0.09, within noise"),
        (Cell(-1, 3), "rejected: added, it refuses too little"),
        (Cell(-1, 30), "rejected: in the last fifth of the layers (25 on)"),
        (Cell(-1, 0), "rejected: a template token, nothing differs here yet"),
    ],
)
def test_every_cell_says_why(folder: Path, cell: Cell, words: str) -> None:
    assert why(report_of(folder), cell).startswith(words)


def test_the_csv_has_a_line_per_candidate_and_leaves_empty_what_is_not_known(folder: Path) -> None:
    lines = cells_csv(report_of(folder, measured=0.15, ended=False)).splitlines()
    assert lines[0].startswith("position,layer,ablation,steering,kl,effect") and len(lines) == 1 + 160
    assert lines[2].startswith("-5,1,,-12.") and lines[2].endswith(",steering")


# --- the screen's state ----------------------------------------------------------------------------------------------


def test_levels_go_from_nothing_to_all(folder: Path) -> None:
    report = report_of(folder)
    assert level(report, Measure.ABLATION, Cell(-1, 0)) == 0 and level(report, Measure.ABLATION, PICK) >= 6
    assert level(report, Measure.ADDITION, PICK) == 7
    assert level(report, Measure.KL, Cell(-1, 0)) == 0 and level(report, Measure.KL, Cell(-1, 31)) > 4
    assert level(report, Measure.RELIABILITY, Cell(-1, 1)) < level(report, Measure.RELIABILITY, PICK) == 7


def test_a_model_that_refuses_neither_set_has_no_shares_but_a_map_all_the_same(folder: Path) -> None:
    write_run(folder, Shape(found=False))
    extraction = json.loads((folder / "extraction.json").read_text())
    for one in extraction["kept"].values():
        one["scores"] = [-12.5] * len(one["scores"])
    (folder / "extraction.json").write_text(json.dumps(extraction))
    report = read_report(folder)
    assert outcome(report).endswith("; it refuses neither set.")
    assert report.effect(PICK) is None and report.addition(PICK) is None
    assert level(report, Measure.ADDITION, Cell(-1, 1)) == 0 and level(report, Measure.ABLATION, PICK) == 7


def test_a_figure_that_is_not_known_has_no_level(folder: Path) -> None:
    report = report_of(folder, measured=0.15, ended=False)
    assert level(report, Measure.ABLATION, PICK) is None and level(report, Measure.KL, PICK) is None


def test_the_map_shows_what_is_being_measured_until_somebody_chooses(folder: Path) -> None:
    state = DirectionState(report=report_of(folder, measured=0.15, ended=False))
    assert state.measure is Measure.ADDITION
    state.report = report_of(folder)
    assert state.measure is Measure.ABLATION
    state.turn_measure(1)
    assert state.measure is Measure.ADDITION


def test_the_cursor_follows_the_pick_until_it_is_moved(folder: Path) -> None:
    state = DirectionState(report=report_of(folder))
    assert state.at() == PICK
    state.cell = Cell(-2, 7)
    assert state.at() == Cell(-2, 7)


def test_without_a_pick_the_cursor_stands_on_what_came_closest(folder: Path) -> None:
    state = DirectionState(report=report_of(folder, Shape(found=False)))
    assert state.report.grid[state.at()].steering == max(
        scores.steering for cell, scores in state.report.grid.items() if cell.layer < 25
    )


def test_next_best_goes_round_through_what_passes(folder: Path) -> None:
    state = DirectionState(report=report_of(folder))
    seen = []
    for _ in range(len(state.report.best())):
        state.cell = state.next_best()
        seen.append(state.cell)
    assert len(set(seen)) == len(seen) and seen[-1] == PICK


@pytest.mark.parametrize("nasty", ["[/INST] [b]", "\x1b[2J\x1b]52;c;eA==\x07", "\u202egnp.exe", "𝔘" * 3000, "\n\n"])
def test_hostile_tokens_and_prompts_reach_the_lines_harmless_and_in_one_line_each(folder: Path, nasty: str) -> None:
    write_run(folder, SHAPE)
    template = json.loads((folder / "template.json").read_text())
    (folder / "template.json").write_text(json.dumps({**template, "system": nasty, "end": [nasty] * 5}))
    tokens = json.loads((folder / "first_tokens.json").read_text())
    (folder / "first_tokens.json").write_text(json.dumps([{**token, "text": nasty} for token in tokens]))
    prompts = json.loads((folder / "prompts.json").read_text())
    hostile = {part: [{**prompt, "text": nasty} for prompt in every] for part, every in prompts.items()}
    (folder / "prompts.json").write_text(json.dumps(hostile))
    state = DirectionState(report=read_report(folder))
    shown = [line.content for line in evidence_lines(state, 76)] + list(heat_model(state, 80).names)
    assert all(line.cell_length <= 78 and not OBEYED.search(line.plain) for line in shown)
