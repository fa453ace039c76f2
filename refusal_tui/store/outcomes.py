"""How is the result of a row made durable, exactly once, and which rows are still to do?

One outcome per (job, item, stage, k). A commit group is one transaction: the fencing check, the outcomes, what they
carry (verdicts), the counts and the resume cursor stand or fall together.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import fetch_rows, select_in
from refusal_tui.store.jobs import Job, Wish, beat
from refusal_tui.store.labels import add_verdicts


@dataclass(frozen=True, slots=True)
class Output:
    """A result that is no verdict: JSON kept with the outcome."""

    item_id: ItemId
    value: Mapping[str, Any]


RowResult = Verdict | Output | RowError


@dataclass(frozen=True, slots=True)
class Finished:
    """One row that has its result."""

    position: int
    result: RowResult
    attempts: int = 1
    stage: str = ""
    k: int = 0


@dataclass(frozen=True, slots=True)
class PendingRow:
    position: int
    row: Row


def pending_rows(connection: sqlite3.Connection, job: Job, after: int, limit: int) -> tuple[list[PendingRow], int]:
    """The next rows of a job without an outcome, from position `after` on, and the position to go on from.

    Looks at `limit` positions; both are empty and equal to `after` at the end of the job.
    """
    goal = job.goal if job.goal is not None else 0
    rows = connection.execute(
        "SELECT position, item_id FROM job_item WHERE job_id = ? AND position >= ? AND position < ? "
        "ORDER BY position LIMIT ?",
        (job.id, after, goal, limit),
    ).fetchall()
    if not rows:
        return [], after
    ids = [row["item_id"] for row in rows]
    done = {
        row[0]
        for row in select_in(
            connection, "SELECT item_id FROM outcome WHERE job_id = ? AND item_id IN ({})", ids, (job.id,)
        )
    }
    positions = {row["item_id"]: row["position"] for row in rows}
    wanted = [item_id for item_id in ids if item_id not in done]
    found = [PendingRow(positions[row.item_id], row) for row in fetch_rows(connection, wanted)]
    return found, rows[-1]["position"] + 1


def commit_group(
    connection: sqlite3.Connection, job: Job, finished: Sequence[Finished], *, cursor: int
) -> tuple[int, Wish | None]:
    """Store one group durably; returns how many rows were new and what is wished.

    Rows that have an outcome already are left alone, with everything they carry. Raises FencedError when another
    worker has taken the job over, ConflictError or StorageError when the group could not be written (nothing was).
    """
    now = time.time()
    with transaction(connection):
        wish = beat(connection, job)
        known = {
            (row[0], row[1], row[2])
            for row in select_in(
                connection,
                "SELECT item_id, stage, k FROM outcome WHERE job_id = ? AND item_id IN ({})",
                [f.result.item_id for f in finished],
                (job.id,),
            )
        }
        fresh = [f for f in finished if (f.result.item_id, f.stage, f.k) not in known]
        connection.executemany(
            "INSERT INTO outcome VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", [_record(job, f, now) for f in fresh]
        )
        add_verdicts(connection, [f.result for f in fresh if isinstance(f.result, Verdict)], job_id=job.id)
        failed = sum(1 for f in fresh if _state(f.result) == "failed")
        unparsable = sum(1 for f in fresh if _state(f.result) == "unparsable")
        connection.execute(
            """UPDATE job SET n_ok = n_ok + ?, n_failed = n_failed + ?, n_unparsable = n_unparsable + ?,
                   cursor = max(cursor, ?) WHERE id = ?""",
            (len(fresh) - failed - unparsable, failed, unparsable, cursor, job.id),
        )
    return len(fresh), wish


def _state(result: RowResult) -> str:
    if not isinstance(result, RowError):
        return "ok"
    return "unparsable" if result.error_class is ErrorClass.PARSE else "failed"


def _record(job: Job, finished: Finished, now: float) -> tuple[object, ...]:
    result = finished.result
    error = result if isinstance(result, RowError) else None
    output = json.dumps(result.value, ensure_ascii=False) if isinstance(result, Output) else None
    return (
        job.id, result.item_id, finished.stage, finished.k, _state(result), finished.attempts,
        error.error_class.value if error else None, error.message if error else None, output,
        error.raw if error else None, job.run, now,
    )  # fmt: skip
