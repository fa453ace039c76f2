"""How is a token drawn so that a sample depends on its row and seed, and not on the batch that it shares?

Gumbel-max: noise is added to the scores and the largest one wins, which is a draw from their softmax (Gumbel 1954;
Maddison, Tarlow and Minka 2014). The noise is a hash of (the row's seed, step, token), so that a resumed job draws for
a row what the first run would have drawn.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

# splitmix64 (Steele, Lea and Flood 2014), its constants as signed 64-bit numbers: tensors know no others.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def row_seed(prompt: Sequence[int], seed: int | None) -> int:
    """A signed 64-bit seed for one row: of its tokens and the request's seed, or of chance where it has none."""
    if seed is None:
        return int.from_bytes(os.urandom(8), signed=True)
    text = f"{seed}/{','.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)


class Draw:
    """A logits processor for greedy decoding, the last of its list: `seeds` has one entry per row."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._seeds = seeds
        self._step = 0

    def __call__(self, ids: Any, scores: Any) -> Any:
        """[rows, vocabulary] scores with noise of their own for every row and step."""
        import torch

        self._step += 1
        rows = torch.tensor(self._seeds, dtype=torch.int64, device=scores.device)[:, None]
        tokens = torch.arange(scores.shape[-1], dtype=torch.int64, device=scores.device)[None, :]
        return scores - torch.log(-torch.log(_uniform(_mixed(rows + self._step * 2**32) + tokens * _STEP)))


def _uniform(numbers: Any) -> Any:
    """Numbers in the open interval (0, 1) out of the hash of 64-bit ones."""
    return (_shifted(_mixed(numbers), 11).double() + 0.5) * 2.0**-53


def _mixed(numbers: Any) -> Any:
    for shift, factor in zip((30, 27), _MIX, strict=True):
        numbers = (numbers ^ _shifted(numbers, shift)) * factor
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Any, places: int) -> Any:
    """To the right, filled with zeros: tensors fill with the sign."""
    return (numbers >> places) & (2 ** (64 - places) - 1)
