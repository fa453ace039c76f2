"""What does the Results screen show? The table as it was asked for, its order, and two models beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from refusal_tui.errors import RefusalTuiError
from refusal_tui.results.compare import Comparison
from refusal_tui.results.table import Cell, ResultsTable

T = TypeVar("T")

GROUPINGS: tuple[tuple[str, ...], ...] = (
    ("model",),
    ("model", "dataset"),
    ("model", "category"),
    ("category", "model"),
    ("model", "dataset", "category"),
    ("dataset",),
    ("split", "model"),
)
SORTS = ("name", "refusal", "over_refusal", "fulfilment", "rows")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked up: which rows, grouped how, and whose labels count (None: people before judges)."""

    selection: str = ""
    by: tuple[str, ...] = GROUPINGS[0]
    judge: str | None = None


@dataclass(slots=True)
class ResultsState:
    """`wanted` was asked last; `table` is what was found, None until then. `first` waits for a second model."""

    wanted: Asked = field(default_factory=Asked)
    table: ResultsTable | None = None
    error: RefusalTuiError | None = None
    sort: str = SORTS[0]
    first: str | None = None
    comparison: Comparison | None = None

    @property
    def cells(self) -> list[Cell]:
        """In order: by name as they come, else the largest first and unknown rates last."""
        cells = list(self.table.cells) if self.table else []
        if self.sort == "rows":
            cells.sort(key=lambda cell: -cell.rows)
        elif self.sort != "name":
            cells.sort(key=lambda cell: _downwards(cell.rates[self.sort].interval.value))
        return cells

    @property
    def judges(self) -> list[str | None]:
        """Whose labels can be made to count."""
        found = {source.annotator: None for source in self.table.sources} if self.table else {}
        return [None, *found]

    def next_grouping(self) -> Asked:
        return Asked(self.wanted.selection, _after(GROUPINGS, self.wanted.by), self.wanted.judge)

    def next_judge(self) -> Asked:
        return Asked(self.wanted.selection, self.wanted.by, _after(self.judges, self.wanted.judge))

    def narrowed(self, selection: str) -> Asked:
        return Asked(selection.strip(), self.wanted.by, self.wanted.judge)

    def next_sort(self) -> None:
        self.sort = _after(SORTS, self.sort)

    def model_of(self, cell: Cell) -> str | None:
        """The model that a line is about; None where lines are not about models, or it is not named."""
        by: Mapping[str, str | None] = dict(zip(self.wanted.by, cell.key, strict=False))
        return by.get("model")


def _downwards(value: float) -> tuple[bool, float]:
    return math.isnan(value), -value


def _after(choices: Sequence[T], now: T) -> T:
    """The choice that follows, round and round; the first where `now` is none of them."""
    return choices[(choices.index(now) + 1) % len(choices)] if now in choices else choices[0]
