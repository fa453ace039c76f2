"""A rate of rows that share prompts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusal_tui.stats.intervals import wilson
from refusal_tui.stats.rates import ClusterSums, cluster_sums, clustered_rate, design_effect

# Litters of rats, (pups that lived, pups), control and treated: Weil (1970), as printed by Williams (1975) and used by
# Rao and Scott (1992) as their example.
CONTROL = [(13, 13), (12, 12), (9, 9), (9, 9), (8, 8), (8, 8), (12, 13), (11, 12), (9, 10), (9, 10), (8, 9), (11, 13),
           (4, 5), (5, 7), (7, 10), (7, 10)]  # fmt: skip
TREATED = [(12, 12), (11, 11), (10, 10), (9, 9), (10, 11), (9, 10), (9, 10), (8, 9), (8, 9), (4, 5), (7, 9), (4, 7),
           (5, 10), (3, 6), (3, 10), (0, 7)]  # fmt: skip


@pytest.mark.parametrize(("litters", "published"), [(CONTROL, 1.232), (TREATED, 3.953)])
def test_the_design_effect_of_the_rat_litters_is_the_published_one(litters, published) -> None:
    sums = cluster_sums(litters)
    # the published one divides by the binomial variance p(1-p)/n, ours by p(1-p)/(n-1), which is 1 for single rows
    assert design_effect(sums) * sums.rows / (sums.rows - 1) == pytest.approx(published, abs=0.001)


def test_the_sums_are_all_that_counts_and_no_order_does() -> None:
    assert cluster_sums(TREATED) == cluster_sums(TREATED[::-1])
    assert cluster_sums(TREATED)[:3] == (16, 145, 112)


@pytest.mark.parametrize(("hits", "rows"), [(0, 7), (3, 7), (7, 7), (81, 263), (1, 1)])
def test_of_single_rows_it_is_wilsons_interval(hits: int, rows: int) -> None:
    sums = cluster_sums([(1, 1)] * hits + [(0, 1)] * (rows - hits))
    assert clustered_rate(sums) == pytest.approx(wilson(hits, rows))


def test_rows_that_stand_and_fall_together_count_as_one() -> None:
    ten_of_each = cluster_sums([(10, 10)] * 30 + [(0, 10)] * 30)
    assert clustered_rate(ten_of_each) == pytest.approx(wilson(30, 60), abs=0.01)


def test_where_all_rows_are_alike_each_prompt_counts_once() -> None:
    assert clustered_rate(cluster_sums([(5, 5)] * 20)) == pytest.approx(wilson(20, 20))
    assert clustered_rate(cluster_sums([(0, 5)] * 20)) == pytest.approx(wilson(0, 20))


def test_one_prompt_alone_says_as_little_as_one_row() -> None:
    low, high = clustered_rate(cluster_sums([(30, 40)]))[1:]
    assert low < 0.25 and high > 0.95


def test_prompts_that_are_more_alike_than_chance_make_it_no_narrower() -> None:
    balanced = cluster_sums([(1, 2)] * 50)
    assert design_effect(balanced) < 1
    _, low, high = clustered_rate(balanced)
    assert low <= wilson(50, 100).low and high >= wilson(50, 100).high
    assert (low, high) == pytest.approx(wilson(50, 100)[1:], abs=0.005)


def test_no_rows_have_no_rate() -> None:
    value, low, high = clustered_rate(ClusterSums())
    assert math.isnan(value) and (low, high) == (0, 1)


def test_impossible_sums_and_levels_are_errors() -> None:
    with pytest.raises(ValueError, match="no rows have"):
        clustered_rate(ClusterSums(1, 2, 3, 4, 5, 6))
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        clustered_rate(cluster_sums([(1, 2)]), level=0)


@pytest.mark.parametrize(("clusters", "size", "alike"), [(12, 8, 0.5), (40, 5, 0.3), (100, 4, 0.9)])
def test_about_95_of_100_intervals_hold_the_true_rate(clusters: int, size: int, alike: float) -> None:
    """2,000 simulated sets; each prompt's own rate is drawn so that `alike` is the correlation within prompts."""
    random = np.random.default_rng(11)
    true, sets = 0.3, 2000
    spread = (1 - alike) / alike
    rates = random.beta(true * spread, (1 - true) * spread, (sets, clusters))
    hits = random.binomial(size, rates)
    held = 0
    for drawn in hits:
        _, low, high = clustered_rate(cluster_sums([(int(y), size) for y in drawn]))
        held += low <= true <= high
    assert 0.935 <= held / sets <= 0.975
