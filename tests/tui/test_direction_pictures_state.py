"""Pictures, strips of tokens and the steering bench without an app: what is shown, and what the keys do."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.bench_wire import Ask, heard
from refusal_tui.direction.geometry import read_geometry
from refusal_tui.direction.pictures import Run, pictures, write_pictures
from refusal_tui.direction.readings import read_readings
from refusal_tui.direction.report import read_report
from refusal_tui.direction.select import Cell
from refusal_tui.errors import UnavailableError
from refusal_tui.tui.screens.direction_pages import page_lines
from refusal_tui.tui.screens.direction_strip import detail, head, strip_lines, text_lines
from refusal_tui.tui.state.direction_bench import BenchState, Phase
from refusal_tui.tui.state.direction_pictures import PAGES, Page, PicturesState, Read
from refusal_tui.tui.state.direction_tokens import TokensState, places
from tests.tui.direction_run import SHAPE, Shape, write_run

PICK = Cell(-5, 13)
NASTY = ["[/INST] [b]", "\x1b[2J\x1b]52;c;eA==\x07", "\u202egnp.exe", "\n\n", "𝔘" * 300]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "job-1", SHAPE)
    return tmp_path / "job-1"


def read(folder: Path) -> Read:
    return Read(read_report(folder), read_geometry(folder), read_readings(folder), [], "")


def page(state: PicturesState, width: int = 76, height: int = 19) -> list[str]:
    return [line.plain for line in page_lines(state, width, height)]


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [4, 32, 80])
def test_every_page_fits_the_smallest_terminal_for_a_model_of_any_depth(tmp_path, layers: int) -> None:
    write_run(tmp_path / "job-1", Shape(layers=layers))
    state = PicturesState(read=read(tmp_path / "job-1"))
    for state.page in PAGES:
        for at_layer in (-10_000, layers // 2, 10_000):
            state.move(0, at_layer)
            lines = page_lines(state, 76, 19)
            assert 1 < len(lines) <= 19 and all(line.cell_length <= 76 for line in lines[1:]), state.page


def test_the_arrows_stop_at_the_first_and_the_last_candidate(folder: Path) -> None:
    state = PicturesState(read=read(folder))
    assert state.at() == PICK
    state.move(-3, -100)
    assert state.at() == Cell(-5, 0)
    state.move(100, 100)
    assert state.at() == Cell(-1, 31)


def test_a_small_model_has_the_cosines_as_figures_and_a_large_one_as_bars(tmp_path) -> None:
    for layers, shown in ((6, "+0.39"), (32, "▇")):
        write_run(tmp_path / f"job-{layers}", Shape(layers=layers))
        assert any(shown in line for line in page(PicturesState(Page.COSINES, read=read(tmp_path / f"job-{layers}"))))


def test_the_histogram_has_harmless_prompts_on_the_left_and_harmful_ones_on_the_right(folder: Path) -> None:
    state = PicturesState(Page.HISTOGRAM, read=read(folder))
    rows = [line for line in page(state) if "█" in line]
    highest, lowest = rows[0], rows[-1]
    assert highest.index("█") > 40 and lowest.index("█") < 40, "high projections are harmful prompts', low ones not"
    assert "12 harmful" in page(state)[1] and "AUROC" in page(state)[0]


def test_a_run_of_an_older_version_says_why_there_is_nothing(folder: Path) -> None:
    (folder / "geometry.safetensors").unlink()
    assert "before its pictures were kept" in page(PicturesState(Page.HISTOGRAM, read=read(folder)))[0]


def test_an_export_has_every_picture_with_its_numbers(folder: Path, tmp_path: Path) -> None:
    one = read(folder)
    written = write_pictures(tmp_path / "out", pictures(Run(one.report, one.geometry, one.readings)))
    names = {path.name for path in written}
    assert {
        "cells.csv", "map-ablation.svg", "map-verdict.svg", "auroc.svg", "auroc.csv", "cosines-layers.svg",
        "cosines-positions.csv", "projections.svg", "projections.csv", "dose-response.svg", "control-arms.csv",
        "tokens.csv", "tokens-1.svg", "tokens-6.svg",
    } <= names  # fmt: skip
    table = (tmp_path / "out" / "projections.csv").read_text().splitlines()
    assert table[0] == "position,layer,set,prompt,projection" and len(table) == 1 + 2 * 5 * 32 * 12
    assert "layer 13  ◆" in (tmp_path / "out" / "projections.svg").read_text()


def test_a_hostile_token_reaches_no_svg_and_no_screen_as_it_is(folder: Path, tmp_path: Path) -> None:
    card = json.loads((folder / "readings.json").read_text())
    card["texts"][0]["tokens"] = (NASTY * 3)[: len(card["texts"][0]["tokens"])]
    (folder / "readings.json").write_text(json.dumps(card))
    one = read(folder)
    for path in write_pictures(tmp_path / "out", pictures(Run(one.report, one.geometry, one.readings))):
        if path.suffix == ".svg":
            ElementTree.parse(path)
    state = TokensState(one.readings, read=True)
    found = places(state.at, 75, figures=False)
    shown = [*strip_lines(state, found), detail(state, 76), *(line.content for line in text_lines(state, 76))]
    text = "\n".join(line.plain for line in shown)
    assert not any(char in text for char in "\x1b\x07\u202e") and all(line.cell_length <= 77 for line in shown[:-7])


# --- the strip of tokens ---------------------------------------------------------------------------------------------


def test_an_answer_begins_a_line_of_its_own_and_no_line_is_too_long(folder: Path) -> None:
    reading = read_readings(folder).shown[0]
    found = places(reading, 30, figures=True)
    assert found[reading.answer_from].at == 0 and all(place.at + place.wide <= 30 for place in found)
    assert [place.line for place in found] == sorted(place.line for place in found)


def test_bars_say_where_a_token_lies_between_harmless_and_harmful_prompts(folder: Path) -> None:
    state = TokensState(read_readings(folder), read=True)
    state.begin()
    bars = strip_lines(state, places(state.at, 75, figures=False))[1].plain
    assert bars.startswith("▂▂▂ ▁▁ ███████████"), "How is blorptanium"
    assert state.figure == pytest.approx(9.0) and "lies at +9.000 █" in detail(state, 76).plain


def test_at_a_layer_without_a_difference_there_is_no_scale_and_it_is_said(folder: Path) -> None:
    state = TokensState(read_readings(folder), read=True)
    state.scrub(-100)
    assert state.shown_layer == 0 and "do not differ here" in head(state).plain
    assert strip_lines(state, places(state.at, 75, figures=False))[1].plain.startswith("··· ··")


def test_a_typed_text_is_shown_at_once_and_stands_before_those_of_the_run(folder: Path) -> None:
    state = TokensState(read_readings(folder), index=3, read=True)
    line = '{"id": 1, "tokens": ["Why", "?", "<nl>"], "answer_from": 3, "projections": ' + str([[0.5] * 3] * 32) + "}"
    state.add(heard(line).reading())
    assert (state.index, state.at.words, state.token) == (0, "Why ? <nl>", 2)
    assert text_lines(state, 76)[0].content.plain.startswith("typed ")


# --- the bench -------------------------------------------------------------------------------------------------------

READY = (
    '{"ready": true, "model": "quill-8b", "layers": 32, "position": -1, "layer": 9, "device": "cpu", "changed": false}'
)


def test_a_prompt_that_is_typed_while_the_model_loads_is_answered_when_it_is_there() -> None:
    state = BenchState()
    ask = state.ask("why?")
    assert state.phase is Phase.LOADING and ask.arms == ARMS
    state.hear(heard(READY))
    assert state.phase is Phase.ANSWERING and state.place == "position -1, layer 9 of 32"
    state.hear(heard('{"id": 1, "texts": {"baseline": "Be", "ablated": "So", "steered": "I"}}'))
    state.hear(heard('{"id": 1, "done": true, "seconds": 1.5}'))
    assert (state.phase, state.seconds, state.texts[Arm.ABLATED]) == (Phase.READY, 1.5, "So")


def test_another_coefficient_asks_the_steered_arm_alone_again_and_older_words_do_not_count() -> None:
    state = BenchState()
    state.hear(heard(READY))
    state.ask("why?")
    state.hear(heard('{"id": 1, "texts": {"baseline": "Be", "ablated": "So", "steered": "I"}}'))
    assert state.steer(1).arms == ARMS, "while the others have not finished they are asked again, too"
    state.hear(heard('{"id": 1, "texts": {"steered": "of the older question"}}'))
    state.hear(heard('{"id": 2, "texts": {"baseline": "Be.", "ablated": "So.", "steered": "I I"}}'))
    state.hear(heard('{"id": 2, "done": true, "seconds": 1.0}'))
    again = state.steer(-5)
    assert (again.arms, again.coefficient, again.id) == ((Arm.STEERED,), -1.0, 3)
    assert state.texts == {Arm.BASELINE: "Be.", Arm.ABLATED: "So.", Arm.STEERED: "I I"} and state.stale == {Arm.STEERED}


def test_an_error_of_one_question_leaves_the_model_there_and_an_error_at_the_start_does_not() -> None:
    state = BenchState()
    state.hear(heard(READY))
    state.ask("why?")
    state.hear(heard('{"id": 1, "error": "No memory.", "next_step": "Ask less.", "exit_code": 6}'))
    assert state.phase is Phase.READY and str(state.error) == "No memory."
    gone = BenchState()
    gone.hear(heard('{"error": "The model cannot be loaded.", "next_step": "Give a folder.", "exit_code": 6}'))
    gone.gone(6, Path("bench-1.log"))
    assert (
        gone.phase is Phase.GONE and isinstance(gone.error, UnavailableError) and "cannot be loaded" in str(gone.error)
    )
    assert gone.steer(1) is None


def test_a_process_that_was_killed_is_told_as_one_that_ran_out_of_memory() -> None:
    state = BenchState()
    state.gone(-9, Path("bench-1.log"))
    assert "memory was full" in str(state.error) and state.error.next_step


def test_a_question_survives_the_wire() -> None:
    ask = Ask(3, "zwölf\nLinien\x1b", (Arm.STEERED,), -0.5, True, 17, "well")
    assert Ask.from_line(ask.line()) == ask and ask.line().count("\n") == 1
