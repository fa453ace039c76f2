"""Does one model refuse more than another? Paired differences on the prompts that both have answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from refusal_tui.results.table import LEVEL
from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.paired import holm, mcnemar, paired_difference
from refusal_tui.store.results import Key, PairCounts, Side, count_pairs


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure: both models' rates on the shared prompts, `interval` of their difference (one minus other).

    `only_one`, `only_other`: prompts on which one model alone says yes; `p_value` is McNemar's, exact, `p_holm` the
    same corrected for all the differences that are shown together.
    """

    prompts: int
    one: float | None
    other: float | None
    interval: Interval
    only_one: int
    only_other: int
    p_value: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`lines` has, for each combination of the groups in `by`, the differences by measure (those that have prompts)."""

    one: str
    other: str
    selection: str
    judge: str | None
    by: tuple[str, ...]
    lines: tuple[tuple[Key, dict[str, Difference]], ...]
    between: Side = "model"

    @property
    def filter(self) -> str:
        """The responses of both sides in the language of `store/query.py`."""
        exactly = "=" if "*" in self.one + self.other and self.between == "model" else ":"
        names = ",".join('"' + name.replace('"', '""') + '"' for name in (self.one, self.other))
        return f"{self.selection} {self.between}{exactly}{names} has:response".strip()


def compare_models(
    connection: sqlite3.Connection,
    one: str,
    other: str,
    selection: str = "",
    by: Sequence[str] = (),
    judge: str | None = None,
    between: Side = "model",
) -> Comparison:
    """Two models, or what stands in two datasets of responses. Raises InputError for one that is not there, an unknown
    judge, a bad filter, or a grouping by what is compared."""
    found = count_pairs(connection, one, other, selection, by, judge, between)
    lines = tuple(
        (key, {name: _difference(counts) for name, counts in measures.items() if counts.prompts})
        for key, measures in found
    )
    return corrected([Comparison(one, other, selection, judge, tuple(by), lines, between)])[0]


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with `p_holm` for all of their lines together."""
    adjusted = iter(
        holm([found.p_value for one in comparisons for _, measures in one.lines for found in measures.values()])
    )
    return [
        replace(
            one,
            lines=tuple(
                (key, {name: replace(found, p_holm=next(adjusted)) for name, found in measures.items()})
                for key, measures in one.lines
            ),
        )
        for one in comparisons
    ]


def _difference(counts: PairCounts) -> Difference:
    interval = paired_difference(counts.prompts, counts.total, counts.squares, LEVEL)
    p_value = mcnemar(counts.only_one, counts.only_other)
    return Difference(
        counts.prompts, counts.one, counts.other, interval, counts.only_one, counts.only_other, p_value, p_value
    )
