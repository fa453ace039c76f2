"""Is the workspace sound?"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from refusal_tui.store import connect, health
from refusal_tui.store.artifacts import add_artifact
from refusal_tui.store.connect import checkpoint, file_system_of, transaction
from refusal_tui.store.health import Finding, Level, check_workspace
from refusal_tui.store.jobs import JobState, WorkerRecord, end_job
from refusal_tui.store.outcomes import commit_group
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add, claimed, done, failed, judge, queue, says


def alive(worker: WorkerRecord) -> bool:
    return True


def dead(worker: WorkerRecord) -> bool:
    return False


def troubles(
    workspace: Workspace, *, is_alive: Callable[[WorkerRecord], bool] = alive, deep: bool = False
) -> list[Finding]:
    """What is not in order."""
    return [f for f in check_workspace(workspace, is_alive=is_alive, deep=deep) if f.level is not Level.OK]


def one(findings: Sequence[Finding]) -> tuple[str, str, str]:
    (finding,) = findings
    assert finding.next_step
    return finding.level.value, finding.check, finding.text


@pytest.fixture
def items(connection: sqlite3.Connection) -> list[int]:
    """A workspace in use: rows with empty and missing texts, labels, a finished job."""
    rows = [NewRow(f"row {n}", "some words") for n in range(4)] + [NewRow("", ""), NewRow("p", None, meta={"a": 1})]
    ids = list(add(connection, *rows))
    judge(connection, says(ids[0], "hard"), says(ids[0], "soft"), says(ids[1], "none", "human:hannah"))
    job = claimed(connection, ids)
    commit_group(connection, job, [done(0, ids[0]), failed(1, ids[1])], cursor=2)
    end_job(connection, job, JobState.DONE)
    return ids


@pytest.mark.parametrize("deep", [False, True])
def test_a_workspace_in_order_gives_only_good_news(workspace: Workspace, items: list[int], deep: bool) -> None:
    findings = check_workspace(workspace, is_alive=alive, deep=deep)
    assert [f for f in findings if f.level is not Level.OK] == []
    assert [f.check for f in findings] == [
        "integrity", "references", "search", "labels", "outcomes", "workers", "artifacts", "sqlite", "file system",
        "disk", "permissions",
    ]  # fmt: skip


def test_checking_changes_nothing(workspace: Workspace, connection: sqlite3.Connection, items: list[int]) -> None:
    before = list(connection.iterdump())
    check_workspace(workspace, is_alive=dead, deep=True)
    assert list(connection.iterdump()) == before


# --- the database --------------------------------------------------------------------------------------------------


def test_a_damaged_database_gives_findings_and_no_exception(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        add(connection, NewRow("one", "two"))
        pages = [
            row[0]
            for row in connection.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name IN ('label', 'outcome', 'item')"
            )
        ]
        checkpoint(connection, workspace.database, force=True)
    content = bytearray(workspace.database.read_bytes())
    for page in pages:
        content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    workspace.database.write_bytes(content)
    found = {f.check: f.level for f in troubles(workspace)}
    assert found["integrity"] is found["labels"] is Level.ERROR


def test_a_file_that_is_no_database_is_one_error(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"blorptanium " * 1000)
    level, check, text = one(troubles(workspace))
    assert (level, check) == ("error", "database")
    assert "not a database" in text


def test_a_folder_without_a_workspace_is_one_error(tmp_path: Path) -> None:
    assert one(troubles(Workspace(tmp_path)))[:2] == ("error", "database")


def test_a_reference_to_nothing_is_found(workspace: Workspace, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys=OFF")
    with transaction(connection):
        connection.execute("INSERT INTO quarantine(dataset_id, line, reason, excerpt) VALUES (99, 1, '', '')")
    assert one(troubles(workspace)) == ("error", "references", "1 rows refer to nothing (quarantine)")


def test_a_text_that_no_search_finds_is_found(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int]
) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO prompt(id, hash, text) VALUES (500, x'00', 'hidden words')")
    assert one(troubles(workspace, deep=True)) == ("error", "search", "the word index prompt_fts differs from prompt")


def test_the_advice_for_a_wrong_index_repairs_it(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int]
) -> None:
    with transaction(connection):
        connection.execute("UPDATE item_body SET response = 'other words' WHERE item_id = 1")
    (finding,) = troubles(workspace, deep=True)
    connection.execute(finding.next_step.partition('"')[2].removesuffix('"'))
    assert troubles(workspace, deep=True) == []


# --- what it says --------------------------------------------------------------------------------------------------


def test_a_label_without_its_verdict_is_found(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int]
) -> None:
    with transaction(connection):
        connection.execute("DELETE FROM verdict WHERE annotator = 'human:hannah'")
    assert one(troubles(workspace)) == ("error", "labels", "1 labels have lost their verdict")


def test_a_label_of_a_superseded_verdict_is_found(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int]
) -> None:
    with transaction(connection):
        connection.execute(
            "UPDATE label SET verdict_id = 1 WHERE item_id = ? AND annotator = 'judge:lexical'", items[:1]
        )
    assert one(troubles(workspace)) == ("error", "labels", "1 labels come from a verdict that was superseded")


@pytest.mark.parametrize("column", ["n_ok", "n_failed", "n_unparsable"])
def test_a_job_whose_counts_differ_from_its_outcomes_is_found(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int], column: str
) -> None:
    with transaction(connection):
        connection.execute(f"UPDATE job SET {column} = {column} + 1")
    assert one(troubles(workspace)) == ("error", "outcomes", "the counts of job 1 differ from its outcomes")


def test_a_running_job_with_a_dead_worker_is_found(workspace: Workspace, connection: sqlite3.Connection) -> None:
    claimed(connection, [])
    assert one(troubles(workspace, is_alive=dead)) == ("warn", "workers", "the worker of job 1 is dead")
    assert troubles(workspace, is_alive=alive) == []


def test_an_interrupted_job_is_remembered(workspace: Workspace, connection: sqlite3.Connection) -> None:
    end_job(connection, claimed(connection, []), JobState.INTERRUPTED)
    assert one(troubles(workspace)) == ("warn", "workers", "1 interrupted job")


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def result(workspace: Workspace, connection: sqlite3.Connection) -> Path:
    """A recorded file of a finished job."""
    job = claimed(connection, [])
    path = workspace.artifacts / f"job-{job.id}" / "report.json"
    path.parent.mkdir()
    path.write_bytes(b"{}")
    (path.parent / "checkpoint.json").touch()
    add_artifact(connection, workspace.root, path, kind="report", job_id=job.id)
    end_job(connection, job, JobState.DONE)
    return path


def test_a_recorded_file_that_is_there_is_in_order(workspace: Workspace, result: Path) -> None:
    assert troubles(workspace, deep=True) == []


def test_a_recorded_file_that_is_gone_is_found(workspace: Workspace, result: Path) -> None:
    result.unlink()
    assert one(troubles(workspace)) == ("warn", "artifacts", "artifacts/job-1/report.json: recorded and gone")


def test_a_file_of_another_size_is_found(workspace: Workspace, result: Path) -> None:
    result.write_bytes(b"{1}")
    assert "changed since they were written" in one(troubles(workspace))[2]


def test_a_file_of_the_same_size_is_compared_only_when_asked(workspace: Workspace, result: Path) -> None:
    result.write_bytes(b"[]")
    assert troubles(workspace) == []
    assert "changed since they were written" in one(troubles(workspace, deep=True))[2]


def test_files_that_nobody_recorded_are_counted_and_one_is_named(workspace: Workspace, result: Path) -> None:
    (result.parent / "a").touch()
    (result.parent / "b").touch()
    (workspace.artifacts / "README.md").touch()
    expected = "2 files, such as artifacts/job-1/a: not recorded by any job"
    assert one(troubles(workspace)) == ("warn", "artifacts", expected)


def test_the_folder_of_a_job_that_is_gone_is_found(workspace: Workspace) -> None:
    (workspace.artifacts / "job-7").mkdir()
    (workspace.artifacts / "job-7" / "model.bin").touch()
    assert "job-7/model.bin: not recorded" in one(troubles(workspace))[2]


def test_files_of_a_job_that_is_not_over_may_still_be_recorded(
    workspace: Workspace, connection: sqlite3.Connection
) -> None:
    folder = workspace.artifacts / f"job-{queue(connection, [])}"
    folder.mkdir()
    (folder / "half-written").touch()
    assert troubles(workspace) == []


# --- where it lies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["refusal.db", "refusal.toml", "artifacts", "logs", "refusal.schema1.bak"])
def test_a_file_that_everybody_may_read_is_found_and_the_advice_closes_it(workspace: Workspace, name: str) -> None:
    path = workspace.root / name
    if not path.exists():
        path.touch(0o600)
    path.chmod(path.stat().st_mode | 0o005)
    (finding,) = troubles(workspace)
    assert (finding.level, finding.check) == (Level.WARN, "permissions")
    assert finding.text.startswith(f"everybody on this machine may use {name}")
    assert os.system(finding.next_step.removeprefix("Run: ")) == 0
    assert troubles(workspace) == []


def test_a_folder_in_which_others_may_replace_the_database_is_found(workspace: Workspace) -> None:
    workspace.root.chmod(0o775)
    assert one(troubles(workspace))[:2] == ("warn", "permissions")


def test_a_group_workspace_is_in_order_and_says_so(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "w")
    workspace.root.chmod(0o2770)
    workspace.database.chmod(0o660)
    (finding,) = (f for f in check_workspace(workspace, is_alive=alive) if f.check == "permissions")
    assert (finding.level, finding.text) == (Level.OK, "660, shared with its group")


def test_a_network_file_system_is_found(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = file_system_of(workspace.root)
    if not kind:
        pytest.skip("this system does not tell its file systems")
    monkeypatch.setattr(connect, "NETWORK_FILE_SYSTEMS", frozenset([kind]))
    assert one(troubles(workspace))[:2] == ("warn", "file system")


def test_little_free_space_is_found(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOW_SPACE_BYTES", shutil.disk_usage(workspace.root).total)
    assert one(troubles(workspace))[:2] == ("warn", "disk")


def test_a_large_log_is_found(
    workspace: Workspace, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LARGE_WAL_BYTES", 100_000)
    add(connection, NewRow("x", "y" * 2_000_000))
    assert one(troubles(workspace))[:2] == ("warn", "log")


@pytest.mark.parametrize(
    ("version", "affected"),
    [((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False)],
)
def test_the_versions_with_the_wal_reset_bug_are_named(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, version: tuple[int, int, int], affected: bool
) -> None:
    fake = SimpleNamespace(sqlite_version=".".join(map(str, version)), sqlite_version_info=version, Error=sqlite3.Error)
    monkeypatch.setattr(health, "sqlite3", fake)
    (finding,) = (f for f in check_workspace(workspace, is_alive=alive) if f.check == "sqlite")
    assert ("checkpoints are serialised" in finding.text) is affected
    assert finding.level is Level.OK
