"""What the header says about running jobs."""

from __future__ import annotations

import sqlite3

from refusal_tui.store.jobs import Job, JobState, list_jobs


def jobs_line(connection: sqlite3.Connection) -> str:
    """`label 3: 45 %`, `2 running, 1 queued`, or nothing."""
    return summary([job for job in list_jobs(connection) if job.state.active])


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
