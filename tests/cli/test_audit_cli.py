"""`run audit` and `audit`: an audit in a process of its own, and its report on standard output."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace
from tests.audit.audited import audit
from tests.store.building import NewRow, add_keyed, says
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


# --- after an audit --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same rows, audited in this process, and ten of them once more."""
    workspace = make_workspace(tmp_path_factory.mktemp("audited") / "ws", 40)
    with closing(workspace.open()) as connection:
        with transaction(connection):
            add_verdicts(connection, [says(number, "none", probability=0.9) for number in range(1, 41)])
        again = fetch_rows(connection, range(1, 11))
        add_keyed(connection, {row.key: NewRow(row.prompt, row.response) for row in again}, "again")
    audit(workspace)
    return workspace


def test_a_report_for_people_names_rows_and_commands(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = call_here(finished, "audit", "show", 1, capsys=capsys).out
    assert "ALARM" in text
    assert "refusal-tui browse @audit-1-detector-by-source" in text
    assert "audit_report.html" in text
    listed = call_here(finished, "audit", "list", "--json", capsys=capsys).json
    assert [(one["job"], one["rows"]) for one in listed] == [(1, 50)]


def test_the_figures_of_a_section_are_printed(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = call_here(finished, "audit", "show", 1, "--section", "labels", capsys=capsys).out
    assert text.startswith("LABELS") and "█" in text and "entropy" in text
    whole = call_here(finished, "audit", "show", 1, "--section", "all", capsys=capsys).out
    assert "LABEL DOCTOR" in whole and "AGREEMENT" in whole
    wrong = call_here(finished, "audit", "show", 1, "--section", "nothing", capsys=capsys)
    assert wrong.code == ExitCode.INPUT and "doctor" in wrong.err


def test_the_whole_report_is_markdown_for_others(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = call_here(finished, "audit", "show", 1, "--markdown", capsys=capsys).out
    assert text.startswith("# Audit 1") and "- **alarm**" in text and "## Duplicates and leaks" in text


def test_the_rows_of_a_finding_are_printed(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    printed = call_here(finished, "audit", "rows", 1, "repeated-rows", "--json", capsys=capsys).out.splitlines()
    assert [json.loads(line)["item_id"] for line in printed] == list(range(41, 51))
    unknown = call_here(finished, "audit", "rows", 1, "nothing", capsys=capsys)
    assert unknown.code == ExitCode.INPUT and "repeated-rows" in unknown.err


def test_rows_are_left_out_and_taken_in_again(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    dropped = call_here(finished, "audit", "drop", 1, "repeated-rows", capsys=capsys)
    assert (dropped.code, "40 rows are kept: @audit-1-kept" in dropped.out) == (ExitCode.OK, True)
    assert call_here(finished, "rows", "@audit-1-kept", "--count", capsys=capsys).out.strip() == "40"
    assert "(left out)" in call_here(finished, "audit", "show", 1, capsys=capsys).out
    assert "50 rows are kept" in call_here(finished, "audit", "keep", 1, "repeated-rows", capsys=capsys).out


def test_what_is_recommended_is_done(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    done = call_here(finished, "audit", "do", 1, "repeated-rows", capsys=capsys)
    assert done.code == ExitCode.OK and "40 rows are kept" in done.out
    assert "refusal-tui audit drop 1 repeated-rows" in done.err
    call_here(finished, "audit", "keep", 1, "repeated-rows", capsys=capsys)
    nothing = call_here(finished, "audit", "do", 1, "small-sources", capsys=capsys)
    assert nothing.code == ExitCode.INPUT


def test_the_sample_becomes_a_queue_and_a_second_one_needs_a_name(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "audit-1: 20 rows of 50" in call_here(finished, "audit", "review", 1, capsys=capsys).out
    taken = call_here(finished, "audit", "review", 1, capsys=capsys)
    assert taken.code != ExitCode.OK and "audit-1" in taken.err
    assert "second: 20 rows" in call_here(finished, "audit", "review", 1, "--name", "second", capsys=capsys).out
