"""Which labels are likely wrong? Self-confidence: the probability that the judges give to the label that a row has.

The simplest score of confident learning (Northcutt, Jiang and Chuang, JAIR 2021; Kuan and Mueller 2022 found it as good
as any to rank with). Low means suspicious. It orders a queue and never changes a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = ("none", "hard", "soft")


def self_confidence(given: NDArray[np.intp], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of each row's given label: `given` holds N class numbers (-1: no label), `probabilities` is N by
    K, rows summing to 1 (NaN: no judge). NaN where either is missing.

    >>> self_confidence(np.array([0, 1, -1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])).tolist()
    [0.9, 0.2, nan]
    """
    found = probabilities[np.arange(len(given)), np.maximum(given, 0)]
    return np.where(given < 0, np.nan, found)


def class_probabilities(votes: Mapping[int, Sequence[tuple[str, float | None]]], rows: int) -> NDArray[np.float64]:
    """N by 3 probabilities of `CLASSES`: the mean over judges. `votes` maps a row to (class, probability) of each
    judge; what it does not give to its class is spread evenly over the others, a judge without a number is sure.

    >>> class_probabilities({0: [("hard", 0.8)]}, 2).round(2).tolist()
    [[0.1, 0.8, 0.1], [nan, nan, nan]]
    """
    found = np.full((rows, len(CLASSES)), np.nan)
    for row, said in votes.items():
        one = np.zeros(len(CLASSES))
        for value, probability in said:
            sure = 1.0 if probability is None else probability
            spread = np.full(len(CLASSES), (1 - sure) / (len(CLASSES) - 1))
            spread[CLASSES.index(value)] = sure
            one += spread
        found[row] = one / len(said)
    return found
