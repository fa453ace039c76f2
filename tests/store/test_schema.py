"""Which tables are there, and how does an older workspace become a current one?"""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils.migrations  # noqa: F401 (loaded before the children are forked)

from refusal_tui.errors import ConflictError, StorageError, WorkspaceError
from refusal_tui.store import schema
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import file_lock
from refusal_tui.store.schema import MIGRATIONS, SCHEMA_VERSION, version_of
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add, in_child


@pytest.fixture
def older(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with one row, made by a program that did not know the last migration yet."""
    with closing(workspace.open()) as connection:
        add(connection, NewRow())
    know_one_more(monkeypatch, "CREATE TABLE blorp (x)", "INSERT INTO blorp SELECT id FROM item")
    return workspace


def know_one_more(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("m999_blorp", statements)))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)


def backups(workspace: Workspace) -> list[Path]:
    return sorted(workspace.root.glob("refusal.schema*.bak"))


def test_a_new_workspace_has_every_migration(connection: sqlite3.Connection) -> None:
    names = [row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
    assert names == [name for name, _ in MIGRATIONS]
    assert version_of(connection) == SCHEMA_VERSION


def test_opening_a_current_workspace_changes_nothing(workspace: Workspace) -> None:
    before = sorted(workspace.root.iterdir())
    workspace.open().close()
    assert sorted(workspace.root.iterdir()) == before


def test_a_newer_workspace_is_refused_with_both_numbers(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 7}")
    with pytest.raises(WorkspaceError, match=f"schema {SCHEMA_VERSION + 7}; this program knows up to {SCHEMA_VERSION}"):
        workspace.open()


def test_an_older_workspace_is_migrated_with_its_rows(older: Workspace) -> None:
    with closing(older.open()) as connection:
        assert version_of(connection) == SCHEMA_VERSION + 1
        assert connection.execute("SELECT x FROM blorp").fetchall()[0][0] == 1


def test_a_reader_of_an_older_workspace_finds_it_migrated(older: Workspace) -> None:
    with closing(older.open(read_only=True)) as reader:
        assert version_of(reader) == SCHEMA_VERSION + 1


def test_before_a_migration_the_old_workspace_is_copied(older: Workspace) -> None:
    older.open().close()
    (copy,) = backups(older)
    with closing(sqlite3.connect(copy)) as old:
        assert version_of(old) == SCHEMA_VERSION
        assert count_items(old) == 1
        assert old.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_copy_is_as_private_as_the_workspace(older: Workspace, mode: int) -> None:
    older.database.chmod(mode)
    older.open().close()
    assert [stat.S_IMODE(path.stat().st_mode) for path in backups(older)] == [mode]


def test_a_new_workspace_is_not_copied(tmp_path: Path) -> None:
    assert backups(create_workspace(tmp_path / "new")) == []


def test_a_migration_that_fails_leaves_the_old_workspace(older: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    know_one_more(monkeypatch, "CREATE TABLE half (x)", "INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StorageError, match="nowhere"):
        older.open()
    with closing(sqlite3.connect(older.database)) as connection:
        assert version_of(connection) == SCHEMA_VERSION
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone()[0] == 0


def test_a_disk_too_full_for_the_copy_stops_the_migration(older: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema.shutil, "copymode", full)
    with pytest.raises(StorageError, match="No space left"):
        older.open()
    assert [path.name for path in older.root.iterdir() if "bak" in path.name] == []
    with closing(sqlite3.connect(older.database)) as connection:
        assert version_of(connection) == SCHEMA_VERSION


def test_two_processes_that_open_an_older_workspace_at_once_migrate_it_once(older: Workspace) -> None:
    def migrate() -> int:
        return version_of(older.open())

    waiting = [in_child(migrate) for _ in range(4)]
    assert [wait() for wait in waiting] == [SCHEMA_VERSION + 1] * 4
    assert len(backups(older)) == 1


def test_two_processes_may_make_the_same_workspace_at_once(tmp_path: Path) -> None:
    waiting = [in_child(lambda: version_of(create_workspace(tmp_path / "w").open())) for _ in range(4)]
    assert [wait() for wait in waiting] == [SCHEMA_VERSION] * 4


def test_a_migration_that_takes_too_long_elsewhere_is_named(older: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_MIGRATION_PATIENCE_SECONDS", 0.0)
    with (
        file_lock(older.database.with_name("refusal.db.migrate")),
        pytest.raises(WorkspaceError, match="is migrating the workspace"),
    ):
        older.open()


def test_an_older_workspace_in_use_is_not_damaged_by_a_migration(older: Workspace) -> None:
    """A program of the older version goes on reading and writing the tables that it knows."""
    with closing(sqlite3.connect(older.database)) as old_program:
        older.open().close()
        old_program.execute("INSERT INTO selection(name, expression, created) VALUES ('mine', 'has:label', 0)")
        old_program.commit()
    with closing(older.open()) as connection:
        assert connection.execute("SELECT count(*) FROM selection").fetchone()[0] == 1


def test_a_workspace_locked_by_a_writer_is_a_conflict_not_a_crash(
    older: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refusal_tui.store.connect.BUSY_TIMEOUT_MS", 0)
    with closing(sqlite3.connect(older.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictError, match="locked"):
            older.open()
