"""How sure is a rate when rows share prompts? Wilson's interval at the effective number of rows.

Answers to one prompt resemble each other, so that 10,000 rows about 100 prompts say less than 10,000 prompts would.
The variance of the rate is that of a ratio over whole prompts (Cochran, Sampling Techniques, 1977, eq. 2.46 and 3.34);
its ratio to the binomial variance is the design effect, and rows / design effect go into Wilson's interval (Rao and
Scott, Biometrics 48, 1992; Korn and Graubard, Survey Methodology 24, 1998, also for few prompts, where t replaces z).
Everything follows from six sums, which a database can make without handing over a row. Plain Python: nothing to import.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import nan, pi, sqrt, tan
from statistics import NormalDist
from typing import NamedTuple

from refusal_tui.stats.intervals import Interval


class ClusterSums(NamedTuple):
    """Sums over clusters (prompts), each with n rows of which y are hits."""

    clusters: int = 0
    rows: int = 0  # sum of n
    hits: int = 0  # sum of y
    rows_squared: int = 0  # sum of n²
    rows_hits: int = 0  # sum of n·y
    hits_squared: int = 0  # sum of y²

    @property
    def share(self) -> float:
        """hits / rows; nan of no rows."""
        return self.hits / self.rows if self.rows else nan


def cluster_sums(clusters: Iterable[tuple[int, int]]) -> ClusterSums:
    """The sums of clusters given as (hits, rows); those without rows count for nothing.

    >>> cluster_sums([(1, 2), (3, 3)])
    ClusterSums(clusters=2, rows=5, hits=4, rows_squared=13, rows_hits=11, hits_squared=10)
    """
    found = [(y, n) for y, n in clusters if n]
    return ClusterSums(
        len(found),
        sum(n for _, n in found),
        sum(y for y, _ in found),
        sum(n * n for _, n in found),
        sum(n * y for y, n in found),
        sum(y * y for y, _ in found),
    )


def design_effect(sums: ClusterSums) -> float:
    """How many times the variance is that of as many independent rows; 1 where every cluster is one row.

    nan where the rows cannot tell: a single cluster, or all rows alike.
    """
    if sums.clusters < 2 or not 0 < sums.hits < sums.rows:
        return nan
    share = sums.share
    spread = sums.hits_squared - 2 * share * sums.rows_hits + share * share * sums.rows_squared
    of_ratio = sums.clusters / (sums.clusters - 1) * spread / sums.rows**2
    return of_ratio / (share * (1 - share) / (sums.rows - 1))


def clustered_rate(sums: ClusterSums, level: float = 0.95) -> Interval:
    """The share of hits with its interval; Wilson's own where every cluster is one row.

    Never narrower than Wilson's interval of independent rows. Where all rows are alike, or one cluster holds them all,
    nothing is known about resemblance: each cluster then counts as one row. Of no rows: nan, between 0 and 1.
    Raises ValueError for sums that no rows have, or a level that is not between 0 and 1.

    >>> value, low, high = clustered_rate(cluster_sums([(1, 1)] * 8 + [(0, 1)] * 2))
    >>> f"{value:.2f} [{low:.3f}, {high:.3f}]"
    '0.80 [0.490, 0.943]'
    """
    if not 0 <= sums.hits <= sums.rows or sums.clusters > sums.rows:
        raise ValueError(f"no rows have {sums}")
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    if not sums.rows:
        return Interval(nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    effect = design_effect(sums)
    if effect != effect:
        effective = float(sums.clusters)
    else:
        few = _t(z, sums.rows - 1) / _t(z, sums.clusters - 1)
        effective = sums.rows / max(1.0, effect) * few * few
    return wilson_of_effective(sums.share, effective, z)


def wilson_of_effective(share: float, rows: float, z: float) -> Interval:
    """Wilson's interval for a number of rows that need not be whole."""
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return Interval(share, 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half)


def t_quantile(z: float, freedom: int) -> float:
    """The quantile of Student's t where the normal one is z: exact for 1 and 2 degrees of freedom, under .1 % off
    from 4 on (z of 1.96).

    >>> [round(t_quantile(1.959964, freedom), 3) for freedom in (1, 2, 4, 9)]
    [12.706, 4.303, 2.776, 2.262]
    """
    if freedom > 2:
        return _t(z, freedom)
    p = NormalDist().cdf(z)
    if freedom == 1:
        return tan(pi * (p - 0.5))
    return (2 * p - 1) / sqrt(2 * p * (1 - p))


def _t(z: float, freedom: int) -> float:
    """The quantile of Student's t where the normal one is z (Abramowitz and Stegun, 1964, 26.7.5).

    Under 1 % off from 2 degrees of freedom on; too small (10 instead of 12.7 at 95 %) for 1.
    """
    v = float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, 1))
