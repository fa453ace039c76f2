"""What do several voters say together? A plain majority, and the estimate of Dawid and Skene.

Votes come as three arrays of the same length: who (`voters`) said what (`labels`) of which item (`items`), all as
numbers from 0 on; a voter may have left items out or have voted on one several times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`posterior[item, label]` in [0, 1], rows sum to 1; `shares[label]` how frequent each label is; `says[voter, true,
    said]` how a voter labels what truly is `true`. `rounds` of the iteration; `converged`: it came to rest."""

    posterior: Shares
    shares: Shares
    says: Shares
    rounds: int
    converged: bool


def vote_shares(items: Numbers, labels: Numbers, n_items: int, n_labels: int) -> Shares:
    """[item, label]: which part of the item's votes a label has; zeros for an item without votes."""
    counts = np.bincount(items * n_labels + labels, minlength=n_items * n_labels).reshape(n_items, n_labels)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def dawid_skene(
    items: Numbers, voters: Numbers, labels: Numbers, n_labels: int, *, most_rounds: int = 500, tolerance: float = 1e-6
) -> Estimate:
    """Labels and the voters' own errors, estimated together by EM (Dawid and Skene, Applied Statistics 28, 1979).

    It starts from the shares of the votes and ends when no posterior moves by more than `tolerance`. Voters are taken
    as independent given the truth: copies of one model are not, and outvote the others here as in a majority. With two
    voters the errors cannot be told from the truth; ask three. Raises ValueError for no votes and for arrays of
    different lengths.
    """
    if not len(items) or not len(items) == len(voters) == len(labels):
        raise ValueError(f"{len(items)} items, {len(voters)} voters and {len(labels)} labels are no votes")
    n_items, n_voters = int(items.max()) + 1, int(voters.max()) + 1
    posterior = vote_shares(items, labels, n_items, n_labels)
    cells = voters * n_labels + labels  # which column of `says` a vote is in
    rounds, moved = 0, np.inf
    while moved > tolerance and rounds < most_rounds:
        rounds += 1
        shares = posterior.mean(axis=0)
        says = _says(posterior, items, cells, n_voters, n_labels)
        before, posterior = posterior, _posterior(shares, says, items, cells, n_items, n_labels)
        moved = float(np.abs(posterior - before).max())
    return Estimate(posterior, shares, says, rounds, moved <= tolerance)


def _says(posterior: Shares, items: Numbers, cells: Numbers, n_voters: int, n_labels: int) -> Shares:
    """M step: [voter, true, said], rows sum to 1; a label that was never true for a voter gives an even row."""
    counts = np.stack(
        [
            np.bincount(cells, weights=posterior[items, true], minlength=n_voters * n_labels).reshape(-1, n_labels)
            for true in range(n_labels)
        ],
        axis=1,
    )
    total = counts.sum(axis=2, keepdims=True)
    return np.asarray(np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1.0 / n_labels))


def _posterior(
    shares: Shares, says: Shares, items: Numbers, cells: Numbers, n_items: int, n_labels: int
) -> Shares:  # fmt: skip
    """E step, in logarithms: hundreds of votes on one item would underflow."""
    with np.errstate(divide="ignore"):
        log_says, log_shares = np.log(says), np.log(shares)
    evidence = np.stack(
        [np.bincount(items, weights=log_says[:, true].ravel()[cells], minlength=n_items) for true in range(n_labels)],
        axis=1,
    )
    scores = evidence + log_shares
    scores -= scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
