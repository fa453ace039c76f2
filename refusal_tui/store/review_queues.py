"""Which rows wait for people, in which order, and how far are they?

A queue is a fixed list of cards: it is drawn once (`review/queues.py` draws it), and everybody who labels works on the
same list. What is said about a card is in `store/review_work.py` (writing) and `store/review_answers.py` (reading).
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Profile
from refusal_tui.store.encoding import select_in, storable, storable_or_none


class Purpose(StrEnum):
    """Why the queue is there. Labels given in a queue of disagreements settle them: they are gold of another kind."""

    ANNOTATE = "annotate"
    ADJUDICATE = "adjudicate"


class View(StrEnum):
    """What an annotator sees of a row."""

    PAIR = "pair"
    PROMPT = "prompt"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What is asked and how it is shown. `questions`: names of `review/questions.py`, comma-separated. `design` keeps
    how the rows were drawn, for the record."""

    selection: str = ""
    population: int = 0
    questions: str = "refusal3"
    profile: Profile = Profile.XSTEST
    view: View = View.PAIR
    blind: bool = True
    highlight: bool = True
    blur: bool = False
    guidelines: str | None = None
    seed: int = 0
    purpose: Purpose = Purpose.ANNOTATE
    design: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    id: int
    name: str
    settings: QueueSettings
    created: float


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One card. `inclusion`: the probability with which its row got into the queue, None where nobody knows it (rows
    chosen by hand). `repeat_of`: the earlier position whose row is silently shown again."""

    position: int
    item_id: ItemId
    stratum: str
    inclusion: float | None = None
    wanted: int = 1
    repeat_of: int | None = None


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """Cards without repeats: `done` have as many labels as are wanted, `labelled` have one at least."""

    queue: Queue
    cards: int
    labelled: int
    done: int
    annotators: Mapping[str, int]  # labels that stand, repeats included


def create_queue(
    connection: sqlite3.Connection, name: str, settings: QueueSettings, items: Sequence[QueueItem]
) -> Queue:
    """Store a queue with its cards; the caller holds the transaction.

    Raises InputError for a bad name or no cards, ConflictError for a name that is taken.
    """
    if not items:
        raise InputError("There is no row for this queue.", "Choose a selection that holds rows.")
    check_queue_name(connection, name)
    now = time.time()
    queue_id: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM queue").fetchone()[0]
    s = settings
    connection.execute(
        """INSERT INTO queue(id, name, purpose, selection, population, questions, profile, view, blind, highlight, blur,
               guidelines, seed, design, created) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
        (queue_id, name, s.purpose.value, storable(s.selection), s.population, s.questions, s.profile.value,
         s.view.value, int(s.blind), int(s.highlight), int(s.blur), storable_or_none(s.guidelines), s.seed,
         json.dumps(dict(s.design)), now),
    )  # fmt: skip
    connection.executemany(
        """INSERT INTO queue_item(queue_id, position, item_id, stratum, inclusion, wanted, repeat_of)
           VALUES (?,?,?,?,?,?,?)""",
        [
            (queue_id, i.position, i.item_id, storable(i.stratum), i.inclusion, i.wanted, i.repeat_of)
            for i in items
        ],
    )  # fmt: skip
    return Queue(queue_id, name, settings, now)


def check_queue_name(connection: sqlite3.Connection, name: str) -> None:
    """Raises InputError for what cannot be a name, ConflictError for one that is taken."""
    if not re.fullmatch(r"[\w.-]{1,60}", name):
        raise InputError(f"{name!r} cannot be a queue's name.", "Use letters, digits, dot, dash, underscore.")
    if connection.execute("SELECT 1 FROM queue WHERE name = ?", (name,)).fetchone():
        raise ConflictError(f"There is a queue {name!r} already.", f"Choose another name, or: review delete {name}")


def get_queue(connection: sqlite3.Connection, name: str) -> Queue:
    """The queue of that name. Raises InputError with the names there are."""
    row = connection.execute("SELECT * FROM queue WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = ", ".join(queue.name for queue in list_queues(connection)) or "none yet"
        raise InputError(f"There is no review queue {name!r}.", f"Queues: {names}. Make one with: review new")
    return _queue(row)


def list_queues(connection: sqlite3.Connection) -> list[Queue]:
    """Newest first."""
    return [_queue(row) for row in connection.execute("SELECT * FROM queue ORDER BY id DESC")]


def delete_queue(connection: sqlite3.Connection, queue_id: int) -> None:
    """Forget the queue and where everybody stood in it; the verdicts given in it stay. The caller holds the
    transaction."""
    connection.execute("DELETE FROM queue WHERE id = ?", (queue_id,))


def set_guidelines(connection: sqlite3.Connection, queue_id: int, text: str | None) -> None:
    """Guidelines of this queue's own; None: those made from the constitution. The caller holds the transaction."""
    connection.execute("UPDATE queue SET guidelines = ? WHERE id = ?", (storable_or_none(text), queue_id))


def queue_items(connection: sqlite3.Connection, queue_id: int) -> list[QueueItem]:
    """The cards in their order."""
    return [_item(row) for row in connection.execute(f"{_ITEMS} ORDER BY position", (queue_id,))]


def queue_items_at(connection: sqlite3.Connection, queue: Queue, positions: Sequence[int]) -> list[QueueItem]:
    """The cards at these positions, in any order."""
    return [_item(row) for row in select_in(connection, f"{_ITEMS} AND position IN ({{}})", positions, (queue.id,))]


def queue_item(connection: sqlite3.Connection, queue: Queue, position: int) -> QueueItem:
    """One card. Raises InputError where the queue has no such position."""
    found = queue_items_at(connection, queue, [position])
    if not found:
        raise InputError(f"The queue {queue.name} has no card {position}.", f"List them: review show {queue.name}")
    return found[0]


def progress_of(connection: sqlite3.Connection, queue: Queue) -> QueueProgress:
    """How far a queue is."""
    cards, labelled, done = connection.execute(
        """SELECT count(*), coalesce(sum(labels > 0), 0), coalesce(sum(labels >= wanted), 0) FROM (
             SELECT i.wanted, (SELECT count(*) FROM decision d WHERE d.queue_id = i.queue_id
                               AND d.position = i.position AND d.state = 'label') AS labels
             FROM queue_item i WHERE i.queue_id = ? AND i.repeat_of IS NULL)""",
        (queue.id,),
    ).fetchone()
    people = connection.execute(
        """SELECT annotator, count(*) FROM decision WHERE queue_id = ? AND state = 'label'
           GROUP BY 1 ORDER BY 2 DESC, 1""",
        (queue.id,),
    )
    return QueueProgress(queue, cards, labelled, done, {row[0]: row[1] for row in people})


_ITEMS = """SELECT position, item_id, stratum, inclusion, wanted, repeat_of FROM queue_item WHERE queue_id = ?"""


def _item(row: sqlite3.Row) -> QueueItem:
    return QueueItem(
        row["position"], ItemId(row["item_id"]), row["stratum"], row["inclusion"], row["wanted"], row["repeat_of"]
    )


def _queue(row: sqlite3.Row) -> Queue:
    return Queue(
        row["id"],
        row["name"],
        QueueSettings(
            selection=row["selection"],
            population=row["population"],
            questions=row["questions"],
            profile=Profile(row["profile"]),
            view=View(row["view"]),
            blind=bool(row["blind"]),
            highlight=bool(row["highlight"]),
            blur=bool(row["blur"]),
            guidelines=row["guidelines"],
            seed=row["seed"],
            purpose=Purpose(row["purpose"]),
            design=json.loads(row["design"]),
        ),
        row["created"],
    )
