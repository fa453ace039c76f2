"""How does a RowJob work through its rows? Feed, process, retry, commit; stop when asked.

A RowJob turns a batch of work (rows, each for one unit) into results in the same order. The engine owns everything
else: what is left to do, concurrency, retries with backoff, the pace, durable commits, and the early stop of a job
whose every row fails. A row that is stopped before its last try has no outcome: the next run does it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.errors import JobError, RefusalTuiError
from refusal_tui.jobs.registry import counted
from refusal_tui.jobs.spill import spill_path, unspill
from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.jobs.writer import BACKLOG_ROWS, GROUP_ROWS, Positions, SideRows, Writer, store_group
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.store.jobs import FencedError, Job, JobState, get_job
from refusal_tui.store.outcomes import (
    ONE_UNIT,
    Finished,
    PendingRow,
    RowResult,
    Unit,
    commit_group,
    pending_rows,
    set_units,
)
from refusal_tui.store.workspace import Workspace

PAGE = 256  # positions looked at in one query; their texts are in memory together
MAX_ATTEMPTS = 5
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 60.0
EARLY_STOP_ROWS = 50

log = logging.getLogger("refusal_tui.rowjob")


class PauseRequested(JobError):
    """Raised by `process`: the job pauses with this sentence as its note; the rows in hand stay to be done."""


class RowJob:
    """What a capability sets and overrides; only `process` has to be.

    `batch_size` pieces of work go to `process` at a time, `concurrency` calls run side by side; `max_rate` is in pieces
    per second. Every item has one outcome per unit of `units`. `max_attempts`: how often a piece with a retryable error
    is asked for; 1 where the work has retries of its own. `side`: what is committed beside the outcomes.
    """

    batch_size: int = 1
    concurrency: int = 1
    max_rate: float | None = None
    max_attempts: int = MAX_ATTEMPTS
    units: Sequence[Unit] = ONE_UNIT
    side: SideRows | None = None

    async def start(self, job: Job) -> None:
        """Before the first row, in the event loop that `process` runs in: the place to open clients."""

    async def process(self, work: Sequence[PendingRow]) -> Sequence[RowResult]:
        """One result per piece, in order. What it raises is an error of the rows, found by asking for one at a time; a
        RefusalTuiError is one of the whole job and ends it, PauseRequested pauses it."""
        raise NotImplementedError

    def reread(
        self, pending: PendingRow, raw: str, before: Mapping[Unit, Mapping[str, Any] | RowError]
    ) -> RowResult | None:  # fmt: skip
        """What a kept answer that could not be read says after all; None: still nothing. `before`: what the stages of
        the row have found. For jobs that read answers (`jobs/reparse.py`); asks nobody."""
        return None

    def stopping(self) -> None:
        """The job was asked to stop: let go of what only waits, `process` may raise PauseRequested."""

    async def close(self) -> None:
        """After the last row, in the same event loop, however the run ended (also when `start` raised)."""

    def finish(self, connection: sqlite3.Connection, job: Job) -> None:
        """When every row has its outcomes: what is to be made of all of them together. It may be called again (after a
        death, or a retry of failed rows) and proves in each of its transactions that the job is its (`store.beat`)."""


@dataclass(slots=True)
class _Tally:
    """What this run has seen so far, for the early stop."""

    ok: int
    errors: Counter[tuple[str, str]]

    def add(self, group: Sequence[Finished]) -> None:
        for finished in group:
            result = finished.result
            if not isinstance(result, RowError):
                self.ok += 1
            elif result.error_class is not ErrorClass.NO_RESPONSE:  # says nothing about the rows to come
                self.errors[result.error_class.value, result.message] += 1


def run_rows(
    workspace: Workspace, connection: sqlite3.Connection, job: Job, work: RowJob, stop: StopFlag
) -> tuple[JobState, str]:
    """Work until the job's goal or a stop; returns the state to record and a note. Raises JobError when every row
    fails, FencedError when another worker took over, StorageError when results cannot be written."""
    job = set_units(connection, _commit_spilled(workspace, connection, job, work.side), len(work.units))
    positions = Positions(job.cursor)
    writer = Writer(workspace, job, positions, stop, work.side)
    tally = _Tally(job.n_ok, Counter())
    fatal: list[str] = []

    def committed(group: list[Finished]) -> None:
        tally.add(group)
        reason = _hopeless(job, tally)
        if reason is not None:
            fatal.append(reason)
            stop.set(StopReason.PAUSE)

    writer.on_commit = committed
    writer.start()
    engine = _Engine(connection, job, work, writer, positions, stop)
    try:
        asyncio.run(engine.run())
    except ExceptionGroup as group:  # of the engine's tasks; the others were cancelled for the first one
        raise group.exceptions[0] from group
    finally:
        writer.close()
    if fatal:
        raise JobError(fatal[0], "Mend the cause, then: refusal-tui jobs retry " + str(job.id))
    if not stop:  # rows that no longer exist are behind us, too
        commit_group(connection, job, [], cursor=job.goal_position)
        now = get_job(connection, job.id)
        if now.total is not None and now.finished_rows >= now.total:
            work.finish(connection, now)
    return _ended(get_job(connection, job.id), stop, engine.pause_note)


def _ended(job: Job, stop: StopFlag, pause_note: str) -> tuple[JobState, str]:
    if stop.reason is StopReason.FENCED:
        raise FencedError(job.id)
    if job.total is not None and job.finished_rows >= job.total:
        bad = job.n_failed + job.n_unparsable
        return JobState.DONE, f"{counted(job, bad)} failed" if bad else ""
    if stop.reason is not None:
        return stop.reason.state, "stopped by SIGTERM" if stop.reason is StopReason.TERMINATE else pause_note
    if job.row_limit is not None:
        return JobState.PAUSED, f"pilot of {job.row_limit} rows done; resume to go on with the rest"
    missing = math.ceil(((job.total or 0) - job.finished_rows) / job.units)
    return JobState.DONE, f"{missing} {'row no longer exists' if missing == 1 else 'rows no longer exist'}"


def _commit_spilled(workspace: Workspace, connection: sqlite3.Connection, job: Job, side: SideRows | None) -> Job:
    """The side file goes when all of it is durable; a kill before that commits it again, which changes nothing."""
    path = spill_path(workspace, job.id)
    spilled = unspill(path)
    for start in range(0, len(spilled.finished), GROUP_ROWS):
        store_group(connection, job, spilled.finished[start : start + GROUP_ROWS], cursor=job.cursor)
    if spilled.side and side is not None:
        commit_group(connection, job, [], cursor=job.cursor, also=lambda within, _: side.restore(within, spilled.side))
    if spilled.finished:
        log.info("committed %d rows that an earlier run had to spill", len(spilled.finished))
    path.unlink(missing_ok=True)
    return get_job(connection, job.id)


def _hopeless(job: Job, tally: _Tally) -> str | None:
    """Why it makes no sense to go on, or None."""
    failed = sum(tally.errors.values())
    if not failed:
        return None
    refused = [message for (error_class, message) in tally.errors if error_class == ErrorClass.AUTH.value]
    if refused:
        return f"The end point refuses the key: {refused[0]}"
    (error_class, message), count = tally.errors.most_common(1)[0]
    enough = min(EARLY_STOP_ROWS, job.goal or EARLY_STOP_ROWS)  # outcomes
    if tally.ok == 0 and failed >= enough:
        return f"Every row failed so far ({counted(job, failed)}; {error_class}, {count} times: {message})"
    return None


class _Engine:
    """The asyncio half: a feeder, `concurrency` consumers, and the pace."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        job: Job,
        work: RowJob,
        writer: Writer,
        positions: Positions,
        stop: StopFlag,
    ) -> None:
        self._connection = connection
        self._job = job
        self._work = work
        self._writer = writer
        self._positions = positions
        self._stop = stop
        ahead = min(2 * work.concurrency, 2 * PAGE)  # a job that parks thousands of rows needs no more read ahead
        self._batches: asyncio.Queue[list[PendingRow] | None] = asyncio.Queue(maxsize=ahead)
        self._next_start = 0.0
        self.pause_note = ""

    async def run(self) -> None:
        watch = asyncio.create_task(self._tell_when_stopping())
        try:
            await self._work.start(self._job)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._feed())
                for _ in range(self._work.concurrency):
                    tasks.create_task(self._consume())
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await self._work.close()

    async def _tell_when_stopping(self) -> None:
        """The flag is raised by other threads and by signals; work that waits for minutes must hear of it."""
        while not self._stop:
            await asyncio.sleep(0.1)
        self._work.stopping()

    async def _feed(self) -> None:
        position = self._job.cursor
        while not self._stop:
            rows, next_position = pending_rows(self._connection, self._job, position, PAGE, self._work.units)
            if next_position == position:
                break
            position = next_position
            self._positions.hand_out([p.position for p in rows], position)
            for start in range(0, len(rows), self._work.batch_size):
                await self._batches.put(rows[start : start + self._work.batch_size])
                if self._stop:
                    break
        for _ in range(self._work.concurrency):
            await self._batches.put(None)

    async def _consume(self) -> None:
        while (batch := await self._batches.get()) is not None:
            await self._wait_for_turn(len(batch))
            if not self._stop:  # when stopping, drain, so that the feeder is never stuck
                await self._process(batch)

    async def _wait_for_turn(self, rows: int) -> None:
        if self._work.max_rate is None:
            return
        start = max(time.monotonic(), self._next_start)
        self._next_start = start + rows / self._work.max_rate
        await self._sleep_until(start)

    async def _sleep_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0 and not self._stop:
            await asyncio.sleep(min(left, 0.1))

    async def _process(self, batch: list[PendingRow]) -> None:
        """Hand results on as they come; retryable errors are tried again, alone, with full-jitter backoff."""
        attempt, left = 1, batch
        while left and not (attempt > 1 and self._stop):
            try:
                results = await self._call(left)
            except PauseRequested as request:
                self._pause(request)
                return
            again: list[PendingRow] = []
            finished: list[Finished] = []
            for pending, result in zip(left, results, strict=True):
                if isinstance(result, RowError) and result.error_class.retryable and attempt < self._work.max_attempts:
                    again.append(pending)
                else:
                    unit = pending.unit
                    finished.append(Finished(pending.position, result, attempt, unit.stage, unit.k))
            await self._hand_on(finished)
            if again:
                pause = random.uniform(0, min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2**attempt))
                await self._sleep_until(time.monotonic() + pause)
            attempt, left = attempt + 1, again

    def _pause(self, request: PauseRequested) -> None:
        if not self._stop:  # otherwise it was stopping that made the work give up
            self.pause_note = f"{request} {request.next_step}".strip()
            log.warning("paused: %s", self.pause_note)
        self._stop.set(StopReason.PAUSE)

    async def _hand_on(self, finished: list[Finished]) -> None:
        if finished:
            self._writer.put(finished)
        # While a full group is being written, Python code here would only make its transaction three times as long.
        while self._writer.backlog >= BACKLOG_ROWS and not self._stop:
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0)  # a judge that never waits still lets the others and the stop through

    async def _call(self, batch: list[PendingRow]) -> Sequence[RowResult]:
        try:
            results = await self._work.process(batch)
            if [r.item_id for r in results] != [p.row.item_id for p in batch]:
                raise RuntimeError(
                    f"{len(results)} results came out, not one for each of the {len(batch)} rows in order"
                )
            return results
        except RefusalTuiError:
            raise
        except Exception as error:
            if len(batch) == 1:
                log.exception("item %d: unexpected error", batch[0].row.item_id)
                text = f"{type(error).__name__}: {error}"
                return [RowError(batch[0].row.item_id, ErrorClass.INTERNAL, text)]
            # One bad row must not take its batch down: find it by asking one at a time.
            return [(await self._call([pending]))[0] for pending in batch]
