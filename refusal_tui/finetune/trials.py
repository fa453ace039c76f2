"""Which adapters does an experiment train? Every arm with every learning rate, number of steps and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

from refusal_tui.errors import InputError
from refusal_tui.jobs.schedule import stable_seed

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Trial:
    """`stops`: the steps after which its answers are looked at, the last one among them. `variant`: what tells it from
    trials of the same arm and seed in a grid, "" without a grid. `ratio`: the task's share of what is learnt; None: all
    rows of both sets."""

    arm: str
    seed: int
    learning_rate: float
    steps: int
    stops: tuple[int, ...]
    variant: str = ""
    ratio: float | None = None

    @property
    def name(self) -> str:
        return f"{self.arm}{self.variant}-s{self.seed}"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "arm": str(self.arm), "seed": self.seed, "learning_rate": self.learning_rate,
            "steps": self.steps, "stops": list(self.stops), "variant": self.variant, "ratio": self.ratio,
        }  # fmt: skip


def trials_of(
    arms: Sequence[str],
    learning_rates: Sequence[float],
    steps: Sequence[int],
    seeds: range,
    checkpoints: int,
    ratios: Sequence[float | None] = (None,),
) -> tuple[Trial, ...]:
    """Seed by seed, so that all arms can be compared early.

    >>> [t.name for t in trials_of(["vanilla"], [0.1, 0.2], [8], range(1), 4)]
    ['vanilla-lr0.1-s0', 'vanilla-lr0.2-s0']
    >>> trials_of(["vanilla"], [0.1], [8], range(1), 3)[0].stops
    (3, 5, 8)
    """
    found = []
    for seed, ratio, lr, count, arm in product(seeds, ratios, learning_rates, steps, arms):
        variant = (
            (f"-p{ratio:g}" if len(ratios) > 1 else "")
            + (f"-lr{lr:g}" if len(learning_rates) > 1 else "")
            + (f"-n{count}" if len(steps) > 1 else "")
        )
        stops = sorted({max(1, round(count * part / checkpoints)) for part in range(1, checkpoints + 1)})
        found.append(Trial(arm, seed, lr, count, tuple(stops), variant, ratio))
    return tuple(found)


def mixed(
    task: Sequence[Row], harmless: Sequence[Row], ratios: Sequence[float | None], seed: int
) -> dict[float | None, list[Row]]:
    """What is learnt at each ratio: as many rows in all at every one of them, drawn so that a larger share of the task
    holds the rows of a smaller one. Raises InputError where a share is less than a row.

    >>> {ratio: len(rows) for ratio, rows in mixed("ABCD", "abcdefghij", [None, 0.0, 0.2], 0).items()}
    {None: 14, 0.0: 10, 0.2: 10}
    """
    shares = [ratio for ratio in ratios if ratio is not None]
    rooms = [len(task) / p for p in shares if p > 0] + [len(harmless) / (1 - p) for p in shares if p < 1]
    count = int(min(rooms, default=0) + 1e-9)
    first, second = _shuffled(task, seed), _shuffled(harmless, seed)
    found: dict[float | None, list[Row]] = {None: [*task, *harmless]} if None in ratios else {}
    for ratio in shares:
        own = round(ratio * count)
        if count == 0 or (own == 0 and ratio > 0):
            raise InputError(
                f"A --ratio of {ratio:g} of {count:,} rows is less than one row of the task.",
                "Give more rows of the task and more harmless ones, or a larger share.",
            )
        found[ratio] = [*first[:own], *second[: count - own]]
    return found


def _shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: stable_seed(seed, "mixture", i))]
