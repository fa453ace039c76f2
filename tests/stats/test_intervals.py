"""Wilson's interval for a share."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.stats.intervals import wilson


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_examples_are_met(successes: int, total: int, low: float, high: float) -> None:
    interval = wilson(successes, total)
    assert interval.value == successes / total
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_lies_in_zero_to_one_around_the_share(counts: tuple[int, int]) -> None:
    successes, total = counts
    value, low, high = wilson(successes, total)
    assert 0 <= low <= value <= high <= 1


def test_the_interval_mirrors_when_successes_and_failures_change_places() -> None:
    yes, no = wilson(3, 17), wilson(14, 17)
    assert (yes.low, yes.high) == pytest.approx((1 - no.high, 1 - no.low))


def test_a_higher_level_is_wider() -> None:
    assert wilson(5, 20, 0.99).low < wilson(5, 20, 0.95).low < wilson(5, 20, 0.5).low


def test_no_rows_say_nothing() -> None:
    value, low, high = wilson(0, 0)
    assert isnan(value)
    assert (low, high) == (0, 1)


@pytest.mark.parametrize(("successes", "total"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_errors(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {total} rows"):
        wilson(successes, total)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_impossible_levels_are_errors(level: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        wilson(1, 5, level)
