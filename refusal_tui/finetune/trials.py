"""Which adapters does a robustness run train? Every arm with every learning rate, number of steps and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from refusal_tui.finetune.arms import Arm


@dataclass(frozen=True, slots=True)
class Trial:
    """`stops`: the steps after which its answers are looked at, the last one among them. `variant`: what tells it from
    trials of the same arm and seed in a grid, "" without a grid."""

    arm: Arm
    seed: int
    learning_rate: float
    steps: int
    stops: tuple[int, ...]
    variant: str = ""

    @property
    def name(self) -> str:
        return f"{self.arm}{self.variant}-s{self.seed}"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "arm": str(self.arm), "seed": self.seed, "learning_rate": self.learning_rate,
            "steps": self.steps, "stops": list(self.stops), "variant": self.variant,
        }  # fmt: skip

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Trial:
        stops = tuple(data["stops"])
        return cls(Arm(data["arm"]), data["seed"], data["learning_rate"], data["steps"], stops, data["variant"])


def trials_of(
    arms: Sequence[Arm], learning_rates: Sequence[float], steps: Sequence[int], seeds: range, checkpoints: int
) -> tuple[Trial, ...]:
    """Seed by seed, so that all arms can be compared early.

    >>> [t.name for t in trials_of([Arm.VANILLA], [0.1, 0.2], [8], range(1), 4)]
    ['vanilla-lr0.1-s0', 'vanilla-lr0.2-s0']
    >>> trials_of([Arm.VANILLA], [0.1], [8], range(1), 3)[0].stops
    (3, 5, 8)
    """
    found = []
    for seed, lr, count, arm in product(seeds, learning_rates, steps, arms):
        variant = (f"-lr{lr:g}" if len(learning_rates) > 1 else "") + (f"-n{count}" if len(steps) > 1 else "")
        stops = sorted({max(1, round(count * part / checkpoints)) for part in range(1, checkpoints + 1)})
        found.append(Trial(arm, seed, lr, count, tuple(stops), variant))
    return tuple(found)
