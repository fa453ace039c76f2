"""Can answers that could not be read be read now? The raw ones of a job, without a request."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.jobs.asking import Models
from refusal_tui.jobs.spec import load_spec
from refusal_tui.judge.llm_job import interviews
from refusal_tui.judge.spec import LEXICAL, LabelSpec
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job
from refusal_tui.store.outcomes import Finished, mend_unparsable, unparsable
from refusal_tui.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Reparsed:
    """How many kept answers were looked at, and how many of them are verdicts now."""

    looked_at: int
    mended: int


def reparse(workspace: Workspace, connection: sqlite3.Connection, job: Job) -> Reparsed:
    """Read the kept raw answers of a labelling job again; those that can be read now become verdicts.

    Raises InputError for a job that asked no language model, ConflictError while it is active.
    """
    spec = load_spec(LabelSpec, job.spec, job.spec_version) if job.kind == "label" else None
    if not isinstance(spec, LabelSpec) or spec.judge == LEXICAL:
        raise InputError(f"Job {job.id} has asked no language model for labels.", "See the jobs: refusal-tui jobs")
    asked = [*spec.voters, *([spec.arbiter] if spec.arbiter else [])]
    by_unit = interviews(spec, workspace, Models(workspace, asked))
    kept = unparsable(connection, job.id)
    rows = {row.item_id: row for row in fetch_rows(connection, list({one.item_id for one in kept}))}
    read: list[Finished] = []
    for one in kept:
        if one.item_id in rows and one.unit in by_unit:
            verdict = by_unit[one.unit].read(rows[one.item_id], one.raw)
            if isinstance(verdict, Verdict):
                read.append(Finished(0, verdict, stage=one.unit.stage, k=one.unit.k))
    return Reparsed(len(kept), mend_unparsable(connection, job.id, read))
