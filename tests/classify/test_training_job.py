"""What does a training run leave behind, when it ends, when it is killed, and when the input is bad?"""

from __future__ import annotations

import json
import signal
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from refusal_tui.classify.classifier import Classifier, read_settings
from refusal_tui.classify.evaluate import evaluate, read_predictions
from refusal_tui.classify.folder import classifier_folder, classifiers
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.errors import InputError
from refusal_tui.jobs import worker
from refusal_tui.jobs.spec import SpecError
from refusal_tui.store.artifacts import list_artifacts, sha256_of
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import Job, JobState, create_job, get_job, requeue_job
from refusal_tui.store.metrics import metric_steps
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.classify.tiny import texts
from tests.store.building import NewRow, add, judge, says
from tests.support.processes import run_worker_with

ROWS = 240


@dataclass(frozen=True)
class Bench:
    workspace: Workspace
    encoder: Path

    def start(self, **changes: Any) -> int:
        """Checked and queued as `submit` does it, without a supervisor."""
        settings = {
            "name": "tiny", "encoder": str(self.encoder), "epochs": 6, "patience": 6, "learning_rate": 3e-3,
            "batch_tokens": 500,
            "max_tokens": 48, "device": "cpu", "save_every": 3, **changes,
        }  # fmt: skip
        spec = TrainClassifierSpec(**settings)
        spec.check()
        with closing(self.workspace.open()) as connection:
            spec.check_in(connection)
            return create_job(
                connection, kind="train-classifier", title=spec.title(), lane="gpu", spec=spec.model_dump_json(),
                spec_version=spec.VERSION, item_ids=select_ids(connection),
            )  # fmt: skip

    def run(self, **changes: Any) -> tuple[Job, Path]:
        job_id = self.start(**changes)
        worker.run_job(self.workspace, job_id)
        return self.job(job_id), self.folder(job_id)

    def job(self, job_id: int) -> Job:
        with closing(self.workspace.open()) as connection:
            return get_job(connection, job_id)

    def folder(self, job_id: int) -> Path:
        return self.workspace.artifacts / f"job-{job_id}"

    def losses(self, job_id: int) -> dict[int, float]:
        with closing(self.workspace.open()) as connection:
            return metric_steps(connection, job_id, "train/loss")


def make_bench(folder: Path, encoder: Path, rows: int = ROWS) -> Bench:
    workspace = create_workspace(folder)
    made = texts(rows)
    with closing(workspace.open()) as connection:
        ids = add(connection, *(NewRow(prompt, answer, f"m{n % 2}") for n, (prompt, answer, _) in enumerate(made)))
        judge(connection, *(says(i, label, "human:ada") for i, (_, _, label) in zip(ids, made, strict=True)))
    return Bench(workspace, encoder)


@pytest.fixture
def bench(tmp_path: Path, encoder: Path) -> Bench:
    return make_bench(tmp_path / "w", encoder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> tuple[Bench, Job, Path]:
    bench = make_bench(tmp_path_factory.mktemp("trained") / "w", encoder)
    job, folder = bench.run()
    assert job.state is JobState.DONE, job.note
    return bench, job, folder


def test_it_learns_and_says_what_limits_the_figure(trained: tuple[Bench, Job, Path]) -> None:
    _, job, folder = trained
    metrics = json.loads((folder / "classifier" / "metrics.json").read_text())
    assert metrics["accuracy"]["value"] > 0.9
    assert "fewer than 30 test rows are 'hard'" in job.note
    assert "all rows come from one dataset (demo)" in job.note


def test_every_figure_follows_from_the_stored_predictions(trained: tuple[Bench, Job, Path]) -> None:
    folder = trained[2] / "classifier"
    again = evaluate(read_predictions(folder / "predictions.jsonl"))
    assert json.loads(json.dumps(again)) == json.loads((folder / "metrics.json").read_text())


def test_the_folder_is_an_ordinary_one_and_predicts_what_was_stored(trained: tuple[Bench, Job, Path]) -> None:
    import numpy as np
    from transformers import AutoModelForSequenceClassification

    bench, _, folder = trained
    plain = AutoModelForSequenceClassification.from_pretrained(folder / "classifier")
    assert plain.config.id2label == {0: "none", 1: "hard", 2: "soft"}
    with closing(bench.workspace.open()) as connection:
        classifier = Classifier.load(classifier_folder(bench.workspace, connection, "tiny"), device="cpu")
        bodies = {row[0]: (row[1], row[2]) for row in connection.execute(
            "SELECT item.id, prompt.text, response FROM item JOIN prompt ON prompt.id = prompt_id "
            "JOIN item_body ON item_id = item.id")}  # fmt: skip
    stored = read_predictions(folder / "predictions.jsonl").rows
    prompts, answers = zip(*(bodies[row.item_id] for row in stored), strict=True)
    shares = classifier.probabilities(prompts, answers)
    logits = np.array([row.logits for row in stored]) / classifier.settings.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(shares, expected, atol=1e-5)
    assert classifier.probabilities([], []).shape == (0, 3)


def test_the_card_and_the_provenance_tell_what_was_learnt_from(trained: tuple[Bench, Job, Path]) -> None:
    bench, job, folder = trained
    card = (folder / "classifier" / "README.md").read_text()
    facts = json.loads((folder / "classifier" / "provenance.json").read_text())
    assert "library_name: transformers" in card and "| hard |" in card and "Mind: " in card
    assert str(bench.encoder) not in card + json.dumps(facts)
    assert sum(facts["data"]["rows"].values()) == ROWS
    assert facts["data"]["by"] == {"human": ROWS}
    with closing(bench.workspace.open()) as connection:
        kept = [a for a in list_artifacts(connection, job.id) if a.kind == "classifier"]
        assert classifiers(connection).keys() == {"tiny"}
    assert {Path(a.path).name for a in kept} >= {"model.safetensors", "README.md", "label_map.json", "metrics.json"}
    assert all(sha256_of(bench.workspace.root / a.path) == a.sha256 for a in kept)


def test_training_is_in_the_metrics_step_by_step(trained: tuple[Bench, Job, Path]) -> None:
    bench, job, folder = trained
    steps = json.loads((folder / "classifier" / "provenance.json").read_text())["training"]["steps"]
    assert sorted(bench.losses(job.id)) == list(range(1, steps + 1))


def test_a_name_is_given_once(trained: tuple[Bench, Job, Path]) -> None:
    with pytest.raises(InputError, match="called 'tiny' already"):
        trained[0].start()


_DIE = """
import os, signal
from refusal_tui.classify import checkpoints
whole = checkpoints.save
def save(folder, checkpoint, keep=()):
    path = whole(folder, checkpoint, keep)
    if checkpoint.step >= 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return path
checkpoints.save = save
from refusal_tui.classify import loop
loop.save = save
import torch
torch.set_num_threads(1)
"""


@pytest.mark.kill
def test_a_killed_worker_s_run_goes_on_and_ends_the_same(trained: tuple[Bench, Job, Path], bench: Bench) -> None:
    whole, job, folder = trained
    job_id = bench.start()
    assert run_worker_with(bench.workspace, job_id, _DIE).returncode == -signal.SIGKILL
    assert not (bench.folder(job_id) / "classifier").exists()
    with closing(bench.workspace.open()) as connection:
        from refusal_tui.jobs.control import reap

        reap(connection)
        judge(connection, *(says(i, "soft", "human:ada") for i in select_ids(connection)))  # not of this run
        requeue_job(connection, job_id)
    worker.run_job(bench.workspace, job_id)
    assert bench.job(job_id).state is JobState.DONE, bench.job(job_id).note
    assert bench.losses(job_id) == whole.losses(job.id)
    mine, others = bench.folder(job_id) / "classifier", folder / "classifier"
    assert (mine / "model.safetensors").read_bytes() == (others / "model.safetensors").read_bytes()
    assert (mine / "predictions.jsonl").read_bytes() == (others / "predictions.jsonl").read_bytes()


def test_a_quick_run_takes_a_sample_through_the_whole_path(bench: Bench, tmp_path: Path, encoder: Path) -> None:
    bench = make_bench(tmp_path / "large", encoder, rows=600)
    job, folder = bench.run(quick=True, name="fast")
    assert job.state is JobState.DONE, job.note
    facts = json.loads((folder / "classifier" / "provenance.json").read_text())
    assert 390 <= sum(facts["data"]["rows"].values()) <= 410
    assert len(facts["training"]["epochs"]) == 2
    assert read_settings(folder / "classifier").name == "fast"


def test_bad_rows_end_in_a_sentence_and_leave_no_classifier(tmp_path: Path, encoder: Path) -> None:
    bench = make_bench(tmp_path / "few", encoder, rows=1)
    job, folder = bench.run()
    assert job.state is JobState.FAILED
    assert "All 1 labelled rows are 'none'" in job.note
    assert not (folder / "classifier").exists()


def test_an_encoder_that_is_not_there_is_said_at_once(bench: Bench) -> None:
    with pytest.raises(SpecError, match="names a folder that is not there"):
        bench.start(encoder="/nowhere/at/all")
    with pytest.raises(SpecError, match="takes letters"):
        bench.start(name="a b")


def test_an_encoder_with_damaged_weights_is_a_clear_end(bench: Bench, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(bench.encoder, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    job, _ = bench.run(encoder=str(broken))
    assert job.state is JobState.FAILED
    assert "cannot be loaded" in job.note and "Traceback" not in job.note
