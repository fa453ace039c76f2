"""How is the database opened, written and checkpointed?

WAL with `synchronous=FULL`: a committed row survives a power cut. SQLite 3.7.0 to 3.51.2 can corrupt a WAL database
when a checkpoint races with a writer of another connection (the "WAL-reset" bug), so nobody autocheckpoints:
`checkpoint` holds a file lock and SQLite's own writer lock while it runs. On a network file system WAL does not work
at all and a rollback journal is used instead.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refusal_tui.errors import ConflictError, RefusalTuiError, StorageError

BUSY_TIMEOUT_MS = 30_000
CHECKPOINT_BYTES = 16 * 1024 * 1024
NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs3", "nfs4", "cifs", "smbfs", "smb2", "smb3", "fuse.sshfs", "9p", "afs", "ceph", "fuse.ceph", "lustre",
     "gpfs", "beegfs", "glusterfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.juicefs", "fuse.rclone",
     "fuse.blobfuse2", "wekafs", "vboxsf"]
)  # fmt: skip
MOUNTINFO = Path("/proc/self/mountinfo")

_BUSY = frozenset([sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])
_NO_ROOM = frozenset([sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR])
_NO_ACCESS = frozenset([sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM])
_DAMAGED = frozenset([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL])


def file_system_of(path: Path, mountinfo: Path = MOUNTINFO) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4", …), "" where the system does not tell."""
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = str(path.resolve())
    for line in lines:
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last mount on a point hides the earlier ones
            best, kind = point, right.split()[0]
    return kind


def on_network_file_system(path: Path, mountinfo: Path = MOUNTINFO) -> bool:
    return file_system_of(path, mountinfo) in NETWORK_FILE_SYSTEMS


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; write through `transaction`.

    Raises StorageError when the file cannot be opened or is not a database.
    """
    mode = "ro" if read_only else "rw"
    connection = None
    try:
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA mmap_size=0")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        # temp_store stays FILE: sorting a million rows takes half the time and 55 MB less than in memory (measured).
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise storage_error(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def set_journal_mode(connection: sqlite3.Connection, path: Path) -> str:
    """Choose the journal for the file system that the workspace lies on; returns the mode in force.

    Raises ConflictError while another process has the database open, StorageError when it cannot be written.
    """
    wanted = "delete" if on_network_file_system(path) else "wal"
    try:
        return str(connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0])
    except sqlite3.Error as error:
        raise storage_error(error, path) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One durable write. IMMEDIATE: a deferred read-then-write can fail with SQLITE_BUSY without waiting.

    Raises ConflictError (locked for longer than the timeout) or StorageError (disk full, damaged), both after a
    rollback, so that the caller may try again. A transaction inside another one is refused and leaves the outer alone.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _translated(error) from error
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:  # some errors (SQLITE_FULL) have rolled back already
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and _translated(error) is not error:
            raise _translated(error) from error
        raise


def _translated(error: sqlite3.Error) -> Exception:
    """The user's error for trouble with the file; the error itself where the statement is wrong (our defect)."""
    known = _code(error) in _BUSY | _NO_ROOM | _NO_ACCESS | _DAMAGED
    return storage_error(error) if known else error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: extended codes say the same in more detail


def storage_error(error: sqlite3.Error, path: Path | None = None) -> RefusalTuiError:
    """The user's sentence for an error of SQLite."""
    code = _code(error)
    name = f" {path}" if path else ""
    if code in _BUSY:
        return ConflictError(
            f"The workspace database{name} is locked by another process.",
            "Wait for it to finish, or see who holds it with: refusal-tui doctor",
        )
    if code in _NO_ROOM:
        return StorageError(
            f"The disk is full or failing, nothing more can be written ({error}).",
            "Free some space, then resume the job: nothing that was committed is lost.",
        )
    if code in _NO_ACCESS:
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
        patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute("PRAGMA busy_timeout=100")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError:
            return False
        finally:
            connection.execute(f"PRAGMA busy_timeout={patience}")
        return not busy


@contextmanager
def file_lock(path: Path, *, patience: float = 0.0) -> Iterator[bool]:
    """An exclusive lock that the kernel drops with the process; yields False when somebody else holds it, also after
    `patience` seconds. Raises StorageError where the file system has no locks or the file may not be opened.
    """
    deadline = time.monotonic() + patience
    try:
        descriptor = _open_lock(path)
    except OSError as error:
        raise StorageError(
            f"The lock file {path} cannot be opened ({error.strerror}).",
            "Check the owner and the permissions of the workspace folder.",
        ) from error
    try:
        while not (held := _try_lock(descriptor, path)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield held
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageError(
            f"The file system of {path.parent} has no file locks ({error.strerror}).",
            "Put the workspace on a local disk.",
        ) from error
    return True


def _open_lock(path: Path) -> int:
    shared = path.parent.stat().st_mode & 0o020  # a group workspace: other annotators take this lock, too
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660 if shared else 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if shared:
        os.fchmod(descriptor, 0o660)  # whatever the umask
    return descriptor


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
