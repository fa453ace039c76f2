"""Where do harmful and harmless prompts differ? Mean differences at every position and block, and who counts.

One pass over the training prompts gives both the refusal scores for the filter and the activations; they are kept for
each prompt, so that reliability and shuffled labels need no pass of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LEAST_KEPT = 4


@dataclass(frozen=True, slots=True)
class Kept:
    """Which prompts of a set count: their places, and the refusal score of every one."""

    places: tuple[int, ...]
    scores: tuple[float, ...]


def keep(scores: Tensor, *, refused: bool, skip: bool = False) -> Kept:
    """Harmful prompts that the model refuses (score > 0), harmless ones that it does not (score < 0), both strict."""
    values = scores.tolist()
    places = tuple(i for i, v in enumerate(values) if skip or (v > 0 if refused else v < 0))
    return Kept(places, tuple(values))


def require_enough(kept: Kept, *, refused: bool, which: str) -> None:
    """Raises InputError when too few prompts are left to tell anything."""
    if len(kept.places) >= LEAST_KEPT:
        return
    what = "refuses hardly any of the harmful" if refused else "refuses nearly all of the harmless"
    mean = sum(kept.scores) / max(1, len(kept.scores))
    raise InputError(
        f"The model {what} prompts to {which}: {len(kept.places)} of {len(kept.scores)} are left "
        f"(mean refusal score {mean:+.2f}).",
        "Look at first_tokens.json of the run: are these its words of refusal (--refusal-tokens)? Otherwise use other "
        "prompts, or --skip-filter.",
    )


def mean_differences(harmful: Tensor, harmless: Tensor) -> Tensor:
    """[prompts, positions, blocks, width] twice -> [positions, blocks, width], float64.

    Summed block by block, so that no second copy of all activations is made. Exactly zero where a token is the same in
    every prompt. Raises InputError when an activation is no finite number (float16 overflows in some models).
    """
    import torch

    blocks = [
        harmful[:, :, layer].double().sum(dim=0) / len(harmful)
        - harmless[:, :, layer].double().sum(dim=0) / len(harmless)
        for layer in range(harmful.shape[2])
    ]
    differences = torch.stack(blocks, dim=1)
    require_numbers(bool(torch.isfinite(differences).all()))
    return differences


def require_numbers(all_are: bool) -> None:
    """Raises InputError when something is no number: float16 overflows in some models."""
    if not all_are:
        raise InputError(
            "Activations of this model are too large for its number format.", "Use --dtype bfloat16 or float32."
        )


def zero_cells(differences: Tensor, harmful: Tensor) -> list[tuple[int, int]]:
    """(position, block) of candidates that are nothing, or rounding noise that would be blown up by normalising."""
    import torch

    blocks = range(harmful.shape[2])
    size = torch.stack([harmful[:, :, layer].double().norm(dim=-1).mean(dim=0) for layer in blocks], dim=1)
    found = (differences.norm(dim=-1) <= 1e-12 * size).nonzero().tolist()
    n = differences.shape[0]
    return [(position - n, layer) for position, layer in found]


def shuffled_differences(harmful: Tensor, harmless: Tensor, *, times: int, seed: int) -> Tensor:
    """Mean differences when the labels are dealt out at random: [times, positions, blocks, width], float32."""
    import torch

    both = torch.cat([harmful, harmless])
    generator = torch.Generator().manual_seed(seed)
    dealt = []
    for _ in range(times):
        order = torch.randperm(len(both), generator=generator)
        dealt.append(mean_differences(both[order[: len(harmful)]], both[order[len(harmful) :]]).float())
    return torch.stack(dealt)


def random_directions(like: Tensor, *, times: int, seed: int) -> Tensor:
    """Normal vectors of the length of `like` [width]: [times, width], float64."""
    import torch

    vectors = torch.randn(times, like.shape[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scaled: Tensor = vectors / vectors.norm(dim=1, keepdim=True) * like.double().norm()
    return scaled
