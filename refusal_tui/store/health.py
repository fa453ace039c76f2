"""Is the workspace sound? Checks that change nothing, each with what to do when it fails."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.artifacts import list_artifacts, sha256_of
from refusal_tui.store.connect import file_system_of, on_network_file_system, storage_error
from refusal_tui.store.jobs import WorkerRecord, get_worker, list_running
from refusal_tui.store.schema import version_of
from refusal_tui.store.workspace import Workspace

LOW_SPACE_BYTES = 1024**3
LARGE_WAL_BYTES = 256 * 1024**2
CHECKPOINT_NAME = "checkpoint.json"  # of a ComputeJob: belongs to its job without being a result
_WAL_RESET_BUG = ((3, 7, 0), (3, 51, 2))  # affected versions, both included
_SALVAGE = "Copy the workspace away, then recover it with: sqlite3 refusal.db .recover"
_DEFECT = "This is a defect of ours, please report it; what judges and humans said is unharmed."
_INDEXES = (("prompt_fts", "prompt"), ("response_fts", "item_body"))


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
    """All checks of a workspace, ten seconds for a million rows; a damaged one gives findings, never an exception.

    `deep` also reads every artifact and compares the search index with every text. Writers wait for that comparison,
    which takes another ten seconds for a million rows.
    """
    try:
        connection = workspace.open(read_only=not deep)  # SQLite wants a writer for the comparison
    except RefusalTuiError as error:
        reachable = os.access(workspace.database, os.F_OK)
        return [
            Finding(Level.ERROR, "database", str(error), error.next_step),
            *(_place(workspace) if reachable else ()),
        ]
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("integrity", lambda: _integrity(connection)),
        ("references", lambda: _references(connection)),
        ("search", lambda: _search_index(connection, deep)),
        ("labels", lambda: _labels(connection)),
        ("outcomes", lambda: _counts(connection)),
        ("workers", lambda: _workers(connection, is_alive)),
        ("artifacts", lambda: _artifacts(connection, workspace, deep)),
    ]
    findings: list[Finding] = []
    with closing(connection):
        for name, check in checks:
            try:
                findings += check()
            except sqlite3.Error as error:
                told = storage_error(error)
                findings.append(Finding(Level.ERROR, name, f"cannot be checked: {told}", _SALVAGE))
    return [*findings, *_place(workspace)]


# --- the database --------------------------------------------------------------------------------------------------


def _integrity(connection: sqlite3.Connection) -> Iterator[Finding]:
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    if problems:
        yield Finding(Level.ERROR, "integrity", "; ".join(problems), _SALVAGE)
    else:
        yield Finding(Level.OK, "integrity", f"the database is sound (schema {version_of(connection)})")


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        yield Finding(Level.ERROR, "references", f"{len(broken)} rows refer to nothing ({tables})", _DEFECT)
    else:
        yield Finding(Level.OK, "references", "every reference holds")


def _search_index(connection: sqlite3.Connection, deep: bool) -> Iterator[Finding]:
    """An index that lacks rows would hide them from a search, silently."""
    if not deep:
        yield Finding(Level.OK, "search", "the word index is not compared with the texts", "refusal-tui doctor --deep")
        return
    differing = [(index, table) for index, table in _INDEXES if not _agrees(connection, index)]
    for index, table in differing:
        step = f"Rebuild it: sqlite3 refusal.db \"INSERT INTO {index}({index}) VALUES('rebuild')\""
        yield Finding(Level.ERROR, "search", f"the word index {index} differs from {table}", step)
    if not differing:
        yield Finding(Level.OK, "search", "the word index covers every text")


def _agrees(connection: sqlite3.Connection, index: str) -> bool:
    """FTS5's own comparison with the content table (the 1), which raises where they differ."""
    try:
        connection.execute(f"INSERT INTO {index}({index}, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
            return False
        raise
    return True


# --- what it says --------------------------------------------------------------------------------------------------


def _labels(connection: sqlite3.Connection) -> Iterator[Finding]:
    lost = _count(
        connection, "SELECT count(*) FROM label WHERE NOT EXISTS (SELECT 1 FROM verdict WHERE id = verdict_id)"
    )
    stale = _count(
        connection,
        """SELECT count(*) FROM label JOIN verdict AS v ON v.id = label.verdict_id WHERE EXISTS
             (SELECT 1 FROM verdict AS later WHERE later.item_id = v.item_id AND later.annotator = v.annotator
                AND later.question_set = v.question_set AND later.profile = v.profile AND later.id > v.id)""",
    )
    if lost:
        yield Finding(Level.ERROR, "labels", f"{lost} labels have lost their verdict", _DEFECT)
    if stale:
        yield Finding(Level.ERROR, "labels", f"{stale} labels come from a verdict that was superseded", _DEFECT)
    if not (lost or stale):
        yield Finding(Level.OK, "labels", "every label comes from its annotator's latest verdict")


def _counts(connection: sqlite3.Connection) -> Iterator[Finding]:
    wrong = connection.execute(
        """SELECT job.id FROM job LEFT JOIN
             (SELECT job_id, sum(state = 'ok') AS ok, sum(state = 'failed') AS failed,
                     sum(state = 'unparsable') AS unparsable FROM outcome GROUP BY job_id) AS counted
             ON counted.job_id = job.id
           WHERE n_ok <> coalesce(ok, 0) OR n_failed <> coalesce(failed, 0) OR n_unparsable <> coalesce(unparsable, 0)
           ORDER BY job.id"""
    ).fetchall()
    if wrong:
        numbers = ", ".join(str(row[0]) for row in wrong)
        yield Finding(Level.ERROR, "outcomes", f"the counts of job {numbers} differ from its outcomes", _DEFECT)
    else:
        yield Finding(Level.OK, "outcomes", "the counts of every job equal its outcomes")


def _workers(connection: sqlite3.Connection, is_alive: Callable[[WorkerRecord], bool]) -> Iterator[Finding]:
    dead = []
    for job in list_running(connection):
        worker = get_worker(connection, job.id)
        if worker is None or not is_alive(worker):
            dead.append(str(job.id))
    waiting = _count(connection, "SELECT count(*) FROM job WHERE state = 'interrupted'")
    step = "Go on with: refusal-tui jobs resume --all"
    if dead:
        yield Finding(Level.WARN, "workers", f"the worker of job {', '.join(dead)} is dead", step)
    if waiting:
        yield Finding(Level.WARN, "workers", f"{waiting} interrupted job{'s' if waiting > 1 else ''}", step)
    if not (dead or waiting):
        yield Finding(Level.OK, "workers", "no dead workers")


def _count(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


# --- files ---------------------------------------------------------------------------------------------------------


def _artifacts(connection: sqlite3.Connection, workspace: Workspace, deep: bool) -> Iterator[Finding]:
    missing, changed = [], []
    recorded = list_artifacts(connection)
    for artifact in recorded:
        path = workspace.root / artifact.path
        if not path.is_file():
            missing.append(artifact.path)
        elif path.stat().st_size != artifact.bytes or (deep and sha256_of(path) != artifact.sha256):
            changed.append(artifact.path)
    orphans = _orphans(connection, workspace, {workspace.root / artifact.path for artifact in recorded})
    for found, what, step in (
        (missing, "recorded and gone", "Run the job again that wrote them, if you need them."),
        (changed, "changed since they were written", "Do not trust them as what the job wrote."),
        (orphans, "not recorded by any job", "Remove them when you do not need them."),
    ):
        if found:
            yield Finding(Level.WARN, "artifacts", f"{_such_as(found)}: {what}", step)
    if not (missing or changed or orphans):
        yield Finding(Level.OK, "artifacts", f"{len(recorded)} recorded files are there, and no others")


def _orphans(connection: sqlite3.Connection, workspace: Workspace, recorded: set[Path]) -> list[str]:
    """Files in the jobs' folders that nobody recorded; a job that has not come to its end may still do so."""
    rows = connection.execute("SELECT id FROM job WHERE state NOT IN ('done', 'failed', 'cancelled')")
    unfinished = {f"job-{row[0]}" for row in rows}
    return sorted(
        str(path.relative_to(workspace.root))
        for folder in workspace.artifacts.glob("job-*")
        if folder.name not in unfinished
        for path in folder.rglob("*")
        if path.is_file() and path not in recorded and path.name != CHECKPOINT_NAME
    )


def _such_as(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files, such as {names[0]}"


def _place(workspace: Workspace) -> Iterator[Finding]:
    yield _sqlite()
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
    wal = workspace.database.with_name(workspace.database.name + "-wal")
    if wal.exists() and wal.stat().st_size > LARGE_WAL_BYTES:
        text = f"the write-ahead log holds {wal.stat().st_size // 1024**2} MiB"
        yield Finding(Level.WARN, "log", text, "Close other programs that keep the database open.")
    yield _permissions(workspace)


def _sqlite() -> Finding:
    low, high = _WAL_RESET_BUG
    text = f"SQLite {sqlite3.sqlite_version}"
    if low <= sqlite3.sqlite_version_info <= high:
        text += " is in the range of the WAL-reset bug; checkpoints are serialised here, which avoids it"
    return Finding(Level.OK, "sqlite", text)


def _permissions(workspace: Workspace) -> Finding:
    mode = workspace.database.stat().st_mode & 0o777
    group = mode & 0o070
    private = [workspace.artifacts, workspace.logs]
    private += [p for p in workspace.root.iterdir() if p.name.startswith(workspace.database.stem) and p.is_file()]
    open_to_all = sorted(str(p.relative_to(workspace.root)) for p in private if p.exists() and _mode(p) & 0o007)
    if open_to_all:
        step = f"Run: cd {workspace.root} && chmod o-rwx {' '.join(open_to_all)}"
        return Finding(Level.WARN, "permissions", f"everybody on this machine may use {', '.join(open_to_all)}", step)
    if _mode(workspace.root) & (0o002 if group else 0o022):
        step = f"Run: chmod {'o-w' if group else 'go-w'} {workspace.root}"
        return Finding(Level.WARN, "permissions", "others may replace the database: its folder is open to them", step)
    if not os.access(workspace.database, os.W_OK):
        step = "Ask its owner to share it with: refusal-tui init --group NAME"
        return Finding(Level.WARN, "permissions", "this user may read the database and not write to it", step)
    return Finding(Level.OK, "permissions", f"{mode:o}" + (", shared with its group" if group else ""))


def _mode(path: Path) -> int:
    return path.stat().st_mode
