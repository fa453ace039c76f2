"""How strongly do two columns hang together? Cramer's V, its chi-squared test, entropy: pure functions of counts."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray


def crosstab(one: NDArray[np.int32], other: NDArray[np.int32], rows: int, columns: int) -> NDArray[np.int64]:
    """Counts of pairs, shape (rows, columns); pairs with a -1 are left out."""
    both = (one >= 0) & (other >= 0)
    return np.bincount(one[both] * columns + other[both], minlength=rows * columns).reshape(rows, columns)


def cramers_v(table: NDArray[np.int64]) -> tuple[float, float]:
    """Cramer's V with Bergsma's correction for its bias (J. Korean Stat. Soc. 2013), and the p-value of the chi-squared
    test by Wilson and Hilferty's approximation. (0, 1) where a side has one class only.

    >>> cramers_v(np.array([[50, 0], [0, 50]]))[0] > 0.98, cramers_v(np.array([[25, 25], [25, 25]]))[0]
    (True, 0.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    total = int(table.sum())
    if min(rows, columns) < 2 or total < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    chi = float(((table - expected) ** 2 / expected).sum())
    freedom = (rows - 1) * (columns - 1)
    phi = max(0.0, chi / total - freedom / (total - 1))
    kept = min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    return sqrt(phi / kept) if kept > 0 else 0.0, chi_squared_tail(chi, freedom)


def chi_squared_tail(chi: float, freedom: int) -> float:
    """The probability of a chi-squared value of at least `chi`: to about .001 near .05, and small where it is small.

    >>> round(chi_squared_tail(3.841, 1), 2), round(chi_squared_tail(9.488, 4), 2)
    (0.05, 0.05)
    """
    spread = 2 / (9 * freedom)
    z = ((chi / freedom) ** (1 / 3) - (1 - spread)) / sqrt(spread)
    return min(1.0, erfc(z / sqrt(2)) / 2)


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Shannon entropy of class counts in bits; log2(classes) where all are alike.

    >>> entropy_bits(np.array([5, 5])), entropy_bits(np.array([5, 0]))
    (1.0, 0.0)
    """
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(abs((shares * np.log2(shares)).sum()))


def jensen_shannon(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The distance of two class distributions: 0 alike, 1 nothing in common (square root of the divergence in bits)."""
    p, q = one / max(1, one.sum()), other / max(1, other.sum())
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log2(p / middle), 0).sum()
        right = np.where(q > 0, q * np.log2(q / middle), 0).sum()
    return sqrt(max(0.0, float(left + right) / 2))
