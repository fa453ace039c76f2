"""What have people said in a queue? Reading for agreement, adjudication, exports and the review card.

`decisions` is what stands now, one entry per card and annotator; `events` is the whole history, undone labels included.
A label is always a verdict, so that labels given in a queue, imported ones and judges' are compared alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.encoding import select_in
from refusal_tui.store.labels import verdicts_numbered
from refusal_tui.store.review_queues import Queue, QueueItem
from refusal_tui.store.review_work import CardState


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an annotator stands with a card. `verdict` and `created` belong to a label; `verdict.seen_judge` says
    whether it was given blind, `judge_shown` whether a judge's label has been on the screen since, too."""

    item: QueueItem
    annotator: str
    state: CardState
    verdict_id: int | None
    verdict: Verdict | None
    judge_shown: bool
    flagged: bool
    note: str | None
    seconds: float | None
    created: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history. `kind`: label, skip, undo, flag, unflag, note, judge_shown."""

    id: int
    position: int
    item_id: ItemId
    annotator: str
    kind: str
    verdict_id: int | None
    note: str | None
    seconds: float | None
    created: float


@dataclass(frozen=True, slots=True)
class OwnProgress:
    """How far one annotator is: cards dealt with, and cards that are still to be had (repeats included)."""

    labelled: int
    skipped: int
    flagged: int
    left: int


_COLUMNS = """i.position, i.item_id, i.stratum, i.inclusion, i.wanted, i.repeat_of, d.annotator, d.state, d.verdict_id,
    d.judge_shown, d.flagged, d.note, d.seconds,
    (SELECT created FROM verdict WHERE id = d.verdict_id) AS created"""


def decisions(
    connection: sqlite3.Connection,
    queue: Queue,
    *,
    annotator: str | None = None,
    positions: list[int] | None = None,
) -> list[Decision]:
    """What stands in the queue, by position and annotator; labels, skips, and cards with a flag or a note alone."""
    sql = f"""SELECT {_COLUMNS} FROM decision d
        JOIN queue_item i ON i.queue_id = d.queue_id AND i.position = d.position WHERE d.queue_id = ?"""
    values: tuple[object, ...] = (queue.id,)
    if annotator is not None:
        sql, values = f"{sql} AND d.annotator = ?", (*values, annotator)
    if positions is None:
        rows = list(connection.execute(f"{sql} ORDER BY i.position, d.annotator", values))
    else:
        rows = sorted(select_in(connection, f"{sql} AND d.position IN ({{}})", positions, values), key=_place)
    verdicts = verdicts_numbered(connection, [row["verdict_id"] for row in rows if row["verdict_id"] is not None])
    return [_decision(row, verdicts.get(row["verdict_id"])) for row in rows]


def events(connection: sqlite3.Connection, queue: Queue) -> Iterator[Event]:
    """The history of the queue, oldest first."""
    rows = connection.execute(
        """SELECT e.id, e.position, i.item_id, e.annotator, e.kind, e.verdict_id, e.note, e.seconds, e.created
           FROM review_event e JOIN queue_item i ON i.queue_id = e.queue_id AND i.position = e.position
           WHERE e.queue_id = ? ORDER BY e.id""",
        (queue.id,),
    )
    for row in rows:
        yield Event(*row)


def own_progress(connection: sqlite3.Connection, queue: Queue, annotator: str) -> OwnProgress:
    """How far `annotator` is. A card counts as left when the labels of others leave room, whoever holds it now; a
    repeat counts with its row from the beginning, so that the number does not tell which row comes again."""
    labelled, skipped, flagged = connection.execute(
        """SELECT coalesce(sum(state = 'label'), 0), coalesce(sum(state = 'skip'), 0), coalesce(sum(flagged), 0)
           FROM decision WHERE queue_id = ? AND annotator = ?""",
        (queue.id, annotator),
    ).fetchone()
    left = connection.execute(
        """WITH free AS (SELECT i.position, i.repeat_of FROM queue_item i WHERE i.queue_id = :queue
             AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.queue_id = i.queue_id AND d.position = i.position
                 AND d.annotator = :annotator AND d.state <> 'open')
             AND (SELECT count(*) FROM decision d WHERE d.queue_id = i.queue_id AND d.position = i.position
                 AND d.annotator <> :annotator AND d.state = 'label') < i.wanted)
           SELECT count(*) FROM free WHERE repeat_of IS NULL OR repeat_of IN (SELECT position FROM free)
             OR EXISTS (SELECT 1 FROM decision d WHERE d.queue_id = :queue AND d.position = free.repeat_of
                 AND d.annotator = :annotator AND d.state = 'label')""",
        {"queue": queue.id, "annotator": annotator},
    ).fetchone()[0]
    return OwnProgress(labelled, skipped, flagged, left)


def answered_positions(connection: sqlite3.Connection, queue: Queue, annotator: str) -> list[int]:
    """The cards that this annotator has labelled or skipped, in the order of the answers: the way back."""
    rows = connection.execute(
        "SELECT position FROM decision WHERE queue_id = ? AND annotator = ? AND state <> 'open' ORDER BY event_id",
        (queue.id, annotator),
    )
    return [row[0] for row in rows]


def _place(row: sqlite3.Row) -> tuple[int, str]:
    return row["position"], row["annotator"]


def _decision(row: sqlite3.Row, verdict: Verdict | None) -> Decision:
    item = QueueItem(
        row["position"], ItemId(row["item_id"]), row["stratum"], row["inclusion"], row["wanted"], row["repeat_of"]
    )
    return Decision(
        item, row["annotator"], CardState(row["state"]), row["verdict_id"], verdict, bool(row["judge_shown"]),
        bool(row["flagged"]), row["note"], row["seconds"], row["created"],
    )  # fmt: skip
