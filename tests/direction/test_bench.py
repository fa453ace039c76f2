"""The process that answers typed prompts: what it says, what it does when something is wrong, and when it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

from refusal_tui.direction import bench
from refusal_tui.direction.answers import Arm
from refusal_tui.direction.bench_client import asked
from refusal_tui.direction.bench_wire import Ask, bench_command, heard
from refusal_tui.direction.select import Cell
from refusal_tui.errors import InputError, UnavailableError
from tests.direction.planted import LAYERS, PLANTED_BLOCK, WIDTH, make_planted, make_world, write_planted

PICK = Cell(-1, PLANTED_BLOCK + 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run on the planted model leaves behind, as far as the bench reads it."""
    root = tmp_path_factory.mktemp("bench")
    write_planted(root / "model")
    truth = make_planted(make_world(0))[1]
    candidates = torch.zeros(3, LAYERS, WIDTH)
    candidates[:, PICK.layer] = truth.float() * 3.8
    save_file({"candidate_directions": candidates}, root / "candidate_directions.safetensors")
    settings = {"model": str(root / "model"), "dtype": "auto", "device": "cpu", "system": "none"}
    card = {"position": PICK.position, "layer": PICK.layer, "mode": "exact", "settings": settings}
    (root / "direction_metadata.json").write_text(json.dumps(card))
    return root


@pytest.fixture(scope="module")
def loaded(folder: Path) -> bench._Bench:
    return bench._Bench(folder, None)


def prompts() -> tuple[str, str]:
    world = make_world(0)
    return f"how do i build a {world.forbidden[0]} ?", f"how do i build a {world.allowed[0]} ?"


def answers(loaded: bench._Bench, ask: Ask) -> dict[str, str]:
    told: list[dict] = []
    assert bench._done(loaded, ask, told.append, lambda: True)["done"]
    return told[-1]["texts"]


def test_three_arms_are_answered_and_the_coefficient_decides_the_third(loaded) -> None:
    harmful, harmless = prompts()
    refused = answers(loaded, Ask(1, harmful, coefficient=-1.0, most_tokens=3))
    assert refused["baseline"].startswith("I")
    assert not refused["ablated"].startswith("I") and not refused["steered"].startswith("I")
    assert answers(loaded, Ask(2, harmless, coefficient=1.0, most_tokens=3))["steered"].startswith("I")


def test_one_arm_alone_answers_as_it_does_beside_the_others(loaded) -> None:
    _, harmless = prompts()
    both = answers(loaded, Ask(1, harmless, most_tokens=4, at_prompt_only=True))
    alone = answers(loaded, Ask(2, harmless, (Arm.STEERED,), most_tokens=4, at_prompt_only=True))
    assert alone == {"steered": both["steered"]}


def test_a_newer_question_stops_the_older_one(loaded) -> None:
    told: list[dict] = []
    wanted = iter([True, True, False])
    done = bench._done(loaded, Ask(1, prompts()[0], most_tokens=50), told.append, lambda: next(wanted))
    assert done == {"stopped": True}
    assert answers(loaded, Ask(2, prompts()[0], (Arm.BASELINE,), most_tokens=2))["baseline"].startswith("I")


def test_full_memory_is_told_and_the_model_stays_there(loaded, monkeypatch) -> None:
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(loaded.passes, "generate", full)
        done = bench._done(loaded, Ask(1, prompts()[0]), lambda _: None, lambda: True)
    assert "memory" in done["error"] and done["next_step"]
    assert answers(loaded, Ask(2, prompts()[0], (Arm.BASELINE,), most_tokens=2))


def test_tokens_lie_along_the_selected_direction_whichever_candidate_answers(folder: Path, loaded) -> None:
    cell, vector, selected = bench._candidates(folder, {"position": PICK.position, "layer": PICK.layer}, Cell(-1, 0))
    assert cell == Cell(-1, 0) and not vector.any() and torch.equal(selected, loaded.vector)


def test_a_candidate_that_is_not_there_and_a_run_without_a_direction_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no candidate at position -9"):
        bench._candidates(folder, {"position": None}, Cell(-9, 1))
    with pytest.raises(InputError, match="found no direction"):
        bench._candidates(folder, {"position": None}, None)
    with pytest.raises(InputError, match="has not ended yet"):
        bench._card(tmp_path)


def test_a_face_asks_one_question_after_another_and_gets_tokens_too(folder: Path, tmp_path: Path) -> None:
    asks = [Ask(1, prompts()[0], most_tokens=3), Ask(2, prompts()[0], arms=(), response="I")]
    said = list(asked(folder, asks, tmp_path / "log"))
    assert said[0].ready["layer"] == PICK.layer
    assert any(one.texts.get(Arm.BASELINE, "").startswith("I") for one in said)
    reading = next(one for one in said if one.tokens).reading()
    assert reading.projections.shape == (LAYERS, len(reading.tokens)) and reading.tokens[-1] == "I"


def test_the_process_ends_when_whoever_asked_is_gone(folder: Path) -> None:
    """Also while it is loading: nothing is left of a workbench that was killed."""
    with subprocess.Popen(
        bench_command(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_model_that_is_gone_is_told_with_the_exit_code_of_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    card = json.loads((folder / "direction_metadata.json").read_text())
    card["settings"]["model"] = str(tmp_path / "gone")
    (tmp_path / "direction_metadata.json").write_text(json.dumps(card))
    candidates = "candidate_directions.safetensors"
    (tmp_path / candidates).write_bytes((folder / candidates).read_bytes())
    out = io.StringIO()
    assert bench.serve(tmp_path, None, never(), out) == 6
    told = heard(out.getvalue())
    assert isinstance(told.error, UnavailableError) and "not there any more" in str(told.error) and told.error.next_step


def test_without_the_ml_extra_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match="torch is not installed") as told:
        bench._loaded(folder, None)
    assert "refusal-tui[ml]" in told.value.next_step


def never() -> Iterator[str]:
    """Standard input of somebody who does not go away."""
    threading.Event().wait()
    yield ""
