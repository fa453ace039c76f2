"""How is the direction chosen? The published rule over a grid of scores, at once or lazily; pure, no model in sight.

A candidate is out when a score is no number, its layer lies in the last fifth, its KL divergence is above 0.1 or its
steering score below 0. Of the others the lowest refusal score under ablation wins; ties go to the earlier position,
then to the lower layer (Arditi et al. 2024; andyrdt/refusal_direction `select_direction.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

KL_THRESHOLD = 0.1
STEERING_THRESHOLD = 0.0
USEFUL_SHARE = 0.8  # layers from here on steer the answer's words, not its kind


class Cell(NamedTuple):
    """A candidate: the mean difference at a position (counted from the end, -1 the last) at the input of a block."""

    position: int
    layer: int


class Score(StrEnum):
    """ablation: refusal score of harmful prompts with the direction projected out (lower is better). steering: refusal
    score of harmless prompts with it added. kl: how far the ablation moves the answer to harmless prompts."""

    ABLATION = "ablation"
    STEERING = "steering"
    KL = "kl"


class Reason(StrEnum):
    """Why a cell was not chosen; PICKED for the one that was."""

    PICKED = "picked"
    BEATEN = "beaten"  # it passes, another one has a lower refusal score
    ZERO = "zero"  # the two means are the same: a token of the template, not yet mixed with the prompt
    LAYER = "layer"
    STEERING = "steering"
    KL = "kl"
    NAN = "nan"
    UNKNOWN = "unknown"  # not needed for the choice and not measured


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a cell as far as they are known."""

    ablation: float | None = None
    steering: float | None = None
    kl: float | None = None

    def get(self, score: Score) -> float | None:
        return {Score.ABLATION: self.ablation, Score.STEERING: self.steering, Score.KL: self.kl}[score]

    def having(self, score: Score, value: float) -> Scores:
        match score:
            case Score.ABLATION:
                return replace(self, ablation=value)
            case Score.STEERING:
                return replace(self, steering=value)
            case Score.KL:
                return replace(self, kl=value)


Grid = Mapping[Cell, Scores]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule needs to know of the model; `zero` are cells whose candidate is the zero vector."""

    n_layers: int
    zero: frozenset[Cell] = frozenset()
    kl_threshold: float = KL_THRESHOLD
    steering_threshold: float = STEERING_THRESHOLD

    @property
    def first_late_layer(self) -> int:
        return int(USEFUL_SHARE * self.n_layers)

    def objection(self, cell: Cell, scores: Scores) -> Reason | None:
        """Why a cell is out, as far as its known scores say; None: nothing speaks against it.

        >>> Rule(10).objection(Cell(-1, 3), Scores(ablation=-5.0, steering=-0.1, kl=0.0))
        <Reason.STEERING: 'steering'>
        """
        known = (scores.ablation, scores.steering, scores.kl)
        if cell in self.zero:
            return Reason.ZERO
        if any(value is not None and math.isnan(value) for value in known):
            return Reason.NAN
        if cell.layer >= self.first_late_layer:
            return Reason.LAYER
        if scores.steering is not None and scores.steering < self.steering_threshold:
            return Reason.STEERING
        if scores.kl is not None and scores.kl > self.kl_threshold:
            return Reason.KL
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """`pick` is None when nothing passes: a result like any other, with a reason for every cell."""

    pick: Cell | None
    reasons: Mapping[Cell, Reason]

    @property
    def survivors(self) -> list[Cell]:
        return [cell for cell, reason in self.reasons.items() if reason in (Reason.PICKED, Reason.BEATEN)]


def choose(grid: Grid, rule: Rule) -> Choice:
    """The choice from the scores that are known; a cell that misses one cannot win.

    >>> grid = {Cell(-2, 1): Scores(-3.0, 1.0, 0.01), Cell(-1, 1): Scores(-3.0, 1.0, 0.01)}
    >>> choose(grid, Rule(10)).pick
    Cell(position=-2, layer=1)
    """
    reasons = {}
    passing = []
    for cell in sorted(grid):  # positions first, then layers: the order in which ties are broken
        scores = grid[cell]
        objection = rule.objection(cell, scores)
        if objection is not None:
            reasons[cell] = objection
        elif None in (scores.ablation, scores.steering, scores.kl):
            reasons[cell] = Reason.UNKNOWN
        else:
            reasons[cell] = Reason.BEATEN
            passing.append(cell)
    pick = min(passing, key=lambda cell: _ablation(grid, cell), default=None)  # the first of equal ones
    if pick is not None:
        reasons[pick] = Reason.PICKED
    return Choice(pick, reasons)


def _ablation(grid: Grid, cell: Cell) -> float:
    value = grid[cell].ablation
    assert value is not None
    return value


class Need(NamedTuple):
    """A score that has to be measured next, for these cells."""

    score: Score
    cells: tuple[Cell, ...]


def next_need(grid: Grid, rule: Rule) -> Need | None:
    """What to measure for the choice alone, None when the choice is certain.

    Steering of every cell that may win, ablation of those that pass, then KL in the order of ablation until one passes.
    The filters all have to hold and the answer is a minimum, so the choice is that of the whole grid, for a fifth to a
    quarter of the passes (measured on the published grids).
    """
    open_cells = [cell for cell in sorted(grid) if rule.objection(cell, grid[cell]) is None]
    for score in (Score.STEERING, Score.ABLATION):
        missing = tuple(cell for cell in open_cells if grid[cell].get(score) is None)
        if missing:
            return Need(score, missing)
    best = min(open_cells, key=lambda cell: _ablation(grid, cell), default=None)
    if best is None or grid[best].kl is not None:
        return None
    return Need(Score.KL, (best,))


def remaining_needs(grid: Grid, rule: Rule, *, late_layers: bool) -> list[Need]:
    """What is still missing of the grid when the choice is made, cells that might have won first.

    Cells of the zero vector need no pass: their scores are the baseline's.
    """
    useful = [cell for cell in sorted(grid) if cell.layer < rule.first_late_layer and cell not in rule.zero]
    late = [cell for cell in sorted(grid) if cell.layer >= rule.first_late_layer and cell not in rule.zero]
    needs = []
    for cells in (useful, late) if late_layers else (useful,):
        for score in (Score.ABLATION, Score.KL, Score.STEERING):
            missing = tuple(cell for cell in cells if grid[cell].get(score) is None)
            if missing:
                needs.append(Need(score, missing))
    return needs


def empty_grid(positions: Iterable[int], n_layers: int) -> dict[Cell, Scores]:
    """Every candidate, nothing known of it."""
    return {Cell(position, layer): Scores() for position in positions for layer in range(n_layers)}
