"""What does the model say with and without its direction? All arms of a prompt are rows of one `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.batches import Batch
from refusal_tui.direction.intervene import Rows, projected
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.score import unit

if TYPE_CHECKING:
    from torch import Tensor


class Arm(StrEnum):
    """The model as it is, with the direction projected out, and with it added (a coefficient of -1: taken away)."""

    BASELINE = "baseline"
    ABLATED = "ablated"
    STEERED = "steered"


ARMS = tuple(Arm)


def answer_in_arms(
    passes: Passes,
    tokenizer: Any,
    encoded: Sequence[Sequence[int]],
    vector: Tensor,
    layer: int,
    *,
    coefficient: float = 1.0,
    max_new_tokens: int = 128,
    at_prompt_only: bool = False,
) -> list[dict[Arm, str]]:
    """Greedy answers to each prompt (token ids) under the three arms. `vector` [width] as it was found.

    The steered arm adds `coefficient` times the vector at the input of block `layer`, at every token or at those of the
    prompt alone: some models talk nonsense when each of their own tokens is steered.
    """
    import torch

    answers: list[dict[Arm, str]] = [{} for _ in encoded]
    nothing = torch.zeros_like(vector)
    ablate = torch.stack([nothing, unit(vector[None])[0], nothing]).float()
    add = torch.stack([nothing, nothing, coefficient * vector]).float()

    def work(batch: Batch, part: range) -> None:
        each = len(batch.rows)
        chosen = slice(part.start, part.stop)
        rows = Rows(
            ablate=ablate[chosen].repeat_interleave(each, dim=0),
            add={layer: add[chosen].repeat_interleave(each, dim=0)},
            tokens=batch.mask.bool().repeat(len(part), 1) if at_prompt_only else None,
        )
        texts = tokenizer.batch_decode(
            passes.generate(batch, copies=len(part), rows=rows, max_new_tokens=max_new_tokens), skip_special_tokens=True
        )
        for place, text in enumerate(texts):
            answers[batch.rows[place % each]][ARMS[part[place // each]]] = text.strip()

    passes.each(encoded, len(ARMS), work)
    return answers


def project_texts(
    passes: Passes, texts: Sequence[Sequence[int]], vector: Tensor, *, ablated: bool = False
) -> list[Tensor]:
    """Of each text (token ids) [blocks, tokens]: how far each token lies along the direction, at the input of every
    block.

    In the units of the stream (the vector is normalised), float32. `ablated`: the same while the direction is projected
    out, so that rounding alone is left.
    """
    import torch

    along = unit(vector[None].double())[0]
    rows = Rows(ablate=along[None].float()) if ablated else None
    projections: list[Tensor] = [torch.empty(0)] * len(texts)

    def work(batch: Batch, _: range) -> None:
        with projected(passes.points.blocks, along) as found:
            passes.logits(batch, rows=rows)
        stacked = torch.stack([found[layer] for layer in range(passes.anatomy.n_layers)])
        for place, row in enumerate(batch.rows):
            projections[row] = stacked[:, place, -len(texts[row]) :].clone()

    passes.each(texts, 1, work)
    return projections
