"""What the header says about running jobs, and which of them have ended since the last look."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.jobs.notify import worth_telling
from refusal_tui.store.jobs import Job, JobState, list_jobs


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the jobs: `line` for the header, and which were active."""

    line: str = ""
    active: frozenset[int] = frozenset()
    ended: tuple[Job, ...] = ()


def look(connection: sqlite3.Connection, before: Look | None = None) -> Look:
    """`ended`: the jobs that were active `before`, are not any more, and are worth a notice."""
    jobs = list_jobs(connection)
    active = [job for job in jobs if job.state.active]
    known = before.active if before is not None else frozenset()
    ended = tuple(job for job in jobs if job.id in known and worth_telling(job))
    return Look(summary(active), frozenset(job.id for job in active), ended)


def summary(active: list[Job]) -> str:
    """The active jobs in a few words."""
    running = [job for job in active if job.state is JobState.RUNNING]
    queued = len(active) - len(running)
    waiting = f"{queued} queued" if queued else ""
    if len(running) == 1:
        job = running[0]
        percent = f" {100 * job.progress // job.goal} %" if job.goal else ""
        return f"job {job.id} {job.kind}{percent}" + (f", {waiting}" if waiting else "")
    return ", ".join(part for part in (f"{len(running)} running" if running else "", waiting) if part)
