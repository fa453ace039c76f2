"""How well do two sets of labels agree? Every figure follows from one confusion matrix.

(For more than two annotators, and for figures that do not tell gold from predicted: `chance.py` and `raters.py`.)

A matrix counts rows: `matrix[..., g, p]` of them have gold label g and predicted label p, in the order of the labels
given. All functions take arrays of shape (..., k, k) and work on the last two axes, so that the bootstrap computes a
thousand draws at once. A class that a judge may answer besides the gold classes ("unparsable") is one more label, the
last: it makes an answer wrong, and `macro_f1(matrix, classes=3)` keeps it out of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refusal_tui.errors import InputError

Labels = Sequence[str] | NDArray[np.integer]


def label_codes(values: Labels, labels: Sequence[str]) -> NDArray[np.int64]:
    """Each value's position in `labels`, shape (rows,). An integer array holds positions already and is only checked.

    Raises InputError for a value that is not one of the labels: a row must never drop out of a figure silently.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        codes = values.astype(np.int64)
        if codes.size and (codes.min() < 0 or codes.max() >= len(labels)):
            raise InputError(
                f"Label positions must lie between 0 and {len(labels) - 1}.", "Give one label name for every position."
            )
        return codes
    position = {label: index for index, label in enumerate(labels)}
    if len(position) != len(labels):
        raise InputError(f"A label occurs twice in {list(labels)}.", "Name each label once.")
    try:
        return np.fromiter((position[value] for value in values), np.int64, len(values))
    except KeyError as unknown:
        raise InputError(
            f"{unknown.args[0]!r} is not one of the labels {', '.join(labels)}.",
            "Map it to one of them, or add it to the labels.",
        ) from None


def confusion_matrix(gold: Labels, predicted: Labels, labels: Sequence[str]) -> NDArray[np.int64]:
    """Counts of shape (k, k): rows by gold label (first axis) and predicted label (second axis).

    Raises InputError for an unknown label or lists of different length.

    >>> confusion_matrix(["none", "hard", "hard"], ["none", "hard", "none"], ["none", "hard"]).tolist()
    [[1, 0], [1, 1]]
    """
    k = len(labels)
    cells = paired_codes(gold, predicted, labels)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def paired_codes(gold: Labels, predicted: Labels, labels: Sequence[str]) -> NDArray[np.int64]:
    """For each row its cell of the flattened matrix, gold * k + predicted, shape (rows,)."""
    gold_codes, predicted_codes = label_codes(gold, labels), label_codes(predicted, labels)
    if len(gold_codes) != len(predicted_codes):
        raise InputError(
            f"{len(gold_codes)} gold labels do not pair with {len(predicted_codes)} predicted ones.",
            "Give one prediction for every gold label, in the same order.",
        )
    return gold_codes * len(labels) + predicted_codes


def accuracy(matrix: ArrayLike) -> NDArray[np.float64]:
    """Share of rows on the diagonal, shape (...); nan where there are no rows."""
    m = np.asarray(matrix, np.float64)
    return ratio(np.trace(m, axis1=-2, axis2=-1), m.sum(axis=(-2, -1)), empty=np.nan)


def precision(matrix: ArrayLike) -> NDArray[np.float64]:
    """Per predicted class, the share that is right, shape (..., k); 0 for a class that was never predicted."""
    m = np.asarray(matrix, np.float64)
    return ratio(_diagonal(m), m.sum(axis=-2), empty=0.0)


def recall(matrix: ArrayLike) -> NDArray[np.float64]:
    """Per gold class, the share that was found, shape (..., k); 0 for a class that has no gold row."""
    m = np.asarray(matrix, np.float64)
    return ratio(_diagonal(m), m.sum(axis=-1), empty=0.0)


def f1(matrix: ArrayLike) -> NDArray[np.float64]:
    """Per class the harmonic mean of precision and recall, shape (..., k); 0 for a class in neither column."""
    m = np.asarray(matrix, np.float64)
    return ratio(2 * _diagonal(m), m.sum(axis=-2) + m.sum(axis=-1), empty=0.0)


def macro_f1(matrix: ArrayLike, classes: int | None = None) -> NDArray[np.float64]:
    """Mean F1 of the first `classes` classes (default: all), each with the same weight, shape (...).

    As scikit-learn's `f1_score(labels=..., average="macro", zero_division=0)`: a class that never occurs counts as 0.
    """
    return np.asarray(f1(matrix)[..., :classes].mean(axis=-1))


def cohen_kappa(matrix: ArrayLike, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Cohen's kappa (1960): agreement beyond what the marginals give by chance, shape (...).

    `weights` of shape (k, k) say how much of an agreement two classes are (Cohen 1968; `linear_weights`); without them
    only the same class is one. nan where it is not defined: no rows, or both sides always say the same single label.
    """
    m = np.asarray(matrix, np.float64)
    w = np.eye(m.shape[-1]) if weights is None else weights
    rows = m.sum(axis=(-2, -1))
    agreed = ratio((w * m).sum(axis=(-2, -1)), rows, empty=np.nan)
    expected = np.einsum("...g,gp,...p->...", m.sum(axis=-1), w, m.sum(axis=-2))
    by_chance = ratio(expected, rows * rows, empty=np.nan)
    return ratio(agreed - by_chance, 1 - by_chance, empty=np.nan)


def matthews(matrix: ArrayLike) -> NDArray[np.float64]:
    """Matthews' correlation of gold and predicted classes, for any number of classes (Gorodkin 2004, R_K), shape (...).

    0 where one side always says the same label, as scikit-learn's `matthews_corrcoef`; nan where there are no rows.
    """
    m = np.asarray(matrix, np.float64)
    rows, gold, predicted = m.sum(axis=(-2, -1)), m.sum(axis=-1), m.sum(axis=-2)
    together = np.trace(m, axis1=-2, axis2=-1) * rows - (gold * predicted).sum(axis=-1)
    apart = np.sqrt((rows**2 - (gold**2).sum(axis=-1)) * (rows**2 - (predicted**2).sum(axis=-1)))
    return np.where(rows > 0, ratio(together, apart, empty=0.0), np.nan)


def linear_weights(classes: int) -> NDArray[np.float64]:
    """Of classes in order: 1 on the diagonal, less by equal steps, 0 between the first and the last; shape (k, k).

    >>> linear_weights(3).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    step = np.arange(classes)
    return np.asarray(1 - np.abs(step[:, None] - step[None, :]) / max(classes - 1, 1), np.float64)


def merge_classes(matrix: ArrayLike, groups: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The matrix with classes put together, shape (..., g, g): `[[0], [1, 2]]` asks hard or soft against none.

    >>> merge_classes([[5, 1, 0], [2, 7, 1], [0, 1, 3]], [[0], [1, 2]]).tolist()
    [[5, 1], [2, 12]]
    """
    m = np.asarray(matrix)
    member = np.zeros((len(groups), m.shape[-1]), m.dtype)
    for group, classes in enumerate(groups):
        member[group, list(classes)] = 1
    return np.asarray(member @ m @ member.T)


def _diagonal(m: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.diagonal(m, axis1=-2, axis2=-1))


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64], empty: float) -> NDArray[np.float64]:
    """part / whole, and `empty` where the whole is 0 but for rounding."""
    filled = np.full(np.shape(part), empty)
    np.divide(part, whole, out=filled, where=np.abs(np.asarray(whole)) > 1e-12)
    return filled
