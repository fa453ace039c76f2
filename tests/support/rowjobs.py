"""Small row jobs of our own, and a way to run one in this process through the worker's own code."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from refusal_tui.jobs import worker
from refusal_tui.jobs.rowjob import RowJob
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Answer, ErrorClass, RowError, Verdict
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import Job, create_job, get_job
from refusal_tui.store.outcomes import ONE_UNIT, PendingRow, RowResult, Unit
from refusal_tui.store.workspace import Workspace

Answering = Callable[[Row, int], RowResult]


def verdict(row: Row, value: str = "hard") -> Verdict:
    return Verdict(row.item_id, "judge:scripted", "refusal3", "1", {"refusal3": Answer(value, 0.75)})


def error(row: Row, error_class: ErrorClass, message: str = "no luck") -> RowError:
    return RowError(row.item_id, error_class, message)


@dataclass
class Scripted(RowJob):
    """A RowJob that answers by a function of (row, how often the row was asked for before).

    `shuffle` lets batches of a concurrent job finish in a random order, without waiting for anything.
    """

    answer: Answering = lambda row, tries: verdict(row)
    batch_size: int = 8
    concurrency: int = 1
    max_rate: float | None = None
    max_attempts: int = 5
    units: Sequence[Unit] = ONE_UNIT
    shuffle: random.Random | None = None
    after_batch: Callable[[int], None] = lambda rows: None
    asked: Counter[int] = field(default_factory=Counter)

    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        if self.shuffle is not None:
            for _ in range(self.shuffle.randrange(8)):
                await asyncio.sleep(0)
        results = []
        for row in (pending.row for pending in work):
            tries = self.asked[row.item_id]
            self.asked[row.item_id] += 1
            results.append(self.answer(row, tries))
        self.after_batch(self.asked.total())
        return results


def queue_job(workspace: Workspace, *, pilot: int | None = None, selection: str = "") -> int:
    """A queued job over the rows of the workspace, without a supervisor that would start it."""
    with closing(workspace.open()) as connection:
        ids = select_ids(connection, selection)
        return create_job(
            connection, kind="label", title="scripted", lane="cpu", spec=LabelSpec().model_dump_json(),
            spec_version=LabelSpec.VERSION, selection=selection, item_ids=ids, row_limit=pilot,
        )  # fmt: skip


def run_here(workspace: Workspace, job_id: int, work: RowJob) -> Job:
    """One run of the job by `work`, as a worker process does it; returns the job as it stands afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "make_job", lambda *_: work)
        worker.run_job(workspace, job_id)
    with closing(workspace.open()) as connection:
        return get_job(connection, job_id)
