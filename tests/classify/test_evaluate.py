"""Are the figures what others compute, and is what limits them said?"""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.classify.calibration import calibration_error, fit_temperature
from refusal_tui.classify.evaluate import evaluate, limits
from refusal_tui.classify.predictions import (
    Predicted,
    Predictions,
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
    assert result["calibration"]["raw"]["log_loss"]["value"] == pytest.approx(loss)
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
    assert result["fitted"]["ece"]["value"] < result["raw"]["ece"]["value"] / 2
    assert result["fitted"]["log_loss"]["value"] < result["raw"]["log_loss"]["value"]


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


def test_areas_under_curves_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    found = predictions()
    rows = found.of("test")
    result = evaluate(found, draws=20)
    shares = probabilities(np.array([row.logits for row in rows]) / result["calibration"]["temperature"])
    areas = []
    for number, name in enumerate(CLASSES):
        positive = [row.label == name for row in rows]
        areas.append(metrics.roc_auc_score(positive, shares[:, number]))
        one = result["per_class"][name]
        assert one["auroc"]["value"] == pytest.approx(areas[-1])
        assert one["average_precision"]["value"] == pytest.approx(
            metrics.average_precision_score(positive, shares[:, number])
        )
    assert result["auroc"]["value"] == pytest.approx(np.mean(areas))


def test_slices_add_up_and_say_where_the_errors_are() -> None:
    from dataclasses import replace

    of = predictions(300)
    rows = tuple(
        replace(row, logits=tuple(-x for x in row.logits) if row.model == "m1" else row.logits,
                response_chars=50 if n % 2 else 5000, category=f"c{n % 3}")
        for n, row in enumerate(of.rows)
    )  # fmt: skip
    result = evaluate(Predictions(CLASSES, rows), draws=50)
    for found in result["slices"].values():
        assert sum(value["rows"] for value in found["values"]) == result["rows"]
        assert sum(value["errors"] for value in found["values"]) == found["pareto"]["errors"]
        assert found["pareto"]["curve"][-1]["of_errors"] == found["pareto"]["curve"][-1]["of_rows"] == 1.0
    by_model, by_length = result["slices"]["model"], result["slices"]["length"]
    assert by_model["pareto"]["curve"][0]["name"] == "m1"
    assert by_model["errors_depend"]["p_value"] < 1e-6
    assert [value["name"] for value in by_length["values"]] == ["1200 and more", "under 100"]
    held = result["errors_by_prompt"]["worst_fifth"]["value"]
    assert 0.2 < held < 1


def test_the_surest_mistakes_come_first_and_are_wrong() -> None:
    result = evaluate(predictions(900), draws=20)
    mistakes = result["mistakes"]
    assert len(mistakes) == 50
    assert all(one["label"] != one["said"] and one["confidence"] >= one["of_label"] for one in mistakes)
    assert mistakes == sorted(mistakes, key=lambda one: -one["confidence"])
    sure = result["confidence"]
    assert sure["right"]["rows"] + sure["wrong"]["rows"] == result["rows"]
    assert sure["right"]["mean"] > sure["wrong"]["mean"]
    assert sure["tells_right"]["low"] > 0.5


def test_the_balance_of_classes_is_tested_as_scipy_does() -> None:
    from scipy import stats

    found = evaluate(predictions(), draws=5)["balance"]
    counts = list(found["counts"]["test"].values())
    assert found["even"]["p_value"] == pytest.approx(stats.chisquare(counts).pvalue)
    table = [list(of.values()) for of in found["counts"].values()]
    assert found["parts_alike"]["p_value"] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
