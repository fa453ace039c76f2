"""Does one model refuse more than another? Paired differences on the prompts that both have answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.results.table import LEVEL
from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.paired import mcnemar, paired_difference
from refusal_tui.store.results import Key, PairCounts, count_pairs


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure: both models' rates on the shared prompts, `interval` of their difference (one minus other).

    `only_one`, `only_other`: prompts on which one model alone says yes; `p_value` is McNemar's, exact.
    """

    prompts: int
    one: float | None
    other: float | None
    interval: Interval
    only_one: int
    only_other: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`lines` has, for each combination of the groups in `by`, the differences by measure (those that have prompts)."""

    one: str
    other: str
    selection: str
    judge: str | None
    by: tuple[str, ...]
    lines: tuple[tuple[Key, dict[str, Difference]], ...]

    @property
    def filter(self) -> str:
        """The responses of both models in the language of `store/query.py`."""
        exactly = "=" if "*" in self.one + self.other else ":"
        names = ",".join('"' + name.replace('"', '""') + '"' for name in (self.one, self.other))
        return f"{self.selection} model{exactly}{names} has:response".strip()


def compare_models(
    connection: sqlite3.Connection,
    one: str,
    other: str,
    selection: str = "",
    by: Sequence[str] = (),
    judge: str | None = None,
) -> Comparison:
    """Raises InputError for an unknown model or judge, a bad filter, or a grouping by model."""
    found = count_pairs(connection, one, other, selection, by, judge)
    lines = tuple(
        (key, {name: _difference(counts) for name, counts in measures.items() if counts.prompts})
        for key, measures in found
    )
    return Comparison(one, other, selection, judge, tuple(by), lines)


def _difference(counts: PairCounts) -> Difference:
    interval = paired_difference(counts.prompts, counts.total, counts.squares, LEVEL)
    p_value = mcnemar(counts.only_one, counts.only_other)
    return Difference(
        counts.prompts, counts.one, counts.other, interval, counts.only_one, counts.only_other, p_value
    )  # fmt: skip
