"""Two models on the same prompts."""

from __future__ import annotations

import math

import pytest

from refusal_tui.stats.paired import holm, mcnemar, paired_difference


def of_table(both: int, only_one: int, only_other: int, neither: int) -> tuple[int, int, int]:
    """Pairs, their sum and the sum of squares of a fourfold table."""
    return both + only_one + only_other + neither, only_one - only_other, only_one + only_other


def test_the_exact_test_of_the_airway_example() -> None:
    # Bentur et al. (2009) in Fagerland, Lydersen and Laake (2013, 2014): 1, 1, 7, 12 of 21 children
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


def test_the_exact_test_of_a_textbook_table() -> None:
    # 59, 6, 16, 80 of 161 pairs: exact p 0.0525 (the chi-square test says 0.033)
    assert mcnemar(6, 16) == pytest.approx(0.0525, abs=5e-5)


def test_it_does_not_matter_which_side_is_first() -> None:
    assert mcnemar(6, 16) == mcnemar(16, 6)


def test_no_pair_that_differs_is_no_evidence() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0


def test_the_normal_limit_takes_over_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = mcnemar(950, 1050)
    monkeypatch.setattr("refusal_tui.stats.paired._EXACT_UP_TO", 1999)
    assert mcnemar(950, 1050) == pytest.approx(exact, abs=2e-4)


def test_negative_counts_are_errors() -> None:
    with pytest.raises(ValueError, match="-1"):
        mcnemar(-1, 3)


def test_the_interval_of_the_airway_example() -> None:
    # Fagerland, Lydersen and Laake (2014), table V: Bonett-Price -0.508 to -0.013 around -0.286
    value, low, high = paired_difference(*of_table(1, 1, 7, 12))
    assert (value, low, high) == pytest.approx((-0.286, -0.508, -0.013), abs=0.0006)


def test_the_interval_of_the_approval_ratings() -> None:
    # Agresti, Categorical Data Analysis, table 10.1: 794, 150, 86, 570; difference .04 with .02 to .06
    assert paired_difference(*of_table(794, 150, 86, 570)) == pytest.approx((0.04, 0.021, 0.059), abs=0.001)


def test_an_interval_stays_within_the_possible() -> None:
    value, low, high = paired_difference(3, 3, 3)
    assert value == 1 and high == 1 and low < 0.9


def test_means_of_samples_have_narrower_intervals_than_single_answers() -> None:
    single = paired_difference(*of_table(40, 15, 5, 40))
    means = paired_difference(100, 10, 6)  # the same difference, told by smaller ones
    assert means.value == single.value
    assert means.high - means.low < single.high - single.low


def test_no_pairs_tell_nothing() -> None:
    value, low, high = paired_difference(0, 0, 0)
    assert math.isnan(value) and (low, high) == (-1, 1)


def test_impossible_sums_are_errors() -> None:
    with pytest.raises(ValueError, match="no 3 differences"):
        paired_difference(3, 4, 4)
    with pytest.raises(ValueError, match="no 3 differences"):
        paired_difference(3, 3, 0.5)


def test_holms_correction_of_a_worked_example() -> None:
    # R, stats::p.adjust(c(0.01, 0.02, 0.03, 0.005), "holm")
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])


def test_holms_correction_never_lowers_nor_passes_one() -> None:
    assert holm([0.4, 0.9]) == [0.8, 0.9]
    assert holm([0.9, 0.7, 0.8]) == [1.0, 1.0, 1.0]
    assert holm([0.03]) == [0.03] and holm([]) == []
