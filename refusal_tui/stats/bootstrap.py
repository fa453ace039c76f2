"""How much would a figure change with other prompts? Percentile intervals by a bootstrap over prompts.

Answers to one prompt resemble each other, so whole prompts (clusters) are drawn, with replacement (Davison and Hinkley
1997, section 3.8; Efron's percentile interval). Every statistic here follows from a confusion matrix, and the matrix of
a draw is the sum of its clusters' matrices: all draws are one matrix product, and statistics are vectorised over draws.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError
from refusal_tui.stats.agreement import Labels, paired_codes
from refusal_tui.stats.intervals import Interval

# From matrices of shape (..., k, k) to one number each, shape (...).
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_WEIGHTS_AT_ONCE = 4_000_000  # draws x clusters held in memory at a time (32 MB)


def cluster_confusions(
    gold: Labels, predicted: Labels, clusters: Sequence[Hashable], labels: Sequence[str]
) -> NDArray[np.int64]:
    """One confusion matrix per cluster, shape (clusters, k, k), in the order in which clusters first occur.

    `clusters` names each row's cluster (its prompt), shape (rows,). Raises InputError for lists of different length or
    an unknown label. Their sum over the first axis is the confusion matrix of all rows.
    """
    cells = paired_codes(gold, predicted, labels)
    if len(clusters) != len(cells):
        raise InputError(
            f"{len(clusters)} cluster names do not pair with {len(cells)} rows.", "Name the cluster of every row."
        )
    number: dict[Hashable, int] = {}
    of_row = np.fromiter((number.setdefault(name, len(number)) for name in clusters), np.int64, len(cells))
    k = len(labels)
    counts = np.bincount(of_row * (k * k) + cells, minlength=len(number) * k * k)
    return counts.reshape(len(number), k, k)


def cluster_bootstrap(
    statistics: Mapping[str, Statistic],
    confusions: NDArray[np.int64],
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Each statistic of all rows, with the percentile interval of `draws` resamples of the clusters.

    `confusions`: shape (clusters, k, k), from `cluster_confusions`. All statistics see the same draws, and a seed gives
    the same intervals again. Draws on which a statistic is not defined (nan) are left out of its interval; with no
    cluster at all everything is nan. Raises ValueError for fewer than one draw or a level that is not between 0 and 1.

    >>> from refusal_tui.stats.agreement import accuracy
    >>> confusions = cluster_confusions(["a", "b"] * 50, ["a", "a"] * 50, list(range(100)), ["a", "b"])
    >>> interval = cluster_bootstrap({"accuracy": accuracy}, confusions)["accuracy"]
    >>> interval.value, 0.39 < interval.low < 0.42, 0.58 < interval.high < 0.61
    (0.5, True, True)
    """
    if draws < 1:
        raise ValueError(f"{draws} draws")
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    all_rows = confusions.sum(axis=0, dtype=np.float64)
    resampled = _resample(confusions, draws, np.random.default_rng(seed))
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals = {}
    for name, statistic in statistics.items():
        values = statistic(resampled)
        defined = values[~np.isnan(values)]
        low, high = np.quantile(defined, tails) if defined.size else (np.nan, np.nan)
        intervals[name] = Interval(float(statistic(all_rows)), float(low), float(high))
    return intervals


def _resample(confusions: NDArray[np.int64], draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The confusion matrix of every draw, shape (draws, k, k)."""
    clusters, k, _ = confusions.shape
    if clusters == 0:
        return np.zeros((draws, k, k))
    cells = confusions.reshape(clusters, k * k).astype(np.float64)
    # Equal clusters need not be told apart: 3,000 single rows of 9 kinds are 9 cells of a multinomial draw.
    kinds, occurrences = np.unique(cells, axis=0, return_counts=True)
    shares = occurrences / clusters
    sums = np.empty((draws, k * k))
    at_once = max(_WEIGHTS_AT_ONCE // len(kinds), 1)
    for start in range(0, draws, at_once):
        some = sums[start : start + at_once]
        some[:] = random.multinomial(clusters, shares, size=len(some)) @ kinds
    return sums.reshape(draws, k, k)
