"""What has a cleaning job made? Its rows, as they are after people's decisions, and counts that are not in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import Row
from refusal_tui.store.clean_review import reviewed_rows
from refusal_tui.store.encoding import chunks
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import get_job

KIND = "clean"


@dataclass(frozen=True, slots=True)
class CleanCounts:
    """`rows` of the job, `failed` of them with a failed step; `answers` that were verified, and how many refused."""

    rows: int
    failed: int
    answers: int
    answers_refused: int


def require_clean(connection: sqlite3.Connection, job_id: int) -> None:
    """Raises InputError when there is no such job, or it is of another kind."""
    job = get_job(connection, job_id)
    if job.kind != KIND:
        raise InputError(f"Job {job_id} is no cleaning job ({job.kind}).", "See them all with: refusal-tui jobs")


def made_by(connection: sqlite3.Connection, job_id: int, decision: str | None = None) -> Iterator[Row]:
    """The rows that a cleaning job has made, in the order of their sources, of one decision or of all.

    What people have decided holds (`store/clean_review.py`): their edits, acceptances and rejections. Raises
    InputError for a job of another kind.
    """
    require_clean(connection, job_id)
    ids = [
        row[0]
        for row in connection.execute(
            """SELECT item.id FROM item JOIN dataset ON dataset.id = item.dataset_id
               JOIN item_body ON item_body.item_id = item.id
               WHERE dataset.source = ? AND dataset.adapter = ? AND
                   (? IS NULL OR json_extract(item_body.meta, '$.decision') = ?
                    OR item.id IN (SELECT item_id FROM clean_decision WHERE job_id = ?))
               ORDER BY json_extract(item_body.meta, '$.source_item')""",
            (f"job {job_id}", KIND, decision, decision, job_id),
        )
    ]
    for chunk in chunks(ids, 500):
        for row in reviewed_rows(connection, fetch_rows(connection, chunk)):
            if decision is None or row.meta.get("decision") == decision:
                yield row


def clean_counts(connection: sqlite3.Connection, job_id: int) -> CleanCounts:
    rows, failed = connection.execute(
        """SELECT (SELECT count(*) FROM job_item WHERE job_id = ?),
                  (SELECT count(DISTINCT item_id) FROM outcome WHERE job_id = ? AND state <> 'ok')""",
        (job_id, job_id),
    ).fetchone()
    answers, refused = connection.execute(
        """SELECT count(json_extract(output, '$.refuses')), coalesce(sum(json_extract(output, '$.refuses')), 0)
           FROM outcome WHERE job_id = ? AND stage = 'verify' AND state = 'ok'""",
        (job_id,),
    ).fetchone()
    return CleanCounts(rows, failed, answers, refused)
