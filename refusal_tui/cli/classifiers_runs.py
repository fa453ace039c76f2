"""What do the commands of `classifiers` share? The job, its folder, and what the folder says."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.classify.report import Run
    from refusal_tui.store.jobs import Job

KIND = "train-classifier"
classifier_argument = click.argument("which", metavar="CLASSIFIER")
head_option = click.option("--head", default="", metavar="HEAD", help="Of two heads, which one (default: the first).")


def training_job(connection: sqlite3.Connection, which: str) -> Job:
    """By the number of the job, or by the classifier's name."""
    from refusal_tui.classify.folder import classifier_job
    from refusal_tui.store.jobs import get_job

    job = get_job(connection, int(which) if which.isdigit() else classifier_job(connection, which))
    if job.kind != KIND:
        raise InputError(f"Job {job.id} ({job.kind}) trains no classifier.", "See: refusal-tui classifiers")
    return job


def run_folder(session: Session, job_id: int) -> Path:
    return session.workspace().job_folder(job_id)


def run_of(session: Session, job_id: int) -> Run:
    from refusal_tui.classify.report import read_run

    return read_run(run_folder(session, job_id))


def finished_folder(session: Session, job: Job) -> Path:
    run = run_of(session, job.id)
    if run.classifier is None:
        raise InputError(
            f"Job {job.id} has no finished classifier ({job.state.value}).", f"See: refusal-tui jobs show {job.id}"
        )
    return run.classifier


def head_of(run: Run, head: str) -> str:
    """The head that is asked for, of those with figures. Raises InputError where there are none yet."""
    if not run.metrics:
        raise InputError(f"{run.name or 'This run'} has no figures yet.", "Wait until it is trained: refusal-tui jobs")
    if head and head not in run.metrics:
        raise InputError(f"{run.name} was not trained on {head}.", f"Its heads: {', '.join(run.heads)}.")
    return head or next(iter(run.metrics))
