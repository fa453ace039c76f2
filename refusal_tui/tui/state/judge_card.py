"""What does the Judge card screen show? The labelling jobs there are, the cards of one of them, and which rows stand
behind a figure."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.jobs import get_job
from refusal_tui.tui.state.runs import job_beside

if TYPE_CHECKING:  # numpy and pydantic are imported by the thread that makes the cards
    from refusal_tui.judge.card import JudgeCard

_WORD = re.compile(r"[\w.@+\-]+")
_THREE = {"refusal": "hard,soft", "no refusal": "none"}
_TWO = {"refusal": "yes", "no refusal": "no", "none": "no", "hard": "yes", "soft": "yes"}


@dataclass(frozen=True, slots=True)
class JobChoice:
    """A labelling job with finished rows."""

    id: int
    title: str


def labelling_jobs(connection: sqlite3.Connection) -> list[JobChoice]:
    """Newest first."""
    return [
        JobChoice(*row)
        for row in connection.execute(
            """SELECT id, title FROM job WHERE kind = 'label' AND n_ok + n_failed + n_unparsable > 0
               ORDER BY id DESC"""
        )
    ]


@dataclass(frozen=True, slots=True)
class CardsRead:
    """The cards of a job. `people`: whose labels could be the right ones, most labels first. `heads`: which heads every
    annotator has given these rows, by which a filter finds them."""

    cards: list[JudgeCard]
    people: list[str]
    heads: Mapping[str, frozenset[str]]


def read_cards(connection: sqlite3.Connection, job_id: int, gold: str | None) -> CardsRead:
    """Reads every verdict of the job: in a thread. Raises InputError."""
    from refusal_tui.judge.card_data import job_cards

    heads: dict[str, set[str]] = {}
    numbers: Counter[str] = Counter()
    for annotator, head, number in connection.execute(
        """SELECT annotator, head, count(*) FROM label WHERE head IN ('refusal3', 'response_refusal')
             AND item_id IN (SELECT item_id FROM job_item WHERE job_id = ?) GROUP BY annotator, head""",
        (job_id,),
    ):
        heads.setdefault(annotator, set()).add(head)
        numbers[annotator] += number
    people = sorted((who for who in heads if who.startswith("human:")), key=lambda who: (-numbers[who], who))
    return CardsRead(
        job_cards(connection, get_job(connection, job_id), gold=gold),
        [who.removeprefix("human:") for who in people],
        {who: frozenset(found) for who, found in heads.items()},
    )


@dataclass(slots=True)
class JudgeCardState:
    """`gold` None: whoever has labelled most. `read` None: not made yet."""

    jobs: list[JobChoice] = field(default_factory=list)
    job_id: int | None = None
    at: int = 0  # which judge of the job
    gold: str | None = None
    read: CardsRead | None = None
    error: RefusalTuiError | None = None

    @property
    def card(self) -> JudgeCard | None:
        return self.read.cards[self.at] if self.read and self.at < len(self.read.cards) else None

    @property
    def title(self) -> str:
        return next((job.title for job in self.jobs if job.id == self.job_id), "")

    def next_job(self, step: int) -> int | None:
        """Older ones for 1, newer ones for -1; None where there is no other."""
        return job_beside([job.id for job in self.jobs], self.job_id, step)

    def next_gold(self) -> str | None:
        choices: list[str | None] = [None, *(self.read.people if self.read else ())]
        return choices[(choices.index(self.gold) + 1) % len(choices)] if self.gold in choices else None


# --- which rows stand behind a figure --------------------------------------------------------------------------------


def rows_filter(job_id: int) -> str:
    return f"job:{job_id}"


def error_filter(job_id: int, error_class: str) -> str:
    """Rows without an answer; an answer that cannot be read has a state of its own."""
    return f"job.{job_id}:{'unparsable' if error_class == 'parse' else 'failed'}"


def label_filter(
    job_id: int, heads: Mapping[str, frozenset[str]], card: JudgeCard, gold: str | None = None, said: str | None = None
) -> str:
    """The rows of which a person says `gold` and the judge `said`; None leaves that side open. "refusal" is hard or
    soft, "no refusal" none, "error" no answer."""
    parts = [rows_filter(job_id)]
    if gold is not None and card.gold is not None:
        parts.append(_term("gold", card.gold, heads, gold))
    if said == "error":
        parts[0] = f"job.{job_id}:failed,unparsable"
    elif said is not None:
        parts.append(_term("judge", f"judge:{card.judge}", heads, said))
    return " ".join(parts)


def _term(side: str, annotator: str, heads: Mapping[str, frozenset[str]], label: str) -> str:
    """A judge of two classes has given another head than one of three; a name that the filter language cannot say is
    left out."""
    name = annotator.partition(":")[2]
    who = f".{name}" if _WORD.fullmatch(name) else ""
    if "refusal3" in heads.get(annotator, frozenset(("refusal3",))):
        return f"{side}{who}:{_THREE.get(label, label)}"
    return f"{side}.response_refusal{who}:{_TWO[label]}"


def confusions(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[tuple[str, str, int]]:
    """(what the person says, what the judge says, rows) wherever they differ, most rows first.

    >>> confusions(("hard", "none"), ((8, 1), (3, 5)))
    [('none', 'hard', 3), ('hard', 'none', 1)]
    """
    found = [
        (labels[g], labels[p], number)
        for g, row in enumerate(matrix)
        for p, number in enumerate(row)
        if number and g != p
    ]
    return sorted(found, key=lambda entry: -entry[2])
