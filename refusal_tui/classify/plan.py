"""Which rows go through the model together, in which order? Pure functions of the seed.

Nothing here or in `loop.py` reads a global random number: position in the plan and seed say everything, so that a run
that is killed goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from refusal_tui.jobs.schedule import stable_seed

MEGABATCH = 50  # batches' worth of rows that are sorted by length among themselves
MOST_ROWS = 64  # of one batch, however short they are


def plan(seed: int, epoch: int, lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """The batches of an epoch: every row once, batches of alike lengths in random order.

    Shuffled rows are cut into megabatches, each sorted by length and filled into batches of at most `batch_tokens`
    tokens with their padding (longest row times rows; a longer row is a batch of its own) and at most 64 rows.

    >>> sorted(sum(plan(0, 0, [5, 9, 5, 9], 10), []))
    [0, 1, 2, 3]
    >>> plan(0, 0, [5, 9, 5, 9], 10) == plan(0, 0, [5, 9, 5, 9], 10)
    True
    """
    random = np.random.default_rng(stable_seed(seed, "plan", epoch))
    order = random.permutation(len(lengths)).tolist()
    mean = max(sum(lengths) / max(len(lengths), 1), 1.0)
    size = MEGABATCH * max(1, min(MOST_ROWS, int(batch_tokens / mean)))
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        batches += fill(sorted(order[start : start + size], key=lambda i: lengths[i]), lengths, batch_tokens)
    return [batches[i] for i in random.permutation(len(batches)).tolist()]


def fill(rows: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Rows in their order, cut into batches within the limits of `plan`."""
    batches: list[list[int]] = []
    longest = 0
    for row in rows:
        longest = max(longest, lengths[row])
        if not batches or len(batches[-1]) >= MOST_ROWS or longest * (len(batches[-1]) + 1) > batch_tokens:
            batches.append([])
            longest = lengths[row]
        batches[-1].append(row)
    return batches


def class_weights(counts: Sequence[int], how: Literal["balanced", "effective", "none"]) -> list[float]:
    """A weight per class with mean 1 over the rows: inverse frequency, or by the effective number of rows (Cui et al.
    2019, beta .999).

    >>> class_weights([30, 10], "balanced")
    [0.6666666666666666, 2.0]
    """
    if how == "none":
        return [1.0] * len(counts)
    raw = [1 / count if how == "balanced" else (1 - 0.999) / (1 - 0.999**count) for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / sum(counts)
    return [weight / mean for weight in raw]
