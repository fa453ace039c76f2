"""Has a job that no pipeline asked for labelled these very rows already, with the same settings and the same judge?

Only offline judges are known that well: their version stands with every verdict. What a model was asked, and with which
fields of its end point, is not kept with a job; a repeated request to one costs nothing, as its answer is kept instead.
"""

from __future__ import annotations

import sqlite3

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.spec import load_spec
from refusal_tui.judge.registry import JUDGES
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.pipeline.inputs import offline_version, settings_hash
from refusal_tui.store.jobs import Job, JobState, list_jobs
from refusal_tui.store.query import compile_filter

_LOOKED_AT = 1000  # jobs


def labelled_by(connection: sqlite3.Connection, spec: LabelSpec, selection: str) -> int | None:
    """The newest finished job that has labelled every row of the selection as `spec` would now; None: there is none."""
    if spec.judge not in JUDGES:
        return None
    wanted, version = settings_hash(spec), offline_version(spec)
    for job in list_jobs(connection, limit=_LOOKED_AT):
        same = job.kind == "label" and job.state is JobState.DONE and _settings(job) == wanted
        if same and _has_all(connection, job, selection) and _by_version(connection, job, version):
            return job.id
    return None


def _settings(job: Job) -> str:
    """Their hash; "" for settings that cannot be read any more."""
    try:
        return settings_hash(load_spec(LabelSpec, job.spec, job.spec_version))
    except RefusalTuiError:
        return ""


def _by_version(connection: sqlite3.Connection, job: Job, version: str) -> bool:
    other = "SELECT 1 FROM verdict WHERE job_id = ? AND version <> ? LIMIT 1"
    return connection.execute(other, (job.id, version)).fetchone() is None


def _has_all(connection: sqlite3.Connection, job: Job, selection: str) -> bool:
    condition = compile_filter(connection, selection)
    missing = f"""SELECT 1 FROM item WHERE {condition.sql}
                  AND id NOT IN (SELECT item_id FROM outcome WHERE job_id = ?) LIMIT 1"""
    return connection.execute(missing, (*condition.parameters, job.id)).fetchone() is None
