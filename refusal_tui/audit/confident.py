"""Which labels are likely wrong? Confident learning (Northcutt, Jiang and Chuang, JAIR 2021) from out-of-fold
probabilities. Blind where the fault can be learnt from the text, as a source with inverted labels is: see `doctor.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suspects(given: NDArray[np.intp], probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """The rows whose label is suspected, the worst first.

    `given`: N class numbers; `probabilities`: N by K, from models that have not seen the row. A class's threshold is
    the mean probability that rows of it have; a row counts as another class when that class's probability reaches its
    threshold and is the largest that does (the confident joint). The order is that of the normalised margin.

    >>> said = np.array([[.9, .1], [.8, .2], [.1, .9], [.2, .8], [.1, .9]])
    >>> suspects(np.array([0, 0, 1, 1, 0]), said).tolist()
    [4]
    """
    classes = probabilities.shape[1]
    rows = np.arange(len(given))
    with np.errstate(invalid="ignore"):
        counts = np.bincount(given, minlength=classes)
        sums = np.bincount(given, weights=probabilities[rows, given], minlength=classes)
        thresholds = np.where(counts > 0, sums / np.maximum(1, counts), np.inf)
    above = np.where(probabilities >= thresholds - 1e-12, probabilities, -1.0)
    best = above.argmax(axis=1)
    is_suspect = (above.max(axis=1) >= 0) & (best != given)
    others = probabilities.copy()
    others[rows, given] = -1.0
    margin = probabilities[rows, given] - others.max(axis=1)
    found = np.flatnonzero(is_suspect)
    return found[np.argsort(margin[found], kind="stable")]


def confident_joint(given: NDArray[np.intp], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows by given class and by the class that they count as, shape (K, K)."""
    classes = probabilities.shape[1]
    own = given.copy()
    found = suspects(given, probabilities)
    others = probabilities[found].copy()
    others[np.arange(len(found)), given[found]] = -1.0
    own[found] = others.argmax(axis=1)
    return np.bincount(given * classes + own, minlength=classes * classes).reshape(classes, classes)
