"""How much would the figures be others with other rows or another seed? Mean and deviation over the models of a run.

Folds overlap in what they train on, so their plain deviation is too small: the corrected interval takes the variance
times (1/n + rows measured / rows trained on) (Nadeau and Bengio, Machine Learning 52, 2003). Seeds share everything but
chance: their deviation says how far a figure moves when nothing but the seed changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev
from typing import Any

import numpy as np

from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import Predicted, Predictions, codes_of, logits_of, probabilities
from refusal_tui.classify.splits import TEST
from refusal_tui.stats.agreement import accuracy, cohen_kappa, confusion_matrix, f1, macro_f1, matthews
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions
from refusal_tui.stats.ranking import auroc
from refusal_tui.stats.rates import t_quantile

_LEVEL = 0.95
_POOLED = {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": matthews, "kappa": cohen_kappa}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model of the run: what it says of the rows that it is measured on, and how many rows it has learnt from."""

    name: str
    seed: int
    repeat: int
    fold: int | None
    measured_on: str
    trained_on: int
    predictions: Predictions


def cross_validation(models: Sequence[Measurement], draws: int) -> dict[str, Any]:
    """`models`: the folds, or the seeds (the kept model among them). `measured`: each on its own rows; `test`: each on
    the test rows. `summary`, `test_summary`: mean, deviation and intervals. `pooled`: of folds, all held-out rows of
    the first repeat together, with intervals clustered by prompt."""
    classes = models[0].predictions.classes
    folds = [model for model in models if model.fold is not None]
    found: dict[str, Any] = {"folds": len({model.fold for model in folds}),
                             "repeats": len({model.repeat for model in models}), "models": []}  # fmt: skip
    for model in models:
        rows, tests = model.predictions.of(model.measured_on), model.predictions.of(TEST)
        found["models"].append(
            {"name": model.name, "seed": model.seed, "repeat": model.repeat, "fold": model.fold,
             "trained_on": model.trained_on, "rows": len(rows), "measured": figures_of(rows, classes),
             "test": figures_of(tests, classes)}
        )  # fmt: skip
    share = fmean(m["rows"] / max(m["trained_on"], 1) for m in found["models"]) if folds else None
    found["summary"] = _summaries([m["measured"] for m in found["models"]], share)
    found["test_summary"] = _summaries([m["test"] for m in found["models"]], None)
    first = [row for model in folds if model.repeat == 1 for row in model.predictions.of(model.measured_on)]
    if first:
        said = [classes[int(np.argmax(row.logits))] for row in first]
        matrices = cluster_confusions([row.label for row in first], said, [row.group for row in first], classes)
        pooled = {name: plain(interval) for name, interval in cluster_bootstrap(_POOLED, matrices, draws).items()}
        found["pooled"] = {"rows": len(first), "confusion": matrices.sum(axis=0).tolist(), **pooled}
    return found


def figures_of(rows: Sequence[Predicted], classes: Sequence[str]) -> dict[str, float | None]:
    """Accuracy, macro-F1, F1 of each class, MCC, kappa and the mean area under the ROC curve; None: not defined."""
    logits, codes = logits_of(rows, len(classes)), codes_of(rows, classes)
    matrix = confusion_matrix(codes, logits.argmax(axis=1) if len(rows) else codes, classes)
    shares = probabilities(logits) if len(rows) else logits
    areas = [float(auroc(shares[:, k], codes == k)(np.ones(len(rows)))) for k in range(len(classes))]
    found = {
        "accuracy": float(accuracy(matrix)),
        "macro_f1": float(macro_f1(matrix)),
        "mcc": float(matthews(matrix)),
        "kappa": float(cohen_kappa(matrix)),
        "auroc": float(np.mean(areas)),
        **{f"f1:{name}": float(value) for name, value in zip(classes, f1(matrix), strict=True)},
    }
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _summaries(figures: Sequence[Mapping[str, float | None]], share: float | None) -> dict[str, Any]:
    return {name: _summary([of[name] for of in figures], share) for name in figures[0]}


def _summary(values: Sequence[float | None], share: float | None) -> dict[str, float | int | None]:
    """`share`: rows measured by rows trained on, where the models share rows (folds)."""
    known = [value for value in values if value is not None]
    n = len(known)
    if not n:
        return dict.fromkeys(("mean", "deviation", "low", "high", "corrected_low", "corrected_high")) | {"models": 0}
    mean, deviation = fmean(known), stdev(known) if n > 1 else None
    found: dict[str, float | int | None] = {"models": n, "mean": mean, "deviation": deviation}
    for prefix, factor in (("", 1 / n), ("corrected_", None if share is None else 1 / n + share)):
        half = None
        if deviation is not None and factor is not None:
            half = t_quantile(NormalDist().inv_cdf((1 + _LEVEL) / 2), n - 1) * deviation * sqrt(factor)
        found[f"{prefix}low"] = None if half is None else mean - half
        found[f"{prefix}high"] = None if half is None else min(mean + half, 1.0)  # no figure here is larger
    return found
