"""Is the order of an epoch a function of its seed, complete and within its limits?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.classify.plan import MOST_ROWS, class_weights, plan
from refusal_tui.jobs.schedule import rate

LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=400)


@given(LENGTHS, st.integers(0, 99), st.integers(0, 5), st.integers(16, 8192))
def test_every_row_goes_through_once_an_epoch_within_the_budget(
    lengths: list[int], seed: int, epoch: int, budget: int
) -> None:
    batches = plan(seed, epoch, lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= budget
        assert len(batch) <= MOST_ROWS


def test_an_epoch_is_another_order_and_global_seeds_change_nothing() -> None:
    lengths = list(range(10, 210))
    one = plan(1, 0, lengths, 1000)
    np.random.seed(5)
    assert plan(1, 0, lengths, 1000) == one
    assert plan(1, 1, lengths, 1000) != one != plan(2, 0, lengths, 1000)


def test_padding_stays_small() -> None:
    lengths = np.random.default_rng(0).lognormal(5, 0.8, 3000).astype(int).clip(5, 512).tolist()
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in plan(0, 0, lengths, 4096))
    assert padded < 1.1 * sum(lengths)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_rate_rises_to_its_peak_and_never_above(schedule: str) -> None:
    rates = [rate(step, 100, 2e-5, 0.1, schedule) for step in range(100)]
    assert max(rates) == rates[9] == 2e-5
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_class_weights_have_mean_one_over_the_rows() -> None:
    for how in ("balanced", "effective", "none"):
        weights = class_weights([700, 250, 50], how)
        assert sum(w * n for w, n in zip(weights, [700, 250, 50], strict=True)) == pytest.approx(1000)
    assert class_weights([700, 250, 50], "balanced")[2] > class_weights([700, 250, 50], "effective")[2] > 1
