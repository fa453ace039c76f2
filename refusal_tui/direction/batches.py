"""Which prompts go through the model together? Sorted by length, cut where padding costs more than another pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded rows: every prompt ends at the last token. `rows` are the prompts' places in their set."""

    rows: tuple[int, ...]
    ids: Tensor
    mask: Tensor

    @property
    def tokens(self) -> int:
        return int(self.ids.numel())

    def halves(self) -> list[Batch]:
        middle = len(self.rows) // 2
        return [
            Batch(self.rows[part], self.ids[part], self.mask[part]) for part in (slice(0, middle), slice(middle, None))
        ]


def plan(
    lengths: Sequence[int], *, pass_cost: float, most_tokens: int, copies: int = 1, pad: bool = True
) -> list[list[int]]:
    """Places of prompts, batch by batch, shortest first, so that padded tokens + `pass_cost` per pass are fewest.

    `pass_cost`: what one more pass costs, in tokens. `copies`: how many times a batch goes through the model, as many
    of them in one pass as `most_tokens` padded tokens allow; a batch may hold more only if it is one prompt.
    `pad=False`: prompts of one batch have the same length.

    >>> plan([3, 9, 3, 10], pass_cost=2, most_tokens=100)
    [[0, 2], [1, 3]]
    >>> plan([3, 9, 3, 10], pass_cost=50, most_tokens=100)
    [[0, 2, 1, 3]]
    >>> plan([3, 9, 3, 10], pass_cost=50, most_tokens=1000, copies=8)
    [[0, 2], [1, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first n prompts, and where their last batch begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        choices = []
        for start in range(end - 1, -1, -1):
            tokens = longest * (end - start)
            too_big = tokens > most_tokens and end - start > 1
            if too_big or (not pad and lengths[order[start]] != longest):
                break
            passes = ceil(copies / max(1, most_tokens // tokens))
            choices.append((best[start][0] + copies * tokens + passes * pass_cost, start))
        best.append(min(choices))
    batches: list[list[int]] = []
    end = len(order)
    while end:
        start = best[end][1]
        batches.insert(0, order[start:end])
        end = start
    return batches


def make_batch(encoded: Sequence[Sequence[int]], rows: Sequence[int], pad_token: int) -> Batch:
    import torch

    longest = max(len(encoded[row]) for row in rows)
    ids = torch.full((len(rows), longest), pad_token)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, longest - len(encoded[row]) :] = torch.tensor(encoded[row])
        mask[place, longest - len(encoded[row]) :] = 1
    return Batch(tuple(rows), ids, mask)
