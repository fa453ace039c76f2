"""How do several people work on one queue without a row labelled too often, and without a decision lost?

Cards are leased (`claim`): nobody else gets them until the lease runs out or is given back. A label is a verdict,
appended like a judge's and never edited: labelling again supersedes it, taking it back appends what stood before it, or
an empty verdict. `decision` says where each annotator stands with each card, `review_event` keeps the history.

Every function but `claim` is called inside the caller's `transaction`, which is the commit: when it returns, the
decision is on the disk (synchronous=FULL). `annotator` is `human:NAME`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import storable_or_none
from refusal_tui.store.labels import add_verdicts, verdicts_numbered
from refusal_tui.store.review_queues import Queue, queue_item

LEASE_SECONDS = 900.0  # an annotator who is away for longer gives the cards on
_CANDIDATES = 3  # times as many cards are looked at as are wanted: others may take some of them meanwhile


class TakenError(ConflictError):
    """Others have the card, or have labelled it: go on with the next one."""


class CardState(StrEnum):
    """Where an annotator stands with a card. A skipped card is not shown again, but others may still label it."""

    OPEN = "open"
    LABEL = "label"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Place:
    """One annotator's card."""

    queue: Queue
    position: int
    annotator: str

    @property
    def key(self) -> tuple[int, int, str]:
        return self.queue.id, self.position, self.annotator


@dataclass(frozen=True, slots=True)
class Said:
    """What a person answers. `question_set` and `version` name what was asked, as for a judge."""

    answers: Mapping[str, Answer]
    question_set: str = "refusal3"
    version: str = "1"


# A card can be had by an annotator who has not dealt with it, when the labels of others and the cards that others hold
# leave room; a repeat, by those who have labelled the row before.
_FREE = """NOT EXISTS (SELECT 1 FROM decision d WHERE d.queue_id = i.queue_id AND d.position = i.position
        AND d.annotator = :annotator AND d.state <> 'open')
    AND (SELECT count(*) FROM decision d WHERE d.queue_id = i.queue_id AND d.position = i.position
        AND d.annotator <> :annotator AND d.state = 'label')
      + (SELECT count(*) FROM lease l WHERE l.queue_id = i.queue_id AND l.position = i.position
        AND l.annotator <> :annotator AND l.until > :now) < i.wanted
    AND (i.repeat_of IS NULL OR EXISTS (SELECT 1 FROM decision d WHERE d.queue_id = i.queue_id
        AND d.position = i.repeat_of AND d.annotator = :annotator AND d.state = 'label'))"""


def claim(
    connection: sqlite3.Connection,
    queue: Queue,
    annotator: str,
    count: int = 20,
    *,
    holding: Collection[int] = (),
    now: float | None = None,
) -> list[int]:
    """Lease the next `count` cards; returns their positions, fewer when the queue runs out.

    `holding`: the positions that this annotator has in hand, whose leases are renewed. Looks outside the transaction
    and takes inside a short one, so that a long queue never blocks the others.
    """
    moment = time.time() if now is None else now
    values = {"queue": queue.id, "annotator": annotator, "now": moment}
    held = set(holding)
    taken: list[int] = []
    while len(taken) < count:
        wanted = count - len(taken)
        found = connection.execute(
            f"""SELECT i.position FROM queue_item i WHERE i.queue_id = :queue AND {_FREE}
                ORDER BY i.position LIMIT :limit""",
            {**values, "limit": _CANDIDATES * wanted + len(held)},
        )
        candidates = [row[0] for row in found if row[0] not in held]
        got: list[int] = []
        with transaction(connection):
            _renew(connection, queue, annotator, held, moment)
            for position in candidates:
                if len(got) == wanted:
                    break
                free = connection.execute(
                    f"SELECT 1 FROM queue_item i WHERE i.queue_id = :queue AND i.position = :position AND {_FREE}",
                    {**values, "position": position},
                ).fetchone()
                if free:
                    got.append(position)
                    held.add(position)
            _renew(connection, queue, annotator, got, moment)
        taken += got
        if len(candidates) < wanted or not candidates:
            break
    return taken


def claim_one(
    connection: sqlite3.Connection, queue: Queue, position: int, annotator: str, *, now: float | None = None
) -> None:
    """Lease a card by its number. Raises InputError where there is none, TakenError while others have it."""
    moment = time.time() if now is None else now
    _require_room(connection, Place(queue, position, annotator), moment)
    _renew(connection, queue, annotator, [position], moment)


def _renew(
    connection: sqlite3.Connection, queue: Queue, annotator: str, positions: Collection[int], now: float
) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO lease(queue_id, position, annotator, until) VALUES (?,?,?,?)",
        [(queue.id, position, annotator, now + LEASE_SECONDS) for position in positions],
    )


def release(connection: sqlite3.Connection, queue: Queue, annotator: str) -> None:
    """Give back the cards that this annotator holds."""
    connection.execute("DELETE FROM lease WHERE queue_id = ? AND annotator = ?", (queue.id, annotator))


def decide(
    connection: sqlite3.Connection,
    place: Place,
    said: Said,
    *,
    seconds: float | None = None,
    seen_judge: bool = False,
    now: float | None = None,
) -> int:
    """Commit a label; returns the number of its verdict. A label of an earlier time is superseded.

    `seen_judge`: a judge's label was on the screen before the answer. It is also stored where that happened on an
    earlier card with the same row (`mark_shown`). Raises TakenError where others have labelled the row meanwhile
    as often as is wanted, InputError where the queue has no such card.
    """
    moment = time.time() if now is None else now
    item_id = _require_room(connection, place, moment)
    note = _note(connection, place)
    seen = seen_judge or was_shown(connection, item_id, place.annotator)
    verdict = Verdict(
        item_id, place.annotator, said.question_set, said.version, said.answers, rationale=note, seen_judge=seen,
        profile=place.queue.settings.profile,
    )  # fmt: skip
    verdict_id = _append(connection, verdict)
    _record(connection, place, "label", moment, state=CardState.LABEL, verdict_id=verdict_id, seconds=seconds)
    if seen_judge:
        _set(connection, place, judge_shown=1)
    _drop_lease(connection, place)
    return verdict_id


def skip(
    connection: sqlite3.Connection, place: Place, *, seconds: float | None = None, now: float | None = None
) -> None:
    """Leave the card to others; a label that this annotator gave it is taken back."""
    moment = time.time() if now is None else now
    queue_item(connection, place.queue, place.position)
    _take_back(connection, place)
    _record(connection, place, "skip", moment, state=CardState.SKIP, seconds=seconds)
    _drop_lease(connection, place)


def undo(connection: sqlite3.Connection, queue: Queue, annotator: str, *, now: float | None = None) -> int | None:
    """Take back this annotator's latest label or skip in the queue, whenever it was; returns its position, which is
    leased again, or None when there is nothing left to take back."""
    moment = time.time() if now is None else now
    row = connection.execute(
        """SELECT position FROM decision WHERE queue_id = ? AND annotator = ? AND state <> 'open'
           ORDER BY event_id DESC LIMIT 1""",
        (queue.id, annotator),
    ).fetchone()
    if row is None:
        return None
    place = Place(queue, int(row[0]), annotator)
    restored = _take_back(connection, place)
    _record(connection, place, "undo", moment, state=CardState.OPEN, event_verdict=restored)
    _renew(connection, queue, annotator, [place.position], moment)
    return place.position


def flag(connection: sqlite3.Connection, place: Place, on: bool = True, *, now: float | None = None) -> None:
    """Mark the card for somebody to talk about, whether it is labelled or not."""
    queue_item(connection, place.queue, place.position)
    _record(connection, place, "flag" if on else "unflag", time.time() if now is None else now)
    _set(connection, place, flagged=int(on))


def note(connection: sqlite3.Connection, place: Place, text: str, *, now: float | None = None) -> None:
    """Keep a remark on the card, "" for none. It is the rationale of labels given after it."""
    queue_item(connection, place.queue, place.position)
    kept = storable_or_none(text.strip() or None)
    _record(connection, place, "note", time.time() if now is None else now, note=kept)
    _set(connection, place, note=kept)


def mark_shown(connection: sqlite3.Connection, place: Place, *, now: float | None = None) -> None:
    """A judge's label of this card's row has been on the annotator's screen: what follows on the row is not blind."""
    queue_item(connection, place.queue, place.position)
    row = connection.execute(
        "SELECT judge_shown FROM decision WHERE queue_id = ? AND position = ? AND annotator = ?", place.key
    ).fetchone()
    if row is None or not row[0]:
        _record(connection, place, "judge_shown", time.time() if now is None else now)
        _set(connection, place, judge_shown=1)


def was_shown(connection: sqlite3.Connection, item_id: int, annotator: str) -> bool:
    """Whether the annotator has seen a judge's label of the row, on any card of any queue."""
    row = connection.execute(
        """SELECT 1 FROM queue_item i JOIN decision d ON d.queue_id = i.queue_id AND d.position = i.position
           WHERE i.item_id = ? AND d.annotator = ? AND d.judge_shown""",
        (item_id, annotator),
    ).fetchone()
    return row is not None


def require_unchanged(connection: sqlite3.Connection, place: Place, verdict_id: int | None) -> None:
    """Raises TakenError where this annotator's label of the card is another than `verdict_id`, the one that stood when
    the card was laid on the desk: the same person has answered it at another terminal meanwhile."""
    row = connection.execute(
        "SELECT verdict_id FROM decision WHERE queue_id = ? AND position = ? AND annotator = ?", place.key
    ).fetchone()
    if (None if row is None else row[0]) != verdict_id:
        raise TakenError(
            f"You have answered card {place.position} at another terminal meanwhile; that answer stands.",
            "Go on with the next card. Two people at once need two names: --annotator NAME",
        )


# --- the inside ----------------------------------------------------------------------------------------------------


def _require_room(connection: sqlite3.Connection, place: Place, now: float) -> ItemId:
    """The card's row, if this annotator may label it now: a valid lease, a label of an earlier time, or room."""
    item = queue_item(connection, place.queue, place.position)
    mine = connection.execute(
        """SELECT 1 FROM decision WHERE queue_id = ? AND position = ? AND annotator = ? AND state = 'label'
           UNION ALL SELECT 1 FROM lease WHERE queue_id = ? AND position = ? AND annotator = ? AND until > ?""",
        (*place.key, *place.key, now),
    ).fetchone()
    taken = connection.execute(
        """SELECT (SELECT count(*) FROM decision WHERE queue_id = ? AND position = ? AND annotator <> ?
                   AND state = 'label')
                + (SELECT count(*) FROM lease WHERE queue_id = ? AND position = ? AND annotator <> ? AND until > ?)""",
        (*place.key, *place.key, now),
    ).fetchone()[0]
    if not mine and taken >= item.wanted:
        raise TakenError(
            f"Others have labelled card {place.position} of {place.queue.name} meanwhile, or are at it.",
            f"Go on with the next one: review next {place.queue.name}",
        )
    return item.item_id


def _append(connection: sqlite3.Connection, verdict: Verdict) -> int:
    add_verdicts(connection, [verdict])
    return int(connection.execute("SELECT max(id) FROM verdict").fetchone()[0])


def _take_back(connection: sqlite3.Connection, place: Place) -> int | None:
    """Append what stood before this card's label, or an empty verdict; returns its number, None where there was no
    label or a later answer of this annotator stands anyway."""
    row = connection.execute(
        """SELECT verdict_id FROM decision WHERE queue_id = ? AND position = ? AND annotator = ? AND state = 'label'""",
        place.key,
    ).fetchone()
    if row is None:
        return None
    verdict = verdicts_numbered(connection, [row[0]]).get(row[0])
    if verdict is None:
        raise InputError("The label is not there any more.", "Run: refusal-tui doctor")
    # What stands beside it: verdicts from elsewhere (an import), and the labels of other cards with the same row.
    beside = connection.execute(
        """SELECT v.id FROM verdict v WHERE v.item_id = ? AND v.annotator = ? AND v.question_set = ? AND v.profile = ?
             AND v.id <> ? AND (NOT EXISTS (SELECT 1 FROM review_event e WHERE e.verdict_id = v.id)
               OR EXISTS (SELECT 1 FROM decision d WHERE d.verdict_id = v.id AND d.state = 'label'))
           ORDER BY v.id DESC LIMIT 1""",
        (verdict.item_id, verdict.annotator, verdict.question_set, verdict.profile.value, row[0]),
    ).fetchone()
    if beside and beside[0] > row[0]:
        return None
    earlier = verdicts_numbered(connection, [beside[0]])[beside[0]] if beside else None
    return _append(connection, earlier or replace(verdict, answers={}, rationale=None))


def _record(
    connection: sqlite3.Connection,
    place: Place,
    kind: str,
    now: float,
    *,
    state: CardState | None = None,
    verdict_id: int | None = None,
    event_verdict: int | None = None,
    note: str | None = None,
    seconds: float | None = None,
) -> None:
    """Append to the history; with a `state`, the annotator stands there now."""
    event_id = connection.execute(
        """INSERT INTO review_event(queue_id, position, annotator, kind, verdict_id, note, seconds, created)
           VALUES (?,?,?,?,?,?,?,?)""",
        (*place.key, kind, verdict_id or event_verdict, note, seconds, now),
    ).lastrowid
    connection.execute(
        """INSERT INTO decision(queue_id, position, annotator, state, event_id) VALUES (?,?,?,?,?)
           ON CONFLICT DO NOTHING""",
        (*place.key, CardState.OPEN.value, event_id),
    )
    if state is not None:
        _set(connection, place, state=state.value, verdict_id=verdict_id, seconds=seconds, event_id=event_id)


def _set(connection: sqlite3.Connection, place: Place, **columns: object) -> None:
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(
        f"UPDATE decision SET {names} WHERE queue_id = ? AND position = ? AND annotator = ?",
        (*columns.values(), *place.key),
    )


def _note(connection: sqlite3.Connection, place: Place) -> str | None:
    row = connection.execute(
        "SELECT note FROM decision WHERE queue_id = ? AND position = ? AND annotator = ?", place.key
    ).fetchone()
    return None if row is None else row[0]


def _drop_lease(connection: sqlite3.Connection, place: Place) -> None:
    connection.execute("DELETE FROM lease WHERE queue_id = ? AND position = ? AND annotator = ?", place.key)
