"""How many rows are refusals, when the judge that counted them errs as often as an audit says? Plain Python."""

from __future__ import annotations

from math import inf, isinf, isnan, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

from refusal_tui.stats.intervals import Interval


class Share(NamedTuple):
    """A share with the number of rows that it is as sure as; `rows` infinite where every row was looked at."""

    value: float
    rows: float = inf


def rogan_gladen(apparent: Share, sensitivity: Share, specificity: Share, level: float = 0.95) -> Interval:
    """The true share of positive rows behind the judge's (Rogan and Gladen, Am J Epidemiology 107, 1978).

    `apparent`: rows that the judge calls positive. `sensitivity` and `specificity`: positive and negative rows that it
    calls so. The interval is Lang and Reiczigel's (Preventive Veterinary Medicine 113, 2014), which adds pseudo-rows
    so that it holds for few rows and for shares near 0 and 1. Value and bounds are cut to [0, 1]. A judge no better
    than a coin (sensitivity + specificity <= 1), or one of whom nothing is known, tells nothing: nan, between 0 and 1.
    Raises ValueError for a level that is not between 0 and 1.

    >>> value, low, high = rogan_gladen(Share(0.30, 1000), Share(0.90, 100), Share(0.95, 200))
    >>> f"{value:.3f} [{low:.3f}, {high:.3f}]"
    '0.294 [0.247, 0.343]'
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    told = sensitivity.value + specificity.value - 1
    if isnan(told) or isnan(apparent.value) or told <= 0 or not sensitivity.rows or not specificity.rows:
        return Interval(nan, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p, of_p = _with_pseudo_rows(apparent, z * z)
    se, of_se = _with_pseudo_rows(sensitivity, 2)
    sp, of_sp = _with_pseudo_rows(specificity, 2)
    if se + sp <= 1:
        return Interval(nan, 0.0, 1.0)
    centre = (p + sp - 1) / (se + sp - 1)
    shift = 2 * z * z * (centre * of_se - (1 - centre) * of_sp)
    half = z * sqrt(of_p + centre * centre * of_se + (1 - centre) ** 2 * of_sp) / (se + sp - 1)
    value = min(1.0, max(0.0, (apparent.value + specificity.value - 1) / told))
    low, high = max(0.0, centre + shift - half), min(1.0, centre + shift + half)
    return Interval(value, min(low, value), max(high, value))


def _with_pseudo_rows(share: Share, added: float) -> tuple[float, float]:
    """The share after half of `added` rows on either side, and its variance."""
    if isinf(share.rows):
        return share.value, 0.0
    rows = share.rows + added
    value = (share.value * share.rows + added / 2) / rows
    return value, value * (1 - value) / rows
