"""What does the Clean review screen show? A queue of rows, the one at hand, and what has been decided."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refusal_tui.clean.steps import TOLD, Problem
from refusal_tui.labels.rows import Row
from refusal_tui.store.clean_review import Choice, Decided, Progress, Queue, in_force, standing
from refusal_tui.store.items import fetch_rows
from refusal_tui.tui.state.figures import count

AHEAD = 20  # cards that are read before they are wanted
_KEPT_BEHIND = 20

_WHY = {
    "rewritten": "the judge has nothing against the rewrite and its answer",
    "answered": "the prompt was harmless: only a new answer was needed",
    "trimmed": "the response was wrapped in disclaimers: they were taken out",
    "hedge_kept": "no attempt without disclaimers was better: the response is as it was",
    "kind_of_harm": "decided by its kind of harm, as this job was asked to",
    "no_refusal": "the response was no refusal",
    "refusal_kept": "a refusal of a harmful prompt, kept as this job was asked to",
    "safety_not_judged": "nobody has judged whether the rewrite and its answer are harmless",
    "not_judged": "a judge could not tell what to make of it",
    **{problem.value: f"the last attempt: {told}" for problem, told in TOLD.items()},
    Problem.UNSAFE_ANSWER.value: "the answer was judged to be harmful",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One row as the job has made it, and the decision of every person that stands."""

    row: Row
    decisions: Mapping[str, Decided] = field(default_factory=dict)

    @property
    def original(self) -> str:
        return str(self.row.meta.get("original_instruction") or "")

    @property
    def before(self) -> str | None:
        """The response that the row came with."""
        found = self.row.meta.get("original_response")
        return found if isinstance(found, str) else None

    @property
    def rewritten(self) -> bool:
        return self.original != self.row.prompt

    @property
    def decided(self) -> Decided | None:
        return in_force(self.decisions.values())

    @property
    def edited(self) -> str | None:
        """A person's wording, where it is the one that counts."""
        return self.decided.rewritten if self.decided is not None else None

    @property
    def wording(self) -> str:
        """The instruction as it stands now."""
        return self.row.prompt if self.edited is None else self.edited

    @property
    def why(self) -> str:
        reason = str(self.row.meta.get("reason") or "")
        return _WHY.get(reason, reason.replace("_", " "))


def read_cards(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Card]:
    decisions = standing(connection, ids)
    return {int(row.item_id): Card(row, decisions.get(row.item_id, {})) for row in fetch_rows(connection, ids)}


@dataclass(slots=True)
class CleanReviewState:
    """`ids` is the queue as it was when it was opened: what is decided stays in it, so that one can go back."""

    job_id: int
    annotator: str
    queue: Queue = Queue.UNDECIDED
    ids: array[int] | None = None  # None: not read yet
    index: int = 0
    cards: dict[int, Card] = field(default_factory=dict)
    progress: Progress | None = None

    @property
    def item_id(self) -> int | None:
        return self.ids[self.index] if self.ids else None

    @property
    def card(self) -> Card | None:
        return self.cards.get(self.item_id) if self.item_id is not None else None

    @property
    def missing(self) -> list[int]:
        """The cards to read ahead now: none while half of them are there."""
        ahead = list((self.ids or [])[self.index : self.index + AHEAD + 1])
        wanted = [item_id for item_id in ahead if item_id not in self.cards]
        return wanted if len(wanted) > AHEAD // 2 or (wanted and ahead[-1] == (self.ids or [0])[-1]) else []

    def opened(self, ids: array[int]) -> None:
        self.ids, self.index = ids, 0
        self.cards.clear()

    def put(self, cards: Mapping[int, Card]) -> None:
        """Keep cards, and only those near the one at hand."""
        near = (self.ids or array("q"))[max(0, self.index - _KEPT_BEHIND) : self.index + 2 * AHEAD]
        found = {**self.cards, **cards}
        self.cards = {item_id: found[item_id] for item_id in near if item_id in found}

    def step(self, rows: int) -> bool:
        """Whether there was another row to go to."""
        index = self.index + rows
        if not self.ids or not 0 <= index < len(self.ids):
            return False
        self.index = index
        return True

    def go_to(self, item_id: int) -> bool:
        if self.ids is None or item_id not in self.ids:
            return False
        self.index = self.ids.index(item_id)
        return True

    def next_queue(self) -> Queue:
        queues = list(Queue)
        return queues[(queues.index(self.queue) + 1) % len(queues)]

    def accepts(self) -> str | None:
        """The wording that an acceptance is about; None: the model's."""
        return self.card.edited if self.card is not None else None

    def place(self) -> str:
        return f"{count(self.index + 1)} of {count(len(self.ids))}" if self.ids else "none"


PAST = {Choice.ACCEPT: "accepted", Choice.EDIT: "edited", Choice.REJECT: "rejected", Choice.SKIP: "skipped"}
