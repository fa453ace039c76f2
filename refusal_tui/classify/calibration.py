"""Is a classifier right as often as it is sure? Temperature, expected calibration error, reliability bins."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import log_likelihoods, probabilities
from refusal_tui.stats.agreement import ratio
from refusal_tui.stats.bootstrap import row_bootstrap

BINS = 10
_WEIGHTS = NDArray[np.float64]


def fit_temperature(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """The temperature between 1/20 and 20 with the smallest log loss (Guo et al. 2017): golden section on its
    logarithm, in which the loss has one minimum; 1.0 without rows."""
    if not len(codes):
        return 1.0
    low, high = -np.log(20.0), np.log(20.0)
    golden = (np.sqrt(5.0) - 1) / 2

    def loss(at: float) -> float:
        return -float(log_likelihoods(logits / np.exp(at), codes).mean())

    for _ in range(60):
        one, other = high - golden * (high - low), low + golden * (high - low)
        if loss(one) < loss(other):
            high = other
        else:
            low = one
    return float(np.exp((low + high) / 2))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: the gap between confidence and accuracy, averaged over the rows of 10 equal bins."""
    return float(_error(confidence, right, equal_width(confidence))(np.ones((1, len(right))))[0])


def calibration_of(
    logits: NDArray[np.float64], codes: NDArray[np.int64], groups: Sequence[Hashable], draws: int
) -> dict[str, Any]:
    """Expected calibration error in 10 bins of equal width (`ece`) and of equal numbers of rows (`ece_equal`), log loss
    and Brier score, with intervals; the largest gap of a bin (`worst`); the bins of a reliability diagram.

    A bootstrap of a gap is a little too large (noise never cancels in it), so the figure may lie near its lower bound.
    """
    shares = probabilities(logits)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == codes
    truth = np.eye(shares.shape[1])[codes]
    losses = -log_likelihoods(logits, codes)
    squares = ((shares - truth) ** 2).sum(axis=1)
    found = row_bootstrap(
        {
            "ece": _error(confidence, right, equal_width(confidence)),
            "ece_equal": _error(confidence, right, _equal_rows(confidence)),
            "log_loss": lambda weights: _mean(weights, losses),
            "brier": lambda weights: _mean(weights, squares),
        },
        groups,
        draws,
    )
    bins = _bins(confidence, right)
    return {
        **{name: plain(interval) for name, interval in found.items()},
        "worst": max((abs(sure - hit) for rows, sure, hit in bins if rows), default=None),
        "bins": [{"rows": rows, "confidence": sure, "accuracy": hit} for rows, sure, hit in bins],
    }


def _error(confidence: NDArray[np.float64], right: NDArray[np.bool_], place: NDArray[np.int64]) -> Any:
    """The statistic of row weights; `place` is the bin of each row."""
    gaps = (confidence - right)[:, None] * (place[:, None] == np.arange(BINS))

    def figure(weights: _WEIGHTS) -> _WEIGHTS:
        return ratio(np.abs(weights @ gaps).sum(axis=-1), weights.sum(axis=-1), empty=np.nan)

    return figure


def _mean(weights: _WEIGHTS, values: NDArray[np.float64]) -> _WEIGHTS:
    return ratio(weights @ values, weights.sum(axis=-1), empty=np.nan)


def equal_width(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """(0, .1], (.1, .2], …"""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _equal_rows(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """As many rows in every bin, as far as equal confidences, which stay together, allow."""
    inner = np.quantile(confidence, np.linspace(0, 1, BINS + 1)[1:-1]) if len(confidence) else np.zeros(BINS - 1)
    return np.searchsorted(inner, confidence, side="left").astype(np.int64)


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """(rows, mean confidence, accuracy) of the bins of equal width; 0 and 0 for an empty one."""
    place = equal_width(confidence)
    bins = []
    for number in range(BINS):
        inside = place == number
        count = int(inside.sum())
        bins.append((count, float(confidence[inside].mean()), float(right[inside].mean())) if count else (0, 0.0, 0.0))
    return bins
