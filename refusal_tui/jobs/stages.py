"""How does a job take each row through several stages, each with an outcome of its own?

A `Staged` job says in plain code, row by row, what comes after what (`work_on`); every `step` of it is one unit of the
row: done once, stored, and read from the store when the row is taken up again. The engine hands the units of a row to
`process` one by one; they wait here for the row's own task to come to them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refusal_tui.jobs.rowjob import PauseRequested, RowJob
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import RowError
from refusal_tui.store.jobs import Job
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import Made, Output, PendingRow, RowResult, Unit, outputs_of
from refusal_tui.store.workspace import Workspace

Value = Mapping[str, Any]
Step = Callable[[RowKey], Awaitable[Value | Made | RowError]]


class _Ended(Exception):
    """A step of the row has failed: the steps after it cannot be done."""


@dataclass(slots=True)
class RowRun:
    """One row on its way: `stored` are the steps of earlier runs, `results` those that the engine waits for."""

    row: Row
    job_id: int
    stored: dict[Unit, Value | RowError]
    results: dict[Unit, asyncio.Future[RowResult]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    failed: RowError | None = None

    async def step(self, stage: str, k: int, do: Step | Value) -> Value:
        """The value of one stage: stored by an earlier run, given as it is (a step that is not needed), or done now.

        A RowError ends the row; all its later steps fail for the same reason, so that a retry does them all again.
        """
        unit = Unit(stage, k)
        found = self.stored.get(unit)
        if found is None:
            result = await do(RowKey(self.job_id, self.row.item_id, stage, k)) if callable(do) else do
            if isinstance(result, RowError | Made):
                found = result if isinstance(result, RowError) else result.value
                self._tell(unit, result)
            else:
                found = result
                self._tell(unit, Output(self.row.item_id, result))
        if isinstance(found, RowError):
            self.failed = found
            raise _Ended
        return found

    def result(self, unit: Unit) -> asyncio.Future[RowResult]:
        if unit not in self.results:
            self.results[unit] = asyncio.get_running_loop().create_future()
        return self.results[unit]

    def _tell(self, unit: Unit, result: RowResult) -> None:
        future = self.result(unit)
        if not future.done():
            future.set_result(result)

    def close(self, units: Sequence[Unit]) -> None:
        """Let go of whoever still waits: with the error that ended the row, or with nothing."""
        for unit in units:
            if unit in self.stored or self.result(unit).done():
                continue
            if self.failed is None:
                self.result(unit).cancel()
            else:
                self._tell(unit, replace(self.failed, message=f"a step before it failed: {self.failed.message}"))


class Staged(RowJob):
    """A RowJob whose rows go through the stages of `units` in order. `work_on` has to make every unit a step."""

    max_attempts = 1  # steps retry on their own

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._reader: sqlite3.Connection | None = None
        self._job_id = 0
        self._runs: dict[int, RowRun] = {}
        self._given_up: PauseRequested | None = None

    @abstractmethod
    async def work_on(self, run: RowRun) -> None:
        """Take one row through all its stages, as `await run.step(…)`."""

    async def start(self, job: Job) -> None:
        self._job_id = job.id
        self._reader = self._workspace.open(read_only=True)

    def stopping(self) -> None:
        """Rows that are on their way go on: what they wait for is told to stop by the subclass."""

    async def close(self) -> None:
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._reader is not None:
            self._reader.close()

    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        return [await self._one(pending) for pending in work]

    async def _one(self, pending: PendingRow) -> RowResult:
        assert self._reader is not None
        item_id = pending.row.item_id
        run = self._runs.get(item_id)
        if run is None:
            run = RowRun(pending.row, self._job_id, outputs_of(self._reader, self._job_id, item_id))
            self._runs[item_id] = run
            run.task = asyncio.create_task(self._through(run))
        future = run.result(pending.unit)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.cancelled():  # the row was given up, not this call
                raise self._given_up or PauseRequested("The job was asked to stop.") from None
            raise
        finally:
            if pending.unit == self._last(run):
                self._runs.pop(item_id, None)

    def _last(self, run: RowRun) -> Unit | None:
        """The last unit of the row that this run hands out."""
        return next((unit for unit in reversed(self.units) if unit not in run.stored), None)

    async def _through(self, run: RowRun) -> None:
        try:
            await self.work_on(run)
        except _Ended:
            pass
        except PauseRequested as pause:
            self._given_up = self._given_up or pause  # the first one says why
        except Exception as error:
            # A RefusalTuiError is one of the whole job, anything else one of the row: the engine tells them apart.
            waiting = [unit for unit in self.units if unit not in run.stored and not run.result(unit).done()]
            for unit in waiting:
                run.result(unit).set_exception(error)
        finally:
            run.close(self.units)
