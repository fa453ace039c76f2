"""Do two models differ on the same prompts? The exact test of McNemar, the difference with its interval, and Holm's
correction where several such questions are asked at once.

Plain Python: nothing to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, nan, sqrt
from statistics import NormalDist

from refusal_tui.stats.intervals import Interval

_EXACT_UP_TO = 2000  # pairs that differ; beyond, the normal distribution says the same to three digits


def mcnemar(only_one: int, only_other: int) -> float:
    """Two-sided p-value that both sides say yes equally often (McNemar 1947, exact conditional test).

    `only_one`, `only_other`: pairs in which one side alone says yes. 1.0 where no pair differs. Beyond 2,000 pairs that
    differ the exact sum is replaced by its normal limit with continuity correction (Edwards 1948).
    Raises ValueError for negative counts.

    >>> round(mcnemar(1, 7), 4)
    0.0703
    """
    if only_one < 0 or only_other < 0:
        raise ValueError(f"{only_one} and {only_other} pairs")
    differ, fewer = only_one + only_other, min(only_one, only_other)
    if differ > _EXACT_UP_TO:
        z = max(0.0, abs(only_one - only_other) - 1) / sqrt(differ)
        return min(1.0, 2 * NormalDist().cdf(-z))
    tail = sum(comb(differ, k) for k in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**differ))


def paired_difference(pairs: int, total: float, squares: float, level: float = 0.95) -> Interval:
    """The mean difference of `pairs` pairs with its interval (Bonett and Price, Br J Math Stat Psychol 65, 2012).

    Each difference lies in [-1, 1]: +1 where only the first side says yes, -1 where only the second does, a fraction
    where a side is a mean of several samples. `total` is their sum, `squares` the sum of their squares. The interval is
    Wald's after one pair of each kind is added, which keeps its coverage in small samples; cut to [-1, 1]. Of no pairs:
    nan, between -1 and 1. Raises ValueError for sums that no such differences have.

    >>> value, low, high = paired_difference(21, 1 - 7, 1 + 7)
    >>> f"{value:.3f} [{low:.3f}, {high:.3f}]"
    '-0.286 [-0.508, -0.013]'
    """
    tolerance = 1e-9 * max(1, pairs)
    if pairs < 0 or abs(total) > pairs + tolerance or not total * total <= pairs * (squares + tolerance) + tolerance:
        raise ValueError(f"no {pairs} differences have the sum {total} and the sum of squares {squares}")
    if pairs == 0:
        return Interval(nan, -1.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = pairs + 2
    centre = total / n
    half = z * sqrt(max(0.0, (squares + 2) / n - centre * centre) / n)
    return Interval(total / pairs, max(-1.0, centre - half), min(1.0, centre + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in their order (Holm, Scand J Statist 6, 1979: step-down Bonferroni).

    Whoever rejects what is below alpha is wrong about any of them with a probability of alpha at most, however the
    tests depend on each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
