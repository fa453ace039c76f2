"""Can answers that could not be read be read now? The raw ones that a job has kept, without a request.

The job itself reads (`RowJob.reread`), as after an upgrade that understands more. Where a row goes through stages
(`stages.py`) only the stage that failed has an answer; the ones after it were never done and wait for the next run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.jobs.registry import job_kind, make_job
from refusal_tui.jobs.rowjob import RowJob
from refusal_tui.jobs.spec import load_spec
from refusal_tui.jobs.stages import Staged
from refusal_tui.labels.verdict import RowError
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job
from refusal_tui.store.outcomes import (
    Finished,
    KeptAnswer,
    PendingRow,
    RowResult,
    mend_unparsable,
    outputs_of,
    unparsable,
)
from refusal_tui.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Reparsed:
    """How many kept answers were looked at, how many of them could be read, and whether rows have steps to do now."""

    looked_at: int
    mended: int
    to_resume: bool = False


def reparse(workspace: Workspace, connection: sqlite3.Connection, job: Job) -> Reparsed:
    """Read the kept raw answers of a job again; what can be read now takes the place of the failure.

    Raises InputError for a job that keeps no answers, ConflictError while it is active.
    """
    kind = job_kind(job.kind)
    work = None
    if kind.mode == "rows":
        work = make_job(kind, load_spec(kind.spec_type(), job.spec, job.spec_version), workspace)
    if not isinstance(work, RowJob) or type(work).reread is RowJob.reread:
        raise InputError(
            f"Job {job.id} has asked no language model for anything that is read.", "See the jobs: refusal-tui jobs"
        )
    staged = isinstance(work, Staged)
    kept = unparsable(connection, job.id)
    answers = list(_first_of_rows(work, kept)) if staged else kept
    rows = {row.item_id: row for row in fetch_rows(connection, list({one.item_id for one in answers}))}
    read: list[Finished] = []
    for one in answers:
        if one.item_id not in rows:
            continue
        before = outputs_of(connection, job.id, one.item_id) if staged else {}
        result: RowResult | None = work.reread(PendingRow(0, rows[one.item_id], one.unit), one.raw, before)
        if result is not None and not isinstance(result, RowError):
            read.append(Finished(0, result, stage=one.unit.stage, k=one.unit.k))
    mended = mend_unparsable(connection, job.id, read, redo_later=staged)
    return Reparsed(len(answers), mended, staged and mended > 0)


def _first_of_rows(work: RowJob, kept: Iterable[KeptAnswer]) -> Iterable[KeptAnswer]:
    """Of every row the answer of the stage that failed; those after it bear its words only."""
    place = {unit: n for n, unit in enumerate(work.units)}
    first: dict[int, KeptAnswer] = {}
    for one in kept:
        known = first.get(one.item_id)
        if one.unit in place and (known is None or place[one.unit] < place[known.unit]):
            first[one.item_id] = one
    return first.values()
