"""What do the commands of `direction` share? The job, its folder, and what the folder says."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_tui.cli.common import Session
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.direction.report import Report
    from refusal_tui.store.jobs import Job


def direction_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """Raises InputError for a job of another kind."""
    from refusal_tui.store.jobs import get_job

    job = get_job(connection, job_id)
    if job.kind != "direction":
        raise InputError(
            f"Job {job_id} ({job.kind}) looks for no direction.",
            "List the runs that do with: refusal-tui direction list",
        )
    return job


def report_of(session: Session, job: Job) -> Report:
    from refusal_tui.direction.report import read_report

    return read_report(run_folder(session, job.id))


def run_folder(session: Session, job_id: int) -> Path:
    return session.workspace().job_folder(job_id)
