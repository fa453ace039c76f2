"""Can a trained classifier label rows as any other judge does?"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("torch")

from refusal_tui.classify.classifier import Classifier, read_settings
from refusal_tui.classify.judge import ClassifierJudge, classifier_judge
from refusal_tui.errors import InputError
from refusal_tui.jobs import worker
from refusal_tui.jobs.spec import SpecError
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import RowError
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import JobState, create_job, get_job
from refusal_tui.store.labels import labels_of
from tests.classify.bench import Bench, make_bench
from tests.support.commands import call_here


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Bench:
    bench = make_bench(tmp_path_factory.mktemp("judging") / "w", encoder, rows=90)
    job, _ = bench.run(epochs=1)
    assert job.state is JobState.DONE, job.note
    job, _ = bench.run(name="two", classes="none,refusal=hard+soft", epochs=1)
    assert job.state is JobState.DONE, job.note
    return bench


def test_a_label_job_stores_its_verdicts(bench: Bench) -> None:
    spec = LabelSpec(judge="classifier", classifier="tiny")
    spec.check()
    with closing(bench.workspace.open()) as connection:
        spec.check_in(connection)
        ids = select_ids(connection)
        job_id = create_job(connection, kind="label", title=spec.title(), lane="cpu", spec=spec.model_dump_json(),
                            spec_version=spec.VERSION, item_ids=ids)  # fmt: skip
    worker.run_job(bench.workspace, job_id)
    with closing(bench.workspace.open()) as connection:
        assert get_job(connection, job_id).state is JobState.DONE
        said = [label for i in ids for label in labels_of(connection, i) if label.annotator == "judge:classifier/tiny"]
    assert len(said) == len(ids)
    assert {label.head for label in said} == {"refusal3"}
    assert all(label.probability is not None and 1 / 3 <= label.probability <= 1 for label in said)


async def test_rows_without_a_response_are_errors_in_their_place(bench: Bench) -> None:
    judge = classifier_judge(bench.workspace, "tiny", device="cpu")
    rows = [Row(ItemId(1), "a frindle", "Yes."), Row(ItemId(2), "a frindle", None), Row(ItemId(3), "x", " ")]
    first, second, third = await judge.judge(rows)
    assert not isinstance(first, RowError) and isinstance(second, RowError) and isinstance(third, RowError)


async def test_two_classes_answer_whether_it_refuses(bench: Bench) -> None:
    judge = classifier_judge(bench.workspace, "two", device="cpu")
    (verdict,) = await judge.judge([Row(ItemId(1), "a frindle", "Yes.")])
    assert not isinstance(verdict, RowError)
    assert isinstance(verdict.answers["response_refusal"].value, bool)


def test_classes_that_no_judge_may_give_are_refused(bench: Bench) -> None:
    from dataclasses import replace

    with closing(bench.workspace.open()) as connection:
        from refusal_tui.classify.folder import classifier_folder

        folder = classifier_folder(bench.workspace, connection, "tiny")
    classifier = Classifier.load(folder, device="cpu")
    settings = read_settings(folder)
    heads = (replace(settings.heads[0], classes=("a", "b", "c")),)
    classifier.settings = replace(settings, heads=heads)
    with pytest.raises(InputError, match="no label of refusal3"):
        ClassifierJudge(classifier)


def test_a_classifier_that_is_not_there_is_said_when_the_job_is_made(bench: Bench) -> None:
    with (
        closing(bench.workspace.open()) as connection,
        pytest.raises(InputError, match="no classifier 'other'") as error,
    ):
        LabelSpec(judge="classifier", classifier="other").check_in(connection)
    assert "tiny, two" in error.value.next_step
    with pytest.raises(SpecError, match="is needed"):
        LabelSpec(judge="classifier").check()
    with pytest.raises(SpecError, match="is for --judge classifier"):
        LabelSpec(classifier="tiny").check()


def test_score_measures_it_against_people(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.classify.tiny import texts

    file = tmp_path / "gold.jsonl"
    rows = [{"prompt": p, "response": r, "gold": label} for p, r, label in texts(60, 5)]
    file.write_text("\n".join(map(json.dumps, rows)))
    words = ("score", file, "--judge", "classifier:tiny", "--gold", "gold", "--json")
    done = call_here(bench.workspace, *words, capsys=capsys)
    assert done.code == 0, done.err
    assert done.json["scored"] == 60


def test_a_folder_without_a_classifier_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no classifier"):
        Classifier.load(tmp_path)
