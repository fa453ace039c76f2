"""How is a linear head fitted? Logistic regression on features that are computed once, of the strength that the
validation rows prefer.

A strength (inverse regularisation) takes the place of an epoch: each is fitted, measured and told. A fit takes seconds,
so a run that was killed fits the model again; the same rows give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.loop import Measured, Trained, Watch, measured_of, spans_of
from refusal_tui.errors import UnavailableError

STRENGTHS = (0.1, 1.0, 10.0)
_ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class Affine:
    """Logits = features @ weights.T + bias; weights of shape (all classes, features)."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: Any) -> NDArray[np.float32]:
        return np.asarray(features @ self.weights.T + self.bias, np.float32)


@dataclass(frozen=True, slots=True)
class Fit:
    """What is fitted on what. Features are a matrix of numpy or scipy; labels and weights as in `Part`."""

    features: Any
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    class_weight: Sequence[Sequence[float]]


def fit(
    train: Fit,
    validation: Any,
    labels: NDArray[np.int64],
    watch: Watch,
    strengths: Sequence[float] = STRENGTHS,
    check: Callable[[], None] = lambda: None,
) -> tuple[Affine, Trained]:
    """The best of the strengths by macro-F1 on the validation features, then by log loss."""
    spans = spans_of([len(of) for of in train.class_weight])
    best: tuple[tuple[float, float], Affine, int] | None = None
    history: list[Measured] = []
    for number, strength in enumerate(strengths, 1):
        check()
        found = _fitted(train, spans, strength)
        measured = measured_of(found.logits(validation), labels, spans, number - 1, number)
        loss = measured_of(found.logits(train.features), train.labels, spans, number - 1, number).loss
        watch.step(number, len(strengths), loss, None, train.features.shape[0], number - 1)
        watch.measured(measured)
        watch.flush()
        history.append(measured)
        if best is None or (measured.macro_f1, -measured.loss) > best[0]:
            best = (measured.macro_f1, -measured.loss), found, number
    assert best is not None
    return best[1], Trained(len(strengths), best[2], False, history)


def _fitted(train: Fit, spans: Sequence[slice], strength: float) -> Affine:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise UnavailableError(
            "Linear classifiers need scikit-learn (it is not installed).", "Install it: pip install 'refusal-tui[ml]'"
        ) from error
    weights = np.zeros((spans[-1].stop, train.features.shape[1]), np.float32)
    bias = np.zeros(spans[-1].stop, np.float32)
    for head, span in enumerate(spans):
        rows = np.flatnonzero(train.labels[:, head] >= 0)
        codes = train.labels[rows, head]
        worth = train.weights[rows, head] * np.array(train.class_weight[head])[codes]
        model = LogisticRegression(C=strength, max_iter=_ROUNDS)
        model.fit(train.features[rows], codes, sample_weight=worth)
        of, at = model.coef_, model.intercept_
        if span.stop - span.start == 2:  # one score for two classes: half of it for, half against
            of, at = np.concatenate([-of, of]) / 2, np.concatenate([-at, at]) / 2
        weights[span], bias[span] = of, at
    return Affine(weights, bias)
