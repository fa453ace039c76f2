"""How is the result of a row made durable, exactly once, and which rows are still to do?

One outcome per (job, item, stage, k). A commit group is one transaction: the fencing check, the outcomes, what they
carry (verdicts), side rows (the ledger of requests), the counts and the resume cursor stand or fall together.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refusal_tui.errors import ConflictError
from refusal_tui.labels.rows import ItemId, Message, Row
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import chunks, select_in, storable_json, storable_or_none
from refusal_tui.store.events import add_event
from refusal_tui.store.items import add_items, fetch_rows
from refusal_tui.store.jobs import Job, Wish, beat, get_job
from refusal_tui.store.labels import add_verdicts


@dataclass(frozen=True, slots=True)
class Output:
    """A result that is no verdict: JSON kept with the outcome."""

    item_id: ItemId
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MadeItem:
    """A new item as a job makes it: what `store/items.py: add_items` takes."""

    prompt: str | tuple[Message, ...]
    response: str | None
    model: str | None = None
    split: str | None = None
    category: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A result that is a new item, made from `item_id`: stored in `dataset_id` under `key` with the outcome, once.

    `value` is kept with the outcome, as an Output's.
    """

    item_id: ItemId
    dataset_id: int
    key: str
    item: MadeItem
    value: Mapping[str, Any] = field(default_factory=dict)


# A result that makes something else in the store is one more class here, written in `_add_results`.
RowResult = Verdict | Output | Made | RowError


@dataclass(frozen=True, slots=True)
class Unit:
    """One of the outcomes that every item of a job has: a stage of its work, or the k-th vote or sample in one."""

    stage: str = ""
    k: int = 0


ONE_UNIT: Sequence[Unit] = (Unit(),)


@dataclass(frozen=True, slots=True)
class Finished:
    """One row that has its result for one unit."""

    position: int
    result: RowResult
    attempts: int = 1
    stage: str = ""
    k: int = 0


@dataclass(frozen=True, slots=True)
class PendingRow:
    """One piece of work: a row and the unit that it has no outcome for."""

    position: int
    row: Row
    unit: Unit = ONE_UNIT[0]


# Commits something of the job's own beside its outcomes, in the same transaction.
AlsoCommit = Callable[[sqlite3.Connection, Sequence[Finished]], None]


def set_units(connection: sqlite3.Connection, job: Job, units: int) -> Job:
    """Record how many outcomes every item of this job has; returns the job as it is then.

    A job that already has outcomes keeps them: units may be added between runs, and those are still to do.
    """
    if units == job.units or job.total is None:
        return job
    with transaction(connection):
        beat(connection, job)
        connection.execute(
            "UPDATE job SET units = ?, total = ?, cursor = 0 WHERE id = ?",
            (units, (job.n_items or 0) * units, job.id),
        )
    return get_job(connection, job.id)


def pending_rows(
    connection: sqlite3.Connection, job: Job, after: int, limit: int, units: Sequence[Unit] = ONE_UNIT
) -> tuple[list[PendingRow], int]:
    """What is left to do in the next `limit` rows with an outcome missing, from position `after` on, and the position
    to go on from. The units of a row stand together, in the order of `units`.

    Empty, with `after` itself, when no row is left. Ids whose item no longer exists are passed over.
    """
    while True:
        positions = {
            row[1]: row[0]
            for row in connection.execute(
                """SELECT position, item_id FROM job_item WHERE job_id = ? AND position >= ? AND position < ?
                     AND (SELECT count(*) FROM outcome
                          WHERE outcome.job_id = job_item.job_id AND outcome.item_id = job_item.item_id) < ?
                   ORDER BY position LIMIT ?""",
                (job.id, after, job.goal_position, len(units), limit),
            )
        }
        if not positions:
            return [], after
        rows = fetch_rows(connection, list(positions))
        after = max(positions.values()) + 1
        done = _done_units(connection, job, [row.item_id for row in rows]) if len(units) > 1 else set()
        left = [
            PendingRow(positions[row.item_id], row, unit)
            for row in rows
            for unit in units
            if (row.item_id, unit.stage, unit.k) not in done
        ]
        if left:
            return left, after


def has_outcome(connection: sqlite3.Connection, job_id: int, item_id: int, unit: Unit) -> bool:
    row = connection.execute(
        "SELECT 1 FROM outcome WHERE job_id = ? AND item_id = ? AND stage = ? AND k = ?",
        (job_id, item_id, unit.stage, unit.k),
    ).fetchone()
    return row is not None


def outputs_of(connection: sqlite3.Connection, job_id: int, item_id: int) -> dict[Unit, Mapping[str, Any] | RowError]:
    """What a job has found out about an item so far, by unit; a verdict counts as an empty mapping."""
    rows = connection.execute(
        "SELECT stage, k, state, error_class, error, output, raw FROM outcome WHERE job_id = ? AND item_id = ?",
        (job_id, item_id),
    )
    return {
        Unit(row["stage"], row["k"]): json.loads(row["output"] or "{}")
        if row["state"] == "ok"
        else RowError(ItemId(item_id), ErrorClass(row["error_class"]), row["error"], row["raw"])
        for row in rows
    }


def _done_units(connection: sqlite3.Connection, job: Job, item_ids: Sequence[int]) -> set[tuple[int, str, int]]:
    rows = select_in(
        connection, "SELECT item_id, stage, k FROM outcome WHERE job_id = ? AND item_id IN ({})", item_ids, (job.id,)
    )
    return {(row[0], row[1], row[2]) for row in rows}


def commit_group(
    connection: sqlite3.Connection,
    job: Job,
    finished: Sequence[Finished],
    *,
    cursor: int,
    also: AlsoCommit | None = None,
) -> tuple[int, Wish | None]:
    """Store one group durably; returns how many rows were new and what is wished. `also` writes side rows.

    Rows that have an outcome already are left alone, with everything they carry. Raises FencedError when another
    worker has taken the job over, ConflictError or StorageError when the group could not be written (nothing was).
    """
    now = time.time()
    with transaction(connection):
        wish = beat(connection, job)
        known = _done_units(connection, job, [f.result.item_id for f in finished])
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
        _add_results(connection, job, fresh)
        if also is not None:
            also(connection, finished)
        failed = sum(1 for f in fresh if _state(f.result) == "failed")
        unparsable = sum(1 for f in fresh if _state(f.result) == "unparsable")
        connection.execute(
            """UPDATE job SET n_ok = n_ok + ?, n_failed = n_failed + ?, n_unparsable = n_unparsable + ?,
                   cursor = max(cursor, ?) WHERE id = ?""",
            (len(fresh) - failed - unparsable, failed, unparsable, cursor, job.id),
        )
    return len(fresh), wish


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that could not be read, as it came."""

    item_id: ItemId
    unit: Unit
    raw: str


def unparsable(connection: sqlite3.Connection, job_id: int) -> list[KeptAnswer]:
    """The outcomes of a job whose answer was kept because it could not be read."""
    rows = connection.execute(
        """SELECT item_id, stage, k, raw FROM outcome
           WHERE job_id = ? AND state = 'unparsable' AND raw IS NOT NULL ORDER BY item_id, stage, k""",
        (job_id,),
    )
    return [KeptAnswer(ItemId(row[0]), Unit(row[1], row[2]), row[3]) for row in rows]


def mend_unparsable(
    connection: sqlite3.Connection, job_id: int, read: Sequence[Finished], *, redo_later: bool = False
) -> int:
    """Replace unparsable outcomes by what was read in them after all; returns how many.

    `redo_later`: what else has failed of these rows came of it; it is forgotten, and the job is paused with that work
    left to do. Raises ConflictError while the job is active.
    """
    with transaction(connection):
        job = get_job(connection, job_id)
        if job.state.active:
            raise ConflictError(
                f"Job {job_id} is {job.state.value}.", f"Pause it first: refusal-tui jobs pause {job_id}"
            )
        mended = [
            one
            for one in read
            if connection.execute(
                """UPDATE outcome SET state = 'ok', error_class = NULL, error = NULL, raw = NULL, output = ?
                   WHERE job_id = ? AND item_id = ? AND stage = ? AND k = ? AND state = 'unparsable'""",
                (_output(one.result), job_id, one.result.item_id, one.stage, one.k),
            ).rowcount
        ]
        _add_results(connection, job, mended)
        connection.execute(
            "UPDATE job SET n_ok = n_ok + ?, n_unparsable = n_unparsable - ? WHERE id = ?",
            (len(mended), len(mended), job_id),
        )
        if redo_later:
            _forget_failed(connection, job_id, [one.result.item_id for one in mended])
        if mended:
            add_event(connection, job_id, "info", "reparse", f"{len(mended)} kept answers could be read")
    return len(mended)


def _forget_failed(connection: sqlite3.Connection, job_id: int, item_ids: Sequence[int]) -> None:
    """Forget what has failed of these rows, so that the next run does it; a job that had ended is paused until then."""
    where = "job_id = ? AND state <> 'ok' AND item_id IN ({})"
    counts = Counter(
        row[0] for row in select_in(connection, f"SELECT state FROM outcome WHERE {where}", item_ids, (job_id,))
    )
    if not counts:
        return
    for chunk in chunks(item_ids, 500):
        marks = ",".join("?" * len(chunk))
        connection.execute(f"DELETE FROM outcome WHERE {where.format(marks)}", (job_id, *chunk))
        connection.execute(
            f"""UPDATE job SET cursor = min(cursor, (SELECT min(position) FROM job_item
                    WHERE job_id = job.id AND item_id IN ({marks}))) WHERE id = ?""",
            (*chunk, job_id),
        )
    connection.execute(
        """UPDATE job SET n_failed = n_failed - ?, n_unparsable = n_unparsable - ?, finished = NULL,
               state = CASE WHEN state IN ('done', 'failed') THEN 'paused' ELSE state END,
               note = 'answers could be read after all; resume to go on with their rows' WHERE id = ?""",
        (counts["failed"], counts["unparsable"], job_id),
    )


def _add_results(connection: sqlite3.Connection, job: Job, fresh: Sequence[Finished]) -> None:
    """Write what results carry beyond their outcome."""
    add_verdicts(connection, [f.result for f in fresh if isinstance(f.result, Verdict)], job_id=job.id)
    made: dict[int, list[tuple[str, MadeItem]]] = {}
    for one in fresh:
        if isinstance(one.result, Made):
            made.setdefault(one.result.dataset_id, []).append((one.result.key, one.result.item))
    for dataset_id, items in made.items():
        added = add_items(connection, dataset_id, items)
        connection.execute("UPDATE dataset SET n_items = n_items + ? WHERE id = ?", (added.count, dataset_id))


def _state(result: RowResult) -> str:
    if not isinstance(result, RowError):
        return "ok"
    return "unparsable" if result.error_class is ErrorClass.PARSE else "failed"


def _output(result: RowResult) -> str | None:
    return storable_json(result.value) if isinstance(result, Output | Made) else None


def _record(job: Job, finished: Finished, now: float) -> tuple[object, ...]:
    result = finished.result
    error = result if isinstance(result, RowError) else None
    return (
        job.id, result.item_id, finished.stage, finished.k, _state(result), finished.attempts,
        error.error_class.value if error else None, storable_or_none(error.message if error else None),
        _output(result),
        storable_or_none(error.raw if error else None), job.run, now,
    )  # fmt: skip
