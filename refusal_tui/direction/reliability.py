"""How much of a candidate is the sample's, and how much the model's? No forward pass: activations are kept per prompt.

Any resample of the prompts is a vector of weights w (positive for harmful ones, negative for harmless ones, each
summing to one), and the cosine of two resampled directions is w1' G w2 / sqrt(w1' G w1 · w2' G w2) with the Gram matrix
G of the activations: a thousand bootstrap draws cost one small matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BOOTSTRAP_DRAWS = 1000
HALVES = 20


def split_half(harmful: Tensor, harmless: Tensor, *, seed: int = 0) -> Tensor:
    """Mean cosine of the directions of two random halves: [prompts, positions, blocks, width] -> [positions, blocks].

    Near 1: the direction is the model's. Near 0: it is noise. Zero where there is no direction.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    one, other = [], []
    for _ in range(HALVES):
        halves = [_half_weights(len(part), generator) for part in (harmful, harmless)]
        one.append(torch.cat([halves[0][0], -halves[1][0]]))
        other.append(torch.cat([halves[0][1], -halves[1][1]]))
    return _per_cell(harmful, harmless, lambda gram: _cosines(gram, torch.stack(one), torch.stack(other)).mean())


def bootstrap_floor(harmful: Tensor, harmless: Tensor, *, seed: int = 0, draws: int = BOOTSTRAP_DRAWS) -> Tensor:
    """The 5 % quantile of the cosine between a resampled direction and the whole one: [positions, blocks]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights = torch.cat(
        [_bootstrap_weights(len(harmful), draws, generator), -_bootstrap_weights(len(harmless), draws, generator)],
        dim=1,
    )
    whole = torch.cat([torch.full((len(harmful),), 1 / len(harmful)), torch.full((len(harmless),), -1 / len(harmless))])
    everywhere = whole.double().expand(draws, -1)
    return _per_cell(harmful, harmless, lambda gram: _cosines(gram, weights, everywhere).quantile(0.05))


def auroc(positive: Tensor, negative: Tensor) -> float:
    """The chance that a positive value lies above a negative one; ties count half (at layer 0 all are equal).

    >>> import torch
    >>> auroc(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0]))
    0.5
    """
    import torch

    ordered = negative.double().sort().values
    values = positive.double().contiguous()
    below = torch.searchsorted(ordered, values, side="left")
    up_to = torch.searchsorted(ordered, values, side="right")
    return float((below + up_to).double().mean() / (2 * len(ordered)))


def _half_weights(count: int, generator: object) -> tuple[Tensor, Tensor]:
    import torch

    order = torch.randperm(count, generator=generator)
    halves = []
    for part in (order[: count // 2], order[count // 2 :]):
        weights = torch.zeros(count, dtype=torch.float64)
        weights[part] = 1 / max(1, len(part))
        halves.append(weights)
    return halves[0], halves[1]


def _bootstrap_weights(count: int, draws: int, generator: object) -> Tensor:
    """[draws, count]: how often each prompt was drawn, as shares."""
    import torch

    drawn = torch.randint(count, (draws, count), generator=generator)
    weights = torch.zeros(draws, count, dtype=torch.float64)
    return weights.scatter_add_(1, drawn, torch.full_like(drawn, 1 / count, dtype=torch.float64))


def _per_cell(harmful: Tensor, harmless: Tensor, judge: object) -> Tensor:
    import torch

    _, positions, blocks, _ = harmful.shape
    values = torch.zeros(positions, blocks, dtype=torch.float64)
    for position in range(positions):
        for layer in range(blocks):
            rows = torch.cat([harmful[:, position, layer], harmless[:, position, layer]]).double()
            rows = rows - rows.mean(dim=0)  # weights sum to zero: nothing changes but the rounding
            values[position, layer] = judge(rows @ rows.T)  # type: ignore[operator]
    return values


def _cosines(gram: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Row by row of two stacks of weights [draws, prompts]; 0 where a direction has no length."""
    import torch

    product = ((one @ gram) * other).sum(dim=1)
    lengths = (((one @ gram) * one).sum(dim=1).clamp_min(0) * ((other @ gram) * other).sum(dim=1).clamp_min(0)).sqrt()
    return torch.where(lengths > 0, product / lengths.clamp_min(1e-300), torch.zeros_like(product))
