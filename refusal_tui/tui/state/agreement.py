"""What does the Agreement screen show? The reports that were found, the head that is looked at, and a line of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.agreement_report import Alone, Asked, HeadAgreement, JudgeErrors, Pair

T = TypeVar("T")
PEOPLE, EVERYBODY = "people", "everybody"
FEW_PAIRS = 4  # so many are shown with their parts from the start


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell of the matrix: rows of which the first said `line`, the second `column`."""

    line: int
    column: int


@dataclass(slots=True)
class AgreementState:
    """`wanted` was asked last; `report` is what was found, None until then. `head` is a name in it, `key` the line of
    the list that the cursor is on. `parts` None: shown where there are few pairs."""

    wanted: Asked
    report: Sequence[HeadAgreement] | None = None
    queues: Sequence[str] = ()
    error: RefusalTuiError | None = None
    head: str | None = None
    key: str | None = None
    parts: bool | None = None

    @property
    def shown(self) -> HeadAgreement | None:
        """The head that is looked at; the first where the one wanted has gone."""
        found = self.report or ()
        return next((one for one in found if one.head == self.head), found[0] if found else None)

    @property
    def with_parts(self) -> bool:
        shown = self.shown
        return self.parts if self.parts is not None else shown is not None and len(shown.pairs) < FEW_PAIRS

    @property
    def pair(self) -> Pair | None:
        return _at(self.shown.pairs if self.shown else (), "pair", self.key)

    @property
    def alone(self) -> Alone | None:
        return _at(self.shown.alone if self.shown else (), "alone", self.key)

    @property
    def errors(self) -> JudgeErrors | None:
        return _at(self.shown.errors if self.shown else (), "errors", self.key)

    def next_head(self) -> None:
        names = [one.head for one in self.report or ()]
        if self.shown is not None:
            self.head = names[(names.index(self.shown.head) + 1) % len(names)]

    def next_queue(self) -> Asked:
        """All rows, then each queue's, and round again."""
        choices: list[str | None] = [None, *self.queues]
        now = choices.index(self.wanted.queue) if self.wanted.queue in choices else -1
        return replace(self.wanted, queue=choices[(now + 1) % len(choices)])

    def narrowed(self, selection: str) -> Asked:
        return replace(self.wanted, selection=selection.strip())

    def worst_cell(self) -> GridCell:
        """The most frequent disagreement of the chosen line: what one wants to read first."""
        matrix = self.matrix
        apart = [
            (count, -i, -j) for i, line in enumerate(matrix) for j, count in enumerate(line) if i != j and count
        ]  # fmt: skip
        if not apart:
            return GridCell(0, 0)
        _, i, j = max(apart)
        return GridCell(-i, -j)

    @property
    def matrix(self) -> Sequence[Sequence[int]]:
        if self.pair is not None:
            return self.pair.matrix
        return self.alone.matrix if self.alone is not None else ()

    def filter_of(self, cell: GridCell) -> str | None:
        """What Browse opens for a cell."""
        return self.pair.filters[cell.line][cell.column] if self.pair is not None else None


def _at(found: Sequence[T], kind: str, key: str | None) -> T | None:
    name, _, number = (key or "").partition(":")
    return found[int(number)] if name == kind and int(number) < len(found) else None
