"""How good is a classifier? Every figure follows from its stored predictions and from nothing else.

`evaluate(read_predictions(path))` gives the figures of `metrics.json` again. Intervals are 95 %, from a bootstrap over
groups of rows that belong together (`splits.py`), prompts as a rule. The temperature is fitted on the validation rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.calibration import calibration_of, fit_temperature
from refusal_tui.classify.confidence import confidence_of, mistakes_of
from refusal_tui.classify.plain import figure_text, plain
from refusal_tui.classify.predictions import Predicted, Predictions, codes_of, logits_of, probabilities
from refusal_tui.classify.slices import errors_by_group, slices_of
from refusal_tui.classify.splits import TEST, VALIDATION
from refusal_tui.stats.agreement import accuracy, cohen_kappa, f1, macro_f1, matthews, precision, ratio, recall
from refusal_tui.stats.association import chi_squared, independence
from refusal_tui.stats.bootstrap import (
    RowStatistic,
    Statistic,
    cluster_bootstrap,
    cluster_confusions,
    row_bootstrap,
)
from refusal_tui.stats.ranking import auroc, average_precision

FEW = 30  # test rows of a class, below which a figure of it means little
DRAWS = 1000
_PER_CLASS = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")


def evaluate(predictions: Predictions, draws: int = DRAWS) -> dict[str, Any]:
    """The figures of the test rows, plain lists, dicts and numbers (null: not defined).

    `headline` is the sentence to show, with what limits it. `calibration` has the expected calibration error (Guo et
    al. 2017) before and after the temperature; `confidence`, `slices` and `mistakes` are after it.
    """
    classes, rows = predictions.classes, predictions.of(TEST)
    validation = predictions.of(VALIDATION)
    labels, groups = [row.label for row in rows], [row.group for row in rows]
    logits, codes = logits_of(rows, len(classes)), codes_of(rows, classes)
    said = [classes[number] for number in logits.argmax(axis=1)]
    confusions = cluster_confusions(labels, said, groups, classes)
    matrix = confusions.sum(axis=0)
    temperature = fit_temperature(logits_of(validation, len(classes)), codes_of(validation, classes))
    shares = probabilities(logits / temperature)
    found = cluster_bootstrap(_statistics(len(classes)), confusions, draws)
    found |= row_bootstrap(_ranking(shares, codes, len(classes)), groups, draws)
    result = {
        "classes": list(classes),
        "rows": len(rows),
        "groups": len(confusions),
        "by_people": sum(row.by == "human" for row in rows),
        "confusion": matrix.tolist(),
        **{name: plain(found[name]) for name in ("accuracy", "macro_f1", "mcc", "kappa")},
        **{name: plain(found[name]) for name in ("auroc", "average_precision", "above_majority")},
        "majority": float(matrix.sum(axis=1).max() / max(matrix.sum(), 1)),
        "per_class": {
            name: {
                "support": int(matrix[k].sum()),
                "predicted": int(matrix[:, k].sum()),
                **{figure: plain(found[f"{figure}:{k}"]) for figure in _PER_CLASS},
            }
            for k, name in enumerate(classes)
        },
        "calibration": {
            "temperature": temperature,
            "raw": calibration_of(logits, codes, groups, draws),
            "fitted": calibration_of(logits / temperature, codes, groups, draws),
        },
        "balance": balance_of(predictions),
        "confidence": confidence_of(rows, shares, codes, draws),
        "slices": slices_of(rows, said, shares.max(axis=1).tolist(), classes, draws),
        "errors_by_prompt": errors_by_group(rows, said, draws),
        "mistakes": mistakes_of(rows, shares, codes, classes),
        "limits": limits(predictions),
    }
    return {"headline": headline(result), **result}


def headline(result: Mapping[str, Any]) -> str:
    """Macro-F1 and accuracy with their intervals and, in the same breath, what limits them."""
    said = (
        f"macro-F1 {figure_text(result['macro_f1'])}, accuracy {figure_text(result['accuracy'])} "
        f"(always the commonest class: {result['majority']:.3f}) "
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


def balance_of(predictions: Predictions) -> dict[str, Any]:
    """Rows per class in each part; are the classes equally common among the test rows (`even`), and have the parts the
    same shares (`parts_alike`)? Pearson's chi-squared tests, rows taken as independent."""
    parts = {part: _counted(predictions.of(part), predictions.classes) for part in (VALIDATION, TEST)}
    counts = parts[TEST]
    chi, p_value = chi_squared(counts, [sum(counts) / len(counts)] * len(counts)) if sum(counts) else (0.0, 1.0)
    among, freedom, alike = independence(list(parts.values())) if all(map(sum, parts.values())) else (0.0, 0, 1.0)
    return {
        "counts": {part: dict(zip(predictions.classes, of, strict=True)) for part, of in parts.items()},
        "even": {"chi_squared": chi, "freedom": len(counts) - 1, "p_value": p_value},
        "parts_alike": {"chi_squared": among, "freedom": freedom, "p_value": alike},
    }


def _counted(rows: Sequence[Predicted], classes: Sequence[str]) -> list[int]:
    counts = Counter(row.label for row in rows)
    return [counts[name] for name in classes]


def _statistics(classes: int) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {
        "accuracy": accuracy, "macro_f1": macro_f1, "mcc": matthews, "kappa": cohen_kappa,
        "above_majority": lambda m: accuracy(m) - ratio(m.sum(axis=-1).max(axis=-1), m.sum(axis=(-2, -1)), np.nan),
    }  # fmt: skip
    per_class = (("precision", precision), ("recall", recall), ("f1", f1), ("specificity", _specificity))
    for number in range(classes):
        for name, figure in per_class:
            found[f"{name}:{number}"] = lambda m, figure=figure, number=number: figure(m)[..., number]  # type: ignore[misc]
    return found


def _specificity(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per class the share of the other classes' rows that are not given it; nan where there are none."""
    rows, gold, said = m.sum(axis=(-2, -1))[..., None], m.sum(axis=-1), m.sum(axis=-2)
    hits = np.diagonal(m, axis1=-2, axis2=-1)
    return ratio(rows - gold - said + hits, rows - gold, empty=np.nan)


def _ranking(shares: NDArray[np.float64], codes: NDArray[np.int64], classes: int) -> dict[str, RowStatistic]:
    """Each class against the others, and the plain mean over the classes (nan where one of them has no row)."""
    areas = [auroc(shares[:, k], codes == k) for k in range(classes)]
    precisions = [average_precision(shares[:, k], codes == k) for k in range(classes)]
    found: dict[str, RowStatistic] = {}
    for name, figures in (("auroc", areas), ("average_precision", precisions)):
        found |= {f"{name}:{k}": figure for k, figure in enumerate(figures)}
        found[name] = lambda weights, figures=figures: np.mean([figure(weights) for figure in figures], axis=0)  # type: ignore[misc]
    return found
