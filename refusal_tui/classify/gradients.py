"""Shares of tokens in what an encoder says: integrated gradients, and attention rollout. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.passes import inputs
from refusal_tui.errors import UnavailableError

if TYPE_CHECKING:
    from refusal_tui.classify.embedded import EmbeddingScorer
    from refusal_tui.classify.explain import Piece, Shares
    from refusal_tui.classify.fine_tuned import EncoderScorer

STEPS = 32  # of the way from padding to the row, at the middle of each (Riemann): residual about 1e-5
_AT_ONCE = 2_048  # tokens


def integrated_gradients(
    scorer: EncoderScorer | EmbeddingScorer,
    prompt: str,
    response: str,
    margin: NDArray[np.float64],
    steps: int = STEPS,
) -> Shares:
    """Along the straight way between the embeddings of a row whose words are padding and those of the row itself.

    Special tokens stay, so that the base is a row without words.
    """
    import torch

    from refusal_tui.classify.explain import Shares

    encoded, places = scorer.encode([prompt], [response]), scorer.encode.places(prompt, response)
    batch = inputs(encoded, [0], scorer.pad, scorer.accelerator.device)
    scorer.model.eval()
    table = scorer.encoder.get_input_embeddings()
    wanted = torch.as_tensor(margin, dtype=torch.float32, device=scorer.accelerator.device)
    with torch.no_grad():
        ids = batch.pop("input_ids")
        row = table(ids)
        words = torch.tensor([place is not None for place in places], device=ids.device)
        empty = table(torch.where(words, torch.full_like(ids, scorer.pad), ids))
        ends = [_scores(scorer, one, batch, wanted) for one in (row, empty)]
    score, base = (float(one[0]) for one in ends)
    total = torch.zeros_like(row[0])
    at_once = max(1, _AT_ONCE // ids.shape[1])
    for start in range(0, steps, at_once):
        part = torch.arange(start, min(start + at_once, steps), device=ids.device)
        way = ((part + 0.5) / steps)[:, None, None]
        points = (empty + way * (row - empty)).requires_grad_(True)
        (gradient,) = torch.autograd.grad(_scores(scorer, points, batch, wanted).sum(), points)
        total += gradient.sum(dim=0)
    shares = (total / steps * (row - empty)[0]).sum(dim=-1).tolist()
    missed = score - base - sum(shares)
    return Shares("gradients", score, base, missed, _pieces(places, shares), {})


def _scores(scorer: Any, embeddings: Any, batch: dict[str, Any], wanted: Any) -> Any:
    rows = len(embeddings)
    again = {name: tensor.expand(rows, -1) for name, tensor in batch.items()}
    return scorer.forward(inputs_embeds=embeddings, **again).float() @ wanted


def attention_rollout(
    scorer: EncoderScorer | EmbeddingScorer, prompt: str, response: str, margin: NDArray[np.float64]
) -> Shares:
    """How much of each token flows into the first one, over all layers; the shares of words sum to 1.

    Raises UnavailableError where the encoder does not tell its attention (a faster kernel returns nothing, silently).
    """
    import torch

    from refusal_tui.classify.explain import Shares

    encoded, places = scorer.encode([prompt], [response]), scorer.encode.places(prompt, response)
    batch = inputs(encoded, [0], scorer.pad, scorer.accelerator.device)
    config = scorer.encoder.config
    before = config._attn_implementation
    scorer.encoder.set_attn_implementation("eager")
    scorer.model.eval()
    try:
        with torch.no_grad():
            found = scorer.model(**batch, output_attentions=True).attentions
            wanted = torch.as_tensor(margin, dtype=torch.float32, device=scorer.accelerator.device)
            score = float((scorer.forward(**batch).float() @ wanted)[0])
    finally:
        scorer.encoder.set_attn_implementation(before)
    if not found:
        raise UnavailableError(
            f"The encoder {config.model_type} does not tell its attention.", "Choose gradients or occlusion."
        )
    flow = torch.eye(found[0].shape[-1], device=found[0].device)
    for layer in found:
        mixed = layer[0].float().mean(dim=0) + torch.eye(layer.shape[-1], device=layer.device)
        flow = (mixed / mixed.sum(dim=-1, keepdim=True)) @ flow
    of_words = [share if place is not None else 0.0 for share, place in zip(flow[0].tolist(), places, strict=True)]
    total = sum(of_words) or 1.0
    return Shares("attention", score, 0.0, 0.0, _pieces(places, [share / total for share in of_words]), {})


def _pieces(places: Sequence[Any], shares: Sequence[float]) -> tuple[Piece, ...]:
    from refusal_tui.classify.explain import Piece

    return tuple(
        Piece(place.field, place.start, place.end, share)
        for place, share in zip(places, shares, strict=True)
        if place is not None
    )
