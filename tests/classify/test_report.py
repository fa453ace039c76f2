"""What does a run leave to read, while it goes on and afterwards? All with the linear model: no torch."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from refusal_tui.classify.classifier import Classifier
from refusal_tui.classify.crossing import crossing
from refusal_tui.classify.document import KIND as REPORT
from refusal_tui.classify.document import PAGE, PDF
from refusal_tui.classify.evaluate import evaluate
from refusal_tui.classify.files import RUN, STEPS, TRIALS
from refusal_tui.classify.judge import ClassifierJudge
from refusal_tui.classify.predictions import Predictions, read_predictions
from refusal_tui.classify.report import Run, State, read_run
from refusal_tui.classify.robustness import read_perturbed, robustness
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.classify.splits import FOLD, TEST
from refusal_tui.classify.validation import Measurement, cross_validation
from refusal_tui.jobs import worker
from refusal_tui.jobs.compute import Stopped
from refusal_tui.jobs.files import append_lines
from refusal_tui.jobs.spec import SpecError
from refusal_tui.jobs.stop import StopReason
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import RowError
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, requeue_job
from refusal_tui.store.labels import add_verdicts, labels_of
from tests.classify.bench import Bench, make_bench
from tests.support.commands import call_here

HEADS = {"refusal3": ("none", "hard", "soft"), "jailbreak_success": ("no", "yes")}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Job 1: both heads, two folds. Job 2: one head."""
    pytest.importorskip("sklearn")
    bench = make_bench(tmp_path_factory.mktemp("linear") / "w", rows=150, odd=5)
    for settings in ({"name": "both", "head": ",".join(HEADS), "folds": 2}, {"name": "one", "text": "response"}):
        job, _ = bench.run(**settings)
        assert job.state is JobState.DONE, job.note
    return bench


@pytest.fixture(scope="module")
def run(bench: Bench) -> Run:
    return bench.report(1)


def stored(bench: Bench, name: str = "predictions.jsonl") -> Predictions:
    return read_predictions(bench.folder(1) / name)


def plain(value: object) -> object:
    return json.loads(json.dumps(value))


def test_a_run_tells_its_models_and_the_figures_of_every_head(run: Run) -> None:
    assert (run.name, run.kind, run.done, run.heads) == ("both", "linear", True, HEADS)
    assert [trial.name for trial in run.trials] == ["repeat-1-fold-1", "repeat-1-fold-2", "final"]
    assert {trial.state for trial in run.trials} == {State.DONE}
    assert run.final is not None and run.final.best is not None
    assert run.final.best.step == run.final.best_step
    assert run.metrics.keys() == run.validation.keys() == run.robustness.keys() == HEADS.keys()
    assert run.log[0].text == "150 rows to learn from"


def test_every_stored_figure_follows_from_the_stored_predictions(bench: Bench, run: Run) -> None:
    first, second = stored(bench), stored(bench, "predictions.jailbreak_success.jsonl")
    changed = read_perturbed(bench.folder(1) / "perturbations.jsonl")
    for head, of, span in (("refusal3", first, slice(0, 3)), ("jailbreak_success", second, slice(3, 5))):
        assert plain(evaluate(of)) == run.metrics[head]
        assert plain(robustness(of, changed, span)) == run.robustness[head]
    assert plain(crossing("refusal3", first, second)) == run.crossing
    folds = [
        Measurement(t.name, t.seed, t.repeat, t.fold, FOLD, t.rows["train"],
                    read_predictions(bench.folder(1) / TRIALS / t.name / "predictions.jsonl"))
        for t in run.trials[:-1]
    ]  # fmt: skip
    assert plain(cross_validation(folds, 1000)) == run.validation["refusal3"]


def test_no_test_row_is_in_a_fold_and_every_other_row_is_in_one(bench: Bench, run: Run) -> None:
    tests = {row.hash for row in stored(bench).of(TEST)}
    held_out: list[str] = []
    for trial in run.trials[:-1]:
        of = read_predictions(bench.folder(1) / TRIALS / trial.name / "predictions.jsonl")
        assert {row.hash for row in of.of(TEST)} == tests
        held_out += [row.hash for row in of.of(FOLD)]
    assert len(held_out) == len(set(held_out)) == 150 - len(tests)
    assert not tests & set(held_out)
    assert run.validation["refusal3"]["pooled"]["rows"] == len(held_out)


def test_a_run_ends_with_its_report_as_a_page_and_as_a_pdf(bench: Bench) -> None:
    folder = bench.folder(1)
    page = (folder / PAGE).read_text()
    assert "Performance: result (jailbreak_success)" in page and "Interpretability: why (refusal3)" in page
    assert (folder / PDF).read_bytes().startswith(b"%PDF")
    with closing(bench.workspace.open()) as connection:
        kept = {Path(one.path).name for one in list_artifacts(connection, 1) if one.kind == REPORT}
    assert kept == {PAGE, PDF}


def test_the_surest_mistakes_are_a_saved_selection(bench: Bench, run: Run) -> None:
    mistakes = run.metrics["refusal3"]["mistakes"]
    assert mistakes and [m["confidence"] for m in mistakes] == sorted((m["confidence"] for m in mistakes), reverse=True)
    with closing(bench.workspace.open()) as connection:
        assert sorted(select_ids(connection, "@classifier-1-mistakes")) == sorted(m["item_id"] for m in mistakes)
    assert {found["item_id"] for found in run.explanations} == {m["item_id"] for m in mistakes}


async def test_a_linear_classifier_of_two_heads_answers_both_as_a_judge(bench: Bench) -> None:
    folder = bench.folder(1) / "classifier"
    classifier = Classifier.load(folder)
    predicted = stored(bench).rows[0]
    with closing(bench.workspace.open()) as connection:
        prompt, response = connection.execute(
            "SELECT prompt.text, response FROM item JOIN prompt ON prompt.id = prompt_id "
            "JOIN item_body ON item_id = item.id WHERE item.id = ?", (predicted.item_id,)).fetchone()  # fmt: skip
        logits = classifier.scorer.logits([prompt], [response])[0, :3]
        assert np.allclose(logits, predicted.logits, atol=1e-4)
        (verdict,) = await ClassifierJudge(classifier).judge([Row(ItemId(predicted.item_id), prompt, response)])
        assert not isinstance(verdict, RowError)
        with transaction(connection):
            add_verdicts(connection, [verdict])
        said = {s.head: s.value for s in labels_of(connection, ItemId(predicted.item_id))
                if s.annotator == "judge:classifier/both"}  # fmt: skip
    assert said.keys() == HEADS.keys()
    assert said["jailbreak_success"] in ("yes", "no")


def test_a_run_that_was_paused_between_two_models_does_not_train_the_first_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refusal_tui.classify import job

    bench = make_bench(tmp_path / "w", rows=90)
    job_id = bench.start(name="again", folds=2, explain=0)
    predict, calls = job._predict, []

    def once(*what: object) -> None:
        calls.append(what)
        if len(calls) == 2:
            raise Stopped(StopReason.PAUSE)
        predict(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "_predict", once)
    worker.run_job(bench.workspace, job_id)
    assert bench.job(job_id).state is JobState.PAUSED
    first = bench.folder(job_id) / TRIALS / "repeat-1-fold-1"
    assert [trial.state for trial in bench.report(job_id).trials] == [State.DONE, State.TRAINING, State.WAITING]
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}
    monkeypatch.setattr(job, "_predict", predict)
    with closing(bench.workspace.open()) as connection:
        requeue_job(connection, job_id)
    worker.run_job(bench.workspace, job_id)
    assert bench.job(job_id).state is JobState.DONE, bench.job(job_id).note
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == before


def test_repeats_without_folds_are_seeds_on_one_split(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "w", rows=60)
    job, _ = bench.run(name="seeds", repeats=2, explain=0, quick=True)
    assert job.state is JobState.DONE, job.note
    run = bench.report(job.id)
    assert [trial.name for trial in run.trials] == ["seed-1", "final"]
    assert run.trials[0].rows == run.trials[1].rows
    found = run.validation["refusal3"]
    assert (found["folds"], len(found["models"]), found["summary"]["accuracy"]["models"]) == (0, 2, 2)
    assert "corrected_low" in found["summary"]["accuracy"]


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    assert read_run(tmp_path) == Run()
    about = {
        "name": "n", "kind": "encoder", "encoder": "e", "device": "cpu", "settings": {}, "facts": {},
        "heads": [{"head": "refusal3", "classes": ["none", "hard"]}],
        "trials": [{"name": "final", "seed": 0, "repeat": 1, "fold": None, "rows": {"train": 9}}],
    }  # fmt: skip
    (tmp_path / RUN).write_text(json.dumps(about))
    assert read_run(tmp_path).trials[0].state is State.WAITING
    steps = tmp_path / TRIALS / "final" / STEPS
    steps.parent.mkdir(parents=True)
    line = {"steps": 9, "epoch": 0, "learning_rate": 1e-3, "rows_per_second": None, "memory": None, "time": 0.0}
    append_lines(steps, [{"step": n, "loss": 1 / n, **line} for n in (1, 2)], sync=False)
    with steps.open("ab") as file:
        file.write(b'{"step": 3, "lo')  # killed here
    assert [step.step for step in read_run(tmp_path).trials[0].steps] == [1, 2]
    append_lines(steps, [{"step": n, "loss": 1 / n, **line} for n in (2, 3, 4)], sync=True)
    trial = read_run(tmp_path).trials[0]
    assert [step.step for step in trial.steps] == [1, 2, 3, 4]
    assert trial.state is State.TRAINING and read_run(tmp_path).now == trial and not read_run(tmp_path).done
    few = [step.step for step in read_run(tmp_path, most_steps=2).trials[0].steps]
    assert len(few) <= 3 and (few[0], few[-1]) == (1, 4)


def test_the_commands_show_compare_explain_and_export(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object) -> str:
        done = call_here(bench.workspace, "classifiers", *words, capsys=capsys)
        assert done.code == 0, done.err
        return done.out

    assert "both" in call() and "refusal-tui review new @classifier-1-mistakes" in call("show", "both")
    shown = json.loads(call("show", "1", "--json"))
    assert shown["metrics"].keys() == HEADS.keys()
    compared = json.loads(call("compare", "both", "2", "--json"))
    assert compared["classifiers"] == ["both", "one"] and compared["rows"] > 0
    assert "McNemar" in call("compare", "both", "one")
    row = str(shown["metrics"]["refusal3"]["mistakes"][0]["item_id"])
    found = json.loads(call("explain", "both", "--row", row, "--head", "jailbreak_success", "--class", "yes", "--json"))
    assert (found["method"], found["target"]) == ("shapley", "yes")
    assert "response" in call("explain", "both", "--row", row, "--method", "occlusion")
    assert f"row {row}" in call("explain", "both")
    made = call_here(bench.workspace, "review", "new", "@classifier-1-mistakes", "--aims", "none", capsys=capsys)
    assert made.code == 0, made.err
    out = tmp_path / "out"
    assert "is the card" in call("export", "both", out)
    assert Classifier.load(out).settings.name == "both"
    assert "library_name: safetensors" in (out / "README.md").read_text()


def test_what_cannot_be_asked_is_said(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: object) -> str:
        done = call_here(bench.workspace, "classifiers", *words, capsys=capsys)
        assert done.code != 0 and "Traceback" not in done.err
        return done.err

    assert "There is no classifier 'other'" in refused("show", "other")
    assert "There is no job 77" in refused("show", "77")
    failed, _ = bench.run(name="none", head="prompt_harmful")
    shown = call_here(bench.workspace, "classifiers", "show", failed.id, capsys=capsys)
    assert "None of the 150 rows has a label of prompt_harmful" in shown.out
    assert "was not trained on response_harmful" in refused("show", "both", "--head", "response_harmful")
    assert "gradients is not for linear classifiers" in refused("explain", "both", "--row", 1, "--method", "gradients")
    assert "There is no row 9999" in refused("explain", "both", "--row", 9999)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    assert "is not empty" in refused("export", "both", tmp_path / "full")
    (bench.folder(2) / "classifier" / "model.safetensors").write_bytes(b"x")
    assert "is not what the job has written" in refused("export", "one", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "says_"),
    [
        ({"head": "a,b,c"}, "names 3 heads"),
        ({"folds": 1}, "two or more"),
        ({"method": "embeddings"}, "needs an encoder"),
    ],
)
def test_settings_that_make_no_run_are_refused(settings: dict[str, object], says_: str) -> None:
    with pytest.raises(SpecError, match=says_):
        TrainClassifierSpec(name="x", encoder="linear", **settings).check()
