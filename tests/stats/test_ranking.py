"""Do ranks and their intervals, and tests of counts, say what other programs say?"""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.stats.association import chi_squared, chi_squared_tail, independence
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions, row_bootstrap
from refusal_tui.stats.ranking import auroc, average_precision


def scored(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and which rows are of the class."""
    random = np.random.default_rng(seed)
    positive = random.random(rows) < 0.3
    return np.round(random.normal(size=rows) + positive, 1), positive


def test_areas_are_those_of_scikit_learn_also_with_ties_and_weights() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, positive = scored()
    weights = np.random.default_rng(1).integers(0, 4, (5, 200)).astype(float)
    for one, area, precision in zip(
        weights, auroc(scores, positive)(weights), average_precision(scores, positive)(weights), strict=True
    ):
        assert area == pytest.approx(roc_auc_score(positive, scores, sample_weight=one))
        assert precision == pytest.approx(average_precision_score(positive, scores, sample_weight=one))


def test_a_class_without_rows_has_no_area() -> None:
    assert np.isnan(auroc([0.1, 0.2], [False, False])(np.ones(2)))
    assert np.isnan(average_precision([0.1, 0.2], [False, False])(np.ones(2)))
    assert np.isnan(auroc([], [])(np.ones((3, 0)))).all()


def test_rows_drawn_by_cluster_give_the_intervals_of_the_matrices() -> None:
    """Accuracy both ways: other draws, the same spread."""
    from refusal_tui.stats.agreement import accuracy

    random = np.random.default_rng(3)
    gold = random.integers(0, 2, 300)
    said = np.where(random.random(300) < 0.8, gold, 1 - gold)
    clusters = [n // 3 for n in range(300)]
    right = gold == said

    def share(weights: np.ndarray) -> np.ndarray:
        return (weights * right).sum(axis=-1) / weights.sum(axis=-1)

    by_rows = row_bootstrap({"accuracy": share}, clusters, 4000)["accuracy"]
    by_matrix = cluster_bootstrap({"accuracy": accuracy}, cluster_confusions(gold, said, clusters, ["a", "b"]), 4000)[
        "accuracy"
    ]
    assert by_rows.value == by_matrix.value
    assert by_rows.low == pytest.approx(by_matrix.low, abs=0.006)
    assert by_rows.high == pytest.approx(by_matrix.high, abs=0.006)
    assert np.isnan(row_bootstrap({"accuracy": share}, [])["accuracy"].value)


def test_chi_squared_tails_are_exact() -> None:
    from scipy import stats

    for chi, freedom in [(0.0, 3), (0.2, 1), (3.84, 1), (9.5, 4), (30.0, 7), (900.0, 2), (950.0, 1000)]:
        assert chi_squared_tail(chi, freedom) == pytest.approx(stats.chi2.sf(chi, freedom), rel=1e-9, abs=1e-300)


def test_tables_of_counts_are_tested_as_scipy_does() -> None:
    from scipy import stats

    table = np.array([[10, 20, 30], [25, 15, 20]])
    found = stats.chi2_contingency(table)
    assert independence(table) == (pytest.approx(found.statistic), found.dof, pytest.approx(found.pvalue, rel=1e-9))
    assert independence([[3, 0], [5, 0]]) == (0.0, 0, 1.0)
    even = stats.chisquare([30, 10, 20])
    assert chi_squared([30, 10, 20], [20, 20, 20]) == (pytest.approx(even.statistic), pytest.approx(even.pvalue))
