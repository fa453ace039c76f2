"""How does a RowJob work through its rows? Feed, process, retry, commit; stop when asked.

A RowJob turns a batch of rows into results in the same order. The engine owns everything else: what is left to do,
concurrency, retries with backoff, the pace, durable commits, and the early stop of a job whose every row fails.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from refusal_tui.errors import JobError
from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.jobs.writer import BACKLOG_ROWS, Positions, Writer, spill_path, unspill
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.store.jobs import Job, JobState, get_job
from refusal_tui.store.outcomes import Finished, PendingRow, RowResult, commit_group, pending_rows
from refusal_tui.store.workspace import Workspace

PAGE = 1024  # positions looked at in one query
MAX_ATTEMPTS = 5
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 60.0
EARLY_STOP_ROWS = 50

log = logging.getLogger("refusal_tui.rowjob")


class RowJob(Protocol):
    """`batch_size` rows go to `process` at a time, `concurrency` calls run side by side; `max_rate` is in rows/s."""

    batch_size: int
    concurrency: int
    max_rate: float | None

    async def process(self, rows: Sequence[Row]) -> Sequence[RowResult]: ...


@dataclass(slots=True)
class _Tally:
    """What this run has seen so far, for the early stop."""

    ok: int
    errors: Counter[tuple[str, str]]

    def add(self, group: Sequence[Finished]) -> None:
        for finished in group:
            if isinstance(finished.result, RowError):
                self.errors[finished.result.error_class.value, finished.result.message] += 1
            else:
                self.ok += 1


def run_rows(
    workspace: Workspace, connection: sqlite3.Connection, job: Job, work: RowJob, stop: StopFlag
) -> tuple[JobState, str]:
    """Work until the job's goal or a stop; returns the state to record and a note. Raises JobError when every row
    fails, FencedError when another worker took over, StorageError when results cannot be written."""
    job = _commit_spilled(workspace, connection, job)
    positions = Positions(job.cursor)
    writer = Writer(workspace, job, positions, stop)
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
    try:
        asyncio.run(_Engine(connection, job, work, writer, positions, stop).run())
    finally:
        writer.close()
    if fatal:
        raise JobError(fatal[0], "Mend the cause, then: refusal-tui jobs retry " + str(job.id))
    return _ended(get_job(connection, job.id), stop)


def _ended(job: Job, stop: StopFlag) -> tuple[JobState, str]:
    if job.total is not None and job.finished_rows >= job.total:
        note = f"{job.n_failed + job.n_unparsable} rows failed" if job.n_failed + job.n_unparsable else ""
        return JobState.DONE, note
    if stop.reason is not None:
        return stop.reason.state, "stopped by SIGTERM" if stop.reason is StopReason.TERMINATE else ""
    if job.row_limit is not None:
        return JobState.PAUSED, f"pilot of {job.row_limit} rows done; resume to go on with the rest"
    missing = (job.total or 0) - job.finished_rows
    return JobState.DONE, f"{missing} rows no longer exist"


def _commit_spilled(workspace: Workspace, connection: sqlite3.Connection, job: Job) -> Job:
    path = spill_path(workspace, job.id)
    finished = unspill(path)
    if finished:
        commit_group(connection, job, finished, cursor=job.cursor)
        log.info("committed %d rows that an earlier run had to spill", len(finished))
        path.unlink()
    return get_job(connection, job.id)


def _hopeless(job: Job, tally: _Tally) -> str | None:
    """Why it makes no sense to go on, or None."""
    failed = sum(tally.errors.values())
    if not failed:
        return None
    (error_class, message), count = tally.errors.most_common(1)[0]
    if error_class == ErrorClass.AUTH.value:
        return f"The credentials were refused: {message}"
    enough = min(EARLY_STOP_ROWS, job.goal or EARLY_STOP_ROWS)
    if tally.ok == 0 and failed >= enough:
        return f"Every row failed so far ({failed} rows; {error_class}, {count} times: {message})"
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
        self._batches: asyncio.Queue[list[PendingRow] | None] = asyncio.Queue(maxsize=2 * work.concurrency)
        self._next_start = 0.0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feed())
            for _ in range(self._work.concurrency):
                tasks.create_task(self._consume())

    async def _feed(self) -> None:
        position = self._job.cursor
        while not self._stop:
            rows, next_position = pending_rows(self._connection, self._job, position, PAGE)
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
            if self._stop:
                continue  # drain, so that the feeder is never stuck
            await self._wait_for_turn(len(batch))
            finished = await self._process(batch)
            while self._writer.backlog > BACKLOG_ROWS and not self._stop:
                await asyncio.sleep(0.002)
            self._writer.put(finished)
            await asyncio.sleep(0)  # a judge that never waits still lets the others and the stop through

    async def _wait_for_turn(self, rows: int) -> None:
        if self._work.max_rate is None:
            return
        start = max(time.monotonic(), self._next_start)
        self._next_start = start + rows / self._work.max_rate
        await self._sleep_until(start)

    async def _sleep_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0 and not self._stop:
            await asyncio.sleep(min(left, 0.1))

    async def _process(self, batch: list[PendingRow]) -> list[Finished]:
        """Results for the whole batch; retryable errors are tried again, alone, with full-jitter backoff."""
        finished: list[Finished] = []
        attempt, left = 1, batch
        while left:
            results = await self._call(left)
            again: list[PendingRow] = []
            for pending, result in zip(left, results, strict=True):
                retryable = isinstance(result, RowError) and result.error_class.retryable
                if retryable and attempt < MAX_ATTEMPTS and not self._stop:
                    again.append(pending)
                else:
                    finished.append(Finished(pending.position, result, attempt))
            if again:
                pause = random.uniform(0, min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2**attempt))
                await self._sleep_until(time.monotonic() + pause)
            attempt, left = attempt + 1, again
        return finished

    async def _call(self, batch: list[PendingRow]) -> Sequence[RowResult]:
        try:
            results = await self._work.process([p.row for p in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} rows went in, {len(results)} results came out")
            return results
        except Exception as error:
            if len(batch) == 1:
                log.exception("item %d: unexpected error", batch[0].row.item_id)
                text = f"{type(error).__name__}: {error}"
                return [RowError(batch[0].row.item_id, ErrorClass.INTERNAL, text)]
            # One bad row must not take its batch down: find it by asking one at a time.
            return [(await self._call([pending]))[0] for pending in batch]
