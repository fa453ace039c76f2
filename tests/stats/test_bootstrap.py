"""Intervals by resampling whole prompts."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.errors import InputError
from refusal_tui.stats.agreement import accuracy, cohen_kappa, confusion_matrix, macro_f1
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions
from refusal_tui.stats.intervals import wilson

LABELS = ["none", "hard", "soft"]


def made_up_rows(rows: int, clusters: int, seed: int = 0) -> tuple[list[str], list[str], list[str]]:
    """Gold, predicted (right in 80 % of the clusters, as a whole) and cluster names."""
    random = np.random.default_rng(seed)
    cluster = random.integers(0, clusters, rows)
    right = random.random(clusters) < 0.8
    gold = random.integers(0, 3, rows)
    predicted = np.where(right[cluster], gold, (gold + 1) % 3)
    return [LABELS[i] for i in gold], [LABELS[i] for i in predicted], [f"prompt {i}" for i in cluster]


def test_the_matrices_of_clusters_sum_to_the_matrix_of_all_rows() -> None:
    gold, predicted, clusters = made_up_rows(200, 31)
    confusions = cluster_confusions(gold, predicted, clusters, LABELS)
    assert confusions.shape == (len(set(clusters)), 3, 3)
    assert (confusions.sum(axis=0) == confusion_matrix(gold, predicted, LABELS)).all()


def test_each_cluster_holds_its_own_rows_in_order_of_first_occurrence() -> None:
    confusions = cluster_confusions(["none", "hard", "hard"], ["none", "none", "hard"], ["b", "a", "b"], LABELS)
    assert confusions[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert confusions[1].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


def plain_cluster_bootstrap(gold, predicted, clusters, statistic, draws: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """The textbook loop: draw clusters, collect their rows, compute; the oracle of the fast one."""
    random = np.random.default_rng(5)
    rows_of = {name: [i for i, c in enumerate(clusters) if c == name] for name in dict.fromkeys(clusters)}
    names = list(rows_of)
    values = []
    for _ in range(draws):
        rows = [row for i in random.integers(0, len(names), len(names)) for row in rows_of[names[i]]]
        matrix = confusion_matrix([gold[i] for i in rows], [predicted[i] for i in rows], LABELS)
        values.append(float(statistic(matrix)))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("statistic", [accuracy, macro_f1, cohen_kappa])
def test_the_interval_equals_that_of_the_textbook_loop(statistic) -> None:  # type: ignore[no-untyped-def]
    gold, predicted, clusters = made_up_rows(300, 60)
    fast = cluster_bootstrap({"x": statistic}, cluster_confusions(gold, predicted, clusters, LABELS), draws=4000)["x"]
    low, high = plain_cluster_bootstrap(gold, predicted, clusters, statistic, draws=1500)
    assert fast.value == pytest.approx(float(statistic(confusion_matrix(gold, predicted, LABELS))))
    assert (fast.low, fast.high) == pytest.approx((low, high), abs=0.02)


def test_single_rows_give_about_the_interval_of_a_share() -> None:
    gold, predicted = ["none"] * 400, ["none"] * 300 + ["hard"] * 100
    interval = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold, predicted, range(400), LABELS))["x"]
    assert interval == pytest.approx(wilson(300, 400), abs=0.01)


def test_rows_that_stand_and_fall_together_make_the_interval_wider() -> None:
    gold, predicted, clusters = made_up_rows(1000, 50)
    together = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold, predicted, clusters, LABELS))["x"]
    alone = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold, predicted, range(1000), LABELS))["x"]
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    confusions = cluster_confusions(*made_up_rows(300, 60), LABELS)
    first = cluster_bootstrap({"x": accuracy}, confusions, seed=1)
    assert cluster_bootstrap({"x": accuracy}, confusions, seed=1) == first
    assert cluster_bootstrap({"x": accuracy}, confusions, seed=2) != first


def test_the_order_of_rows_does_not_matter() -> None:
    gold, predicted, clusters = made_up_rows(300, 60)
    there = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold, predicted, clusters, LABELS))
    back = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold[::-1], predicted[::-1], clusters[::-1], LABELS))
    assert there == back


def test_many_kinds_of_clusters_are_drawn_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refusal_tui.stats.bootstrap._WEIGHTS_AT_ONCE", 700)
    gold, predicted, clusters = made_up_rows(300, 60)
    interval = cluster_bootstrap({"x": accuracy}, cluster_confusions(gold, predicted, clusters, LABELS), draws=1001)[
        "x"
    ]
    assert interval.low < interval.value < interval.high


def test_draws_without_a_kappa_are_left_out() -> None:
    # one cluster of three holds both labels: draws without it have a single label and no kappa
    gold, predicted = ["none", "none", "none", "hard"], ["none", "none", "none", "hard"]
    interval = cluster_bootstrap({"x": cohen_kappa}, cluster_confusions(gold, predicted, [1, 2, 3, 3], LABELS))["x"]
    assert interval == (1, 1, 1)


def test_no_rows_have_no_interval() -> None:
    interval = cluster_bootstrap({"x": accuracy}, cluster_confusions([], [], [], LABELS))["x"]
    assert np.isnan(interval).all()


def test_every_row_needs_a_cluster() -> None:
    with pytest.raises(InputError, match="1 cluster names do not pair with 2 rows"):
        cluster_confusions(["none", "none"], ["none", "none"], ["a"], LABELS)


def test_impossible_draws_and_levels_are_errors() -> None:
    confusions = cluster_confusions(["none"], ["none"], [1], LABELS)
    with pytest.raises(ValueError, match="0 draws"):
        cluster_bootstrap({}, confusions, draws=0)
    with pytest.raises(ValueError, match="is not between"):
        cluster_bootstrap({}, confusions, level=1.0)
