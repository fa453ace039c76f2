"""`robustness` as a person and as a program reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.finetune.files import EVALUATIONS
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.tui.robustness_run import NO_EFFECT, add_run


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Job 1 has found nothing, job 2 goes on."""
    made = create_workspace(tmp_path / "w")
    add_run(made, NO_EFFECT, {arm: [1.0, 0.2] for arm in NO_EFFECT})
    add_run(made, looked_at=7)
    return made


def test_the_list_says_what_every_run_says(call, workspace) -> None:
    found = json.loads(call("robustness", "--json").out)
    assert [(run["job"], run["state"], run["model"]) for run in found] == [(2, "running", "tiny"), (1, "done", "tiny")]
    assert "No effect" in found[1]["says"] and call("robustness", "list").out.splitlines()[0].startswith("job")


def test_a_run_is_shown_with_conclusion_curve_intervals_and_invariants(call, workspace) -> None:
    said = call("robustness", "show", "1").out
    assert "No effect: no arm that was tried protects refusal better than vanilla" in said.replace("\n", " ")
    assert "98 93-99" in said and "◆ vanilla" in said and "inner <dW, U>/|dW|" in said
    assert "Not the whole run: " in call("robustness", "show", "2").out


def test_for_programs_every_figure_and_the_filter_of_its_answers(call, workspace) -> None:
    found = json.loads(call("robustness", "show", "1", "--json").out)
    arm = next(arm for arm in found["arms"] if arm["arm"] == "orthogonal")
    assert arm["refused"]["value"] == 0.03 and arm["against"]["vanilla"]["p_holm"] == 1.0 and arm["holds"] is True
    assert arm["answers"] == 'dataset:robust split:prompts model:"tiny+orthogonal@8"'
    assert found["base"]["refused"]["missing"] == 0 and found["trials"][0]["last"]["step"] == 8


def test_the_report_is_written_beside_the_run_and_there_is_none_without_answers(call, workspace) -> None:
    path = Path(call("robustness", "report", "1").out.strip())
    assert path.parent.name == "job-1" and "Does refusal survive" in path.read_text()
    (path.parent / EVALUATIONS).unlink()
    answer = call("robustness", "report", "1")
    assert answer.code == ExitCode.INPUT and "Job 1 has measured nothing yet." in answer.err
