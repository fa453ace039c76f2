"""What does the Disagreements screen show? What was asked for, what was found, and the rows from the cursor on."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.adjudication import Disagreement, Kind, Wanted, find_disagreements
from refusal_tui.store.gold import settled_rows
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.review_queues import list_queues

if TYPE_CHECKING:
    from refusal_tui.store.review_queues import Queue

MOST_LINES = 500
KIND_WORDS: Mapping[str, str] = {  # by the stratum of the card
    Kind.PEOPLE: "people differ",
    Kind.PERSON_JUDGE: "person and judge differ",
    Kind.JUDGES: "judges differ",
    Kind.UNSURE: "the judge is unsure",
}


@dataclass(frozen=True, slots=True)
class FoundDisagreements:
    """`prompts` of the first MOST_LINES rows alone; `settled` rows of the whole workspace."""

    wanted: Wanted
    found: Sequence[Disagreement]
    prompts: Mapping[int, str]
    settled: int
    queues: Sequence[Queue]


@dataclass(slots=True)
class AdjudicateState:
    """`wanted` was asked last; `answer` is what was found, None until then."""

    wanted: Wanted
    answer: FoundDisagreements | None = None
    error: RefusalTuiError | None = None

    @property
    def found(self) -> Sequence[Disagreement]:
        return self.answer.found if self.answer is not None else ()

    def from_here(self, key: str | None) -> Sequence[Disagreement]:
        """The row under the cursor and the less valuable ones below it."""
        at = next((n for n, one in enumerate(self.found) if str(one.item_id) == key), 0)
        return self.found[at:]

    def counts(self) -> list[tuple[Kind, int]]:
        """How many rows of each kind there are; kinds without rows are left out."""
        kinds = Counter(one.kind for one in self.found)
        return [(kind, kinds[kind]) for kind in Kind if kinds[kind]]

    def next_queue(self) -> Wanted:
        """All rows, then each queue's, and round again."""
        choices: list[Queue | None] = [None, *(self.answer.queues if self.answer is not None else ())]
        now = choices.index(self.wanted.queue) if self.wanted.queue in choices else -1
        return replace(self.wanted, queue=choices[(now + 1) % len(choices)])

    def narrowed(self, selection: str) -> Wanted:
        return replace(self.wanted, selection=selection.strip())


def look_up(wanted: Wanted, connection: sqlite3.Connection) -> FoundDisagreements:
    """Raises InputError for a bad filter."""
    found = find_disagreements(connection, wanted)
    rows = fetch_rows(connection, [one.item_id for one in found[:MOST_LINES]])
    prompts = {int(row.item_id): row.prompt for row in rows}
    return FoundDisagreements(
        wanted, found, prompts, len(settled_rows(connection, wanted.head)), list_queues(connection)
    )
