"""Which rows do people label, and with which probability was each of them drawn? Pure functions of numpy arrays.

A sample is the union of independent draws: a simple random one, which is always there, and draws aimed at where errors
are likely. A row that draw j takes with probability p_j is in the union with 1 - (1 - p_1)(1 - p_2)…, which is stored
with it: weighted by its inverse (Horvitz and Thompson, JASA 1952) every mean over all rows stays unbiased, however
many of the cards are hard cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError

RANDOM = "random"
ALL = "all"
REPEAT_GAP = 30  # cards between a row and its repeat, so that the answer is not remembered
Floats = NDArray[np.float64]
Indexes = NDArray[np.intp]


class Aim(StrEnum):
    """What a draw beside the random one is aimed at."""

    OUTCOME = "outcome"  # every class of the judge alike
    CONFIDENCE = "confidence"  # every band of the judge's probability alike
    SOURCE = "source"  # every dataset alike
    MODEL = "model"  # every generating model alike
    DISAGREEMENT = "disagreement"  # rows on which judges, or judge and people, differ
    LABEL_ERROR = "label-error"  # rows whose label fits worst what the judges think
    RARE = "rare"  # the judge's rarest class


@dataclass(frozen=True, slots=True)
class Population:
    """What is known of the N rows that may be drawn. `groups` maps outcome, confidence, source and model to N names;
    `disagree` has N booleans; `fit` N scores in [0, 1] of how well the label fits (NaN: unknown)."""

    groups: Mapping[Aim, NDArray[np.object_]]
    disagree: NDArray[np.bool_]
    fit: Floats

    def __len__(self) -> int:
        return len(self.fit)


@dataclass(frozen=True, slots=True)
class Plan:
    """`size`: different rows to expect. `random_share` of them come from the random draw at least; the rest is divided
    evenly between `aims`. `overlap` annotators label a share `overlap_share` of the rows, one the others. `repeats`:
    the share of rows that the same annotator gets once more."""

    size: int
    random_share: float = 0.5
    aims: tuple[Aim, ...] = ()
    overlap: int = 1
    overlap_share: float = 1.0
    repeats: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One card: `row` is an index into the population; `repeat_of` the position of the same row's first card."""

    row: int
    stratum: str
    inclusion: float
    wanted: int
    repeat_of: int | None = None


@dataclass(frozen=True, slots=True)
class _Cell:
    """Draw `take` of these rows, each with the same probability."""

    name: str
    rows: Indexes
    take: int


def draw_cards(population: Population, plan: Plan) -> list[Drawn]:
    """The cards of a queue in their order: the rows drawn, shuffled, and the repeats among them.

    The same population, plan and seed give the same cards. Raises InputError for an empty population or a plan that
    leaves no room for the random draw.
    """
    if not len(population):
        raise InputError(
            "There is no row to draw from.", "Choose a selection that holds rows with what is asked about."
        )
    if not 0 < plan.random_share <= 1 or plan.size < 1:
        raise InputError("A part of the rows is always drawn at random.", "Give a random share above 0, up to 1.")
    rows, strata, inclusion = draw_rows(population, plan)
    chance = _chance(plan, "order")
    order = chance.permutation(len(rows))
    together = chance.random(len(rows)) < plan.overlap_share
    cards = [
        Drawn(int(rows[i]), strata[i], float(inclusion[rows[i]]), plan.overlap if together[i] else 1) for i in order
    ]
    return _with_repeats(cards, plan, _chance(plan, "repeats"))


def draw_rows(population: Population, plan: Plan) -> tuple[Indexes, list[str], Floats]:
    """The rows drawn, the draw that brought each of them (the random one first), and the inclusion probability of every
    row of the population, drawn or not."""
    count = len(population)
    if plan.size >= count:
        return np.arange(count), [ALL] * count, np.ones(count)
    aimed = plan.size - max(1, round(plan.size * plan.random_share))
    draws = [
        (aim.value, _cells(population, aim, share))
        for aim, share in zip(plan.aims, _divided(aimed, len(plan.aims)), strict=True)
    ]
    missed = np.ones(count)  # the probability that no aimed draw takes the row
    for _, cells in draws:
        missed *= 1 - _probabilities(cells, count)
    draws.insert(0, (RANDOM, [_Cell(RANDOM, np.arange(count), _random_size(plan.size, missed))]))
    inclusion = 1 - (1 - _probabilities(draws[0][1], count)) * missed
    brought: dict[int, str] = {}
    for name, cells in draws:
        chance = _chance(plan, name)
        for cell in cells:
            for row in chance.choice(cell.rows, cell.take, replace=False):
                brought.setdefault(int(row), cell.name)
    rows = np.array(sorted(brought), dtype=np.intp)
    return rows, [brought[int(row)] for row in rows], inclusion


def _random_size(size: int, missed: Floats) -> int:
    """How many rows the random draw takes so that `size` different ones are expected: aimed draws overlap with it.

    N - (1 - m/N) * sum(missed) = size, solved for m.
    """
    count = len(missed)
    total = float(missed.sum())
    if total <= 0:
        return 1
    return int(min(count, max(1, round(count * (1 - (count - size) / total)))))


def _probabilities(cells: Sequence[_Cell], count: int) -> Floats:
    found = np.zeros(count)
    for cell in cells:
        if len(cell.rows):
            found[cell.rows] = cell.take / len(cell.rows)
    return found


def _cells(population: Population, aim: Aim, take: int) -> list[_Cell]:
    if aim is Aim.LABEL_ERROR:
        known = np.flatnonzero(~np.isnan(population.fit))
        worst = known[np.argsort(population.fit[known], kind="stable")][:take]
        return [_Cell(aim.value, worst, len(worst))]  # taken for certain
    if aim is Aim.DISAGREEMENT:
        rows = np.flatnonzero(population.disagree)
        return [_Cell(aim.value, rows, min(take, len(rows)))]
    names = population.groups[Aim.OUTCOME if aim is Aim.RARE else aim]
    values, codes = np.unique(names.astype(str), return_inverse=True)
    members = [(str(value), np.flatnonzero(codes == i)) for i, value in enumerate(values) if value]
    if aim is Aim.RARE:
        members = sorted(members, key=lambda one: len(one[1]))[:1]
    takes = _allocated(take, [len(rows) for _, rows in members])
    return [
        _Cell(f"{aim.value}={value}", rows, some) for (value, rows), some in zip(members, takes, strict=True) if some
    ]


def _divided(total: int, parts: int) -> list[int]:
    """
    >>> _divided(10, 3)
    [4, 3, 3]
    """
    return [total // parts + (i < total % parts) for i in range(parts)]


def _allocated(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` divided evenly between groups, no group beyond its size; what a small group leaves goes to the others.

    >>> _allocated(10, [2, 100, 100])
    [2, 4, 4]
    """
    taken = [0] * len(sizes)
    left = min(total, sum(sizes))
    while left:
        open_groups = [i for i, size in enumerate(sizes) if taken[i] < size]
        for i, share in zip(open_groups, _divided(left, len(open_groups)), strict=True):
            some = min(share, sizes[i] - taken[i])
            taken[i] += some
            left -= some
    return taken


def _with_repeats(cards: Sequence[Drawn], plan: Plan, chance: np.random.Generator) -> list[Drawn]:
    """Put the repeats in: each at a random place at least REPEAT_GAP cards after its row (half of a short queue)."""
    count = len(cards)
    gap = min(REPEAT_GAP, count // 2)
    early = count - gap
    wanted = min(round(count * plan.repeats), early)
    again = chance.choice(early, wanted, replace=False) if wanted else np.empty(0, dtype=np.intp)
    places: list[tuple[float, int, bool]] = [(float(i), i, False) for i in range(count)]
    places += [(float(chance.uniform(i + gap, count)), int(i), True) for i in again]
    position: dict[int, int] = {}
    found: list[Drawn] = []
    for at, (_, i, repeated) in enumerate(sorted(places)):
        card = cards[i]
        found.append(Drawn(card.row, card.stratum, card.inclusion, card.wanted, position[i]) if repeated else card)
        position.setdefault(i, at)
    return found


def _chance(plan: Plan, what: str) -> np.random.Generator:
    """A stream of its own for every draw: they are independent of each other."""
    return np.random.default_rng([plan.seed, *what.encode()])
