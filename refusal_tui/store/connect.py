"""How is the database opened, written and checkpointed?

WAL with `synchronous=FULL`: a committed row survives a power cut. SQLite 3.7.0 to 3.51.2 can corrupt a WAL database
when a checkpoint races with a writer of another connection (the "WAL-reset" bug), so nobody autocheckpoints:
`checkpoint` holds a file lock and SQLite's own writer lock while it runs. On a network file system WAL does not work
at all and a rollback journal is used instead.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refusal_tui.errors import ConflictError, RefusalTuiError, StorageError

BUSY_TIMEOUT_MS = 30_000
CHECKPOINT_BYTES = 16 * 1024 * 1024
NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs3", "nfs4", "cifs", "smbfs", "smb2", "smb3", "fuse.sshfs", "9p", "afs", "ceph", "fuse.ceph", "lustre",
     "gpfs", "beegfs", "glusterfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.juicefs"]
)  # fmt: skip


def file_system_of(path: Path) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4", …), "" where the system does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = str(path.resolve())
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last mount on a point hides the earlier ones
            best, kind = point, right.split()[0]
    return kind


def on_network_file_system(path: Path) -> bool:
    return file_system_of(path) in NETWORK_FILE_SYSTEMS


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; write through `transaction`.

    Raises StorageError when the file cannot be opened or is not a database.
    """
    mode = "ro" if read_only else "rw"
    try:
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA mmap_size=0")
        connection.execute("PRAGMA wal_autocheckpoint=0")
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def set_journal_mode(connection: sqlite3.Connection, path: Path) -> str:
    """Choose the journal for the file system that the workspace lies on; returns the mode in force."""
    wanted = "delete" if on_network_file_system(path) else "wal"
    return str(connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One durable write. IMMEDIATE: a deferred read-then-write can fail with SQLITE_BUSY without waiting.

    Raises ConflictError (locked for longer than the timeout) or StorageError (disk full, damaged), both after a
    rollback, so that the caller may try again.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:  # some errors (SQLITE_FULL) have rolled back already
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError):
            raise storage_error(error) from error
        raise


def storage_error(error: sqlite3.Error, path: Path | None = None) -> RefusalTuiError:
    """The user's sentence for an error of SQLite."""
    text = str(error).lower()
    name = f" {path}" if path else ""
    if "locked" in text or "busy" in text:
        return ConflictError(
            f"The workspace database{name} is locked by another process.",
            "Wait for it to finish, or see who holds it with: refusal-tui doctor",
        )
    if "full" in text or "disk i/o" in text:
        return StorageError(
            f"The disk is full or failing, nothing more can be written ({error}).",
            "Free some space, then resume the job: nothing that was committed is lost.",
        )
    if "readonly" in text or "unable to open" in text:
        return StorageError(
            f"The workspace database{name} cannot be opened for writing ({error}).",
            "Check the owner and the permissions of the workspace folder.",
        )
    return StorageError(f"The workspace database{name} cannot be used ({error}).", "Run: refusal-tui doctor")


def checkpoint(connection: sqlite3.Connection, path: Path, *, force: bool = False) -> bool:
    """Move the WAL into the database when it has grown; one process at a time, skipped when somebody is busy.

    TRUNCATE takes SQLite's writer lock, so that no commit can reset the WAL meanwhile. Returns whether it was done.
    """
    wal = path.with_name(path.name + "-wal")
    try:
        size = wal.stat().st_size
    except FileNotFoundError:
        return False
    if size == 0 or (size < CHECKPOINT_BYTES and not force):
        return False
    with file_lock(path.with_name(path.name + ".ckpt")) as held:
        if not held:
            return False
        connection.execute("PRAGMA busy_timeout=100")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError:
            return False
        finally:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return not busy


@contextmanager
def file_lock(path: Path) -> Iterator[bool]:
    """An exclusive lock that the kernel drops with the process; yields False when somebody else holds it."""
    descriptor = _open_lock(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if path.parent.stat().st_mode & 0o020:  # a group workspace: other annotators take this lock, too
        os.fchmod(descriptor, 0o660)
    return descriptor


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
