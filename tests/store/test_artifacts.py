"""Which files did jobs write, and are they still what was written?"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from refusal_tui.store.artifacts import add_artifact, list_artifacts
from refusal_tui.store.workspace import Workspace
from tests.store.building import queue


@pytest.fixture
def report(workspace: Workspace) -> Path:
    path = workspace.artifacts / "job-1" / "report.json"
    path.parent.mkdir()
    path.write_bytes(b"{}")
    return path


def test_a_file_is_recorded_with_its_checksum_and_size(
    workspace: Workspace, connection: sqlite3.Connection, report: Path
) -> None:
    job_id = queue(connection, [])
    add_artifact(connection, workspace.root, report, kind="report", job_id=job_id, made_from={"selection": "@x"})
    (found,) = list_artifacts(connection)
    assert (found.job_id, found.kind, found.bytes) == (job_id, "report", 2)
    assert found.sha256 == hashlib.sha256(b"{}").hexdigest()
    assert json.loads(found.made_from) == {"selection": "@x"}


def test_a_file_of_the_workspace_is_named_from_its_root_so_that_the_workspace_can_move(
    workspace: Workspace, connection: sqlite3.Connection, report: Path
) -> None:
    assert add_artifact(connection, workspace.root, report, kind="report").path == "artifacts/job-1/report.json"


def test_a_file_elsewhere_is_named_in_full(
    workspace: Workspace, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    outside = tmp_path / "export.jsonl"
    outside.touch()
    assert add_artifact(connection, workspace.root, outside, kind="export").path == str(outside)


def test_a_file_written_again_has_one_record(
    workspace: Workspace, connection: sqlite3.Connection, report: Path
) -> None:
    add_artifact(connection, workspace.root, report, kind="report")
    report.write_bytes(b"{1}")
    add_artifact(connection, workspace.root, report, kind="report")
    assert [a.bytes for a in list_artifacts(connection)] == [3]


def test_the_files_of_one_job_are_listed_alone(
    workspace: Workspace, connection: sqlite3.Connection, report: Path, tmp_path: Path
) -> None:
    one, two = queue(connection, []), queue(connection, [])
    add_artifact(connection, workspace.root, report, kind="report", job_id=one)
    other = tmp_path / "other"
    other.touch()
    add_artifact(connection, workspace.root, other, kind="report", job_id=two)
    assert [a.job_id for a in list_artifacts(connection, two)] == [two]
    assert len(list_artifacts(connection)) == 2


def test_a_file_that_is_not_there_is_not_recorded(workspace: Workspace, connection: sqlite3.Connection) -> None:
    with pytest.raises(FileNotFoundError):
        add_artifact(connection, workspace.root, workspace.artifacts / "missing", kind="report")
    assert list_artifacts(connection) == []
