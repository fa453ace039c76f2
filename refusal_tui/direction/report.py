"""What does the folder of a run say, while the run goes on and afterwards? For screens and commands; no torch.

Every file may be missing: the template comes first, then the contrast table, the extraction, scores one by one, the
evidence, and at the end the card.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from refusal_tui.direction.evidence import Evidence
from refusal_tui.direction.extraction import PARTS
from refusal_tui.direction.refusal_tokens import FirstToken
from refusal_tui.direction.save import CARD
from refusal_tui.direction.select import (
    Cell,
    Choice,
    Reason,
    Rule,
    Score,
    Scores,
    choose,
    empty_grid,
    next_need,
)
from refusal_tui.direction.transfer import FILE as TRANSFER
from refusal_tui.direction.transfer import Transfer
from refusal_tui.errors import InputError

THRESHOLDS = (0.01, 0.03, 0.1, 0.3, 1.0, math.inf)
LEAST_WAY = 1.0  # of refusal scores, which are log-odds
_FILES = ("template.json", "first_tokens.json", "extraction.json", "prompts.json", "evidence.json", TRANSFER, CARD)
_CELLS = "cells.jsonl"
_Mark = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A prompt that the filter left out: its refusal score says the other thing than its set."""

    part: str
    score: float
    text: str


@dataclass(frozen=True)
class Report:
    """What is known so far. Grids of figures are [position][layer], the earliest position first; None: not yet known.

    `values`: the score of every validation prompt that counts. `kept`: by part, prompts that count and prompts drawn.
    """

    positions: range = range(0)
    n_layers: int = 0
    rule: Rule | None = None
    grid: Mapping[Cell, Scores] = field(default_factory=dict)
    values: Mapping[tuple[Cell, Score], tuple[float, ...]] = field(default_factory=dict)
    baseline: tuple[float, float] | None = None
    end: tuple[str, ...] = ()
    system: str = ""
    tokens: tuple[FirstToken, ...] = ()
    refusal_ids: frozenset[int] = frozenset()
    kept: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    norms: list[list[float]] | None = None
    split_half: list[list[float]] | None = None
    bootstrap_floor: list[list[float]] | None = None
    auroc: list[list[float]] | None = None
    evidence: Evidence | None = None
    transfer: Transfer | None = None
    card: Mapping[str, Any] | None = None

    @property
    def measured(self) -> int:
        """Scores that are known, of three per cell."""
        return sum(scores.get(score) is not None for scores in self.grid.values() for score in Score)

    @cached_property
    def choice(self) -> Choice:
        """The rule applied to what is known now; final when `decided`."""
        return Choice(None, {}) if self.rule is None else choose(self.grid, self.rule)

    @cached_property
    def decided(self) -> bool:
        """Whether nothing that is still to be measured can change the choice."""
        return self.rule is not None and next_need(self.grid, self.rule) is None

    @property
    def rivals(self) -> list[Cell]:
        """Candidates whose difference to the pick is within the noise of the prompts; known at the end."""
        return [Cell(*pair) for pair in (self.card or {}).get("rivals", ())]

    @property
    def reasons(self) -> Counter[Reason]:
        return Counter(self.choice.reasons.values())

    def best(self) -> list[Cell]:
        """What passes all filters, the lowest refusal score first: the pick, then its rivals."""
        return sorted(self.choice.survivors, key=lambda cell: (self.grid[cell].ablation or 0.0, cell))

    def closest(self) -> Cell | None:
        """The pick, or what comes closest to one: added, it makes the model refuse most. None before there is a
        grid."""
        if self.rule is None or not self.grid:
            return None
        late = self.rule.first_late_layer
        useful = [cell for cell in self.grid if cell.layer < late and cell not in self.rule.zero]
        return self.choice.pick or max(useful, key=lambda cell: _or_least(self.grid[cell].steering), default=None)

    def reliability(self, cell: Cell, figures: list[list[float]] | None) -> float | None:
        return None if figures is None else figures[cell.position - self.positions.start][cell.layer]

    @property
    def way(self) -> float:
        """How far apart the refusal scores of the two sets are in the unchanged model."""
        return 0.0 if self.baseline is None else self.baseline[0] - self.baseline[1]

    def effect(self, cell: Cell) -> float | None:
        """The share of the way from refusing to not refusing that the ablation goes; above 1: beyond harmless. None
        also where there is hardly a way: a model that treats both sets alike."""
        score = self.grid[cell].ablation
        if self.baseline is None or score is None or self.way < LEAST_WAY:
            return None
        return (self.baseline[0] - score) / self.way

    def addition(self, cell: Cell) -> float | None:
        """The share of the way from not refusing to refusing that adding the direction goes; None as above."""
        score = self.grid[cell].steering
        if self.baseline is None or score is None or self.way < LEAST_WAY:
            return None
        return (score - self.baseline[1]) / self.way

    def at_thresholds(self) -> list[tuple[float, Cell | None]]:
        """What the rule would choose with another bound on KL; [] until the cells that could win are measured."""
        if self.rule is None or self.reasons[Reason.UNKNOWN]:
            return []
        late = self.rule.first_late_layer
        if any(None in (s.ablation, s.steering, s.kl) for cell, s in self.grid.items() if cell.layer < late):
            return []
        return [
            (bound, choose(self.grid, Rule(self.n_layers, self.rule.zero, kl_threshold=bound)).pick)
            for bound in THRESHOLDS
        ]


class ReportReader:
    """Follows one folder: a read looks at what has changed alone. Returns the same object while nothing has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[_Mark, ...] | None = None
        self._files: dict[str, tuple[_Mark, Any]] = {}
        self._report = Report()
        self._offset = 0
        self._values: dict[tuple[Cell, Score], tuple[float, ...]] = {}
        self._means: dict[tuple[Cell, Score], float] = {}

    def read(self) -> Report:
        """Raises InputError when a file is not what a run writes."""
        seen = tuple(_mark(self._folder / name) for name in (*_FILES, _CELLS))
        if seen != self._seen:
            try:
                self._follow_cells()
                self._report = self._made()
            except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
                raise InputError(
                    f"{self._folder} does not hold what a direction run writes ({error}).",
                    "Start the run again; a copy of a run must hold all of its files.",
                ) from error
            self._seen = seen
        return self._report

    def _follow_cells(self) -> None:
        """New whole lines; a line that is being written is left for the next look."""
        path = self._folder / _CELLS
        if not path.exists() or path.stat().st_size < self._offset:
            self._offset = 0
            self._values, self._means = {}, {}
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            row = json.loads(line)
            key = Cell(row["position"], row["layer"]), Score(row["score"])
            self._means[key], self._values[key] = row["value"], tuple(row["values"])

    def _made(self) -> Report:
        template, tokens, extraction, prompts, evidence, transfer, card = (self._json(name) for name in _FILES)
        known: dict[str, Any] = {}
        template = template or (card or {}).get("template")
        if template is not None:
            known |= {"end": tuple(template["end"]), "system": str(template["system"])}
        if tokens is not None:
            names = ("id", "text", "harmful", "harmless")
            known["tokens"] = tuple(FirstToken(*(token[name] for name in names)) for token in tokens)
            known["refusal_ids"] = frozenset(token["id"] for token in tokens if token["refusal"])
        if extraction is not None:
            known |= self._extracted(extraction, prompts)
        if evidence is not None:
            known["evidence"] = Evidence(**evidence)
        if transfer is not None:
            known["transfer"] = Transfer(**transfer)
        return Report(card=card, values=dict(self._values), **known)

    def _extracted(self, extraction: dict[str, Any], prompts: dict[str, Any] | None) -> dict[str, Any]:
        norms = extraction["norms"]
        positions, n_layers = range(-len(norms), 0), len(norms[0])
        kept = {part: extraction["kept"][part] for part in PARTS}
        harmful, harmless = (_mean([k["scores"][place] for place in k["places"]]) for k in list(kept.values())[2:])
        rule = Rule(n_layers, frozenset(Cell(*cell) for cell in extraction["zero"]))
        grid = empty_grid(positions, n_layers)
        for cell in rule.zero:  # a vector of zeros changes nothing
            grid[cell] = Scores(harmful, harmless, 0.0)
        for (cell, score), value in self._means.items():
            if cell in grid:
                grid[cell] = grid[cell].having(score, value)
        return {
            "positions": positions, "n_layers": n_layers, "rule": rule, "grid": grid, "baseline": (harmful, harmless),
            "kept": {part: (len(k["places"]), len(k["scores"])) for part, k in kept.items()},
            "dropped": _dropped(kept, prompts),
            **{name: extraction[name] for name in ("norms", "split_half", "bootstrap_floor", "auroc")},
        }  # fmt: skip

    def _json(self, name: str) -> Any:
        path = self._folder / name
        mark = _mark(path)
        if name not in self._files or self._files[name][0] != mark:
            self._files[name] = mark, None if mark is None else json.loads(path.read_text(encoding="utf-8"))
        return self._files[name][1]


def read_report(folder: Path) -> Report:
    """Raises InputError when a file is not what a run writes."""
    return ReportReader(folder).read()


def _mark(path: Path) -> _Mark:
    """Time of the last change and size; None where there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _or_least(value: float | None) -> float:
    return -math.inf if value is None or value != value else value


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _dropped(kept: Mapping[str, Any], prompts: Mapping[str, Any] | None) -> tuple[Dropped, ...]:
    """Of every part, those first whose scores are furthest on the wrong side."""
    if prompts is None:
        return ()
    found = []
    for part, one in kept.items():
        counts = set(one["places"])
        own = [
            Dropped(part, score, prompts[part][place]["text"])
            for place, score in enumerate(one["scores"])
            if place not in counts
        ]
        found += sorted(own, key=lambda each: each.score, reverse=part.startswith("harmless"))
    return tuple(found)
