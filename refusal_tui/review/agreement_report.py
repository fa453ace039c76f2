"""What does a report on agreement hold? Plain values, so that a face can show them without loading numpy.

`review/agreement.py` makes them, `agreement_text.py` writes them as JSON and as lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.stats.intervals import Interval

if TYPE_CHECKING:
    from refusal_tui.stats.weighted import WeightedRate

UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Figures:
    """Agreement on `rows` rows of `prompts` prompts: percent, kappa, alpha, ac1, and those of ordered classes."""

    rows: int
    prompts: int
    values: Mapping[str, Interval]

    def __getitem__(self, name: str) -> Interval:
        return self.values.get(name, UNKNOWN)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class against the rest: how often each side gave it, the share of it that both agree on, and its kappa.

    `shared` is 2 x both / (one + other), the specific agreement of Fleiss (1981), which is the F1 score.
    """

    name: str
    one: int
    other: int
    both: int
    shared: Interval
    kappa: Interval


@dataclass(frozen=True, slots=True)
class ClassErrors:
    """One class: how often the judge finds it, how often it is right when it names it, how many rows there are of it.

    `found`: of the rows that people give the class, those the judge gives it, too. `right`: the other way round.
    `called`: the share of all rows that the judge calls so; `corrected`: the share of which it would be true.
    """

    name: str
    found: WeightedRate
    right: WeightedRate
    people: WeightedRate
    called: float
    corrected: Interval


@dataclass(frozen=True, slots=True)
class JudgeErrors:
    """A judge against people, for all `population` rows that the queue was drawn from.

    `rows` were labelled by people and the judge; on `open` more people are split. `wrong` is the share of rows on which
    the judge says something else. `classes` has "refusal" (hard or soft) first where the classes are the three.
    """

    queue: str
    judge: str
    population: int
    rows: int
    open: int
    wrong: WeightedRate
    classes: tuple[ClassErrors, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one source, of one model (None: not named), or those labelled blind or assisted."""

    by: str
    value: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Pair:
    """Two annotators on the rows that both have labelled. `matrix[i][j]`: rows of which `one` says class i and `other`
    class j; `filters` opens the rows of a cell in Browse, `apart` those on which they differ (None: there is none, or
    no filter can)."""

    one: str
    other: str
    figures: Figures
    classes: tuple[ClassFigures, ...]
    matrix: tuple[tuple[int, ...], ...]
    filters: tuple[tuple[str | None, ...], ...]
    apart: str | None
    parts: tuple[Part, ...]

    @property
    def disagreements(self) -> int:
        return self.figures.rows - sum(self.matrix[i][i] for i in range(len(self.matrix)))


@dataclass(frozen=True, slots=True)
class Alone:
    """One person's labels of the same rows, given twice: `matrix[first][second]`."""

    annotator: str
    figures: Figures
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class HeadAgreement:
    """Everything about one head. `people` and `everybody` are None for fewer than three; `everybody` also where nobody
    but people has labelled."""

    head: str
    labels: tuple[str, ...]
    annotators: tuple[str, ...]
    people: Figures | None
    everybody: Figures | None
    pairs: tuple[Pair, ...]
    alone: tuple[Alone, ...]
    errors: tuple[JudgeErrors, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared: rows, annotators (nobody named: everybody), a head (None: every head), a queue."""

    selection: str = ""
    annotators: tuple[str, ...] = ()
    head: str | None = None
    queue: str | None = None
