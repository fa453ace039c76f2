"""What exactly is stored when a judge or a human answers?

The verdict, appended and never edited, and the labels that follow from it under the constitution in force (its hash is
part of `label.derivation`; the built-in one goes without), with the probabilities that a temperature in force makes of
the verdict's (`store/settings.py`). The labels of an annotator's latest verdict replace those of the earlier one; the
earlier verdict stays.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from refusal_tui.labels.derive import DERIVATION, derive
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile, Span, Verdict
from refusal_tui.store.encoding import select_in, storable_or_none
from refusal_tui.store.query import compile_filter
from refusal_tui.store.settings import calibrations, constitution_in_force

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict with its place in history: `superseded` when the same annotator has answered again."""

    id: int
    verdict: Verdict
    job_id: int | None
    created: float
    superseded: bool


@dataclass(frozen=True, slots=True)
class StoredLabel:
    head: str
    annotator: str
    value: str
    probability: float | None
    profile: str
    verdict_id: int


def add_verdicts(connection: sqlite3.Connection, verdicts: Sequence[Verdict], *, job_id: int | None = None) -> None:
    """Append verdicts and refresh the labels of their annotators; the caller holds the transaction."""
    if not verdicts:
        return
    now = time.time()
    first: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM verdict").fetchone()[0]
    connection.executemany(
        """INSERT INTO verdict(id, item_id, annotator, question_set, version, profile, answers, spans, raw,
               rationale, seen_judge, job_id, created) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)""",
        [
            (verdict_id, v.item_id, v.annotator, v.question_set, v.version, v.profile.value, _answers(v),
             json.dumps([(s.field, s.start, s.end, s.rule) for s in v.spans]) if v.spans else None,
             storable_or_none(v.raw), storable_or_none(v.rationale), int(v.seen_judge), job_id, now)
            for verdict_id, v in enumerate(verdicts, first)
        ],
    )  # fmt: skip
    numbered = list(enumerate(verdicts, first))
    again = _answered_again(connection, verdicts, first)
    constitution = constitution_in_force(connection)
    _add_labels(connection, [(i, v) for i, v in numbered if (v.item_id, v.annotator) not in again], constitution)
    _refresh_labels(connection, again, constitution)


def rebuild_labels(connection: sqlite3.Connection, annotator: str | None = None) -> int:
    """Derive every label (of one annotator, or of all) again from the latest verdicts, under the constitution and the
    calibrations in force; returns how many there are.

    The caller holds the transaction.
    """
    connection.execute("DELETE FROM label WHERE ? IS NULL OR annotator = ?", (annotator, annotator))
    constitution = constitution_in_force(connection)
    verdicts = latest_verdicts(connection, annotator)
    while batch := list(islice(verdicts, 1000)):
        _add_labels(connection, batch, constitution)
    return int(
        connection.execute(
            "SELECT count(*) FROM label WHERE ? IS NULL OR annotator = ?", (annotator, annotator)
        ).fetchone()[0]
    )


def latest_verdicts(connection: sqlite3.Connection, annotator: str | None = None) -> Iterator[tuple[int, Verdict]]:
    """(number, verdict) of every annotator's (or one's) latest answer to each question set, oldest first."""
    rows = connection.execute(
        """SELECT * FROM verdict WHERE id IN
             (SELECT max(id) FROM verdict WHERE ? IS NULL OR annotator = ?
              GROUP BY item_id, annotator, question_set, profile) ORDER BY id""",
        (annotator, annotator),
    )
    for row in rows:
        yield row["id"], _verdict(row)


def verdicts_numbered(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, Verdict]:
    """The verdicts with these numbers; those that are not there are left out."""
    return {
        row["id"]: _verdict(row) for row in select_in(connection, "SELECT * FROM verdict WHERE id IN ({})", numbers)
    }


def job_verdicts(connection: sqlite3.Connection, job_id: int) -> Iterator[Verdict]:
    """Every verdict that a job has brought, oldest first."""
    for row in connection.execute("SELECT * FROM verdict WHERE job_id = ? ORDER BY id", (job_id,)):
        yield _verdict(row)


def annotator_verdicts(
    connection: sqlite3.Connection, annotator: str, item_ids: Sequence[int]
) -> dict[ItemId, Verdict]:  # fmt: skip
    """What one annotator has said last of some items, by item; those without a verdict of theirs are left out."""
    rows = select_in(
        connection,
        "SELECT * FROM verdict WHERE annotator = ? AND item_id IN ({}) ORDER BY id",
        item_ids,
        (annotator,),
    )
    return {ItemId(row["item_id"]): _verdict(row) for row in rows}


def _answered_again(connection: sqlite3.Connection, verdicts: Sequence[Verdict], first: int) -> set[tuple[ItemId, str]]:
    """The (item, annotator) pairs that have a verdict before number `first`, or several in this batch."""
    times = Counter((v.item_id, v.annotator) for v in verdicts)
    rows = select_in(
        connection,
        "SELECT DISTINCT item_id, annotator FROM verdict WHERE id < ? AND item_id IN ({})",
        list({item_id for item_id, _ in times}),
        (first,),
    )
    earlier = {(ItemId(row[0]), str(row[1])) for row in rows}
    return {pair for pair, count in times.items() if count > 1 or pair in earlier}


def _refresh_labels(
    connection: sqlite3.Connection, pairs: Collection[tuple[ItemId, str]], constitution: Constitution | None
) -> None:
    """Derive the labels of these (item, annotator) pairs again, from their latest verdict of each question set."""
    connection.executemany("DELETE FROM label WHERE item_id = ? AND annotator = ?", list(pairs))
    for pair in pairs:
        rows = connection.execute("SELECT * FROM verdict WHERE item_id = ? AND annotator = ? ORDER BY id", pair)
        latest = {(row["question_set"], row["profile"]): row for row in rows}
        ordered = sorted(latest.values(), key=lambda row: row["id"])
        _add_labels(connection, [(row["id"], _verdict(row)) for row in ordered], constitution)


def _add_labels(
    connection: sqlite3.Connection, verdicts: Sequence[tuple[int, Verdict]], constitution: Constitution | None
) -> None:
    """Where two question sets give the same head, the later verdict counts: hand them over in order."""
    derivation = DERIVATION if constitution is None else f"{DERIVATION}/{constitution.hash}"
    known = calibrations(connection)
    honest = {v.annotator: known.get(v.annotator) for _, v in verdicts}
    how = {who: derivation if c is None else f"{derivation}/T{c.temperature:.6g}" for who, c in honest.items()}
    connection.executemany(
        """INSERT OR REPLACE INTO label(item_id, head, annotator, profile, value, probability, verdict_id, derivation)
           VALUES (?,?,?,?,?,?,?,?)""",
        [
            (v.item_id, label.head, v.annotator, label.profile.value if label.profile else "", label.value,
             label.probability if (c := honest[v.annotator]) is None else c.of(label.head, label.probability),
             verdict_id, how[v.annotator])
            for verdict_id, v in verdicts
            for label in derive(v, constitution)
        ],
    )  # fmt: skip


def verdicts_of(connection: sqlite3.Connection, item_id: int) -> list[StoredVerdict]:
    """The history of one item, oldest first."""
    rows = connection.execute("SELECT * FROM verdict WHERE item_id = ? ORDER BY id", (item_id,)).fetchall()
    latest = {(r["annotator"], r["question_set"], r["profile"]): r["id"] for r in rows}
    return [
        StoredVerdict(
            r["id"], _verdict(r), r["job_id"], r["created"],
            latest[(r["annotator"], r["question_set"], r["profile"])] != r["id"],
        )
        for r in rows
    ]  # fmt: skip


def latest_of_items(connection: sqlite3.Connection, item_ids: Sequence[int]) -> list[StoredVerdict]:
    """Every annotator's latest answer to each question set on these items, oldest first."""
    sql = """SELECT * FROM verdict WHERE id IN (SELECT max(id) FROM verdict WHERE item_id IN ({})
        GROUP BY item_id, annotator, question_set, profile)"""
    rows = sorted(select_in(connection, sql, item_ids), key=lambda row: int(row["id"]))
    return [StoredVerdict(row["id"], _verdict(row), row["job_id"], row["created"], False) for row in rows]


def labels_of(connection: sqlite3.Connection, item_id: int) -> list[StoredLabel]:
    return [
        StoredLabel(*row)
        for row in connection.execute(
            """SELECT head, annotator, value, probability, profile, verdict_id FROM label WHERE item_id = ?
               ORDER BY head, annotator""",
            (item_id,),
        )
    ]


def judge_labels(
    connection: sqlite3.Connection, item_ids: Sequence[int], head: str
) -> list[tuple[int, str, str, float | None]]:
    """(item, judge, label, probability) of what every judge says of these items; the latest where profiles differ."""
    return labels_by_annotator(connection, item_ids, head, "judge:*")


def labels_by_annotator(
    connection: sqlite3.Connection, item_ids: Sequence[int], head: str, pattern: str = "*"
) -> list[tuple[int, str, str, float | None]]:
    """The same for all whose name fits the pattern: judges, people, and what was computed from them."""
    rows = select_in(
        connection,
        "SELECT item_id, annotator, value, probability, max(verdict_id) FROM label WHERE head = ? "
        "AND annotator GLOB ? AND item_id IN ({}) GROUP BY item_id, annotator",
        item_ids,
        (head, pattern),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _answers(verdict: Verdict) -> str:
    return json.dumps({q: (a.value, a.probability) for q, a in verdict.answers.items()})


def _verdict(row: sqlite3.Row) -> Verdict:
    return Verdict(
        item_id=ItemId(row["item_id"]),
        annotator=row["annotator"],
        question_set=row["question_set"],
        version=row["version"],
        answers={q: Answer(value, p) for q, (value, p) in json.loads(row["answers"]).items()},
        spans=tuple(Span(*s) for s in json.loads(row["spans"])) if row["spans"] else (),
        raw=row["raw"],
        rationale=row["rationale"],
        seen_judge=bool(row["seen_judge"]),
        profile=Profile(row["profile"]),
    )


def label_pairs(
    connection: sqlite3.Connection, one: str, other: str, filter_text: str = "", head: str = "refusal3"
) -> list[tuple[str, str]]:
    """The labels that two annotators (LIKE patterns) gave the same items: [(one's value, other's value), …].

    Where several annotators match, each item counts with the latest label of each side.
    """
    condition = compile_filter(connection, filter_text)
    side = """(SELECT value FROM label WHERE item_id = item.id AND head = ? AND annotator LIKE ?
               ORDER BY verdict_id DESC LIMIT 1)"""
    rows = connection.execute(
        f"SELECT * FROM (SELECT {side} AS one, {side} AS other FROM item WHERE {condition.sql}) "
        "WHERE one IS NOT NULL AND other IS NOT NULL",
        (head, one, head, other, *condition.parameters),
    )
    return [(row[0], row[1]) for row in rows]
