"""Majority and Dawid-Skene, on a published example and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from refusal_tui.stats.consensus import dawid_skene, vote_shares

# Dawid and Skene (1979), table 1: 45 patients, five observers, the first of whom has looked three times.
TABLE = (
    "1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 "
    "1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 "
    "1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 "
    "2322222 1211111 2222222"
)
PATIENTS = TABLE.split()
OBSERVERS = np.array([0, 0, 0, 1, 2, 3, 4])


def table(rows: list[str], voters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.array([[int(char) - 1 for char in row] for row in rows])
    return np.repeat(np.arange(len(rows)), len(voters)), np.tile(voters, len(rows)), labels.ravel()


def test_the_patients_of_dawid_and_skene() -> None:
    found = dawid_skene(*table(PATIENTS, OBSERVERS), 4)
    assert found.converged
    # the marginal probabilities that the paper reports
    assert found.shares.round(2) == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.006)
    assert found.says.shape == (5, 4, 4) and found.says.sum(axis=2) == pytest.approx(np.ones((5, 4)))
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(45))
    # the patients whose class the paper finds certain, and patient 3, where four votes of seven say class 2
    assert found.posterior.argmax(axis=1)[[0, 7, 10, 2]].tolist() == [0, 2, 3, 1]


def test_one_round_by_hand() -> None:
    """Two labels, three voters, two items: aab and bbb. The shares of votes are 2/3, 1/3 and 0, 1."""
    items, voters, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2] * 2), np.array([0, 0, 1, 1, 1, 1])
    found = dawid_skene(items, voters, labels, 2, most_rounds=1)
    assert found.shares == pytest.approx([1 / 3, 2 / 3])
    assert found.says[0] == pytest.approx(np.array([[1, 0], [1 / 4, 3 / 4]]))  # b: 1/3 of item 0, all of item 1
    assert found.says[2] == pytest.approx(np.array([[0, 1], [0, 1]]))
    as_a, as_b = 1 / 3 * 1 * 1 * 1, 2 / 3 * 1 / 4 * 1 / 4 * 1
    assert found.posterior[0] == pytest.approx([as_a / (as_a + as_b), as_b / (as_a + as_b)])
    assert found.posterior[1] == pytest.approx([0, 1])
    assert (found.rounds, found.converged) == (1, False)


def test_a_voter_who_guesses_is_outweighed_by_two_who_agree() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 400)
    good = [np.where(random.random(400) < 0.95, truth, 1 - truth) for _ in range(2)]
    guessers = [random.integers(0, 2, 400) for _ in range(3)]
    votes = np.stack([*good, *guessers], axis=1)
    items, voters = np.repeat(np.arange(400), 5), np.tile(np.arange(5), 400)
    found = dawid_skene(items, voters, votes.ravel(), 2)
    estimated = (found.posterior.argmax(axis=1) == truth).mean()
    majority = ((votes.mean(axis=1) > 0.5) == truth).mean()
    assert estimated > 0.93 > majority


def test_votes_may_be_missing_and_come_in_any_order() -> None:
    items, voters, labels = table(PATIENTS, OBSERVERS)
    order = np.random.default_rng(0).permutation(len(items))
    whole = dawid_skene(items, voters, labels, 4)
    mixed = dawid_skene(items[order], voters[order], labels[order], 4)
    assert mixed.posterior == pytest.approx(whole.posterior, abs=1e-9)
    fewer = dawid_skene(items[3:], voters[3:], labels[3:], 4)
    assert fewer.posterior.argmax(axis=1).tolist() == whole.posterior.argmax(axis=1).tolist()


def test_hundreds_of_votes_on_an_item_do_not_underflow() -> None:
    items = np.repeat([0, 1], 2000)
    labels = np.concatenate([np.arange(2000) % 3 == 0, np.arange(2000) % 3 != 0]).astype(int)
    found = dawid_skene(items, np.zeros(4000, int), labels, 2)
    assert np.isfinite(found.posterior).all()


def test_no_votes_are_an_error() -> None:
    empty = np.array([], dtype=int)
    with pytest.raises(ValueError, match="no votes"):
        dawid_skene(empty, empty, empty, 2)


def test_shares_of_votes() -> None:
    assert vote_shares(np.array([0, 0, 2]), np.array([0, 1, 1]), 3, 2).tolist() == [[0.5, 0.5], [0, 0], [0, 1]]
