"""Which disagreement is worth a person's time first, and how is one settled?

The order is by kind: two people differ, a person and a judge, two judges, then rows of which nobody but an unsure judge
has said anything. Within a kind the score decides, in [0, 1]:

    the mean over the kind's pairs of annotators of   distance x sureness of the one x sureness of the other

`distance` of two labels is 1, but half of that where one of them is soft and the other is not (the three classes are
ordered: none, soft, hard). A person is sure (1), a judge as sure as its probability says, 1/2 where it says nothing. So
the confident judge that contradicts a person comes before the hesitating one, which is where label errors and blind
spots of judges are (Northcutt et al., JAIR 2021), and two against one comes after one against one. A judge alone is
scored by 1 - margin, where margin = 2p - 1 is what its label leads by if all the rest is on one other label.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile
from refusal_tui.review.questions import Asked, Sheet, sheet
from refusal_tui.store.adjudication import Voice, contested_rows
from refusal_tui.store.connect import transaction
from refusal_tui.store.review_queues import Purpose, Queue, QueueItem, QueueSettings, create_queue, list_queues
from refusal_tui.store.settings import constitution_in_force

UNSURE_BELOW = 0.6  # a judge's probability; the lowest band of `review new --aims confidence`
_ORDER = ("none", "soft", "hard")
_UNKNOWN = 0.5


class Kind(StrEnum):
    """Who differs; in the order of the queue. The value is the stratum of the card."""

    PEOPLE = "people"
    PERSON_JUDGE = "person-judge"
    JUDGES = "judges"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row on which annotators differ, or a judge is unsure. `score` in [0, 1] orders the rows of one kind."""

    item_id: ItemId
    kind: Kind
    score: float
    voices: tuple[Voice, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which disagreements: about one head, in the rows of a filter, of a queue, between these annotators."""

    selection: str = ""
    queue: Queue | None = None
    head: str = REFUSAL3
    annotators: tuple[str, ...] = ()


def disagreement(item_id: ItemId, voices: Sequence[Voice], head: str = REFUSAL3) -> Disagreement | None:
    """What kind of disagreement these labels are, and how much it is worth; None where there is none.

    >>> found = disagreement(ItemId(1), [Voice("human:ada", "hard"), Voice("judge:quill", "soft", 0.9)])
    >>> found.kind, found.score
    (<Kind.PERSON_JUDGE: 'person-judge'>, 0.45)
    """
    people, judges = [v for v in voices if v.human], [v for v in voices if not v.human]
    kinds = (
        (Kind.PEOPLE, list(combinations(people, 2))),
        (Kind.PERSON_JUDGE, [(person, judge) for person in people for judge in judges]),
        (Kind.JUDGES, [] if people else list(combinations(judges, 2))),
    )
    for kind, pairs in kinds:
        if any(one.value != other.value for one, other in pairs):
            apart = [_distance(one.value, other.value, head) * _sure(one) * _sure(other) for one, other in pairs]
            return Disagreement(item_id, kind, sum(apart) / len(apart), tuple(voices))
    least = min((v.probability for v in judges if v.probability is not None), default=1.0)
    if not people and least < UNSURE_BELOW:
        return Disagreement(item_id, Kind.UNSURE, 1 - max(0.0, 2 * least - 1), tuple(voices))
    return None


def _distance(one: str, other: str, head: str) -> float:
    if head == REFUSAL3 and one in _ORDER and other in _ORDER:
        return abs(_ORDER.index(one) - _ORDER.index(other)) / 2
    return float(one != other)


def _sure(voice: Voice) -> float:
    return 1.0 if voice.human else _UNKNOWN if voice.probability is None else voice.probability


def by_value(found: Sequence[Disagreement]) -> list[Disagreement]:
    """The most valuable first; equal ones by the number of the row."""
    kinds = list(Kind)
    return sorted(found, key=lambda d: (kinds.index(d.kind), -d.score, d.item_id))


def find_disagreements(connection: sqlite3.Connection, wanted: Wanted) -> list[Disagreement]:
    """The disagreements that nobody has settled yet, by value. Raises InputError for a bad filter."""
    rows = contested_rows(
        connection, wanted.head, wanted.selection, wanted.queue, wanted.annotators, sure_below=UNSURE_BELOW
    )
    found = (disagreement(item_id, voices, wanted.head) for item_id, voices in rows)
    return by_value([one for one in found if one is not None])


# --- the queue --------------------------------------------------------------------------------------------------------


def make_adjudication(
    connection: sqlite3.Connection, found: Sequence[Disagreement], wanted: Wanted, name: str = ""
) -> Queue:
    """A queue of these disagreements in their order; it asks about the head that they are about, and shows who said
    what. Raises InputError for no rows or a head that nobody can be asked about, ConflictError for a taken name.
    """
    if not found:
        raise InputError(
            "There is no disagreement left to settle here.", "Choose other rows, or: refusal-tui agreement"
        )
    constitution = constitution_in_force(connection)
    profile = constitution.profile if constitution is not None else Profile.XSTEST
    sheet(wanted.head, profile)
    settings = QueueSettings(
        selection=wanted.selection,
        population=len(found),
        questions=wanted.head,
        profile=profile,
        blind=False,
        purpose=Purpose.ADJUDICATE,
        design={"queue": wanted.queue.name if wanted.queue else None, "annotators": list(wanted.annotators)},
    )
    cards = [QueueItem(at, one.item_id, one.kind.value) for at, one in enumerate(found, 1)]
    with transaction(connection):
        return create_queue(connection, name or _free_name(connection), settings, cards)


def adjudication_of(
    connection: sqlite3.Connection, found: Sequence[Disagreement], wanted: Wanted, annotator: str
) -> Queue:
    """The queue in which this annotator still has exactly these rows to settle, else a new one. Raises as
    `make_adjudication` does."""
    rows = {one.item_id for one in found}
    for queue in list_queues(connection):
        s = queue.settings
        if (
            s.purpose is Purpose.ADJUDICATE
            and s.questions == wanted.head
            and rows == _left(connection, queue, annotator)
        ):
            return queue
    return make_adjudication(connection, found, wanted)


def _left(connection: sqlite3.Connection, queue: Queue, annotator: str) -> set[int]:
    rows = connection.execute(
        """SELECT i.item_id FROM queue_item i WHERE i.queue_id = ? AND NOT EXISTS (SELECT 1 FROM decision d
               WHERE d.queue_id = i.queue_id AND d.position = i.position
               AND (d.state = 'label' OR (d.annotator = ? AND d.state = 'skip')))""",
        (queue.id, annotator),
    )
    return {row[0] for row in rows}


def _free_name(connection: sqlite3.Connection) -> str:
    numbers = [int(n[1]) for q in list_queues(connection) if (n := re.fullmatch(r"settle-(\d+)", q.name))]
    return f"settle-{max(numbers, default=0) + 1}"


# --- the card ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """One label and who holds it, people first."""

    value: str
    voices: tuple[Voice, ...]


def candidates(voices: Sequence[Voice]) -> tuple[Candidate, ...]:
    """The labels there are: those that people gave first, then the ones with most voices, then by name."""
    values = {voice.value for voice in voices}
    found = [
        Candidate(value, tuple(sorted((v for v in voices if v.value == value), key=lambda v: (not v.human, v.name))))
        for value in values
    ]
    return tuple(sorted(found, key=lambda c: (-sum(v.human for v in c.voices), -len(c.voices), c.value)))


def answer_of(asked: Asked, value: str) -> Answer:
    """The answer to the card's question that gives this label."""
    for option in asked.options:
        if value == (("no", "yes")[option.value] if isinstance(option.value, bool) else option.value):
            return Answer(option.value)
    if asked.several:
        return Answer(value)
    raise InputError(f"{asked.name} cannot be {value!r}.", f"Say one of: {', '.join(o.word for o in asked.options)}.")


def what_holds(card: Sheet, voices: Sequence[Voice], said: str) -> Answer:
    """The answer meant by `said`: a label, the number of a candidate, or the name of an annotator whose label holds.

    Raises InputError for anything else, and for a name that two annotators have.
    """
    (asked,) = card.asked
    listed = candidates(voices)
    if said.isdigit():
        if not 0 < int(said) <= len(listed):
            raise InputError(f"There is no candidate {said}.", f"There are {len(listed)}; or write a label or a name.")
        return answer_of(asked, listed[int(said) - 1].value)
    meant = {voice.value for voice in voices if said in (voice.annotator, voice.name)}
    if len(meant) == 1:
        return answer_of(asked, meant.pop())
    if meant:
        raise InputError(f"A person and a judge are called {said!r}.", f"Write human:{said} or judge:{said}.")
    try:
        return asked.read(said)
    except InputError as error:
        names = ", ".join(voice.annotator for voice in voices)
        raise InputError(f"{said!r} is no label and nobody who has labelled this row.",
                         f"{error.next_step} Or name one of: {names}.") from None  # fmt: skip
