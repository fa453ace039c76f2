"""Which rows are drawn, with which probability, in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.review.label_errors import class_probabilities, self_confidence
from refusal_tui.review.sampling import ALL, RANDOM, REPEAT_GAP, Aim, Plan, Population, draw_cards, draw_rows

ROWS = 600


def population(rows: int = ROWS) -> Population:
    """A few soft rows, two sources, and a judge who is unsure of every tenth row and wrong on a fifth of the soft."""
    outcome = np.array(["soft" if i % 20 == 0 else "hard" if i % 3 == 0 else "none" for i in range(rows)], dtype=object)
    confidence = np.array(["low" if i % 10 == 0 else "high" for i in range(rows)], dtype=object)
    source = np.array(["blorp" if i < rows // 6 else "frindle" for i in range(rows)], dtype=object)
    model = np.array([f"m{i % 4}" for i in range(rows)], dtype=object)
    fit = np.array([np.nan if i % 7 == 0 else (i * 37 % 100) / 100 for i in range(rows)])
    groups = {Aim.OUTCOME: outcome, Aim.CONFIDENCE: confidence, Aim.SOURCE: source, Aim.MODEL: model}
    return Population(groups, np.array([i % 15 == 0 for i in range(rows)]), fit)


def test_the_same_seed_gives_the_same_cards_and_another_seed_others() -> None:
    plan = Plan(60, aims=(Aim.OUTCOME, Aim.DISAGREEMENT), seed=3)
    assert draw_cards(population(), plan) == draw_cards(population(), plan)
    assert draw_cards(population(), plan) != draw_cards(population(), Plan(60, aims=plan.aims, seed=4))


def test_a_simple_random_sample_has_one_probability_and_its_exact_size() -> None:
    rows, strata, inclusion = draw_rows(population(), Plan(60, random_share=1.0))
    assert len(rows) == 60 and set(strata) == {RANDOM}
    assert np.allclose(inclusion, 60 / ROWS)


def test_every_row_can_be_drawn_whatever_the_aims_are() -> None:
    for aim in Aim:
        _, _, inclusion = draw_rows(population(), Plan(60, random_share=0.2, aims=(aim,)))
        assert inclusion.min() > 0, aim


@pytest.mark.parametrize("aims", [(), (Aim.OUTCOME,), (Aim.LABEL_ERROR, Aim.RARE), tuple(Aim)])
def test_the_probabilities_sum_to_the_size_asked_for(aims: tuple[Aim, ...]) -> None:
    """Aimed draws overlap; the random draw makes up for it."""
    _, _, inclusion = draw_rows(population(), Plan(90, aims=aims))
    assert inclusion.sum() == pytest.approx(90, abs=1.0)


@pytest.mark.parametrize("aims", [(Aim.OUTCOME,), (Aim.LABEL_ERROR, Aim.DISAGREEMENT), tuple(Aim)])
def test_the_share_of_draws_that_hold_a_row_is_its_probability(aims: tuple[Aim, ...]) -> None:
    draws = 3000
    people = population(120)
    held = np.zeros(120)
    for seed in range(draws):
        rows, _, inclusion = draw_rows(people, Plan(30, random_share=0.4, aims=aims, seed=seed))
        held[rows] += 1
    spread = np.sqrt(np.maximum(inclusion * (1 - inclusion), 1e-12) / draws)
    assert np.abs(held / draws - inclusion).max() < 5 * spread.max()
    certain = inclusion == 1
    assert (held[certain] == draws).all()


@pytest.mark.parametrize("aims", [(), (Aim.OUTCOME, Aim.CONFIDENCE), (Aim.LABEL_ERROR, Aim.RARE), tuple(Aim)])
def test_horvitz_thompson_is_unbiased_where_the_plain_mean_is_not(aims: tuple[Aim, ...]) -> None:
    people = population(300)
    wrong = np.array([1.0 if outcome == "soft" or fit < 0.2 else 0.0 for outcome, fit in
                      zip(people.groups[Aim.OUTCOME], people.fit, strict=True)])  # fmt: skip
    weighted, plain = [], []
    for seed in range(1500):
        rows, _, inclusion = draw_rows(people, Plan(60, random_share=0.5, aims=aims, seed=seed))
        weighted.append((wrong[rows] / inclusion[rows]).sum() / len(people))
        plain.append(wrong[rows].mean())
    standard_error = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - wrong.mean()) < 4 * standard_error
    if aims:
        assert np.mean(plain) > wrong.mean() + 0.02


def test_strata_are_drawn_alike_and_a_small_one_leaves_its_share_to_the_others() -> None:
    cards = draw_cards(population(), Plan(200, random_share=0.1, aims=(Aim.OUTCOME,), repeats=0))
    soft = [card for card in cards if card.stratum == "outcome=soft"]
    assert len(soft) >= 25  # there are 30, the random draw may have some of them
    assert {card.stratum for card in cards} == {RANDOM, "outcome=soft", "outcome=hard", "outcome=none"}


def test_the_rarest_class_is_found() -> None:
    cards = draw_cards(population(), Plan(40, random_share=0.5, aims=(Aim.RARE,)))
    assert {card.stratum for card in cards} == {RANDOM, "rare=soft"}


def test_the_worst_fitting_labels_are_taken_for_certain() -> None:
    people = population()
    rows, _, inclusion = draw_rows(people, Plan(60, random_share=0.5, aims=(Aim.LABEL_ERROR,)))
    worst = np.argsort(people.fit, kind="stable")[:30]
    assert set(worst) <= set(rows) and (inclusion[worst] == 1).all()


def test_a_sample_as_large_as_the_selection_is_the_selection() -> None:
    cards = draw_cards(population(20), Plan(50, repeats=0))
    assert sorted(card.row for card in cards) == list(range(20))
    assert {(card.stratum, card.inclusion) for card in cards} == {(ALL, 1.0)}


def test_repeats_come_late_and_point_back_to_their_first_card() -> None:
    cards = draw_cards(population(), Plan(200, aims=(Aim.OUTCOME,), repeats=0.05))
    repeats = [(at, card) for at, card in enumerate(cards) if card.repeat_of is not None]
    first = len(cards) - len(repeats)
    assert len(repeats) == round(first * 0.05)
    for at, card in repeats:
        assert cards[card.repeat_of].row == card.row and cards[card.repeat_of].repeat_of is None
        assert at - card.repeat_of >= REPEAT_GAP
    assert len({card.row for card in cards}) == first


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 80), repeats=st.floats(0, 1), rows=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_any_queue_is_whole(size: int, repeats: float, rows: int, seed: int) -> None:
    cards = draw_cards(population(rows), Plan(size, aims=tuple(Aim), repeats=repeats, seed=seed))
    firsts = [card.row for card in cards if card.repeat_of is None]
    assert len(set(firsts)) == len(firsts) >= 1
    assert all(0 < card.inclusion <= 1 for card in cards)
    assert all(
        cards[c.repeat_of].row == c.row and c.repeat_of < at for at, c in enumerate(cards) if c.repeat_of is not None
    )


def test_a_share_of_the_rows_is_for_several_annotators() -> None:
    cards = draw_cards(population(), Plan(200, overlap=2, overlap_share=0.25, repeats=0))
    twice = sum(card.wanted == 2 for card in cards)
    assert 30 <= twice <= 70
    assert {card.wanted for card in draw_cards(population(), Plan(50, overlap=3))} == {3}


def test_a_plan_without_a_random_part_is_refused() -> None:
    with pytest.raises(InputError, match="drawn at random"):
        draw_cards(population(), Plan(10, random_share=0.0, aims=(Aim.RARE,)))
    with pytest.raises(InputError, match="no row to draw"):
        draw_cards(population(0), Plan(10))


def test_self_confidence_is_low_where_the_label_does_not_fit() -> None:
    probabilities = class_probabilities({0: [("hard", 0.9)], 1: [("hard", 0.9), ("none", 0.7)], 2: [("soft", None)]}, 4)
    assert probabilities[:3].sum(axis=1) == pytest.approx(1.0)
    fit = self_confidence(np.array([1, 2, 2, 0]), probabilities)
    assert fit[:3] == pytest.approx([0.9, 0.1, 1.0])
    assert np.isnan(fit[3])
