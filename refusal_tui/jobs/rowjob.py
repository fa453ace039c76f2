"""How does a RowJob work through its rows? Feed, process, retry, commit; stop when asked.

A RowJob turns a batch of rows into results in the same order. The engine owns everything else: what is left to do,
concurrency, retries with backoff, the pace, durable commits, and the early stop of a job whose every row fails.
A row that is stopped before its last try has no outcome: the next run does it again.
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

from refusal_tui.errors import JobError, RefusalTuiError
from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.jobs.writer import BACKLOG_ROWS, GROUP_ROWS, Positions, Writer, spill_path, store_group, unspill
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.store.jobs import FencedError, Job, JobState, get_job
from refusal_tui.store.outcomes import Finished, PendingRow, RowResult, commit_group, pending_rows
from refusal_tui.store.workspace import Workspace

PAGE = 256  # positions looked at in one query; their texts are in memory together
MAX_ATTEMPTS = 5
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 60.0
EARLY_STOP_ROWS = 50

log = logging.getLogger("refusal_tui.rowjob")


class RowJob(Protocol):
    """`batch_size` rows go to `process` at a time, `concurrency` calls run side by side; `max_rate` is in rows/s.

    `process` answers with one result per row, in order. What it raises is an error of the rows, found by asking for
    one at a time; a RefusalTuiError is one of the whole job and ends it.
    """

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
    except ExceptionGroup as group:  # of the engine's tasks; the others were cancelled for the first one
        raise group.exceptions[0] from group
    finally:
        writer.close()
    if fatal:
        raise JobError(fatal[0], "Mend the cause, then: refusal-tui jobs retry " + str(job.id))
    if not stop:  # rows that no longer exist are behind us, too
        commit_group(connection, job, [], cursor=job.goal or 0)
    return _ended(get_job(connection, job.id), stop)


def _ended(job: Job, stop: StopFlag) -> tuple[JobState, str]:
    if stop.reason is StopReason.FENCED:
        raise FencedError(job.id)
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
    for start in range(0, len(finished), GROUP_ROWS):
        store_group(connection, job, finished[start : start + GROUP_ROWS], cursor=job.cursor)
    if finished:
        log.info("committed %d rows that an earlier run had to spill", len(finished))
    path.unlink(missing_ok=True)
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
            results = await self._call(left)
            again: list[PendingRow] = []
            finished: list[Finished] = []
            for pending, result in zip(left, results, strict=True):
                if isinstance(result, RowError) and result.error_class.retryable and attempt < MAX_ATTEMPTS:
                    again.append(pending)
                else:
                    finished.append(Finished(pending.position, result, attempt))
            await self._hand_on(finished)
            if again:
                pause = random.uniform(0, min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2**attempt))
                await self._sleep_until(time.monotonic() + pause)
            attempt, left = attempt + 1, again

    async def _hand_on(self, finished: list[Finished]) -> None:
        if finished:
            self._writer.put(finished)
        # While a full group is being written, Python code here would only make its transaction three times as long.
        while self._writer.backlog >= BACKLOG_ROWS and not self._stop:
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0)  # a judge that never waits still lets the others and the stop through

    async def _call(self, batch: list[PendingRow]) -> Sequence[RowResult]:
        try:
            results = await self._work.process([p.row for p in batch])
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
