"""What does a raw-against-cleaned run leave behind, when it ends, is judged afterwards, is killed, or goes wrong?"""

from __future__ import annotations

import json
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from refusal_tui.errors import InputError
from refusal_tui.finetune.cleaned.figures import figures
from refusal_tui.finetune.cleaned.read import DIVERSITY, KIND, Comparison, read_comparison
from refusal_tui.finetune.document import PAGE
from refusal_tui.finetune.files import ARM_ADAPTER, DATA
from refusal_tui.jobs.control import reap
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.results.compare import compare_models
from refusal_tui.results.table import results_table
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.browse import select_ids
from refusal_tui.store.datasets import find_dataset, get_dataset
from refusal_tui.store.jobs import Job, JobState
from tests.finetune.bench import TINY, Bench, make_bench
from tests.finetune.test_robustness_job import with_a_hole
from tests.support.judging import add_endpoint, label, refuses, serving
from tests.support.loopback import Settings
from tests.support.processes import run_worker_with

Ended = tuple[Job, Path]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("cleaned") / "w")


@pytest.fixture(scope="module")
def ended(bench: Bench) -> Ended:
    job, folder = bench.run(bench.cleaned_spec())
    assert job.state is JobState.DONE, job.note
    return job, folder


def told(bench: Bench, folder: Path) -> Comparison:
    with closing(bench.workspace.open()) as connection:
        return read_comparison(folder, connection)


def test_base_and_both_arms_answer_the_same_prompts_and_see_as_many_rows(bench: Bench, ended: Ended) -> None:
    found = told(bench, ended[1])
    assert [(line["trial"], line["step"]) for line in found.run.lines] == [
        ("base", 0), ("raw-s0", 6), ("cleaned-s0", 6)
    ]  # fmt: skip
    assert all(len(line["prompts"]) == len(line["benign"]) == 10 for line in found.run.lines)
    assert found.counts["learnt, raw"] == found.counts["learnt, cleaned"] == 160
    assert (found.counts["left out"], found.counts["changed by cleaning"]) == (10, 60)
    assert all(trial.state == "done" and len(trial.steps) == 6 for trial in found.run.trials)
    raw, cleaned = (figures(found).arms[arm] for arm in ("raw", "cleaned"))
    assert raw.loss("raw") < cleaned.loss("raw") and cleaned.loss("cleaned") < raw.loss("cleaned")
    assert (ended[1] / PAGE).exists() and (ended[1] / DIVERSITY).exists()


def test_the_results_screen_s_query_knows_refused_and_over_refused_and_compares_the_arms(
    bench: Bench, ended: Ended
) -> None:
    with closing(bench.workspace.open()) as connection:
        assert len(select_ids(connection, "dataset:clean-run")) == 2 * 10 * 3
        assert get_dataset(connection, "clean-run").provenance.adapter == KIND
        table = results_table(connection, "dataset:clean-run", ("model", "split"))
        cells = {cell.key: cell.rates for cell in table.cells}
        compared = compare_models(connection, "tiny_chat+cleaned", "tiny_chat+raw", "dataset:clean-run", ("split",))
    assert all(cells[f"tiny_chat{arm}", "benign"]["over_refusal"].rows == 10 for arm in ("", "+raw", "+cleaned"))
    assert cells["tiny_chat+raw", "prompts"]["over_refusal"].rows == 0, "nobody says that these are harmless"
    mine = figures(told(bench, ended[1]))
    assert cells["tiny_chat+raw", "benign"]["over_refusal"].interval == mine.arms["raw"].rates["over-refused"].interval
    by_split = {key[0]: measures for key, measures in compared.lines}
    theirs, ours = by_split["benign"]["over_refusal"], mine.against["cleaned", "raw"]["over-refused"]
    assert (theirs.interval, theirs.only_other) == (ours.interval, ours.only_other)


def test_a_language_model_s_grades_come_into_the_report_when_the_answers_are_judged(bench: Bench, ended: Ended) -> None:
    def graded(body: dict[str, Any], row: str) -> str:
        no = refuses(body)
        return json.dumps({"response_refusal": "yes" if no else "no", "helpfulness": "1" if no else "5",
                           "rationale": ""})  # fmt: skip

    with serving(Settings(answer=graded)) as server:
        add_endpoint(bench.workspace, server)
        spec = LabelSpec(judge="helpfulness", endpoint="local")
        job = label(bench.workspace, spec, selection="dataset:clean-run split:benign")
    assert (job.state, job.n_ok) == (JobState.DONE, 30), job.note
    found = told(bench, ended[1])
    base = figures(found).arms["base"]
    assert found.graders == ("judge:helpfulness@local",) and base.grade == 5.0 and base.rates["helpful"].rows == 10
    assert set(figures(found).against["cleaned", "raw"]) == {"over-refused", "refused", "helpful"}


def test_the_adapters_stay_local_and_no_model_is_written(bench: Bench, ended: Ended) -> None:
    note = json.loads((ended[1] / "trials" / "raw-s0" / ARM_ADAPTER / "refusal_tui.json").read_text())
    assert note["upload"].startswith("no") and "raw arm" in note["what"]
    with closing(bench.workspace.open()) as connection:
        assert {one.kind for one in list_artifacts(connection, ended[0].id)} == {"arm-adapter", KIND}
    assert str(TINY) not in "".join(path.read_text() for path in ended[1].glob("*.[jh][st]*") if path.name != DATA)


_DIE = """
import os, signal, torch
torch.set_num_threads(1)
from refusal_tui.finetune import loop
whole = loop.save
def save(folder, checkpoint, keep=()):
    path = whole(folder, checkpoint, keep)
    if checkpoint.step == 4 and "cleaned-s0" in str(folder):
        os.kill(os.getpid(), signal.SIGKILL)
    return path
loop.save = save
"""


@pytest.mark.nightly  # the loop's own test is in every run (test_robustness_job.py)
@pytest.mark.kill
def test_a_killed_run_goes_on_and_ends_bit_for_bit_the_same(bench: Bench, ended: Ended) -> None:
    job_id = bench.start(bench.cleaned_spec(name="killed"))
    assert run_worker_with(bench.workspace, job_id, _DIE).returncode == -signal.SIGKILL
    with closing(bench.workspace.open()) as connection:
        reap(connection)
    assert bench.again(job_id).state is JobState.DONE, bench.job(job_id).note
    for trial in ("raw-s0", "cleaned-s0"):
        path = f"trials/{trial}/checkpoints/step-00000006/model.safetensors"
        assert (bench.folder(job_id) / path).read_bytes() == (ended[1] / path).read_bytes(), path
    assert read_comparison(bench.folder(job_id)).run.lines == read_comparison(ended[1]).run.lines
    assert (bench.folder(job_id) / DIVERSITY).read_bytes() == (ended[1] / DIVERSITY).read_bytes()
    with closing(bench.workspace.open()) as connection:
        assert len(select_ids(connection, "dataset:killed")) == 60, "no answer twice, none lost"


def test_a_model_that_is_not_there_and_one_whose_loss_is_no_number_end_in_a_sentence(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    job, folder = bench.run(bench.cleaned_spec(name="lost", model=str(tmp_path / "bare")))
    assert job.state is JobState.FAILED and "/bare' cannot be loaded" in job.note
    assert not (folder / "trials").exists()
    job, folder = bench.run(bench.cleaned_spec(name="wild", model=str(with_a_hole(tmp_path / "hole"))))
    assert job.state is JobState.FAILED and "is no number: training has diverged" in job.note
    assert not (folder / PAGE).exists()
    with closing(bench.workspace.open()) as connection:
        assert find_dataset(connection, "lost") is find_dataset(connection, "wild") is None


def test_answers_too_long_for_the_model_s_context_end_the_run_before_anything_is_trained(bench: Bench) -> None:
    job, folder = bench.run(bench.cleaned_spec(name="long", answer_tokens=128))
    assert job.state is JobState.FAILED
    assert "None of the 10 prompts can be asked" in job.note and "do not fit into 128" in job.note
    assert "--answer-tokens" in job.note and not (folder / "trials").exists() and not (folder / PAGE).exists()


def test_a_name_that_is_taken_and_too_few_prompts_are_said_at_once(bench: Bench, ended: Ended) -> None:
    with pytest.raises(InputError, match="There is a dataset 'clean-run' already"):
        bench.start(bench.cleaned_spec())
    with pytest.raises(InputError, match="There are 100 different prompts of --prompts; 101 are asked for"):
        bench.start(bench.cleaned_spec(name="more", n=101))
