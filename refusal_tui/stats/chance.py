"""How well do annotators agree, beyond chance, where nobody is gold? Fleiss' kappa, Krippendorff's alpha, Gwet's AC1.

Like the figures of `agreement.py` they follow from one matrix over classes, here symmetrical: how often a class was met
by a class. With two annotators it is `pair_matrix` of their confusion matrix; `raters.py` makes it for any number of
annotators, of whom some may be missing. All functions take arrays of shape (..., k, k) and work on the last two axes.

They differ in what chance is. Kappa and alpha expect the classes as often as they were seen: where nearly all rows are
one class they fall although nobody disagrees. AC1 expects little there (Gwet, Br J Math Stat Psychol 61, 2008). Read
both beside the plain share of agreement (Feinstein and Cicchetti, J Clin Epidemiol 43, 1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refusal_tui.stats.agreement import ratio


def pair_matrix(matrix: ArrayLike) -> NDArray[np.float64]:
    """The symmetrical matrix of two annotators: each row of the confusion matrix counts once in both directions.

    >>> pair_matrix([[4, 2], [0, 3]]).tolist()
    [[8.0, 2.0], [2.0, 6.0]]
    """
    m = np.asarray(matrix, np.float64)
    return m + np.swapaxes(m, -1, -2)


def percent_agreement(pairs: ArrayLike) -> NDArray[np.float64]:
    """The share of pairs that agree, shape (...); nan where there are none."""
    p = np.asarray(pairs, np.float64)
    return ratio(np.trace(p, axis1=-2, axis2=-1), p.sum(axis=(-2, -1)), empty=np.nan)


def fleiss_kappa(pairs: ArrayLike) -> NDArray[np.float64]:
    """Fleiss' kappa (Psychological Bulletin 76, 1971), shape (...); Scott's pi with two annotators.

    nan where everybody always says the same single class, and without rows.
    """
    p, marginal = _shares(pairs)
    by_chance = np.square(marginal).sum(axis=-1)
    return ratio(np.trace(p, axis1=-2, axis2=-1) - by_chance, 1 - by_chance, empty=np.nan)


def gwet_ac1(pairs: ArrayLike, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Gwet's AC1 (2008), shape (...); with `weights` of shape (k, k) his AC2 for classes in order.

    Chance falls with the number of classes k, so that classes nobody uses must be part of the matrix on purpose or left
    out of it. nan for a single class and without rows.
    """
    p, marginal = _shares(pairs)
    k = p.shape[-1]
    if k < 2:
        return np.full(p.shape[:-2], np.nan)
    w = np.eye(k) if weights is None else weights
    agreed = (w * p).sum(axis=(-2, -1))
    by_chance = w.sum() / (k * (k - 1)) * (marginal * (1 - marginal)).sum(axis=-1)
    return ratio(agreed - by_chance, 1 - by_chance, empty=np.nan)


def krippendorff_alpha(coincidences: ArrayLike, distances: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Krippendorff's alpha (Computing Krippendorff's Alpha-Reliability, 2011), shape (...).

    `coincidences` counts values: with two annotators it is `pair_matrix`, with more `raters.coincidences`. `distances`
    of shape (k, k) are squared differences between classes, 0 on the diagonal (nominal without them); for classes in
    order use `ordinal_alpha`. nan where only one class was given, and without rows.
    """
    o = np.asarray(coincidences, np.float64)
    d = 1 - np.eye(o.shape[-1]) if distances is None else distances
    return _alpha(o, np.broadcast_to(d, o.shape))


def ordinal_alpha(coincidences: ArrayLike) -> NDArray[np.float64]:
    """Krippendorff's alpha of classes in order, as the matrix has them: how many values lie between two counts."""
    o = np.asarray(coincidences, np.float64)
    values = o.sum(axis=-1)
    # the values up to the middle of a class; their difference is n_c/2 + everything between + n_k/2
    middle = np.cumsum(values, axis=-1) - values / 2
    return _alpha(o, np.square(middle[..., :, None] - middle[..., None, :]))


def _alpha(o: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    values = o.sum(axis=-1)
    n = values.sum(axis=-1)
    expected = np.einsum("...c,...k,...ck->...", values, values, d)
    # of values drawn without putting them back; a class never meets itself at a distance
    return 1 - ratio((n - 1) * (o * d).sum(axis=(-2, -1)), expected, empty=np.nan)


def _shares(pairs: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The matrix as shares that sum to 1 (nan without rows), and each class's share."""
    p = np.asarray(pairs, np.float64)
    whole = p.sum(axis=(-2, -1), keepdims=True)
    p = ratio(p, np.broadcast_to(whole, p.shape), empty=np.nan)
    return p, p.sum(axis=-1)
