"""How strongly do two columns hang together? Cramer's V, its chi-squared test, entropy: pure functions of counts."""

from __future__ import annotations

from math import erfc, exp, fsum, lgamma, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray


def crosstab(one: NDArray[np.int32], other: NDArray[np.int32], rows: int, columns: int) -> NDArray[np.int64]:
    """Counts of pairs, shape (rows, columns); pairs with a -1 are left out."""
    both = (one >= 0) & (other >= 0)
    return np.bincount(one[both] * columns + other[both], minlength=rows * columns).reshape(rows, columns)


def cramers_v(table: NDArray[np.int64]) -> tuple[float, float]:
    """Cramer's V with Bergsma's correction for its bias (J. Korean Stat. Soc. 2013), and the p-value of the chi-squared
    test. (0, 1) where a side has one class only.

    >>> cramers_v(np.array([[50, 0], [0, 50]]))[0] > 0.98, cramers_v(np.array([[25, 25], [25, 25]]))[0]
    (True, 0.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    total = int(table.sum())
    if min(rows, columns) < 2 or total < 2:
        return 0.0, 1.0
    chi, freedom, p_value = independence(table)
    phi = max(0.0, chi / total - freedom / (total - 1))
    kept = min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    return sqrt(phi / kept) if kept > 0 else 0.0, p_value


def chi_squared_tail(chi: float, freedom: int) -> float:
    """The probability of a chi-squared value of at least `chi` (closed form for whole degrees of freedom: Abramowitz
    and Stegun 1964, 26.4.4 and 26.4.5).

    >>> round(chi_squared_tail(3.841459, 1), 6), round(chi_squared_tail(9.487729, 4), 6)
    (0.05, 0.05)
    """
    if chi <= 0:
        return 1.0
    half, shift = chi / 2, freedom % 2 / 2
    logs = (((n + shift) * log(half) - half - lgamma(n + shift + 1)) for n in range(freedom // 2))
    return min(1.0, (erfc(sqrt(half)) if freedom % 2 else 0.0) + fsum(map(exp, logs)))


def chi_squared(observed: ArrayLike, expected: ArrayLike) -> tuple[float, float]:
    """Pearson's statistic of counts against expected ones (of the same sum), and its p-value. (0, 1) of one class.

    >>> chi, p = chi_squared([30, 10], [20, 20])
    >>> round(chi, 3), round(p, 5)
    (10.0, 0.00157)
    """
    seen, wanted = np.asarray(observed, np.float64), np.asarray(expected, np.float64)
    if seen.size < 2 or not wanted.all():
        return 0.0, 1.0
    chi = float(((seen - wanted) ** 2 / wanted).sum())
    return chi, chi_squared_tail(chi, seen.size - 1)


def independence(table: ArrayLike) -> tuple[float, int, float]:
    """Pearson's statistic of a table of counts, its degrees of freedom and its p-value; (0, 0, 1) where a side has one
    class only. Below five expected rows in a cell the p-value is an approximation at best."""
    counts = np.asarray(table, np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if min(counts.shape) < 2:
        return 0.0, 0, 1.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    chi = float(((counts - expected) ** 2 / expected).sum())
    return chi, freedom, chi_squared_tail(chi, freedom)


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
