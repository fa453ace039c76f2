"""How well do scores rank the rows of a class above the others? Area under the ROC curve, average precision.

Both take weights of rows, shape (..., rows), and give a figure each, shape (...): what a bootstrap over prompts needs
(`bootstrap.row_bootstrap`). Order and ties of the scores are found once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refusal_tui.stats.agreement import ratio
from refusal_tui.stats.bootstrap import RowStatistic


def auroc(scores: ArrayLike, positive: ArrayLike) -> RowStatistic:
    """That a row of the class has a higher score than another one, ties counting half (Mann and Whitney 1947).

    nan where a side has no rows.

    >>> float(auroc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])(np.ones(4)))
    0.75
    """
    order, starts, hits = _ties(scores, positive)

    def figure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        ours, others = _by_tie(weights[..., order], starts, hits)
        below = np.cumsum(others, axis=-1) - others
        pairs = ours.sum(axis=-1) * others.sum(axis=-1)
        return ratio((ours * (below + others / 2)).sum(axis=-1), pairs, empty=np.nan)

    return figure


def average_precision(scores: ArrayLike, positive: ArrayLike) -> RowStatistic:
    """Precision averaged over the recalls at which it is reached: the area under the precision-recall steps, without
    interpolation, as scikit-learn's `average_precision_score`. nan where there is no row of the class.

    >>> round(float(average_precision([0.1, 0.4, 0.35, 0.8], [False, False, True, True])(np.ones(4))), 4)
    0.8333
    """
    order, starts, hits = _ties(scores, positive)

    def figure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        ours, others = _by_tie(weights[..., order], starts, hits)
        found = np.cumsum(ours[..., ::-1], axis=-1)
        taken = found + np.cumsum(others[..., ::-1], axis=-1)
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        return ratio((ours[..., ::-1] * precision).sum(axis=-1), ours.sum(axis=-1), empty=np.nan)

    return figure


def _ties(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Rows by rising score, where each value of the score begins, and which of the ordered rows are of the class."""
    values = np.asarray(scores, np.float64)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))) if len(ranked) else np.empty(0, int)
    return order, starts, np.asarray(positive, bool)[order]


def _by_tie(
    weights: NDArray[np.float64], starts: NDArray[np.int64], hits: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(starts):
        nothing = np.zeros((*weights.shape[:-1], 1))
        return nothing, nothing
    ours = np.add.reduceat(weights * hits, starts, axis=-1)
    return ours, np.add.reduceat(weights, starts, axis=-1) - ours
