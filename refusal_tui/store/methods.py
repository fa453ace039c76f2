"""What has a job done, as a paper must say it? Facts that are stored, and nothing that is guessed."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from refusal_tui.store.jobs import Job, get_job


@dataclass(frozen=True, slots=True)
class Asked:
    """What verdicts of a job were made with: who answered which version of which questions under which rules."""

    annotator: str
    question_set: str
    version: str
    profile: str
    verdicts: int


@dataclass(frozen=True, slots=True)
class Requested:
    """Attempts of a job at one model of one end point; tokens are None where the server told none."""

    endpoint: str
    model: str
    attempts: int
    answered: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Studied:
    """Rows of a job by dataset and the model that wrote the responses; `revision` and `sha256` say which version."""

    dataset: str
    source: str
    revision: str | None
    sha256: str | None
    model: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class JobFacts:
    """`errors` counts outcomes that are not ok by class; `spec` are the job's settings."""

    job: Job
    spec: dict[str, Any]
    asked: tuple[Asked, ...]
    requested: tuple[Requested, ...]
    studied: tuple[Studied, ...]
    errors: tuple[tuple[str, int], ...]


def job_facts(connection: sqlite3.Connection, job_id: int) -> JobFacts:
    """Raises InputError for a number that no job has."""
    job = get_job(connection, job_id)
    asked = connection.execute(
        """SELECT annotator, question_set, version, profile, count(*) FROM verdict WHERE job_id = ?
           GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
        (job_id,),
    )
    requested = connection.execute(
        """SELECT endpoint, model, count(*), sum(error_class IS NULL), sum(prompt_tokens), sum(completion_tokens),
               sum(cost_usd), min(started), max(ended)
           FROM attempt WHERE job_id = ? GROUP BY 1, 2 ORDER BY 1, 2""",
        (job_id,),
    )
    studied = connection.execute(
        """SELECT dataset.name, dataset.source, dataset.revision, dataset.sha256, found.model, found.n FROM
             (SELECT item.dataset_id, item.model, count(*) AS n FROM job_item JOIN item ON item.id = job_item.item_id
              WHERE job_item.job_id = ? GROUP BY 1, 2) AS found
           JOIN dataset ON dataset.id = found.dataset_id ORDER BY 1, 5""",
        (job_id,),
    )
    errors = connection.execute(
        """SELECT error_class, count(*) FROM outcome WHERE job_id = ? AND state <> 'ok' GROUP BY 1
           ORDER BY 2 DESC, 1""",
        (job_id,),
    )
    return JobFacts(
        job,
        json.loads(job.spec),
        tuple(Asked(*row) for row in asked),
        tuple(Requested(*row) for row in requested),
        tuple(Studied(*row) for row in studied),
        tuple((row[0] or "unknown", row[1]) for row in errors),
    )
