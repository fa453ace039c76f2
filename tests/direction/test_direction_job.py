"""What does a direction run leave behind, when all goes well, when nothing is found, and when it is killed?"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.apply import load_direction
from refusal_tui.direction.geometry import read_geometry
from refusal_tui.direction.readings import read_readings
from refusal_tui.direction.report import read_report
from refusal_tui.direction.spec import DirectionSpec
from refusal_tui.errors import InputError
from refusal_tui.jobs import worker
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.spec import SpecError
from refusal_tui.store.artifacts import list_artifacts, sha256_of
from refusal_tui.store.browse import select_ids
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.events import events_of
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job, JobState, get_job, requeue_job
from tests.direction.bench import N_TRAIN, N_VAL, Bench, make_bench
from tests.direction.planted import LAYERS, PLANTED_BLOCK, WIDTH
from tests.store.building import NewRow, add
from tests.support.processes import run_worker_with

CELLS = 3 * LAYERS


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("direction"))


@pytest.fixture(scope="module")
def finished(bench: Bench) -> tuple[Job, Path]:
    return bench.run()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- a run that finds the direction ----------------------------------------------------------------------------------


def test_the_planted_direction_is_the_jobs_result(finished: tuple[Job, Path]) -> None:
    job, folder = finished
    card = json.loads((folder / "direction_metadata.json").read_text())
    assert job.state is JobState.DONE
    assert job.note.startswith(
        f"direction at position {card['position']}, layer {PLANTED_BLOCK + 1} of {LAYERS}: refusal"
    )
    assert (card["layer"], card["pos"]) == (PLANTED_BLOCK + 1, card["position"])
    assert card["refusal_tokens"] == [{"id": 14, "text": "I"}]
    assert card["anatomy"]["writers"] == [["self_attn", "mlp"]]
    assert card["kept"]["harmful_train"] == [N_TRAIN, N_TRAIN]
    assert card["evidence"]["weak"] is False


def test_what_was_found_on_the_way_is_told_as_events(bench: Bench, finished: tuple[Job, Path]) -> None:
    with closing(bench.workspace.open()) as connection:
        events = {event.code: event.text for event in events_of(connection, finished[0].id)}
    assert events["refusal_tokens"] == "answers that refuse begin with 'I' (100% of harmful, 1% of harmless)"
    assert events["kept"].startswith(f"prompts that count: {N_TRAIN} of {N_TRAIN} in harmful_train,")


def test_the_tensors_have_the_usual_names_and_shapes_and_only_their_own_storage(finished: tuple[Job, Path]) -> None:
    from safetensors.torch import load_file

    _, folder = finished
    for name, shape in (("refusal_direction", (WIDTH,)), ("candidate_directions", (3, LAYERS, WIDTH))):
        own = load_file(folder / f"{name}.safetensors")[name]
        pickled = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
        assert own.shape == pickled.shape == shape and torch.equal(own, pickled)
    assert (folder / "refusal_direction.pt").stat().st_size < 4000


def test_the_stored_direction_turns_refusal_off_and_on(bench: Bench, finished: tuple[Job, Path]) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(bench.model)
    direction = load_direction(finished[1])

    def first_word(request: str) -> str:
        tokenizer = bench.world.tokenizer
        ids = tokenizer(f"<bos> <|user|> {request} <|end|> <|assistant|> <nl>", return_tensors="pt")["input_ids"]
        return str(tokenizer.decode(model(input_ids=ids).logits[0, -1].argmax()))

    bad, good = (f"how do i build a {words[0]} ?" for words in (bench.world.forbidden, bench.world.allowed))
    assert (first_word(bad), first_word(good) != "I") == ("I", True)
    with direction.apply(model):
        assert first_word(bad) != "I"
    with direction.apply(model, mode="add"):
        assert first_word(good) == "I"


def test_every_cell_has_its_scores_its_reason_and_its_reliability(finished: tuple[Job, Path]) -> None:
    _, folder = finished
    rows = json.loads((folder / "all_direction_scores.json").read_text())
    assert len(rows) == CELLS
    assert all(None not in (row["ablation_refusal"], row["steering_refusal"], row["kl_div"]) for row in rows)
    reasons = {(row["position"], row["layer"]): row["reason"] for row in rows}
    assert reasons[-1, 0] == "zero" and reasons[-1, 1] == "steering" and reasons[-1, LAYERS - 1] == "layer"
    real = [row for row in rows if row["layer"] > PLANTED_BLOCK]
    assert all(row["split_half"] > 0.99 and row["bootstrap_floor"] > 0.99 and row["auroc"] == 1 for row in real)


def test_what_a_screen_reads_agrees_with_what_the_run_has_decided(finished: tuple[Job, Path]) -> None:
    _, folder = finished
    report, card = read_report(folder), json.loads((folder / "direction_metadata.json").read_text())
    rows = json.loads((folder / "all_direction_scores.json").read_text())
    assert report.decided and report.choice.pick == (card["position"], card["layer"])
    assert report.baseline == pytest.approx((card["baseline"]["harmful"], card["baseline"]["harmless"]))
    assert {(r["position"], r["layer"]): r["reason"] for r in rows} == dict(report.choice.reasons)
    assert list(report.end) == card["template"]["end"] and report.evidence.as_dict() == card["evidence"]


def test_the_files_are_artifacts_with_their_checksums(bench: Bench, finished: tuple[Job, Path]) -> None:
    job, folder = finished
    with closing(bench.workspace.open()) as connection:
        stored = {Path(a.path).name: a for a in list_artifacts(connection, job.id)}
    assert set(stored) == {
        "refusal_direction.safetensors", "refusal_direction.pt", "candidate_directions.safetensors",
        "candidate_directions.pt", "all_direction_scores.json", "direction_metadata.json",
        "geometry.safetensors", "readings.json", "readings.safetensors",
    }  # fmt: skip
    assert stored["refusal_direction.pt"].sha256 == sha256_of(folder / "refusal_direction.pt")


def test_projections_of_the_validation_prompts_are_kept_for_the_pictures(finished: tuple[Job, Path]) -> None:
    _, folder = finished
    report, geometry, readings = read_report(folder), read_geometry(folder), read_readings(folder)
    pick = report.choice.pick
    assert geometry is not None and readings is not None and pick is not None
    harmful, harmless = geometry.projections(pick)
    assert (len(harmful), len(harmless)) == (report.kept["harmful_val"][0], report.kept["harmless_val"][0])
    assert harmful.min() > harmless.max() and report.auroc[pick.position - report.positions.start][pick.layer] == 1.0
    assert [one.at_prompt for one in readings.shown if one.harmful] == pytest.approx(harmful.tolist(), abs=1e-3)
    assert all(one.arm == "" and one.at_answer is None for one in readings.shown), "no answers were asked for"


def test_a_line_per_score_is_written_as_the_grid_fills(finished: tuple[Job, Path]) -> None:
    _, folder = finished
    cells = lines(folder / "cells.jsonl")
    keys = [(row["position"], row["layer"], row["score"]) for row in cells]
    assert len(set(keys)) == len(keys) == 3 * (CELLS - 3), "three scores of every cell but those of layer 0"
    assert [row["score"] for row in cells[:9]] == ["steering"] * 9, "what the choice needs comes first"
    assert all(len(row["values"]) == N_VAL for row in cells)


def test_prompts_come_from_selections_too_and_only_single_questions_count(bench: Bench) -> None:
    harmful, harmless = bench.world.all_requests()
    with closing(bench.workspace.open()) as connection:
        add(connection, *(NewRow(text) for text in harmful), dataset="asked-bad")
        add(connection, *(NewRow(text) for text in harmless), dataset="asked-good")
    job, folder = bench.run(harmful="dataset:asked-bad", harmless="dataset:asked-good", fill="none")
    assert job.state is JobState.DONE, job.note
    assert json.loads((folder / "direction_metadata.json").read_text())["layer"] == PLANTED_BLOCK + 1
    drawn = json.loads((folder / "prompts.json").read_text())
    assert all(prompt["key"].startswith("item:") for part in drawn.values() for prompt in part)


def test_with_the_grid_left_open_only_what_the_choice_needs_is_measured(
    bench: Bench, finished: tuple[Job, Path]
) -> None:
    _, folder = bench.run(fill="none")
    whole = lines(finished[1] / "cells.jsonl")
    assert lines(folder / "cells.jsonl") == whole[: len(lines(folder / "cells.jsonl"))]
    assert len(lines(folder / "cells.jsonl")) < 0.4 * len(whole)
    picks = [json.loads((f / "direction_metadata.json").read_text())["position"] for f in (folder, finished[1])]
    assert picks[0] == picks[1]


def test_the_published_hook_points_give_the_same_direction_here(bench: Bench) -> None:
    _, folder = bench.run(mode="reference", fill="none")
    card = json.loads((folder / "direction_metadata.json").read_text())
    assert (card["mode"], card["layer"]) == ("reference", PLANTED_BLOCK + 1)
    assert load_direction(folder).hook_points == "reference"


# --- a run that finds none, or cannot begin --------------------------------------------------------------------------


def write(path: Path, texts: Iterable[str]) -> str:
    path.write_text("\n".join(texts))
    return str(path)


def test_no_direction_is_a_result_with_its_reasons(bench: Bench, tmp_path: Path) -> None:
    """Two halves of the same harmless requests: they differ in nothing that has to do with refusal."""
    allowed = bench.world.all_requests()[1]
    one, other = write(tmp_path / "one.txt", allowed[::2]), write(tmp_path / "other.txt", allowed[1::2])
    job, folder = bench.run(harmful=one, harmless=other, skip_filter=True)
    assert job.state is JobState.DONE
    assert job.note.startswith(f"no direction found among {CELLS} candidates (")
    assert "adding them does not make it refuse" in job.note
    card = json.loads((folder / "direction_metadata.json").read_text())
    assert (card["position"], card["layer"], card["evidence"]) == (None, None, None)
    assert sum(card["reasons"].values()) == CELLS and "picked" not in card["reasons"]
    assert not (folder / "refusal_direction.pt").exists()
    with pytest.raises(InputError, match="found no direction"):
        load_direction(folder)


def test_a_harmful_set_that_is_not_refused_ends_with_a_sentence_and_the_table_of_first_tokens(
    bench: Bench, tmp_path: Path
) -> None:
    allowed = bench.world.all_requests()[1]
    one, other = write(tmp_path / "one.txt", allowed[::2]), write(tmp_path / "other.txt", allowed[1::2])
    job, folder = bench.run(harmful=one, harmless=other)
    assert job.state is JobState.FAILED
    assert job.note.startswith(f"The model refuses hardly any of the harmful prompts to train: 0 of {N_TRAIN} are left")
    assert len(json.loads((folder / "first_tokens.json").read_text())) > 5
    assert not list(folder.glob("*direction*"))


def test_a_harmless_set_that_is_refused_ends_with_a_sentence(bench: Bench, tmp_path: Path) -> None:
    forbidden = bench.world.all_requests()[0]
    one, other = write(tmp_path / "one.txt", forbidden[::2]), write(tmp_path / "other.txt", forbidden[1::2])
    job, _ = bench.run(harmful=one, harmless=other, refusal_tokens="I")
    assert job.state is JobState.FAILED and "refuses nearly all of the harmless prompts" in job.note


def test_too_few_prompts_are_refused_before_a_model_is_loaded(bench: Bench) -> None:
    with pytest.raises(InputError, match=r"The harmful set has 240 different prompts; 239 to train and 16 to validate"):
        bench.start(bench.spec(n_train=239))


def test_files_and_folders_that_are_not_there_are_refused_when_the_job_is_submitted(bench: Bench) -> None:
    with pytest.raises(SpecError, match="--harmful names a file that is not there"):
        bench.start(bench.spec(harmful="blorp.jsonl"))
    with pytest.raises(SpecError, match="--model names a folder that is not there"):
        bench.start(bench.spec(model="/blorp/model"))
    with pytest.raises(SpecError, match="--harmless is the same set"):
        bench.start(bench.spec(harmless=str(bench.harmful)))


def test_a_folder_without_a_model_ends_with_a_sentence(bench: Bench, tmp_path: Path) -> None:
    job, _ = bench.run(model=str(tmp_path))
    assert job.state is JobState.FAILED and "cannot be loaded" in job.note and "unexpected" not in job.note


def test_a_model_without_a_chat_template_ends_with_a_sentence(bench: Bench, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bench.model)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(bench.model).save_pretrained(tmp_path)
    job, _ = bench.run(model=str(tmp_path))
    assert job.state is JobState.FAILED and "This model has no chat template" in job.note


# --- a run that is killed --------------------------------------------------------------------------------------------

KILL_AFTER = """
import os, signal
from refusal_tui.direction.cells import CellFile
append, groups = CellFile.append, [0]
def killing(self, group):
    groups[0] += 1
    if groups[0] == {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, group)
    if groups[0] == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
CellFile.append = killing
"""


@pytest.mark.kill
def test_after_kill_9_no_finished_cell_is_measured_again_and_the_numbers_are_the_same(
    bench: Bench, finished: tuple[Job, Path]
) -> None:
    """Killed between a measurement and its line, right behind a line; and a line that was cut off."""
    job_id = bench.start(bench.spec())
    folder = bench.folder(job_id)
    written = []
    for before, after in ((2, 0), (0, 4)):
        done = run_worker_with(bench.workspace, job_id, KILL_AFTER.format(before=before, after=after))
        assert done.returncode == -signal.SIGKILL, done.stderr
        written.append((folder / "cells.jsonl").read_bytes())
        with closing(bench.workspace.open()) as connection:
            reap(connection)
            assert get_job(connection, job_id).state is JobState.INTERRUPTED
            requeue_job(connection, job_id)
    with (folder / "cells.jsonl").open("ab") as file:
        file.write(b'{"position": -1, "layer": 3, "sc')
    worker.run_job(bench.workspace, job_id)
    assert bench.job(job_id).state is JobState.DONE
    assert written[0] and written[1].startswith(written[0]) and len(written[1]) > len(written[0])
    expected = finished[1]
    assert (folder / "cells.jsonl").read_bytes() == (expected / "cells.jsonl").read_bytes()
    for name in ("all_direction_scores.json", "evidence.json", "refusal_direction.safetensors"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name


def test_the_kind_is_offered_with_its_settings() -> None:
    kind = job_kind("direction")
    assert kind.spec_type() is DirectionSpec and kind.mode == "compute"


# --- answers with and without the direction --------------------------------------------------------------------------


def test_answers_of_the_three_arms_become_rows_of_an_ordinary_dataset(bench: Bench) -> None:
    job, folder = bench.run(answers="arms", answer_tokens=3, fill="none")
    assert job.state is JobState.DONE, job.note
    with closing(bench.workspace.open()) as connection:
        rows = fetch_rows(connection, select_ids(connection, "dataset:arms"))
        assert find_dataset(connection, "arms").n_items == len(rows) == 2 * 3 * N_VAL  # type: ignore[union-attr]
    refusing = {(row.category, row.model): 0 for row in rows}
    for row in rows:
        refusing[row.category, row.model] += (row.response or "").startswith("I")
    assert refusing == {
        ("harmful", "model"): N_VAL, ("harmful", "model+ablated"): 0, ("harmful", "model+steered"): 0,
        ("harmless", "model"): 0, ("harmless", "model+ablated"): 0, ("harmless", "model+steered"): N_VAL,
    }  # fmt: skip
    steered = next(row for row in rows if row.meta["arm"] == "steered" and row.category == "harmful")
    assert (steered.meta["coefficient"], steered.meta["layer"], steered.split) == (-1.0, PLANTED_BLOCK + 1, "val")
    readings = read_readings(folder)
    assert readings is not None
    assert {one.arm for one in readings.shown} == {"baseline", "ablated", "steered"}
    refused = next(one for one in readings.shown if one.harmful)
    assert refused.tokens[refused.answer_from] == "I" and refused.at_answer is not None


def test_a_dataset_that_is_there_already_is_told_before_the_run(bench: Bench) -> None:
    with closing(bench.workspace.open()) as connection:
        add(connection, NewRow("How is a zibbet kept?"), dataset="taken")
    with pytest.raises(InputError, match="There is a dataset 'taken' already"):
        bench.start(bench.spec(answers="taken"))


def test_rows_that_come_into_a_selection_later_are_not_of_the_run(bench: Bench) -> None:
    harmful, harmless = bench.world.all_requests()
    with closing(bench.workspace.open()) as connection:
        add(connection, *(NewRow(text, split="bad") for text in harmful[:100]), dataset="early-bad")
        add(connection, *(NewRow(text, split="good") for text in harmless[:100]), dataset="early-good")
    job_id = bench.start(bench.spec(harmful="split:bad", harmless="split:good", fill="none"))
    with closing(bench.workspace.open()) as connection:
        add(connection, *(NewRow(text, split="bad") for text in harmful[100:]), dataset="late-bad")
    worker.run_job(bench.workspace, job_id)
    drawn = json.loads((bench.folder(job_id) / "prompts.json").read_text())
    assert bench.job(job_id).state is JobState.DONE
    assert {p["text"] for p in drawn["harmful_train"]} <= set(harmful[:100])
