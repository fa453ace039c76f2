"""Is the chosen direction real? Control arms, dose-response, rivals within noise, and how large its effect is.

The rule picks the best of what passes, also where nothing is good: a direction is worth as much as it differs from
random vectors of its length in the same place. Directions of shuffled labels are the second control; where refusal is
most of what varies they point along it all the same (`cosine`), short as they are, so look at their steering scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from refusal_tui.direction.extract import random_directions
from refusal_tui.direction.leak import measure_leak
from refusal_tui.direction.loss import measure_loss
from refusal_tui.direction.score import Scorer, unit
from refusal_tui.direction.select import Cell

if TYPE_CHECKING:
    from torch import Tensor

COEFFICIENTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
RANDOM_ARMS, SHUFFLED_ARMS = 8, 4
_DRAWS = 1000
_WEAK_EFFECT = 0.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """effect: the share of the distance between refusing and not refusing that the ablation goes. weak: a share below a
    quarter, or no more than the best random vector has. random, shuffled: the three mean scores of each control vector,
    and its cosine with the pick.
    dose: mean refusal scores by coefficient of the added vector. interval: 95 % bootstrap of the ablation score.
    leak: what an ablation leaves in the stream (`leak.py`). loss: what it costs on harmless answers (`loss.py`); None
    in runs of before it was measured."""

    effect: float
    weak: bool
    random: list[dict[str, float]]
    shuffled: list[dict[str, float]]
    dose: list[dict[str, float]]
    interval: tuple[float, float]
    leak_middle: float | None
    leak_final: float
    loss: dict[str, float] | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def gather(
    scorer: Scorer,
    pick: Cell,
    vector: Tensor,
    shuffled: Tensor,
    ablation: Sequence[float],
    *,
    seed: int,
) -> Evidence:
    """vector [width], the pick; shuffled [arms, width], the same cell under shuffled labels; ablation: the pick's score
    of each validation prompt."""
    base_harmful, base_harmless = (float(values.mean()) for values in scorer.baseline())
    mean = sum(ablation) / len(ablation)
    effect = (base_harmful - mean) / max(base_harmful - base_harmless, 1e-9)
    random = _arms(scorer, pick.layer, vector, random_directions(vector, times=RANDOM_ARMS, seed=seed))
    leak = measure_leak(scorer.passes, vector, scorer.harmful.encoded[0])
    return Evidence(
        effect=effect,
        weak=effect < _WEAK_EFFECT or mean >= min(arm["ablation"] for arm in random),
        random=random,
        shuffled=_arms(scorer, pick.layer, vector, shuffled.double()),
        dose=dose_response(scorer, pick.layer, vector),
        interval=mean_interval(ablation, seed=seed),
        leak_middle=leak.middle,
        leak_final=leak.final,
        loss=asdict(measure_loss(scorer.passes, scorer.harmless.encoded, vector, pick.layer)),
    )


def dose_response(
    scorer: Scorer, layer: int, vector: Tensor, coefficients: Sequence[float] = COEFFICIENTS
) -> list[dict[str, float]]:
    """Mean refusal scores of both sets with coefficient * vector added, all coefficients side by side in one pass."""
    import torch

    vectors = torch.stack([vector * coefficient for coefficient in coefficients])
    arms = [
        scorer.steering(layer, vectors, prompts=prompts).mean(dim=1) for prompts in (scorer.harmful, scorer.harmless)
    ]
    return [
        {"coefficient": c, "harmful": float(arms[0][place]), "harmless": float(arms[1][place])}
        for place, c in enumerate(coefficients)
    ]


def _arms(scorer: Scorer, layer: int, pick: Tensor, vectors: Tensor) -> list[dict[str, float]]:
    scores = {
        "cosine": unit(vectors) @ unit(pick),
        "ablation": scorer.ablation(vectors).mean(dim=1),
        "steering": scorer.steering(layer, vectors).mean(dim=1),
        "kl": scorer.kl(vectors).mean(dim=1),
    }
    return [{name: float(values[place]) for name, values in scores.items()} for place in range(len(vectors))]


def rivals_within_noise(
    ablations: Mapping[Cell, Sequence[float]], pick: Cell, survivors: Sequence[Cell], *, seed: int = 0
) -> list[tuple[int, int]]:
    """Survivors whose paired difference to the pick has a 95 % bootstrap interval that reaches zero."""
    found = []
    for cell in survivors:
        if cell != pick:
            differences = [other - own for other, own in zip(ablations[cell], ablations[pick], strict=True)]
            if mean_interval(differences, seed=seed)[0] <= 0:
                found.append((cell.position, cell.layer))
    return found


def mean_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean."""
    import torch

    sample = torch.tensor(values, dtype=torch.float64)
    drawn = torch.randint(len(sample), (_DRAWS, len(sample)), generator=torch.Generator().manual_seed(seed))
    low, high = sample[drawn].mean(dim=1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
