"""The published procedure as it is written, one candidate after the other: the peer of `refusal_tui/direction`.

A plain transcription of Arditi et al. 2024 (the steps of andyrdt/refusal_direction, in words of our own) for models
laid out as Llama is. Full logits, hooks on every block, attention and MLP, one candidate per pass, nothing kept between
passes. It serves as an oracle in tests and as the baseline of measurements, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

BATCH = 32
Prompts = Sequence[Sequence[int]]  # token ids


def batches(prompts: Prompts, pad: int, device: Any = "cpu") -> list[dict[str, Any]]:
    """Left-padded batches of 32, in the order of the prompts."""
    found = []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        longest = max(map(len, part))
        ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in part], device=device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in part], device=device)
        found.append({"input_ids": ids, "attention_mask": mask})
    return found


@contextmanager
def hooked(before: Sequence[tuple[Any, Any]] = (), after: Sequence[tuple[Any, Any]] = ()) -> Any:
    handles = [module.register_forward_pre_hook(hook) for module, hook in before]
    handles += [module.register_forward_hook(hook) for module, hook in after]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def last_logits(model: Any, batch: dict[str, Any]) -> Any:
    """All logits in float64, of which the last position is wanted."""
    return model(**batch).logits.to(torch.float64)[:, -1]


@torch.no_grad()
def mean_activations(model: Any, prompts: Prompts, positions: Sequence[int], pad: int) -> Any:
    """[positions, blocks, width] in float64: the mean input of every block."""
    layers = model.model.layers
    shape = len(positions), len(layers), model.config.hidden_size
    total = torch.zeros(shape, dtype=torch.float64, device=model.device)

    def adder(layer: int) -> Any:
        def hook(_: Any, args: tuple[Any, ...]) -> None:
            total[:, layer] += args[0][:, list(positions)].to(torch.float64).sum(dim=0) / len(prompts)

        return hook

    for batch in batches(prompts, pad, model.device):
        with hooked(before=[(block, adder(layer)) for layer, block in enumerate(layers)]):
            model(**batch)
    return total


def mean_differences(model: Any, harmful: Prompts, harmless: Prompts, positions: Sequence[int], pad: int) -> Any:
    return mean_activations(model, harmful, positions, pad) - mean_activations(model, harmless, positions, pad)


def refusal_score(logits: Any, tokens: Sequence[int]) -> Any:
    probability = torch.softmax(logits, dim=-1)[:, list(tokens)].sum(dim=-1)
    return torch.log(probability + 1e-8) - torch.log(1 - probability + 1e-8)


def mean_refusal(model: Any, prompts: Prompts, tokens: Sequence[int], pad: int) -> float:
    return float(
        torch.cat(
            [refusal_score(last_logits(model, batch), tokens) for batch in batches(prompts, pad, model.device)]
        ).mean()
    )


def ablation_hooks(model: Any, vector: Any) -> tuple[list[Any], list[Any]]:
    def without(x: Any) -> Any:
        r = (vector / (vector.norm() + 1e-8)).to(x.dtype)
        return x - (x @ r).unsqueeze(-1) * r

    def before(_: Any, args: tuple[Any, ...]) -> Any:
        return (without(args[0]), *args[1:])

    def after(_: Any, __: Any, output: Any) -> Any:
        return (without(output[0]), *output[1:]) if isinstance(output, tuple) else without(output)

    layers = model.model.layers
    parts = [part for block in layers for part in (block.self_attn, block.mlp)]
    return [(block, before) for block in layers], [(part, after) for part in parts]


def ablation_score(model: Any, vector: Any, harmful: Prompts, tokens: Sequence[int], pad: int) -> float:
    with hooked(*ablation_hooks(model, vector)):
        return mean_refusal(model, harmful, tokens, pad)


def steering_score(model: Any, vector: Any, layer: int, harmless: Prompts, tokens: Sequence[int], pad: int) -> float:
    def before(_: Any, args: tuple[Any, ...]) -> Any:
        return (args[0] + vector.to(args[0].dtype), *args[1:])

    with hooked(before=[(model.model.layers[layer], before)]):
        return mean_refusal(model, harmless, tokens, pad)


def kl_score(model: Any, vector: Any, harmless: Prompts, baseline: Sequence[Any], pad: int) -> float:
    """`baseline`: the last logits of every batch without a change."""
    values = []
    for batch, logits in zip(batches(harmless, pad), baseline, strict=True):
        p = torch.softmax(logits, dim=-1)
        with hooked(*ablation_hooks(model, vector)):
            q = torch.softmax(last_logits(model, batch), dim=-1)
        values.append((p * (torch.log(p + 1e-6) - torch.log(q + 1e-6))).sum(dim=-1))
    return float(torch.cat(values).mean())


def cells(
    model: Any, candidates: Any, harmful: Prompts, harmless: Prompts, tokens: Sequence[int], pad: int
) -> Iterator[tuple[tuple[int, int], tuple[float, float, float]]]:
    """(position, layer) with ablation, steering and KL score, cell by cell: three passes for each."""
    positions, layers, _ = candidates.shape
    baseline = [last_logits(model, batch) for batch in batches(harmless, pad, model.device)]
    for place in range(positions):
        for layer in range(layers):
            vector = candidates[place, layer]
            yield (
                (place - positions, layer),
                (
                    ablation_score(model, vector, harmful, tokens, pad),
                    steering_score(model, vector, layer, harmless, tokens, pad),
                    kl_score(model, vector, harmless, baseline, pad),
                ),
            )


def whole_grid(
    model: Any, candidates: Any, harmful: Prompts, harmless: Prompts, tokens: Sequence[int], pad: int
) -> dict[tuple[int, int], tuple[float, float, float]]:
    """The scores of every cell."""
    return dict(cells(model, candidates, harmful, harmless, tokens, pad))
