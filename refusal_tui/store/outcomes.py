"""How is the result of a row made durable, exactly once, and which rows are still to do?

One outcome per (job, item, stage, k). A commit group is one transaction: the fencing check, the outcomes, what they
carry (verdicts), the counts and the resume cursor stand or fall together.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import select_in, storable_json, storable_or_none
from refusal_tui.store.items import fetch_rows
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
    """The next `limit` rows of a job without an outcome, from position `after` on, and the position to go on from.

    Empty, with `after` itself, when no row is left. Ids whose item no longer exists are passed over.
    """
    goal = job.goal if job.goal is not None else 0
    while True:
        positions = {
            row[1]: row[0]
            for row in connection.execute(
                """SELECT position, item_id FROM job_item WHERE job_id = ? AND position >= ? AND position < ?
                     AND NOT EXISTS (SELECT 1 FROM outcome
                                     WHERE outcome.job_id = job_item.job_id AND outcome.item_id = job_item.item_id)
                   ORDER BY position LIMIT ?""",
                (job.id, after, goal, limit),
            )
        }
        if not positions:
            return [], after
        rows = fetch_rows(connection, list(positions))
        after = max(positions.values()) + 1
        if rows:
            return [PendingRow(positions[row.item_id], row) for row in rows], after


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
        fresh: list[Finished] = []
        for one in finished:
            key = (one.result.item_id, one.stage, one.k)
            if key not in known:
                known.add(key)
                fresh.append(one)
        connection.executemany(
            """INSERT INTO outcome(job_id, item_id, stage, k, state, attempts, error_class, error, output, raw, run,
                   created) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)""",
            [_record(job, f, now) for f in fresh],
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
    output = storable_json(result.value) if isinstance(result, Output) else None
    return (
        job.id, result.item_id, finished.stage, finished.k, _state(result), finished.attempts,
        error.error_class.value if error else None, storable_or_none(error.message if error else None), output,
        storable_or_none(error.raw if error else None), job.run, now,
    )  # fmt: skip
