"""Who refuses how much? Rates with intervals for every model, dataset and category, each cell with its rows' filter."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.rates import ClusterSums, clustered_rate
from refusal_tui.store.browse import Facet
from refusal_tui.store.results import MEASURES, CellCounts, Key, LabelSource, count_cells, label_sources

LEVEL = 0.95
TITLES = {"refusal": "refused", "over_refusal": "over-refused", "fulfilment": "fulfilled"}
EXPLAINED = {
    "refusal": "hard or soft, of labelled responses, and what a provider's filter stopped",
    "over_refusal": "hard or soft, of responses to prompts known to be harmless",
    "fulfilment": "the request was fulfilled (SORRY-Bench's score; else none, with soft left out)",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its interval and the rows and prompts that it is of; `interval.value` is nan of no rows."""

    interval: Interval
    rows: int
    prompts: int

    @property
    def known(self) -> bool:
        return self.rows > 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table. `filter` opens its rows in Browse; `rates` has all of MEASURES.

    `provider` counts the refusals that were the provider's filter and not the model.
    """

    key: Key
    none: int
    hard: int
    soft: int
    unlabelled: int
    rates: dict[str, Rate]
    filter: str
    provider: int = 0

    @property
    def rows(self) -> int:
        """Labelled rows: those of which any of the measures is known."""
        return max(rate.rows for rate in self.rates.values())


@dataclass(frozen=True, slots=True)
class ResultsTable:
    """`by` names the groups of each cell's key. `judge` None: people before judges, the latest label of each.

    `unlabelled` counts responses that have no label at all, in cells and beside them; `sources` whose labels there are.
    `totals` has one cell for each value of the first group, over all the others, where it was asked for.
    """

    by: tuple[str, ...]
    selection: str
    judge: str | None
    cells: tuple[Cell, ...]
    unlabelled: int
    sources: tuple[LabelSource, ...]
    totals: tuple[Cell, ...] = ()

    @property
    def provider(self) -> int:
        """How many refusals were a provider's filter and not a model."""
        return sum(cell.provider for cell in self.cells)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The three-class rules behind the labels: printed beside every number, because they differ on soft."""
        mine = [s for s in self.sources if self.judge is None or s.annotator == annotator_of(self.judge)]
        return tuple(sorted({source.profile for source in mine if source.profile}))


def results_table(
    connection: sqlite3.Connection,
    selection: str = "",
    by: Sequence[str] = ("model", "dataset", "category"),
    judge: str | None = None,
    *,
    totals: bool = False,
) -> ResultsTable:
    """The table of a selection; `totals` costs a second look at its rows. Raises InputError for a bad filter or group,
    or a judge that has labelled nothing."""
    by = tuple(dict.fromkeys(by))
    whole = count_cells(connection, selection, by[:1], judge) if totals and len(by) > 1 else []
    counted = count_cells(connection, selection, by, judge)
    return ResultsTable(
        by,
        selection,
        judge,
        tuple(_cell(counts, by, selection, judge) for counts in counted if _labelled(counts)),
        sum(counts.unlabelled for counts in counted),
        tuple(label_sources(connection, selection)),
        tuple(_cell(counts, by[:1], selection, judge) for counts in whole if _labelled(counts)),
    )


def _labelled(counts: CellCounts) -> bool:
    return any(getattr(counts, measure).rows for measure in MEASURES)


def _cell(counts: CellCounts, by: tuple[str, ...], selection: str, judge: str | None) -> Cell:
    rates = {measure: rate_of(getattr(counts, measure)) for measure in MEASURES}
    return Cell(
        counts.key, counts.none, counts.hard, counts.soft, counts.unlabelled, rates,
        cell_filter(selection, by, counts, judge), counts.provider,
    )  # fmt: skip


def rate_of(sums: ClusterSums) -> Rate:
    return Rate(clustered_rate(sums, LEVEL), sums.rows, sums.clusters)


def cell_filter(selection: str, by: Sequence[str], counts: CellCounts, judge: str | None) -> str:
    """The rows of a cell in the language of `store/query.py`.

    The labelled ones alone where three-class labels say who they are; else all responses of the cell. What a filter
    stopped has an empty response or none, so that a cell with such rows is opened as it is.
    """
    terms = [selection.strip(), *group_terms(by, counts.key)]
    if not counts.provider:
        three = counts.none + counts.hard + counts.soft
        all_three = three == counts.refusal.rows and three >= counts.fulfilment.rows
        terms.append(_label_term(judge) if all_three else "has:response")
    return " ".join(term for term in terms if term)


def group_terms(by: Sequence[str], key: Key) -> list[str]:
    """One filter term per group; a value that the source does not give is one that matches nothing.

    >>> group_terms(["model", "category"], ("my model", None))
    ['model:"my model"', '-category:*']
    """
    return [
        f"-{field}:*" if value is None else Facet(field, value, 0).term for field, value in zip(by, key, strict=True)
    ]


def _label_term(judge: str | None) -> str:
    if judge is None:
        return "has:label"
    side, _, name = annotator_of(judge).partition(":")
    field = "gold" if side == "human" else "judge"
    # a name that the filter language cannot spell leaves the rows of every judge
    return f"{field}.{name}:none,hard,soft" if re.fullmatch(r"[\w\-/][\w.\-/]*", name) else f"has:{field}"


def annotator_of(judge: str) -> str:
    return judge if judge.startswith(("judge:", "human:")) else f"judge:{judge}"


def percent(value: float) -> str:
    """A share with the digits that a few hundred rows can carry.

    >>> percent(0.5), percent(0.1234), percent(float("nan"))
    ('50.0 %', '12.3 %', '—')
    """
    return "—" if math.isnan(value) else f"{100 * value:.1f} %"


def span(interval: Interval) -> str:
    """
    >>> span(Interval(0.5, 0.234, 0.766)), span(Interval(float("nan"), 0, 1))
    ('23.4–76.6', '')
    """
    return "" if math.isnan(interval.value) else f"{100 * interval.low:.1f}–{100 * interval.high:.1f}"
