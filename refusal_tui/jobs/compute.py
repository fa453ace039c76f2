"""What does a ComputeJob get to work with? Progress, checkpoints, metrics, artifacts, and the wish to stop.

A ComputeJob has one method, `run(context) -> str | None` (a closing note). Its steps are its own; what it wants to
survive kill -9 it checkpoints, or commits together with its rows in `context.commit()`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.store.artifacts import Artifact, add_artifact
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import Job, Wish, beat, set_progress
from refusal_tui.store.workspace import Workspace

_REPORT_SECONDS = 0.25


class Stopped(Exception):
    """The job is asked to stop, or stops by itself with a `note` that says why; everything up to the last commit or
    checkpoint is kept."""

    def __init__(self, reason: StopReason, note: str = "") -> None:
        super().__init__(note or reason.value)
        self.reason = reason
        self.note = note


class ComputeJob(Protocol):
    def run(self, context: ComputeContext) -> str | None: ...


class ComputeContext:
    """The worker's side of a ComputeJob."""

    def __init__(self, workspace: Workspace, connection: sqlite3.Connection, job: Job, stop: StopFlag) -> None:
        self.workspace = workspace
        self.connection = connection
        self.job = job
        self._stop = stop
        self._reported = 0.0

    def check(self) -> None:
        """Raises Stopped when the job is asked to stop: call it between steps."""
        if self._stop:
            assert self._stop.reason is not None
            raise Stopped(self._stop.reason)

    def report(self, done: int, total: int | None = None, step: str = "", *, now: bool = False) -> None:
        """Say how far the work is (kept to four times a second), and stop here when asked to."""
        self.check()
        if now or time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._reported = time.monotonic()
            with self.commit() as connection:
                set_progress(connection, self.job, done=done, total=total, step=step)

    @contextmanager
    def commit(self) -> Iterator[sqlite3.Connection]:
        """A transaction that only the job's current worker can make. Raises FencedError when taken over."""
        with transaction(self.connection) as connection:
            wish = beat(connection, self.job)
            yield connection
        if wish is not None:
            self._stop.set(StopReason.PAUSE if wish is Wish.PAUSE else StopReason.CANCEL)

    def item_ids(self) -> Iterator[int]:
        """The frozen rows of the job, in order."""
        position = 0
        while (
            True
        ):  # in pages: a statement left open would keep this connection from writing and the WAL from shrinking
            page = self.connection.execute(
                "SELECT item_id FROM job_item WHERE job_id = ? AND position >= ? ORDER BY position LIMIT 10000",
                (self.job.id, position),
            ).fetchall()
            if not page:
                return
            position += len(page)
            yield from (row[0] for row in page)

    def event(self, level: str, code: str, text: str) -> None:
        with self.commit() as connection:
            add_event(connection, self.job.id, level, code, text)

    def metric(self, name: str, step: int, value: float) -> None:
        with self.commit() as connection:
            connection.execute("INSERT INTO metric VALUES (?,?,?,?,?)", (self.job.id, name, step, value, time.time()))

    def artifact(self, path: Path, kind: str, made_from: Mapping[str, object] | None = None) -> Artifact:
        """Record a finished file with its sha256."""
        return add_artifact(
            self.connection, self.workspace.root, path, kind=kind, job_id=self.job.id, made_from=made_from
        )

    @property
    def folder(self) -> Path:
        """The job's own folder under `artifacts/`, made on first use."""
        folder = self.workspace.job_folder(self.job.id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the job's checkpoint atomically: the old one or the new one is there, never half of one."""
        write_atomically(self.folder / "checkpoint.json", json.dumps(state).encode())

    def load_checkpoint(self) -> dict[str, Any] | None:
        try:
            return json.loads((self.folder / "checkpoint.json").read_bytes())  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write through a temporary file, fsync and rename, so that a crash leaves the old content or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
