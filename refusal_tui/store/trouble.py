"""Which rows of a job went wrong, and how are they tried again?"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.errors import ConflictError
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import JobState, get_job


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failed rows of one kind, with one of their messages."""

    state: str
    error_class: str
    count: int
    example: str


def trouble(connection: sqlite3.Connection, job_id: int) -> list[Trouble]:
    """The failed and unparsable rows grouped by class, most frequent first."""
    rows = connection.execute(
        """SELECT state, coalesce(error_class, ''), count(*), max(coalesce(error, '')) FROM outcome
           WHERE job_id = ? AND state <> 'ok' GROUP BY 1, 2 ORDER BY 3 DESC""",
        (job_id,),
    )
    return [Trouble(*row) for row in rows]


def retry_failed(connection: sqlite3.Connection, job_id: int, error_class: str | None = None) -> int:
    """Forget the failed and unparsable outcomes (of one error class) and queue the job again; returns how many.

    The error stays in the events. Raises ConflictError while the job is active, after a cancel, or when
    nothing has failed.
    """
    with transaction(connection):
        job = get_job(connection, job_id)
        if job.state.active:
            raise ConflictError(
                f"Job {job_id} is {job.state.value}.", f"Pause it first: refusal-tui jobs pause {job_id}"
            )
        if job.state is JobState.CANCELLED:
            raise ConflictError(
                f"Job {job_id} was cancelled, for good.",
                f"Start a new one on its failed rows: refusal-tui run {job.kind} job.{job_id}:failed",
            )
        groups = trouble(connection, job_id)
        chosen = [g for g in groups if error_class in (None, g.error_class)]
        if not chosen:
            raise ConflictError(f"Job {job_id} has no failed rows to try again.")
        for group in chosen:
            text = f"trying {group.count:,} again ({group.state}, {group.error_class}: {group.example})"
            add_event(connection, job_id, "info", "retry", text)
        where = "job_id = ? AND state <> 'ok' AND (? IS NULL OR error_class = ?)"
        values = (job_id, error_class, error_class)
        _forget_not_needed(connection, job_id, f"SELECT item_id FROM outcome WHERE {where}", values)
        failed, unparsable = (sum(g.count for g in chosen if g.state == state) for state in ("failed", "unparsable"))
        connection.execute(
            f"""UPDATE job SET state = 'queued', wish = NULL, note = '', finished = NULL,
                  n_failed = n_failed - ?, n_unparsable = n_unparsable - ?,
                  cursor = min(cursor, coalesce((SELECT min(position) FROM job_item WHERE job_id = job.id
                      AND item_id IN (SELECT item_id FROM outcome WHERE {where})), 0)) WHERE id = ?""",
            (failed, unparsable, *values, job_id),
        )
        return connection.execute(f"DELETE FROM outcome WHERE {where}", values).rowcount


def _forget_not_needed(connection: sqlite3.Connection, job_id: int, rows: str, values: tuple[object, ...]) -> None:
    """Forget what was not asked of these rows because of votes that are taken again: a second look or an arbiter may
    be needed now. The caller holds the transaction and queues the job."""
    count = connection.execute(
        f"""DELETE FROM outcome WHERE job_id = ? AND stage IN ('second', 'arbiter') AND state = 'ok'
              AND json_extract(output, '$.asked') = 0 AND item_id IN ({rows})""",
        (job_id, *values),
    ).rowcount
    connection.execute("UPDATE job SET n_ok = n_ok - ? WHERE id = ?", (count, job_id))
