"""How is the database opened, written and checkpointed?"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ConflictError, StorageError
from refusal_tui.store import connect as connect_module
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import (
    CHECKPOINT_BYTES,
    checkpoint,
    connect,
    file_lock,
    file_system_of,
    on_network_file_system,
    transaction,
)
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 21 0:40 / /home rw shared:9 - autofs systemd-1 rw
31 30 0:41 / /home rw shared:10 - nfs4 filer:/home rw,vers=4.2
32 21 0:42 / /mnt/my\040disk rw - fuse.sshfs far:/ rw
33 21 0:43 / /home/anna/scratch rw - xfs /dev/sdb1 rw
""".strip()


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def wal(workspace: Workspace) -> Path:
    return workspace.database.with_name("refusal.db-wal")


def fill(connection: sqlite3.Connection, megabytes: int) -> None:
    """Rows of so many megabytes, each in a transaction of its own."""
    for number in range(megabytes):
        add(connection, NewRow(f"row {number}", "x" * 1_000_000))


# --- opening -------------------------------------------------------------------------------------------------------


def test_a_commit_survives_a_power_cut(connection: sqlite3.Connection) -> None:
    assert (pragma(connection, "journal_mode"), pragma(connection, "synchronous")) == ("wal", 2)


def test_foreign_keys_are_enforced(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.execute("INSERT INTO item_body(item_id, response) VALUES (99, 'of no item')")


def test_a_path_of_url_characters_is_a_path(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "100 % sure? #1")
    with closing(made.open()) as connection:
        assert count_items(connection) == 0
    assert made.database.exists()


def test_a_file_that_is_no_database_is_a_storage_error(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"blorptanium " * 1000)
    with pytest.raises(StorageError, match=r"cannot be used .* not a database"):
        workspace.open()


def test_a_missing_file_is_never_made_by_connecting(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        connect(tmp_path / "nothing.db")
    assert not (tmp_path / "nothing.db").exists()


def test_a_read_only_connection_writes_nothing(workspace: Workspace) -> None:
    with closing(workspace.open(read_only=True)) as reader:
        with pytest.raises(StorageError, match="readonly"), transaction(reader):
            reader.execute("INSERT INTO event(level, code, text, created) VALUES ('info', 'x', 'x', 0)")
        assert count_items(reader) == 0


# --- transactions --------------------------------------------------------------------------------------------------


def test_an_error_inside_a_transaction_takes_everything_back(connection: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError), transaction(connection):
        connection.execute("INSERT INTO selection(name, expression, created) VALUES ('a', '', 0)")
        raise ZeroDivisionError
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM selection").fetchone()[0] == 0


def test_a_transaction_inside_another_is_refused_and_leaves_the_outer_one_alone(
    connection: sqlite3.Connection,
) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO selection(name, expression, created) VALUES ('a', '', 0)")
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"), transaction(connection):
            pass
    assert connection.execute("SELECT count(*) FROM selection").fetchone()[0] == 1


def test_a_locked_database_is_a_conflict_and_writes_nothing(workspace: Workspace) -> None:
    with closing(workspace.open()) as one, closing(workspace.open()) as other:
        other.execute("PRAGMA busy_timeout=0")
        with transaction(one), pytest.raises(ConflictError, match="locked by another process"), transaction(other):
            pass
        with transaction(other):  # and it works again when the lock is gone
            pass


def test_a_full_disk_is_a_storage_error_and_nothing_is_half_written(connection: sqlite3.Connection) -> None:
    add(connection, NewRow("before", "it was full"))
    connection.execute(f"PRAGMA max_page_count={pragma(connection, 'page_count') + 20}")
    with pytest.raises(StorageError, match="disk is full"):
        add(connection, *(NewRow(f"row {n}", "x" * 10_000) for n in range(50)))
    counts = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("item", "item_body", "prompt")]
    assert counts == [1, 1, 1]
    assert pragma(connection, "integrity_check") == "ok"


def test_after_a_full_disk_the_same_rows_go_in(connection: sqlite3.Connection) -> None:
    rows = [NewRow(f"row {n}", "x" * 10_000) for n in range(50)]
    connection.execute(f"PRAGMA max_page_count={pragma(connection, 'page_count') + 20}")
    with pytest.raises(StorageError):
        add(connection, *rows)
    connection.execute("PRAGMA max_page_count=1000000")
    assert len(add(connection, *rows)) == 50


def test_a_damaged_page_is_a_storage_error(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'item'").fetchone()[0]
        checkpoint(connection, workspace.database, force=True)
    content = bytearray(workspace.database.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    workspace.database.write_bytes(content)
    with closing(workspace.open()) as connection, pytest.raises(StorageError, match=r"cannot be used .*malformed"):
        add(connection, NewRow())


def test_a_wrong_statement_is_our_defect_and_not_called_a_storage_problem(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), transaction(connection):
        connection.execute("SELECT * FROM blorp")


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_nobody_checkpoints_by_itself(workspace: Workspace, connection: sqlite3.Connection) -> None:
    before = workspace.database.stat().st_size
    fill(connection, 6)  # SQLite's own limit is 1000 pages of 4 kB
    assert wal(workspace).stat().st_size > 6_000_000
    assert workspace.database.stat().st_size == before


def test_a_small_wal_is_left_alone_unless_asked(workspace: Workspace, connection: sqlite3.Connection) -> None:
    add(connection, NewRow())
    assert not checkpoint(connection, workspace.database)
    assert checkpoint(connection, workspace.database, force=True)
    assert wal(workspace).stat().st_size == 0


def test_a_grown_wal_is_moved_into_the_database(workspace: Workspace, connection: sqlite3.Connection) -> None:
    fill(connection, CHECKPOINT_BYTES // 1_000_000 + 2)
    assert checkpoint(connection, workspace.database)
    assert wal(workspace).stat().st_size == 0


def test_a_checkpoint_is_skipped_while_another_process_makes_one(
    workspace: Workspace, connection: sqlite3.Connection
) -> None:
    add(connection, NewRow())
    with file_lock(workspace.database.with_name("refusal.db.ckpt")) as held:
        assert held
        assert not checkpoint(connection, workspace.database, force=True)
    assert checkpoint(connection, workspace.database, force=True)


def test_a_checkpoint_gives_way_to_a_reader_and_keeps_the_patience_of_its_connection(
    workspace: Workspace, connection: sqlite3.Connection
) -> None:
    add(connection, NewRow("one"), NewRow("two"))
    connection.execute("PRAGMA busy_timeout=1234")
    with closing(workspace.open()) as reader:
        rows = reader.execute("SELECT id FROM item")
        rows.fetchone()
        add(connection, NewRow("three"))
        assert not checkpoint(connection, workspace.database, force=True)
        rows.close()
    assert pragma(connection, "busy_timeout") == 1234
    assert checkpoint(connection, workspace.database, force=True)


def test_a_checkpoint_gives_way_to_a_writer(workspace: Workspace, connection: sqlite3.Connection) -> None:
    add(connection, NewRow())
    with closing(workspace.open()) as writer, transaction(writer):
        assert not checkpoint(connection, workspace.database, force=True)


# --- locks ---------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock") as first, file_lock(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with file_lock(tmp_path / "lock") as third:
        assert third


def test_a_patient_one_gets_the_lock_when_it_is_let_go(tmp_path: Path) -> None:
    got: list[bool] = []
    with file_lock(tmp_path / "lock"):
        waiting = threading.Thread(target=lambda: _take(tmp_path / "lock", got))
        waiting.start()
    waiting.join()
    assert got == [True]


def _take(path: Path, got: list[bool]) -> None:
    with file_lock(path, patience=60) as held:
        got.append(held)


def test_a_lock_that_cannot_be_opened_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="lock file"), file_lock(tmp_path / "missing" / "lock"):
        pass


def test_a_file_system_without_locks_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(connect_module.fcntl, "flock", no_locks)
    with pytest.raises(StorageError, match="no file locks"), file_lock(tmp_path / "lock"):
        pass


# --- file systems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/anna/w", "nfs4"),  # mounted over the automounter's own mount
        ("/home/anna/scratch/w", "xfs"),
        ("/mnt/my disk/w", "fuse.sshfs"),
        ("/homework", "ext4"),
    ],
)
def test_the_file_system_is_the_one_of_the_deepest_mount(path: str, kind: str, mountinfo: Path) -> None:
    assert file_system_of(Path(path), mountinfo) == kind


def test_nfs_and_sshfs_are_network_file_systems(mountinfo: Path) -> None:
    answers = [on_network_file_system(Path(p), mountinfo) for p in ("/home/anna", "/mnt/my disk", "/var")]
    assert answers == [True, True, False]


def test_where_mounts_are_not_told_the_file_system_is_unknown_and_taken_for_local(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "missing") == ""
    assert not on_network_file_system(tmp_path, tmp_path / "missing")
