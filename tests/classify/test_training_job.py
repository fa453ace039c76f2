"""What does a training run leave behind, when it ends, when it is killed, and when the input is bad?"""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from refusal_tui.classify.classifier import Classifier, read_settings
from refusal_tui.classify.evaluate import evaluate
from refusal_tui.classify.folder import classifier_folder, classifiers
from refusal_tui.classify.predictions import read_predictions
from refusal_tui.errors import InputError
from refusal_tui.jobs import worker
from refusal_tui.jobs.spec import SpecError
from refusal_tui.store.artifacts import list_artifacts, sha256_of
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import Job, JobState, requeue_job
from tests.classify.bench import ROWS, Bench, make_bench
from tests.store.building import judge, says
from tests.support.processes import run_worker_with


@pytest.fixture
def bench(tmp_path: Path, encoder: Path) -> Bench:
    return make_bench(tmp_path / "w", encoder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> tuple[Bench, Job, Path]:
    bench = make_bench(tmp_path_factory.mktemp("trained") / "w", encoder)
    job, folder = bench.run()
    assert job.state is JobState.DONE, job.note
    return bench, job, folder


def bodies(connection: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in connection.execute(
        "SELECT item.id, prompt.text, response FROM item JOIN prompt ON prompt.id = prompt_id "
        "JOIN item_body ON item_id = item.id")}  # fmt: skip


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
        texts = bodies(connection)
    stored = read_predictions(folder / "predictions.jsonl").rows
    prompts, answers = zip(*(texts[row.item_id] for row in stored), strict=True)
    shares = classifier.probabilities(prompts, answers)
    logits = np.array([row.logits for row in stored]) / classifier.settings.heads[0].temperature
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
from refusal_tui.jobs import checkpoints
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
@pytest.mark.nightly
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
    assert 110 <= sum(facts["data"]["rows"].values()) <= 130
    assert len(facts["training"]["epochs"]) == 1
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


def test_an_encoder_that_is_only_read_is_read_once_for_all_folds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from refusal_tui.classify import embedded

    passes: list[int] = []
    read = embedded.predict

    def counted(model: object, texts: Any, *rest: Any, **more: Any) -> Any:
        passes.append(len(texts))
        return read(model, texts, *rest, **more)

    monkeypatch.setattr(embedded, "predict", counted)
    job, folder = bench.run(name="head", method="embeddings", folds=2, explain=0)
    assert job.state is JobState.DONE, job.note
    assert passes[0] == ROWS and sum(passes[1:]) < ROWS * 2  # then the test rows in other forms
    classifier = Classifier.load(folder / "classifier", device="cpu")
    assert classifier.settings.kind == "embeddings"
    row = read_predictions(folder / "predictions.jsonl").rows[0]
    with closing(bench.workspace.open()) as connection:
        prompt, response = bodies(connection)[row.item_id]
    assert np.allclose(classifier.scorer.logits([prompt], [response])[0], row.logits, atol=1e-4)
    assert len(bench.report(job.id).trials) == 3


def test_one_encoder_with_two_heads_is_an_ordinary_classifier_of_all_classes(bench: Bench) -> None:
    from transformers import AutoModelForSequenceClassification

    job, folder = bench.run(name="two", head="refusal3,jailbreak_success", epochs=1, batch_tokens=0, explain=2)
    assert job.state is JobState.DONE, job.note
    plain = AutoModelForSequenceClassification.from_pretrained(folder / "classifier")
    assert plain.config.id2label[4] == "jailbreak_success:yes"
    second = read_predictions(folder / "predictions.jailbreak_success.jsonl")
    assert second.classes == ("no", "yes") and all(len(row.logits) == 2 for row in second.rows)
    run = bench.report(job.id)
    assert run.facts["batch_tokens"] == run.facts["pass_tokens"] >= 48
    assert run.final is not None and run.final.steps[-1].rows_per_second and run.final.steps[-1].memory
    assert [found["method"] for found in run.explanations] == ["occlusion"] * min(2, len(run.explanations))
