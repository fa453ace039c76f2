"""What have people decided about cleaned rows, and what is a row after that?

Decisions are appended and never edited. Of each person the latest one that was not undone stands; of several people's
the latest counts, and a skip counts for nothing but the progress. The item keeps what the model wrote.
"""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.store.encoding import select_in, storable_or_none

ADAPTER = "clean"


class Choice(StrEnum):
    """What a person may decide. An edit waits for a new answer; accepting it says that the old answer fits."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"
    SKIP = "skip"


_UNDO = "undo"


class Queue(StrEnum):
    """Which rows of a job are looked at. `TOUCHED`: all that cleaning has changed, doubts or dropped."""

    UNDECIDED = "undecided"
    CHANGED = "changed"
    REFUSED_AGAIN = "refused again"
    DOUBTFUL = "doubtful"
    SKIPPED = "skipped"
    TOUCHED = "all"


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. `rewritten` is a person's wording of the instruction, None where the model's stands."""

    id: int
    item_id: int
    annotator: str
    choice: Choice
    rewritten: str | None
    created: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Of `rows` to look at, how many have which decision in force; `skipped` ones have none but a skip."""

    rows: int
    accepted: int
    edited: int
    rejected: int
    skipped: int

    @property
    def decided(self) -> int:
        return self.accepted + self.edited + self.rejected


_STANDS = "d.decision <> 'undo' AND NOT EXISTS (SELECT 1 FROM clean_decision u WHERE u.undoes = d.id)"
_ROWS = """FROM item JOIN dataset ON dataset.id = item.dataset_id JOIN item_body ON item_body.item_id = item.id
    WHERE dataset.adapter = 'clean' AND dataset.source = 'job ' || :job"""
_META = "json_extract(item_body.meta, '$.{}')"
_CHANGED = f"({_META.format('strategy')} IS NOT NULL OR {_META.format('original_response')} IS NOT item_body.response)"
_TOUCHED = f"({_META.format('decision')} <> 'keep' OR {_CHANGED})"
_OF_JOB = f"SELECT d.item_id FROM clean_decision d WHERE d.job_id = :job AND {_STANDS}"
_WHERE: Mapping[Queue, str] = {
    Queue.TOUCHED: _TOUCHED,
    Queue.UNDECIDED: f"{_TOUCHED} AND item.id NOT IN ({_OF_JOB} AND (d.decision <> 'skip' OR d.annotator = :who))",
    Queue.SKIPPED: f"item.id IN ({_OF_JOB} AND d.decision = 'skip' AND d.annotator = :who) "
    f"AND item.id NOT IN ({_OF_JOB} AND d.decision <> 'skip')",
    Queue.CHANGED: _CHANGED,
    Queue.REFUSED_AGAIN: f"{_META.format('reason')} IN ('refused', 'provider_refused')",
    Queue.DOUBTFUL: f"{_META.format('decision')} = 'review'",
}


def review_queue(connection: sqlite3.Connection, job_id: int, queue: Queue, annotator: str) -> array[int]:
    """The items of one queue, in the order of their sources. Undecided: nobody has, and this person has not skipped."""
    rows = connection.execute(
        f"SELECT item.id {_ROWS} AND {_WHERE[queue]} ORDER BY {_META.format('source_item')}, item.id",
        {"job": job_id, "who": annotator},
    )
    return array("q", (row[0] for row in rows))


def decide(
    connection: sqlite3.Connection, job_id: int, item_id: int, annotator: str, choice: Choice,
    rewritten: str | None = None,
) -> None:  # fmt: skip
    """Append one decision; the caller holds the transaction. `rewritten` goes with an edit, or with the acceptance of
    one. Raises InputError for a row of another job and for an edit without words."""
    if choice is Choice.EDIT and not (rewritten or "").strip():
        raise InputError("An edit needs the new wording.", "To leave the row out, reject it.")
    known = connection.execute(f"SELECT 1 {_ROWS} AND item.id = :item", {"job": job_id, "item": item_id}).fetchone()
    if known is None:
        raise InputError(f"Row {item_id} was not made by cleaning job {job_id}.", "See its rows: cleaned review JOB")
    kept = storable_or_none(rewritten) if choice in (Choice.EDIT, Choice.ACCEPT) else None
    _append(connection, job_id, item_id, annotator, choice.value, kept, None)


def undo(connection: sqlite3.Connection, job_id: int, annotator: str) -> Decided | None:
    """Take back this person's latest decision that stands in this job; None when there is none. What they had decided
    before on that row stands again. The caller holds the transaction."""
    row = connection.execute(
        f"""SELECT d.* FROM clean_decision d WHERE d.job_id = ? AND d.annotator = ? AND {_STANDS}
            ORDER BY d.id DESC LIMIT 1""",
        (job_id, annotator),
    ).fetchone()
    if row is None:
        return None
    _append(connection, job_id, row["item_id"], annotator, _UNDO, None, row["id"])
    return _decided(row)


def _append(
    connection: sqlite3.Connection, job_id: int, item_id: int, annotator: str, decision: str, rewritten: str | None,
    undoes: int | None,
) -> None:  # fmt: skip
    connection.execute(
        """INSERT INTO clean_decision(job_id, item_id, annotator, decision, rewritten, undoes, created)
           VALUES (?,?,?,?,?,?,?)""",
        (job_id, item_id, annotator, decision, rewritten, undoes, time.time()),
    )


def standing(connection: sqlite3.Connection, item_ids: Sequence[int]) -> dict[int, dict[str, Decided]]:
    """item -> person -> the decision that stands."""
    found: dict[int, dict[str, Decided]] = {}
    rows = select_in(
        connection, f"SELECT d.* FROM clean_decision d WHERE d.item_id IN ({{}}) AND {_STANDS} ORDER BY d.id", item_ids
    )
    for row in rows:  # a later one takes the place of an earlier one
        found.setdefault(row["item_id"], {})[row["annotator"]] = _decided(row)
    return found


def in_force(decided: Iterable[Decided]) -> Decided | None:
    """The one that counts: the latest that is not a skip."""
    return max((one for one in decided if one.choice is not Choice.SKIP), key=lambda one: one.id, default=None)


def progress(connection: sqlite3.Connection, job_id: int, annotator: str, rows: int | None = None) -> Progress:
    """How far the review is. `rows` as counted before: counting reads every row of the job, the rest only decisions."""
    if rows is None:
        rows = connection.execute(
            f"SELECT count(*) {_ROWS} AND ({_TOUCHED} OR item.id IN ({_OF_JOB}))", {"job": job_id}
        ).fetchone()[0]
    counts: dict[str, int] = dict(
        connection.execute(
            f"""SELECT decision, count(*) FROM (
                    SELECT d.decision, max(d.id) FROM clean_decision d
                    WHERE d.job_id = ? AND d.decision <> 'skip' AND {_STANDS} GROUP BY d.item_id)
                GROUP BY decision""",
            (job_id,),
        ).fetchall()
    )
    skipped = connection.execute(
        f"""SELECT count(DISTINCT item_id) FROM clean_decision d WHERE d.job_id = :job AND {_STANDS}
              AND d.decision = 'skip' AND d.annotator = :who
              AND d.item_id NOT IN ({_OF_JOB} AND d.decision <> 'skip')""",
        {"job": job_id, "who": annotator},
    ).fetchone()[0]
    return Progress(rows, counts.get("accept", 0), counts.get("edit", 0), counts.get("reject", 0), skipped)


def reviewed_rows(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
    """The rows as they are after people's decisions; those that nobody has decided on come out as they went in."""
    decisions = standing(connection, [row.item_id for row in rows])
    return [reviewed(row, in_force(decisions.get(row.item_id, {}).values())) for row in rows]


def reviewed(row: Row, decided: Decided | None) -> Row:
    """A row with a decision in its meta: `decision` and `reason` are the person's, the job's own stand beside them.

    An edited instruction has no response: the old one answers another question, and `answer_again` says so.
    """
    if decided is None:
        return row
    state, reason = {
        Choice.ACCEPT: ("keep", "accepted"),
        Choice.EDIT: ("keep", "edited"),
        Choice.REJECT: ("drop", "rejected"),
    }[decided.choice]
    meta = {
        **row.meta,
        "decision": state,
        "reason": reason,
        "decision_of_job": row.meta.get("decision"),
        "reason_of_job": row.meta.get("reason"),
        "reviewed_by": decided.annotator,
        "reviewed": decided.created,
    }
    if decided.rewritten is None or decided.rewritten == row.prompt:
        return replace(row, meta=meta)
    meta["rewritten_by_model"] = row.prompt
    if decided.choice is not Choice.EDIT:
        return replace(row, prompt=decided.rewritten, messages=(), meta=meta)
    meta |= {"answer_again": True, "old_response": row.response}
    return replace(row, prompt=decided.rewritten, messages=(), response=None, meta=meta)


def any_decision(connection: sqlite3.Connection) -> bool:
    """Whether anybody has decided anything: a million rows need not be looked up one by one."""
    return connection.execute("SELECT 1 FROM clean_decision LIMIT 1").fetchone() is not None


def _decided(row: sqlite3.Row) -> Decided:
    return Decided(
        row["id"], ItemId(row["item_id"]), row["annotator"], Choice(row["decision"]), row["rewritten"], row["created"]
    )
