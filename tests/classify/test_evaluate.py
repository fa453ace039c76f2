"""Are the figures what others compute, and is what limits them said?"""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.classify.evaluate import (
    Predicted,
    Predictions,
    calibration_error,
    evaluate,
    fit_temperature,
    limits,
    probabilities,
    read_predictions,
    write_predictions,
)
from refusal_tui.stats.agreement import confusion_matrix, matthews

CLASSES = ("none", "hard", "soft")


def predictions(rows: int = 300, seed: int = 0, scale: float = 1.0, dataset: str = "") -> Predictions:
    """Logits that are right most of the time; three rows per group, every third row is for validation."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, rows)
    logits = (random.normal(size=(rows, 3)) + 1.5 * np.eye(3)[codes]) * scale
    return Predictions(
        CLASSES,
        tuple(
            Predicted(
                n, f"h{n}", "validation" if n // 3 % 3 == 0 else "test", f"g{n // 3}", CLASSES[codes[n]], "human",
                dataset or f"d{n % 2}", f"m{n % 2}", tuple(map(float, logits[n].astype(np.float32))),
            )
            for n in range(rows)
        ),
    )  # fmt: skip


def test_the_figures_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    found = predictions()
    rows = found.of("test")
    gold, said = [row.label for row in rows], [CLASSES[int(np.argmax(row.logits))] for row in rows]
    result = evaluate(found, draws=50)
    assert result["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(gold, said))
    assert result["macro_f1"]["value"] == pytest.approx(metrics.f1_score(gold, said, average="macro"))
    assert result["mcc"]["value"] == pytest.approx(metrics.matthews_corrcoef(gold, said))
    assert result["kappa"]["value"] == pytest.approx(metrics.cohen_kappa_score(gold, said))
    shares = probabilities(np.array([row.logits for row in rows]))
    loss = metrics.log_loss(gold, shares[:, [1, 0, 2]], labels=["hard", "none", "soft"])
    assert result["calibration"]["raw"]["log_loss"] == pytest.approx(loss)
    for number, name in enumerate(CLASSES):
        assert result["per_class"][name]["recall"]["value"] == pytest.approx(
            metrics.recall_score(gold, said, labels=[name], average="macro")
        ), number


def test_a_classifier_that_always_says_the_same_has_no_correlation() -> None:
    assert matthews(confusion_matrix(["a", "b", "c"], ["a", "a", "a"], ["a", "b", "c"])) == 0
    assert np.isnan(matthews(np.zeros((2, 2))))


def test_predictions_come_back_from_the_disk_as_they_were(tmp_path) -> None:
    found = predictions()
    write_predictions(tmp_path / "p.jsonl", found)
    assert read_predictions(tmp_path / "p.jsonl") == found


def test_too_much_confidence_is_found_and_taken_back() -> None:
    honest, loud = predictions(900), predictions(900, scale=4.0)
    rows = honest.of("validation")
    codes = np.array([CLASSES.index(row.label) for row in rows])
    fitted = fit_temperature(np.array([row.logits for row in rows]), codes)
    result = evaluate(loud, draws=20)["calibration"]
    assert result["temperature"] == pytest.approx(4 * fitted, rel=1e-3)
    assert result["fitted"]["ece"] < result["raw"]["ece"] / 2
    assert result["fitted"]["log_loss"] < result["raw"]["log_loss"]


def test_the_temperature_is_the_one_with_the_smallest_loss() -> None:
    from scipy.optimize import minimize_scalar

    rows = predictions(600, scale=3.0).of("validation")
    logits, codes = np.array([row.logits for row in rows]), np.array([CLASSES.index(row.label) for row in rows])

    def loss(at: float) -> float:
        shares = probabilities(logits / at)
        return -float(np.log(shares[np.arange(len(codes)), codes]).mean())

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert fit_temperature(logits, codes) == pytest.approx(best, rel=1e-4)


def test_the_calibration_error_is_the_gap_weighted_by_rows() -> None:
    sure = np.array([0.95, 0.95, 0.65, 0.65, 0.65])
    right = np.array([True, False, True, True, False])
    assert calibration_error(sure, right) == pytest.approx(2 / 5 * 0.45 + 3 / 5 * (2 / 3 - 0.65))


def test_few_rows_and_single_sources_stand_beside_the_headline() -> None:
    found = predictions(60, dataset="only")
    said = "; ".join(limits(found))
    assert "fewer than 30 test rows are 'hard'" in said
    assert "all rows come from one dataset (only)" in said
    assert said in evaluate(found, draws=5)["headline"]


def test_a_class_of_one_source_among_several_is_named() -> None:
    from dataclasses import replace

    found = predictions()
    rows = tuple(replace(row, dataset="leak") if row.label == "hard" else row for row in found.rows)
    assert "all 'hard' rows come from one dataset (leak)" in limits(Predictions(CLASSES, rows))
    assert limits(found) == []


def test_labels_of_judges_in_the_test_are_said() -> None:
    from dataclasses import replace

    found = predictions()
    rows = tuple(replace(row, by="judge:linear") for row in found.rows)
    assert limits(Predictions(CLASSES, rows)) == ["198 of 198 test labels are a judge's, not a person's"]
