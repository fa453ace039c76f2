"""`run audit` and `audit`: an audit in a process of its own, and its report on standard output."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace
from tests.store.building import says
from tests.support.commands import call, call_here
from tests.support.workspaces import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """40 rows of four kinds; the refusals among them are labelled none."""
    workspace = make_workspace(tmp_path / "ws", 40)
    with closing(workspace.open()) as connection, transaction(connection):
        labels = {number: "soft" if number % 4 == 3 else "none" for number in range(1, 41)}
        add_verdicts(connection, [says(number, label, probability=0.9) for number, label in labels.items()])
    return workspace


@pytest.mark.kill
def test_an_audit_runs_as_a_job_and_its_report_is_read_by_a_program(workspace: Workspace) -> None:
    ran = call(workspace, "run", "audit", "dataset:blorp", "--json")
    assert ran.code == ExitCode.OK, ran.err
    shown = call(workspace, "audit", "show", ran.json["id"], "--json").json
    assert shown["total_items"] == 40
    assert shown["recommendations"][0]["level"] == "alarm"
    raised = next(one for one in shown["findings"] if one["check"] == "detector-by-source")
    assert raised["rows"] == 10
    assert call(workspace, "rows", raised["filter"], "--json").out.count("can't help") == 10


@pytest.mark.kill
def test_a_report_for_people_names_rows_and_commands(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(workspace, "run", "audit").code == ExitCode.OK
    text = call_here(workspace, "audit", "show", 1, capsys=capsys).out
    assert "ALARM" in text
    assert "refusal-tui browse @audit-1-detector-by-source" in text
    assert "audit_report.html" in text
    listed = call_here(workspace, "audit", "list", "--json", capsys=capsys).json
    assert [(one["job"], one["rows"]) for one in listed] == [(1, 40)]


def test_a_job_that_is_no_audit_is_an_input_error(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call_here(workspace, "audit", "show", 7, capsys=capsys)
    assert answer.code == ExitCode.INPUT
    assert "refusal-tui run audit" in answer.err


def test_a_bad_filter_to_compare_with_is_refused_before_anything_runs(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = call_here(workspace, "run", "audit", "--against", "dataset:nowhere", capsys=capsys)
    assert answer.code == ExitCode.INPUT
    assert call_here(workspace, "jobs", "--json", capsys=capsys).json == []
