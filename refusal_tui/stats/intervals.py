"""How sure is a rate? Wilson's interval for a share of independent rows."""

from __future__ import annotations

from math import nan, sqrt
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """A value with its lower and upper bound, all in the unit of the value."""

    value: float
    low: float
    high: float


def wilson(successes: int, total: int, level: float = 0.95) -> Interval:
    """Score interval of a binomial proportion (Wilson, JASA 22, 1927; Brown, Cai and DasGupta, 2001, eq. 4).

    Stays inside [0, 1] and is honest for small samples and for shares near 0 or 1. Of no rows at all the share is nan,
    between 0 and 1. For rows that share a prompt it is too narrow: use `cluster_bootstrap`.
    Raises ValueError when `successes` is not between 0 and `total`, or `level` not between 0 and 1.

    >>> value, low, high = wilson(8, 10)
    >>> f"{value:.2f} [{low:.3f}, {high:.3f}]"
    '0.80 [0.490, 0.943]'
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} rows")
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    if total == 0:
        return Interval(nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    # At 0 and at `total` a bound is exactly 0 or 1; rounding would put it beside.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == total else centre + half
    return Interval(share, low, high)
