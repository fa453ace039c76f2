"""How good is a classifier? Every figure follows from its stored predictions and from nothing else.

`evaluate(read_predictions(path))` gives the figures of `metrics.json` again. Intervals are from a bootstrap over groups
of rows that belong together (`splits.py`), prompts as a rule. The temperature is fitted on the validation rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.splits import TEST, VALIDATION
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.stats.agreement import accuracy, cohen_kappa, f1, macro_f1, matthews, precision, recall
from refusal_tui.stats.bootstrap import Statistic, cluster_bootstrap, cluster_confusions
from refusal_tui.stats.intervals import Interval

BINS = 10
FEW = 30  # test rows of a class, below which a figure of it means little
_FIRST_DRAW = 0


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a classifier says of one row. `logits` in the order of the classes; `label` is what people or judges say."""

    item_id: int
    hash: str
    part: str
    group: str
    label: str
    by: str
    dataset: str
    model: str | None
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    classes: tuple[str, ...]
    rows: tuple[Predicted, ...]

    def of(self, part: str) -> list[Predicted]:
        return [row for row in self.rows if row.part == part]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """One line with the classes, then one per row; a float32 logit is written so that it reads back the same."""
    lines = [json.dumps({"classes": predictions.classes}), *(json.dumps(asdict(row)) for row in predictions.rows)]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_predictions(path: Path) -> Predictions:
    first, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return Predictions(
        tuple(json.loads(first)["classes"]), tuple(Predicted(**{**row, "logits": tuple(row["logits"])}) for row in rows)
    )


def evaluate(predictions: Predictions, draws: int = 1000) -> dict[str, Any]:
    """The figures of the test rows, plain lists, dicts and numbers (null: not defined).

    `headline` is the sentence to show, with what limits it. `calibration` has the expected calibration error (Guo et
    al. 2017, 10 bins of the largest probability) before and after the temperature.
    """
    classes, rows = predictions.classes, predictions.of(TEST)
    validation = predictions.of(VALIDATION)
    labels = [row.label for row in rows]
    logits = logits_of(rows, len(classes))
    said = [classes[number] for number in logits.argmax(axis=1)]
    confusions = cluster_confusions(labels, said, [row.group for row in rows], classes)
    matrix = confusions.sum(axis=0)
    found = cluster_bootstrap(_statistics(len(classes)), confusions, draws, _FIRST_DRAW)
    codes = np.array([classes.index(label) for label in labels], np.int64)
    temperature = fit_temperature(
        logits_of(validation, len(classes)), np.array([classes.index(row.label) for row in validation], np.int64)
    )
    warnings = limits(predictions)
    result = {
        "classes": list(classes),
        "rows": len(rows),
        "groups": len(confusions),
        "by_people": sum(row.by == "human" for row in rows),
        "confusion": matrix.tolist(),
        **{name: _plain(found[name]) for name in ("accuracy", "macro_f1", "mcc", "kappa")},
        "majority": float(matrix.sum(axis=1).max() / max(matrix.sum(), 1)),
        "per_class": {
            name: {
                "support": int(matrix[k].sum()),
                "predicted": int(matrix[:, k].sum()),
                **{figure: _plain(found[f"{figure}:{k}"]) for figure in ("precision", "recall", "f1")},
            }
            for k, name in enumerate(classes)
        },
        "calibration": {
            "temperature": temperature,
            "raw": _calibration(logits, codes),
            "fitted": _calibration(logits / temperature, codes),
        },
        "limits": warnings,
    }
    return {"headline": headline(result), **result}


def headline(result: Mapping[str, Any]) -> str:
    """Macro-F1 and accuracy with their intervals and, in the same breath, what limits them."""
    f, a = result["macro_f1"], result["accuracy"]
    said = (
        f"macro-F1 {_interval(f)}, accuracy {_interval(a)} (always the commonest class: {result['majority']:.3f}) "
        f"on {result['rows']:,} test rows in {result['groups']:,} groups"
    )
    return f"{said}. Mind: {'; '.join(result['limits'])}" if result["limits"] else said


def limits(predictions: Predictions) -> list[str]:
    """What a reader must know before believing a figure: few rows of a class, classes or all rows of one source."""
    found = []
    tests, every = predictions.of(TEST), predictions.rows
    for name in predictions.classes:
        count = sum(row.label == name for row in tests)
        if count < FEW:
            found.append(f"fewer than {FEW} test rows are {name!r} ({count})")
    for what, sources in (("dataset", [row.dataset for row in every]), ("model", [row.model or "" for row in every])):
        several = set(sources)
        if len(several) == 1:
            if what == "dataset":
                found.append(f"all rows come from one dataset ({sources[0]}), and nothing is known of others")
            continue
        for name in predictions.classes:
            of_class = {source for source, row in zip(sources, every, strict=True) if row.label == name}
            if len(of_class) == 1:
                found.append(f"all {name!r} rows come from one {what} ({next(iter(of_class)) or 'not named'})")
    machines = sum(row.by != "human" for row in tests)
    if machines:
        found.append(f"{machines:,} of {len(tests):,} test labels are a judge's, not a person's")
    return found


def logits_of(rows: Sequence[Predicted], classes: int) -> NDArray[np.float64]:
    """Shape (rows, classes)."""
    return np.array([row.logits for row in rows], np.float64).reshape(len(rows), classes)


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)


def log_loss(logits: NDArray[Any], codes: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the right classes; nan without rows."""
    if not len(codes):
        return float("nan")
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -float(likelihood[np.arange(len(codes)), codes].mean())


def fit_temperature(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """The temperature between 1/20 and 20 with the smallest log loss (Guo et al. 2017): golden section on its
    logarithm, in which the loss has one minimum; 1.0 without rows."""
    if not len(codes):
        return 1.0
    low, high = -np.log(20.0), np.log(20.0)
    golden = (np.sqrt(5.0) - 1) / 2

    def loss(at: float) -> float:
        return log_loss(logits / np.exp(at), codes)

    for _ in range(60):
        one, other = high - golden * (high - low), low + golden * (high - low)
        if loss(one) < loss(other):
            high = other
        else:
            low = one
    return float(np.exp((low + high) / 2))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: the gap between confidence and accuracy, averaged over the rows of 10 equal bins."""
    return sum(count * abs(sure - hit) for count, sure, hit in _bins(confidence, right)) / max(len(right), 1)


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """(rows, mean confidence, accuracy) of the bins (0, .1], (.1, .2], …; 0 and 0 for an empty one."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        count = int(inside.sum())
        bins.append((count, float(confidence[inside].mean()), float(right[inside].mean())) if count else (0, 0.0, 0.0))
    return bins


def _calibration(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> dict[str, Any]:
    shares = probabilities(logits)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == codes
    truth = np.eye(shares.shape[1])[codes]
    return {
        "ece": calibration_error(confidence, right),
        "log_loss": log_loss(logits, codes),
        "brier": float(((shares - truth) ** 2).sum(axis=1).mean()),
        "bins": [{"rows": rows, "confidence": sure, "accuracy": hit} for rows, sure, hit in _bins(confidence, right)],
    }


def _statistics(classes: int) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": matthews, "kappa": cohen_kappa}
    for number in range(classes):
        for name, figure in (("precision", precision), ("recall", recall), ("f1", f1)):
            found[f"{name}:{number}"] = lambda m, figure=figure, number=number: figure(m)[..., number]  # type: ignore[misc]
    return found


def _plain(interval: Interval) -> dict[str, float | None]:
    return {k: None if np.isnan(v) else round(float(v), 12) for k, v in interval._asdict().items()}


def _interval(found: Mapping[str, float | None]) -> str:
    value, low, high = (found[name] for name in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")
