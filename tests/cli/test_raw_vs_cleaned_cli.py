"""`raw-vs-cleaned` as a person and as a program reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.finetune.files import EVALUATIONS
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.tui import robustness_run
from tests.tui.raw_cleaned_run import add_answers, add_run


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Job 1 has ended and was graded, job 2 goes on, job 3 is a robustness run."""
    made = create_workspace(tmp_path / "w")
    add_answers(made, add_run(made), graded=True)
    add_run(made, looked_at=2)
    robustness_run.add_run(made)
    return made


def test_the_list_says_what_every_run_says_and_a_run_is_shown_with_its_tables(call, workspace) -> None:
    found = json.loads(call("raw-vs-cleaned", "--json").out)
    assert [(run["job"], run["state"]) for run in found] == [(2, "running"), (1, "done")]
    assert "cleaning lessens over-refusal" in found[1]["says"]
    said = call("raw-vs-cleaned", "show", "1").out
    assert "41 32-51" in said and "cleaned - raw" in said and "distinct-2" in said and "judge:helpfulness@m" in said
    assert "refusal-tui compare tiny+cleaned tiny+raw dataset:tidy-run --by split" in said
    assert "Not the whole run: " in call("raw-vs-cleaned", "show", "2").out


def test_for_programs_every_figure_and_the_filters_of_its_answers(call, workspace) -> None:
    found = json.loads(call("raw-vs-cleaned", "show", "1", "--json").out)
    raw = next(arm for arm in found["arms"] if arm["arm"] == "raw")
    assert raw["over-refused"]["value"] == 0.41 and raw["helpful"]["value"] == 0.59 and raw["grade"] == 3.36
    assert raw["answers"]["benign"] == 'dataset:tidy-run split:benign model:"tiny+raw"'
    against = found["differences"][0]
    assert (against["one"], against["other"], against["over-refused"]["sure"]) == ("cleaned", "raw", True)
    assert against["diversity"]["repeated"]["value"] == pytest.approx(-0.37)


def test_the_report_is_written_beside_the_run_and_another_kind_of_job_has_none(call, workspace) -> None:
    path = Path(call("raw-vs-cleaned", "report", "1").out.strip())
    assert path.parent.name == "job-1" and "What does cleaning the data change" in path.read_text()
    (path.parent / EVALUATIONS).unlink()
    answer = call("raw-vs-cleaned", "report", "1")
    assert answer.code == ExitCode.INPUT and "Job 1 has measured nothing yet." in answer.err
    answer = call("raw-vs-cleaned", "show", "3")
    assert answer.code == ExitCode.INPUT and "compares no raw and cleaned data" in answer.err
