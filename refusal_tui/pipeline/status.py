"""How far is each step of a run? What the command line prints and the Pipeline screen shows."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from refusal_tui.jobs.registry import job_kind
from refusal_tui.store.jobs import Job, get_job
from refusal_tui.store.pipelines import StepRecord, steps_of


class StepState(StrEnum):
    """Where a step stands, in the word that is shown. A step with a job has the job's state otherwise."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"
    KEPT = "up to date"
    SKIPPED = "nothing to do"


@dataclass(frozen=True, slots=True)
class StepStatus:
    """`job` is None for a step without one, or before it is asked for. `done` and `goal` count what the job counts."""

    record: StepRecord
    state: StepState
    job: Job | None = None

    @property
    def done(self) -> int | None:
        return None if self.job is None else self.job.progress

    @property
    def goal(self) -> int | None:
        return None if self.job is None else self.job.goal

    @property
    def counts(self) -> str:
        """`320/994`; "" where there is no job, or one that counts bytes."""
        if self.job is None or self.goal is None or not job_kind(self.job.kind).selects:
            return ""
        return f"{self.done:,}/{self.goal:,}" if self.done != self.goal else f"{self.goal:,}"

    @property
    def says(self) -> str:
        """What it has made, or why it is not at work."""
        record, product = self.record, self.record.product
        if self.job is not None and self.state not in (StepState.DONE, StepState.KEPT, StepState.RUNNING):
            return self.job.note
        if self.state is StepState.WAITING:
            return f"after {', '.join(record.after)}" if record.after else ""
        if record.skipped:
            return record.note
        if self.state is StepState.RUNNING:
            return self.job.step if self.job is not None else ""
        bad = self.job.n_failed + self.job.n_unparsable if self.job is not None else 0
        if bad and self.job is not None:
            return f"{bad:,} rows failed; try them again: refusal-tui jobs retry {self.job.id}"
        if record.note and not record.reused and "out" not in product:
            return record.note
        for key, word in (("out", "{}"), ("queue", "queue {}"), ("dataset", "{}"), ("constitution", "rules {}")):
            if key in product:
                return word.format(product[key])
        return ""


def status_of(connection: sqlite3.Connection, run: Job) -> list[StepStatus]:
    """The steps of a run in the order of the graph."""
    return [_status(connection, record) for record in steps_of(connection, run.id)]


def _status(connection: sqlite3.Connection, record: StepRecord) -> StepStatus:
    job = get_job(connection, record.job) if record.job is not None else None
    if record.over:
        state = StepState.SKIPPED if record.skipped else StepState.KEPT if record.reused else StepState.DONE
        return StepStatus(record, state, job)
    if job is None:
        return StepStatus(record, StepState.WAITING)
    return StepStatus(record, StepState(job.state.value), job)
