"""In which order is the grid measured? First what the choice needs, then the rest, group by group.

A group is what goes through the model together. Groups come in an order that follows from the scores alone, so that a
run that was interrupted goes on with the group it was at, and ends with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING

from refusal_tui.direction.passes import Passes
from refusal_tui.direction.score import Scorer
from refusal_tui.direction.select import Cell, Choice, Need, Rule, Score, Scores, choose, next_need, remaining_needs

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Measured:
    """One score of one cell: the mean over the validation prompts, and the value of each."""

    cell: Cell
    score: Score
    value: float
    values: tuple[float, ...]


class Search:
    """A grid that fills. `candidates` [positions, blocks, width]; `known` are scores of an earlier run."""

    def __init__(
        self, scorer: Scorer, candidates: Tensor, rule: Rule, grid: Mapping[Cell, Scores], known: Mapping[Cell, Scores]
    ) -> None:
        self.grid = {cell: known.get(cell, scores) for cell, scores in grid.items()}
        self.rule = rule
        self._scorer = scorer
        self._candidates = candidates
        harmful, harmless = (float(values.mean()) for values in scorer.baseline())
        for cell in rule.zero:  # a vector of zeros changes nothing
            self.grid[cell] = Scores(harmful, harmless, 0.0)

    def choice(self) -> Choice:
        return choose(self.grid, self.rule)

    @property
    def passes(self) -> Passes:
        return self._scorer.passes

    @property
    def measured(self) -> int:
        return sum(scores.get(score) is not None for scores in self.grid.values() for score in Score)

    def decide(self) -> Iterator[list[Measured]]:
        """Measure what the choice needs, group by group."""
        while need := next_need(self.grid, self.rule):
            yield from self._measure(need)

    def fill(self, *, late_layers: bool) -> Iterator[list[Measured]]:
        """Measure what is left, group by group."""
        for need in remaining_needs(self.grid, self.rule, late_layers=late_layers):
            yield from self._measure(need)

    def _measure(self, need: Need) -> Iterator[list[Measured]]:
        for group in self._groups(need):
            values = self._values(need.score, group)
            done = []
            for cell, row in zip(group, values, strict=True):
                mean = float(row.mean())
                self.grid[cell] = self.grid[cell].having(need.score, mean)
                done.append(Measured(cell, need.score, mean, tuple(row.tolist())))
            yield done

    def _groups(self, need: Need) -> Iterator[list[Cell]]:
        if need.score is Score.STEERING:  # one block at a time: its input is what is cached
            cells = sorted(need.cells, key=lambda cell: (cell.layer, cell.position))
            yield from (list(group) for _, group in groupby(cells, key=lambda cell: cell.layer))
            return
        prompts = self._scorer.harmful if need.score is Score.ABLATION else self._scorer.harmless
        rest = iter(need.cells)
        while group := list(islice(rest, self._scorer.passes.candidates_at_once(prompts.encoded))):
            yield group

    def _values(self, score: Score, cells: list[Cell]) -> Tensor:
        import torch

        vectors = torch.stack([self._candidates[cell.position, cell.layer] for cell in cells])
        if score is Score.STEERING:
            return self._scorer.steering(cells[0].layer, vectors)
        return self._scorer.ablation(vectors) if score is Score.ABLATION else self._scorer.kl(vectors)
