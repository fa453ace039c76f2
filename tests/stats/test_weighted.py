"""Rates of a population, told from rows that were not equally likely to be drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusal_tui.stats.intervals import wilson
from refusal_tui.stats.weighted import weighted_rate


def test_rows_that_were_equally_likely_have_wilsons_interval() -> None:
    hits = [True] * 8 + [False] * 32
    found = weighted_rate(hits, [1e-6] * 40)
    assert found.interval == pytest.approx(wilson(8, 40), abs=1e-4)
    assert found.effective == pytest.approx(40, rel=1e-3)


def test_a_row_stands_for_as_many_as_its_probability_says() -> None:
    """100 rows of 1,000 drawn with 1/10, all 50 of a rare kind: 10 + 50 hits of 1,050."""
    hits = [True] * 1 + [False] * 99 + [True] * 50
    found = weighted_rate(hits, [0.1] * 100 + [1.0] * 50)
    assert found.total == pytest.approx(1050)
    assert found.interval.value == pytest.approx((10 + 50) / 1050)


def test_what_was_seen_whole_is_known_for_certain() -> None:
    found = weighted_rate([True, False, True], [1.0, 1.0, 1.0])
    assert found.interval == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert found.effective == math.inf


def test_a_heavy_stratum_without_a_hit_keeps_the_upper_bound_high() -> None:
    """50 rows that stand for 5,000: no hit among them still allows for up to 7 %."""
    found = weighted_rate([False] * 50 + [True] * 50, [0.01] * 50 + [1.0] * 50)
    assert found.interval.value == pytest.approx(50 / 5050)
    assert found.interval.high > wilson(0, 50).high * 0.9


def test_only_counted_rows_are_in_the_rate() -> None:
    found = weighted_rate([True, False, True, True], [0.5] * 4, counted=[True, True, False, False])
    assert (found.interval.value, found.rows, found.total) == (0.5, 2, 4.0)


def test_of_no_counted_rows_nothing_is_known() -> None:
    found = weighted_rate([True], [0.5], counted=[False])
    assert math.isnan(found.interval.value) and found.interval[1:] == (0, 1)
    assert (found.rows, found.effective, found.total) == (0, 0, 0)
    assert weighted_rate([], []).rows == 0


def test_strata_make_it_surer_than_rows_of_any_kind() -> None:
    hits, kinds = [True] * 50 + [False] * 50, [1] * 50 + [2] * 50
    together = weighted_rate(hits, [0.1] * 100).interval
    apart = weighted_rate(hits, [0.1] * 100, strata=kinds).interval
    assert apart.high - apart.low < together.high - together.low


def test_many_different_probabilities_are_put_together() -> None:
    random = np.random.default_rng(2)
    inclusion = random.uniform(0.05, 0.2, 400)
    found = weighted_rate(random.random(400) < 0.3, inclusion)
    assert found.interval.low < 0.3 < found.interval.high
    assert 250 < found.effective < 450


@pytest.mark.parametrize("inclusion", [[0.0, 0.5], [0.5, 1.1], [0.5, math.nan], [0.5]])
def test_impossible_probabilities_are_errors(inclusion) -> None:
    with pytest.raises(ValueError, match="one inclusion probability"):
        weighted_rate([True, False], inclusion)


def test_an_impossible_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        weighted_rate([True], [0.5], level=1)


def test_the_total_is_right_on_average_over_all_samples() -> None:
    """Horvitz and Thompson's estimate has no bias: 4,000 samples of the same population."""
    random = np.random.default_rng(3)
    inclusion = np.where(np.arange(500) < 100, 0.4, 0.05)
    positive = np.arange(500) % 3 == 0
    totals = []
    for _ in range(4000):
        drawn = random.random(500) < inclusion
        totals.append(weighted_rate(positive[drawn], inclusion[drawn], counted=positive[drawn]).total)
    assert np.mean(totals) == pytest.approx(positive.sum(), rel=0.01)
