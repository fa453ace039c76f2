"""Is one classifier better than another? On the rows that are test rows of both, paired.

McNemar's exact test takes rows as independent; the permutation test exchanges the answers of whole groups of rows that
belong together (both classifiers' names are exchangeable under the null hypothesis), and so holds for clustered rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.evaluate import DRAWS
from refusal_tui.classify.predictions import Predicted, Predictions
from refusal_tui.classify.robustness import paired_figures
from refusal_tui.classify.splits import TEST
from refusal_tui.errors import InputError
from refusal_tui.stats.agreement import accuracy, macro_f1
from refusal_tui.stats.bootstrap import cluster_confusions
from refusal_tui.stats.paired import holm, mcnemar

EXCHANGES = 10_000


def compare(one: Predictions, other: Predictions, draws: int = DRAWS, exchanges: int = EXCHANGES) -> dict[str, Any]:
    """Figures of both on the shared test rows, `other` minus `one`, and three tests of "no difference".

    Raises InputError where classes differ or no test row is shared.
    """
    if set(one.classes) != set(other.classes):
        raise InputError(
            f"One tells {', '.join(one.classes)} apart, the other {', '.join(other.classes)}.",
            "Compare classifiers with the same classes.",
        )
    theirs = {row.hash: row for row in other.of(TEST)}
    shared = [row for row in one.of(TEST) if row.hash in theirs]
    if not shared:
        raise InputError(
            "No row is a test row of both classifiers.",
            "Train them on the same selection with the same --seed, so that they have the same split.",
        )
    labels = [row.label for row in shared]
    first, second = _said(one, shared), _said(other, [theirs[row.hash] for row in shared])
    groups = [row.group for row in shared]
    right = np.array([(a == label, b == label) for a, b, label in zip(first, second, labels, strict=True)])
    only_first, only_second = int((right[:, 0] & ~right[:, 1]).sum()), int((~right[:, 0] & right[:, 1]).sum())
    classes = one.classes
    a, b = (cluster_confusions(labels, said, groups, classes) for said in (first, second))
    p_values = {"mcnemar": mcnemar(only_first, only_second), **_exchanged(a, b, exchanges)}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return {
        "rows": len(shared),
        "groups": len(a),
        "of_rows": [len(one.of(TEST)), len(other.of(TEST))],
        "labels_differ": sum(row.label != theirs[row.hash].label for row in shared),
        **paired_figures(labels, first, second, groups, classes, draws),
        "both_right": int((right[:, 0] & right[:, 1]).sum()),
        "only_first_right": only_first,
        "only_second_right": only_second,
        "both_wrong": int((~right[:, 0] & ~right[:, 1]).sum()),
        "p_values": p_values,
        "p_values_holm": corrected,
    }


def _said(predictions: Predictions, rows: list[Predicted]) -> list[str]:
    return [predictions.classes[int(np.argmax(row.logits))] for row in rows]


def _exchanged(one: NDArray[np.int64], other: NDArray[np.int64], draws: int) -> Mapping[str, float]:
    """Two-sided p-values of the differences in accuracy and macro-F1, from `draws` exchanges of whole groups (the
    observed one counted among them: Phipson and Smyth 2010)."""
    groups, k, _ = one.shape
    random = np.random.default_rng(0)
    extreme = {"accuracy": 1, "macro_f1": 1}
    figures = {"accuracy": accuracy, "macro_f1": macro_f1}
    difference = (other - one).reshape(groups, k * k).astype(np.float64)
    first, second = one.sum(axis=0).astype(np.float64), other.sum(axis=0).astype(np.float64)
    at_once = max(4_000_000 // max(groups, 1), 1)
    for start in range(0, draws, at_once):
        exchanged = random.integers(0, 2, (min(at_once, draws - start), groups)).astype(np.float64)
        moved = (exchanged @ difference).reshape(-1, k, k)
        for name, figure in figures.items():
            seen = abs(float(figure(second) - figure(first)))
            drawn = np.abs(figure(second - moved) - figure(first + moved))
            extreme[name] += int((drawn >= seen - 1e-12).sum())
    return {f"permutation_{name}": count / (draws + 1) for name, count in extreme.items()}
