"""The true share behind what a judge counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusal_tui.stats.prevalence import Share, rogan_gladen

KNOWN = math.inf


def test_a_judge_that_never_errs_needs_no_correction() -> None:
    assert rogan_gladen(Share(0.3), Share(1.0), Share(1.0)) == pytest.approx((0.3, 0.3, 0.3))


def test_false_alarms_and_misses_are_taken_out_again() -> None:
    """30 of 100 are positive; 9 in 10 are found, 1 in 20 of the others is called positive: 27 + 3.5 are counted."""
    assert rogan_gladen(Share(0.305), Share(0.9), Share(0.95)).value == pytest.approx(0.3)


def test_the_interval_grows_with_every_doubt() -> None:
    def width(*rows: float) -> float:
        _, low, high = rogan_gladen(Share(0.3, rows[0]), Share(0.9, rows[1]), Share(0.95, rows[2]))
        return high - low

    assert width(KNOWN, KNOWN, KNOWN) < width(KNOWN, 100, KNOWN) < width(KNOWN, 100, 100) < width(500, 100, 100)


def test_fewer_positives_than_false_alarms_are_none() -> None:
    value, low, high = rogan_gladen(Share(0.02, 500), Share(0.9, 50), Share(0.95, 200))
    assert (value, low) == (0, 0) and 0 < high < 0.05


@pytest.mark.parametrize("judge", [(0.5, 0.5), (0.3, 0.6), (math.nan, 0.9)])
def test_a_judge_no_better_than_a_coin_tells_nothing(judge) -> None:
    value, low, high = rogan_gladen(Share(0.4), Share(judge[0], 50), Share(judge[1], 50))
    assert math.isnan(value) and (low, high) == (0, 1)


def test_an_impossible_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        rogan_gladen(Share(0.3), Share(0.9), Share(0.9), level=0)


@pytest.mark.parametrize("rows", [1000, KNOWN])
@pytest.mark.parametrize("true", [0.05, 0.3, 0.6])
def test_about_95_of_100_intervals_hold_the_true_share(true: float, rows: float) -> None:
    """2,000 validations of a judge on 150 refusals and 300 answers, and what it says of the rows to be counted."""
    random = np.random.default_rng(5)
    sensitivity, specificity, audits = 0.9, 0.95, 2000
    called = true * sensitivity + (1 - true) * (1 - specificity)
    held = 0
    for _ in range(audits):
        apparent = called if math.isinf(rows) else random.binomial(int(rows), called) / rows
        found = Share(random.binomial(150, sensitivity) / 150, 150), Share(random.binomial(300, specificity) / 300, 300)
        _, low, high = rogan_gladen(Share(apparent, rows), *found)
        held += low <= true <= high
    assert 0.935 <= held / audits <= 0.965
