"""How sure is a figure of many texts together, such as their diversity? The jackknife over prompts.

A figure that counts what is different cannot be bootstrapped: a resample holds prompts twice, and whatever is in it
twice is less diverse than the texts are. Leaving one prompt out at a time repeats nothing (Tukey, Ann Math Statist 29,
1958; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11). Plain Python: nothing to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan, nan, sqrt
from statistics import NormalDist

from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.rates import t_quantile


def jackknife(
    value: float, left_out: Sequence[float], level: float = 0.95, bounds: tuple[float, float] = (-inf, inf)
) -> Interval:
    """The figure of all prompts with its interval; `left_out`: the figure without each of them in turn.

    Student's t at prompts - 1 degrees of freedom, cut to `bounds`. nan where a figure is not known, or of fewer than
    two prompts.

    >>> value, low, high = jackknife(2.0, [2.5, 2.0, 1.5])  # the mean of 1, 2 and 3
    >>> f"{value:.2f} [{low:.2f}, {high:.2f}]"
    '2.00 [-0.48, 4.48]'
    """
    n = len(left_out)
    if n < 2 or isnan(value) or any(map(isnan, left_out)):
        return Interval(value, nan, nan)
    mean = sum(left_out) / n
    spread = sqrt((n - 1) / n * sum((one - mean) ** 2 for one in left_out))
    half = t_quantile(NormalDist().inv_cdf((1 + level) / 2), n - 1) * spread
    return Interval(value, max(bounds[0], value - half), min(bounds[1], value + half))
