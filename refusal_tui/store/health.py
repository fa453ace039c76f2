"""Is the workspace sound? Checks that read only, each with what to do when it fails."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.artifacts import list_artifacts, sha256_of
from refusal_tui.store.connect import file_system_of, on_network_file_system
from refusal_tui.store.jobs import WorkerRecord, get_worker, list_running
from refusal_tui.store.schema import version_of
from refusal_tui.store.workspace import Workspace

LOW_SPACE_BYTES = 1024**3
LARGE_WAL_BYTES = 256 * 1024**2
_WAL_RESET_BUG = ((3, 7, 0), (3, 51, 2))  # affected versions, both included


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `next_step` is empty where there is nothing to do."""

    level: Level
    check: str
    text: str
    next_step: str = ""


def check_workspace(
    workspace: Workspace, *, is_alive: Callable[[WorkerRecord], bool], deep: bool = False
) -> list[Finding]:
    """All checks of a workspace. `deep` also reads every artifact and the whole search index."""
    try:
        connection = workspace.open(read_only=True)
    except RefusalTuiError as error:
        return [Finding(Level.ERROR, "database", str(error), error.next_step)]
    with closing(connection):
        return [
            *_database(connection, deep),
            *_consistency(connection),
            *_jobs(connection, is_alive),
            *_artifacts(connection, workspace, deep),
            *_place(workspace),
        ]


def _database(connection: sqlite3.Connection, deep: bool) -> Iterator[Finding]:
    problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    if problems:
        yield Finding(
            Level.ERROR,
            "integrity",
            "; ".join(problems),
            "Copy the workspace away, then recover it with: sqlite3 refusal.db .recover",
        )
    else:
        yield Finding(Level.OK, "integrity", f"the database is sound (schema {version_of(connection)})")
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        yield Finding(
            Level.ERROR, "references", f"{len(broken)} rows refer to nothing ({tables})", "Report this to us."
        )
    else:
        yield Finding(Level.OK, "references", "every reference holds")
    low, high = _WAL_RESET_BUG
    version = sqlite3.sqlite_version_info
    affected = low <= version <= high
    text = f"SQLite {sqlite3.sqlite_version}"
    text += (
        " is in the range of the WAL-reset bug; checkpoints are serialised here, which avoids it" if affected else ""
    )
    yield Finding(Level.OK, "sqlite", text)
    if deep:
        yield from _search_index(connection)


def _search_index(connection: sqlite3.Connection) -> Iterator[Finding]:
    """A word index that lacks rows would hide them from a search, silently."""
    for table, source, where in (
        ("prompt_fts", "prompt", "1"),
        ("response_fts", "item_body", "response IS NOT NULL"),
    ):
        indexed = connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0]
        newest = connection.execute(f"SELECT max(rowid) FROM {source} WHERE {where}").fetchone()[0]
        if indexed != newest:
            step = f"Rebuild it: sqlite3 refusal.db \"INSERT INTO {table}({table}) VALUES('rebuild')\""
            yield Finding(Level.ERROR, "search", f"{table} ends at {indexed}, {source} at {newest}", step)
            return
    yield Finding(Level.OK, "search", "the word index covers every text")


def _consistency(connection: sqlite3.Connection) -> Iterator[Finding]:
    lost = connection.execute("SELECT count(*) FROM label WHERE verdict_id NOT IN (SELECT id FROM verdict)").fetchone()[
        0
    ]
    if lost:
        yield Finding(Level.ERROR, "labels", f"{lost} labels have lost their verdict", "Report this to us.")
    else:
        yield Finding(Level.OK, "labels", "every label has its verdict")
    wrong = connection.execute(
        """SELECT id FROM job WHERE EXISTS (SELECT 1 FROM job_item WHERE job_id = job.id)
             AND n_ok + n_failed + n_unparsable <> (SELECT count(*) FROM outcome WHERE job_id = job.id)"""
    ).fetchall()
    if wrong:
        numbers = ", ".join(str(row[0]) for row in wrong)
        yield Finding(Level.ERROR, "outcomes", f"the counts of job {numbers} differ from its outcomes", "Report this.")


def _jobs(connection: sqlite3.Connection, is_alive: Callable[[WorkerRecord], bool]) -> Iterator[Finding]:
    dead = []
    for job in list_running(connection):
        worker = get_worker(connection, job.id)
        if worker is None or not is_alive(worker):
            dead.append(str(job.id))
    waiting = connection.execute("SELECT count(*) FROM job WHERE state = 'interrupted'").fetchone()[0]
    if dead:
        step = "Go on with: refusal-tui jobs resume --all"
        yield Finding(Level.WARN, "workers", f"the worker of job {', '.join(dead)} is dead", step)
    elif waiting:
        step = "Go on with: refusal-tui jobs resume --all"
        yield Finding(Level.WARN, "workers", f"{waiting} jobs were interrupted", step)
    else:
        yield Finding(Level.OK, "workers", "no dead workers")


def _artifacts(connection: sqlite3.Connection, workspace: Workspace, deep: bool) -> Iterator[Finding]:
    missing, changed = [], []
    for artifact in list_artifacts(connection):
        path = workspace.root / artifact.path
        if not path.is_file():
            missing.append(artifact.path)
        elif path.stat().st_size != artifact.bytes or (deep and sha256_of(path) != artifact.sha256):
            changed.append(artifact.path)
    if missing:
        text = f"{len(missing)} recorded files are gone, such as {missing[0]}"
        yield Finding(Level.WARN, "artifacts", text, "Run the job again that wrote them, if you need them.")
    if changed:
        text = f"{len(changed)} recorded files have changed, such as {changed[0]}"
        yield Finding(Level.WARN, "artifacts", text, "Do not trust them as what the job wrote.")
    orphans = _orphans(connection, workspace)
    if orphans:
        text = f"{len(orphans)} folders under artifacts belong to no job, such as {orphans[0]}"
        yield Finding(Level.WARN, "artifacts", text, "Remove them when you do not need them.")
    if not (missing or changed or orphans):
        yield Finding(Level.OK, "artifacts", "all recorded files are there")


def _orphans(connection: sqlite3.Connection, workspace: Workspace) -> list[str]:
    known = {f"job-{row[0]}" for row in connection.execute("SELECT id FROM job")}
    return sorted(p.name for p in workspace.artifacts.glob("job-*") if p.is_dir() and p.name not in known)


def _place(workspace: Workspace) -> Iterator[Finding]:
    kind = file_system_of(workspace.root) or "unknown"
    if on_network_file_system(workspace.root):
        yield Finding(Level.WARN, "file system", workspace.warnings()[0], "Move the workspace to a local disk.")
    else:
        yield Finding(Level.OK, "file system", f"{kind}, local")
    free = shutil.disk_usage(workspace.root).free
    gigabytes = f"{free / 1024**3:.1f} GiB free"
    if free < LOW_SPACE_BYTES:
        yield Finding(Level.WARN, "disk", gigabytes, "Free some space: jobs pause when the disk is full.")
    else:
        yield Finding(Level.OK, "disk", gigabytes)
    mode = workspace.database.stat().st_mode & 0o777
    if mode & 0o007:
        step = f"Run: refusal-tui init {workspace.root}"
        yield Finding(Level.WARN, "permissions", f"everybody on this machine may read the database ({mode:o})", step)
    else:
        shared = ", shared with its group" if mode & 0o070 else ""
        yield Finding(Level.OK, "permissions", f"{mode:o}{shared}")
    wal = workspace.database.with_name(workspace.database.name + "-wal")
    if wal.exists() and wal.stat().st_size > LARGE_WAL_BYTES:
        text = f"the write-ahead log holds {wal.stat().st_size // 1024**2} MiB"
        yield Finding(Level.WARN, "log", text, "Close other programs that keep the database open.")
