"""How does a job move from state to state, and who may move it?

Faces create jobs and state wishes (pause, cancel, resume, retry). Only the worker that holds the current `run` (a
fencing token, raised by every claim) writes results: a worker that comes back from a long stop writes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import chunks, storable
from refusal_tui.store.events import add_event

_FREEZE_CHUNK = 5000  # ids per transaction: a screen is never kept waiting
_FREEZING = "not yet complete: its rows are being recorded"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"  # its worker died
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def active(self) -> bool:
        return self in (JobState.QUEUED, JobState.RUNNING)

    @property
    def resumable(self) -> bool:
        return self in (JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED)


class Wish(StrEnum):
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the job table; counts are rows for a RowJob and steps for a ComputeJob.

    A RowJob with several `units` has so many outcomes per item: `total`, `goal` and the counts are outcomes then,
    `row_limit` and `cursor` stay items. `total` takes the units in when the first run starts.
    """

    id: int
    kind: str
    title: str
    lane: str
    state: JobState
    wish: Wish | None
    spec: str
    spec_version: int
    selection: str
    total: int | None
    row_limit: int | None
    run: int
    n_ok: int
    n_failed: int
    n_unparsable: int
    cursor: int
    done: int
    step: str
    active_seconds: float
    created: float
    started: float | None
    finished: float | None
    note: str
    units: int = 1

    @property
    def n_items(self) -> int | None:
        return None if self.total is None else self.total // self.units

    @property
    def goal_position(self) -> int:
        """The first position that this run leaves alone: after a pilot's items, or after all of them."""
        items = self.n_items or 0
        return items if self.row_limit is None else min(self.row_limit, items)

    @property
    def finished_rows(self) -> int:
        return self.n_ok + self.n_failed + self.n_unparsable

    @property
    def progress(self) -> int:
        return max(self.finished_rows, self.done)

    @property
    def goal(self) -> int | None:
        """How far this run goes: a pilot's outcomes, or everything."""
        return None if self.total is None else self.goal_position * self.units


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    job_id: int
    run: int
    host: str
    boot_id: str
    pid: int
    start_ticks: int
    started: float
    heartbeat: float
    started_monotonic: float
    heartbeat_monotonic: float
    ended: float | None
    exit_code: int | None


class FencedError(ConflictError):
    """Another worker has taken this job over; nothing more may be written for it."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} was taken over by another worker.", "This worker stops; nothing is lost.")


# --- creating and reading ------------------------------------------------------------------------------------------


def create_job(
    connection: sqlite3.Connection,
    *,
    kind: str,
    title: str,
    lane: str,
    spec: str,
    spec_version: int,
    selection: str = "",
    item_ids: Sequence[int] | None = None,
    row_limit: int | None = None,
    units: int = 1,
) -> int:
    """Queue a job and freeze its rows, so that a resumed job works on exactly what was asked. Returns its number.

    A number that occurs twice is one row; each has `units` outcomes. Until all are recorded the job is paused and
    cannot be resumed.
    """
    item_ids = None if item_ids is None else _without_repeats(item_ids)
    title, selection = storable(title), storable(selection)
    with transaction(connection):
        job_id = connection.execute(
            """INSERT INTO job(kind, title, lane, state, spec, spec_version, selection, total, units, row_limit,
                   created, note) VALUES (?,?,?, 'paused', ?,?,?,?,?,?,?,?)""",
            (kind, title, lane, spec, spec_version, selection, None if item_ids is None else units * len(item_ids),
             units, row_limit, time.time(), _FREEZING),
        ).lastrowid  # fmt: skip
    assert job_id is not None
    position = 0
    for chunk in chunks(item_ids or (), _FREEZE_CHUNK):
        with transaction(connection):
            connection.executemany(
                "INSERT INTO job_item(job_id, position, item_id) VALUES (?,?,?)",
                [(job_id, position + offset, item_id) for offset, item_id in enumerate(chunk)],
            )
        position += len(chunk)
    with transaction(connection):
        queued = connection.execute(
            "UPDATE job SET state = 'queued', note = '' WHERE id = ? AND state = 'paused'", (job_id,)
        ).rowcount
        if queued:  # it may have been cancelled meanwhile
            add_event(connection, job_id, "info", "created", f"{title}: queued")
    return job_id


def _without_repeats(item_ids: Sequence[int]) -> Sequence[int]:
    """Most selections come in the order of their ids: seeing that takes no memory, a set of a million does."""
    if all(one < other for one, other in pairwise(item_ids)):
        return item_ids
    return list(dict.fromkeys(item_ids))


def get_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """Raises InputError for a number that no job has."""
    row = connection.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise InputError(f"There is no job {job_id}.", "See them all with: refusal-tui jobs")
    return _job(row)


def list_jobs(connection: sqlite3.Connection, *, limit: int = 200) -> list[Job]:
    """The newest first."""
    return [_job(row) for row in connection.execute("SELECT * FROM job ORDER BY id DESC LIMIT ?", (limit,))]


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    values["state"] = JobState(values["state"])
    values["wish"] = Wish(values["wish"]) if values["wish"] else None
    return Job(**values)


def get_worker(connection: sqlite3.Connection, job_id: int) -> WorkerRecord | None:
    """The latest worker of a job."""
    row = connection.execute("SELECT * FROM worker WHERE job_id = ? ORDER BY run DESC LIMIT 1", (job_id,)).fetchone()
    return WorkerRecord(**dict(row)) if row else None


# --- what faces ask for --------------------------------------------------------------------------------------------


def pause_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """A running job stops after the rows in flight; a queued one is paused at once."""
    return _wish(connection, job_id, Wish.PAUSE, JobState.PAUSED, (JobState.QUEUED,))


def cancel_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """A running job stops after the rows in flight, for good; what it has done stays."""
    idle = (JobState.QUEUED, JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED)
    return _wish(connection, job_id, Wish.CANCEL, JobState.CANCELLED, idle)


def _wish(
    connection: sqlite3.Connection, job_id: int, wish: Wish, idle_state: JobState, idle: tuple[JobState, ...]
) -> Job:
    with transaction(connection):
        job = get_job(connection, job_id)
        if job.state is JobState.RUNNING:
            connection.execute("UPDATE job SET wish = ? WHERE id = ?", (wish.value, job_id))
        elif job.state in idle:
            connection.execute(
                "UPDATE job SET state = ?, wish = NULL, finished = CASE WHEN ? = 'cancelled' THEN ? ELSE finished END "
                "WHERE id = ?",
                (idle_state.value, idle_state.value, time.time(), job_id),
            )
        elif job.state is not idle_state:
            raise ConflictError(
                f"Job {job_id} is {job.state.value}: it cannot be {wish.value}{'d' if wish is Wish.PAUSE else 'led'}.",
                f"Look at it with: refusal-tui jobs show {job_id}",
            )
        add_event(connection, job_id, "info", wish.value, f"{wish.value} asked for")
    return get_job(connection, job_id)


def requeue_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """Queue a paused, interrupted or failed job again; a pilot goes on to the end. Asking twice is harmless.

    Raises ConflictError for a job that is done or cancelled.
    """
    with transaction(connection):
        job = get_job(connection, job_id)
        if job.state is JobState.PAUSED and job.note == _FREEZING:
            raise ConflictError(
                f"Job {job_id} cannot be resumed: its rows are not all recorded.",
                f"Wait a moment. If whoever made it has died: refusal-tui jobs cancel {job_id}, and create it again.",
            )
        if job.state.resumable:
            items = max(job.finished_rows // job.units, job.cursor)
            pilot_done = job.row_limit is not None and items >= job.row_limit
            limit = None if pilot_done else job.row_limit
            connection.execute(
                "UPDATE job SET state = 'queued', wish = NULL, note = '', finished = NULL, row_limit = ? WHERE id = ?",
                (limit, job_id),
            )
            add_event(connection, job_id, "info", "resume", "resumed")
        elif job.state is JobState.RUNNING and job.wish is not None:
            connection.execute("UPDATE job SET wish = NULL WHERE id = ?", (job_id,))
        elif not job.state.active:
            raise ConflictError(
                f"Job {job_id} is {job.state.value}; there is nothing to resume.",
                f"Try failed rows again with: refusal-tui jobs retry {job_id}",
            )
    return get_job(connection, job_id)


def change_spec(connection: sqlite3.Connection, job_id: int, spec: str) -> None:
    """Give a job that is not active other settings for its next run. Raises ConflictError while it is active."""
    with transaction(connection):
        job = get_job(connection, job_id)
        if job.state.active:
            raise ConflictError(
                f"Job {job_id} is {job.state.value}.", f"Pause it first: refusal-tui jobs pause {job_id}"
            )
        connection.execute("UPDATE job SET spec = ? WHERE id = ?", (spec, job_id))
        add_event(connection, job_id, "info", "settings", "settings changed for the next run")


# --- what supervisors and workers do -------------------------------------------------------------------------------


def next_queued(connection: sqlite3.Connection, lane: str, besides: Collection[int] = ()) -> int | None:
    """The oldest queued job of a lane, not counting those in `besides` (their workers are starting)."""
    rows = connection.execute("SELECT id FROM job WHERE lane = ? AND state = 'queued' ORDER BY id", (lane,))
    return next((int(row[0]) for row in rows if row[0] not in besides), None)


def list_running(connection: sqlite3.Connection) -> list[Job]:
    return [_job(row) for row in connection.execute("SELECT * FROM job WHERE state = 'running' ORDER BY id")]


def fail_unclaimed(connection: sqlite3.Connection, job_id: int, note: str) -> None:
    """A job whose worker died before it could claim it: failed, so that its lane goes on."""
    with transaction(connection):
        changed = connection.execute(
            "UPDATE job SET state = 'failed', note = ?, finished = ? WHERE id = ? AND state = 'queued'",
            (note, time.time(), job_id),
        ).rowcount
        if changed:
            add_event(connection, job_id, "error", "failed", note)


def claim_job(
    connection: sqlite3.Connection, job_id: int, *, host: str, boot_id: str, pid: int, start_ticks: int
) -> Job | None:
    """Take a queued job for this process: its new `run` fences every earlier worker. None when it is not queued."""
    now = time.time()
    with transaction(connection):
        claimed = connection.execute(
            """UPDATE job SET state = 'running', run = run + 1, wish = NULL, note = '', started = coalesce(started, ?)
               WHERE id = ? AND state = 'queued'""",
            (now, job_id),
        ).rowcount
        if not claimed:
            return None
        job = get_job(connection, job_id)
        connection.execute(
            """INSERT INTO worker(job_id, run, host, boot_id, pid, start_ticks, started, heartbeat, started_monotonic,
                   heartbeat_monotonic) VALUES (?,?,?,?,?,?,?,?,?,?)""",
            (job_id, job.run, host, boot_id, pid, start_ticks, now, now, time.monotonic(), time.monotonic()),
        )
        add_event(connection, job_id, "info", "started", f"worker {pid} started (run {job.run})")
    return job


def set_step(connection: sqlite3.Connection, job_id: int, step: str) -> None:
    """What a job is at, in words, beside its counts; the caller holds the transaction."""
    connection.execute("UPDATE job SET step = ? WHERE id = ?", (storable(step), job_id))


def beat(connection: sqlite3.Connection, job: Job) -> Wish | None:
    """Prove life and learn what is wished; the caller holds the transaction. Raises FencedError when taken over."""
    row = connection.execute("SELECT run, state, wish FROM job WHERE id = ?", (job.id,)).fetchone()
    if row is None or row["run"] != job.run or row["state"] != JobState.RUNNING:
        raise FencedError(job.id)
    connection.execute(
        "UPDATE worker SET heartbeat = ?, heartbeat_monotonic = ? WHERE job_id = ? AND run = ?",
        (time.time(), time.monotonic(), job.id, job.run),
    )
    return Wish(row["wish"]) if row["wish"] else None


def end_job(
    connection: sqlite3.Connection, job: Job, state: JobState, note: str = "", *, exit_code: int | None = None
) -> bool:
    """Record how a run ended, unless another run has begun; returns whether it was recorded.

    A worker that dies before it could grant a wish leaves the job as wished: cancelled or paused, not interrupted.
    """
    now = time.time()
    note = storable(note)
    with transaction(connection):
        wish = get_job(connection, job.id).wish
        if state is JobState.INTERRUPTED and wish is not None:
            state = JobState.CANCELLED if wish is Wish.CANCEL else JobState.PAUSED
        over = state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
        changed = connection.execute(
            """UPDATE job SET state = ?, note = ?, wish = NULL, finished = ?,
                   active_seconds = active_seconds + coalesce(
                       (SELECT heartbeat_monotonic - started_monotonic FROM worker
                        WHERE worker.job_id = job.id AND worker.run = job.run), 0)
               WHERE id = ? AND run = ? AND state = 'running'""",
            (state.value, note, now if over else None, job.id, job.run),
        ).rowcount
        connection.execute(
            "UPDATE worker SET ended = coalesce(ended, ?), exit_code = coalesce(?, exit_code) "
            "WHERE job_id = ? AND run = ?",
            (now, exit_code, job.id, job.run),
        )
        if changed:
            level = "error" if state in (JobState.FAILED, JobState.INTERRUPTED) else "info"
            add_event(connection, job.id, level, state.value, note or state.value)
    return bool(changed)


def explain_end(connection: sqlite3.Connection, job: Job, note: str, *, exit_code: int) -> None:
    """Say why a worker died, once its supervisor knows: a face may have found it dead without knowing the cause."""
    with transaction(connection):
        changed = connection.execute(
            "UPDATE job SET note = ? WHERE id = ? AND run = ? AND state = 'interrupted'", (note, job.id, job.run)
        ).rowcount
        connection.execute("UPDATE worker SET exit_code = ? WHERE job_id = ? AND run = ?", (exit_code, job.id, job.run))
        if changed:
            add_event(connection, job.id, "error", JobState.INTERRUPTED.value, note)


def set_progress(connection: sqlite3.Connection, job: Job, *, done: int, total: int | None, step: str) -> None:
    """How far a ComputeJob is; the caller holds the transaction."""
    connection.execute(
        "UPDATE job SET done = ?, total = coalesce(?, total), step = ? WHERE id = ?", (done, total, step, job.id)
    )
