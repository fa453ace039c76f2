"""What do the three scores of a candidate say, and how are many of them measured in one pass?

ablation: refusal score of harmful prompts with the candidate projected out of the whole stream. steering: refusal score
of harmless prompts with it added, as it is, at the input of its own block. kl: how far the ablation moves the first
token of answers to harmless prompts. (Arditi et al. 2024, section 2.4; the hook points are those of `anatomy.py`.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from refusal_tui.direction.batches import Batch
from refusal_tui.direction.intervene import Rows
from refusal_tui.direction.passes import Baseline, Passes
from refusal_tui.direction.refusal_tokens import kl_divergences, refusal_scores

if TYPE_CHECKING:
    from torch import Tensor


def unit(vectors: Tensor) -> Tensor:
    """Rows of length one; a row of zeros stays one. The published epsilon is kept: v / (|v| + 1e-8)."""
    units: Tensor = vectors / (vectors.norm(dim=-1, keepdim=True) + 1e-8)
    return units


class Scorer:
    """Scores of candidates [candidates, width] as float64 [candidates, prompts], a value for each validation prompt."""

    def __init__(self, passes: Passes, refusal_tokens: Sequence[int], harmful: Baseline, harmless: Baseline) -> None:
        self.passes = passes
        self.harmful, self.harmless = harmful, harmless
        self._tokens = list(refusal_tokens)

    def baseline(self) -> tuple[Tensor, Tensor]:
        """Refusal scores of the unchanged model for the harmful and the harmless prompts."""
        return self._refusal(self.harmful.logits), self._refusal(self.harmless.logits)

    def ablation(self, vectors: Tensor) -> Tensor:
        return self._ablated(self.harmful, vectors, lambda logits, _: self._refusal(logits))

    def kl(self, vectors: Tensor) -> Tensor:
        def divergence(logits: Tensor, batch: Batch) -> Tensor:
            return kl_divergences(self.harmless.logits[list(batch.rows)].to(logits.device), logits.float())

        return self._ablated(self.harmless, vectors, divergence)

    def steering(self, layer: int, vectors: Tensor, *, prompts: Baseline | None = None) -> Tensor:
        """`vectors` are added at the input of block `layer`, at every token; by default to the harmless prompts."""
        import torch

        prompts = prompts or self.harmless
        values = torch.empty(len(vectors), len(prompts.encoded), dtype=torch.float64)

        def work(batch: Batch, part: range) -> None:
            rows = Rows(add={layer: _for_rows(vectors, part, batch)})
            start = None if prompts.streams is None or layer == 0 else (layer, _padded(prompts.streams, batch, layer))
            logits = self.passes.logits(batch, copies=len(part), rows=rows, start=start)
            values[part.start : part.stop, list(batch.rows)] = self._refusal(logits).view(len(part), -1)

        self.passes.each(prompts.encoded, len(vectors), work)
        return values

    def _ablated(self, prompts: Baseline, vectors: Tensor, judge: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        import torch

        units = unit(vectors)
        values = torch.empty(len(vectors), len(prompts.encoded), dtype=torch.float64)

        def work(batch: Batch, part: range) -> None:
            rows = Rows(ablate=_for_rows(units, part, batch))
            logits = self.passes.logits(batch, copies=len(part), rows=rows)
            values[part.start : part.stop, list(batch.rows)] = judge(logits, batch).view(len(part), -1)

        self.passes.each(prompts.encoded, len(vectors), work)
        return values

    def _refusal(self, logits: Tensor) -> Tensor:
        return refusal_scores(logits, self._tokens)


def _for_rows(vectors: Tensor, part: range, batch: Batch) -> Tensor:
    """One vector per row of the repeated batch: all prompts with the first candidate, then with the second, …"""
    return vectors[part.start : part.stop].repeat_interleave(len(batch.rows), dim=0).float()


def _padded(streams: Sequence[Tensor], batch: Batch, layer: int) -> Tensor:
    """The cached input of a block as the batch needs it [rows, tokens, width]; what is padding is masked out anyway."""
    import torch

    kept = [streams[row][layer] for row in batch.rows]
    hidden = torch.zeros(len(kept), batch.ids.shape[1], kept[0].shape[-1], dtype=kept[0].dtype)
    for place, stream in enumerate(kept):
        hidden[place, hidden.shape[1] - len(stream) :] = stream
    return hidden
