"""What does the Direction screen show? A run as its folder tells it, a figure per candidate, and the cursor."""

from __future__ import annotations

import json
import math
import sqlite3
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum

from refusal_tui.direction.report import Report
from refusal_tui.direction.select import Cell, Reason, Score
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.jobs import Job
from refusal_tui.tui.state.jobs import JobLine

LEVELS = 8
_KL = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # above the sixth level's bound, 0.1, a candidate is out
_COSINE = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_AUROC = (0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Measure(StrEnum):
    """What the map shows. Their order is that of the digit keys."""

    ABLATION = "ablation"
    ADDITION = "addition"
    KL = "KL"
    RELIABILITY = "reliability"
    SEPARATION = "separation"
    VERDICT = "verdict"


MEASURES = tuple(Measure)
MEANING = {
    Measure.ABLATION: "taken out: ▁ refuses as before … █ answers like harmless prompts",
    Measure.ADDITION: "added: ▁ answers as before … █ refuses like harmful prompts",
    Measure.KL: "harm to harmless answers: ▁ none, ▅ 0.1 the limit, █ above 1",
    Measure.RELIABILITY: "cosine of resampled directions, 5 % quantile: ▁ below 0.3 … █ above 0.99",
    Measure.SEPARATION: "AUROC of the projection: ▁ below 0.55 … █ above 0.99",
    Measure.VERDICT: "why a candidate was not chosen",
}


def level(report: Report, measure: Measure, cell: Cell) -> int | None:
    """0 to 7, or None where the figure is not known. For KL a high level is bad, for the others it is good."""
    match measure:
        case Measure.ABLATION:
            effect, score = report.effect(cell), report.grid[cell].ablation
            return _share(effect if effect is not None else _odds(score, -1))
        case Measure.ADDITION:
            addition, score = report.addition(cell), report.grid[cell].steering
            return _share(addition if addition is not None else _odds(score, 1))
        case Measure.KL:
            return _step(report.grid[cell].kl, _KL)
        case Measure.RELIABILITY:
            return _step(report.reliability(cell, report.bootstrap_floor), _COSINE)
        case Measure.SEPARATION:
            return _step(report.reliability(cell, report.auroc), _AUROC)
        case Measure.VERDICT:
            return None


def _share(value: float | None) -> int | None:
    if value is None or value != value:
        return None
    return max(0, min(LEVELS - 1, round(value * (LEVELS - 1))))


def _odds(score: float | None, sign: int) -> float | None:
    """The score itself as a share, for a model that treats both sets alike: from -5 to 5, or from 5 to -5.

    >>> _odds(0.0, 1), _odds(-5.0, -1), _odds(None, 1)
    (0.5, 1.0, None)
    """
    return None if score is None else 0.5 + sign * score / 10


def _step(value: float | None, bounds: tuple[float, ...]) -> int | None:
    """
    >>> _step(0.1, _KL), _step(0.11, _KL), _step(None, _KL)
    (4, 5, None)
    """
    return None if value is None or value != value else bisect_left(bounds, value)


def _or_least(value: float | None) -> float:
    return -math.inf if value is None or value != value else value


def direction_jobs(connection: sqlite3.Connection) -> list[int]:
    """Newest first."""
    return [row[0] for row in connection.execute("SELECT id FROM job WHERE kind = 'direction' ORDER BY id DESC")]


def answers_of(connection: sqlite3.Connection, job: Job) -> str:
    """The dataset with the answers of the three arms, when it is there; "" else."""
    wanted = str(json.loads(job.spec).get("answers", ""))
    return wanted if wanted and find_dataset(connection, wanted) is not None else ""


PARTS = ("head", "measures", "map", "legend", "detail", "empty", "evidence")


def parts_shown(*, there: bool, known: bool, apart: bool, in_evidence: bool) -> set[str]:
    """Which parts of the screen are seen. there: a run that can be read; known: with a map. apart: the map leaves no
    room for the evidence, so that one of them is seen at a time."""
    if not there:
        return {"empty"}
    if not known or (apart and in_evidence):
        return {"head", "evidence"}
    return set(PARTS) - {"empty"} - ({"evidence"} if apart else set())


@dataclass(slots=True)
class DirectionState:
    """`chosen` None: the map shows what is being measured. `cell` None: the cursor follows the pick. `section`: which
    part of the evidence comes first."""

    job_id: int | None = None
    jobs: list[int] = field(default_factory=list)
    line: JobLine | None = None
    step: str = ""
    report: Report = field(default_factory=Report)
    chosen: Measure | None = None
    cell: Cell | None = None
    section: int = 0
    answers: str = ""
    error: RefusalTuiError | None = None

    @property
    def measure(self) -> Measure:
        if self.chosen is not None:
            return self.chosen
        known = any(score is Score.ABLATION for _, score in self.report.values)
        return Measure.ABLATION if known else Measure.ADDITION  # that is measured first

    def at(self) -> Cell | None:
        """The candidate under the cursor: the pick, or what comes closest to one, until somebody moves it."""
        report = self.report
        if not report.grid or report.rule is None:
            return None
        if self.cell in report.grid:
            return self.cell
        useful = [c for c in report.grid if c.layer < report.rule.first_late_layer and c not in report.rule.zero]
        return report.choice.pick or max(useful, key=lambda c: _or_least(report.grid[c].steering), default=None)

    def next_best(self) -> Cell | None:
        """The pick, then those that pass in the order of their scores, round and round."""
        best = self.report.best()
        if not best:
            return None
        at = self.at()
        return best[(best.index(at) + 1) % len(best)] if at in best else best[0]

    def turn_measure(self, step: int) -> None:
        self.chosen = MEASURES[(MEASURES.index(self.measure) + step) % len(MEASURES)]

    def next_job(self, step: int) -> int | None:
        """Older ones for 1, newer ones for -1; None where there is no other."""
        if self.job_id not in self.jobs:
            return self.jobs[0] if self.jobs else None
        index = self.jobs.index(self.job_id) + step
        return self.jobs[index] if 0 <= index < len(self.jobs) else None

    def show_job(self, job_id: int) -> None:
        self.job_id, self.cell, self.line, self.error = job_id, None, None, None
        self.report, self.answers = Report(), ""

    def counts(self) -> list[tuple[Reason, int]]:
        """How many candidates fell for what, in the order of the filters."""
        found = self.report.reasons
        return [(reason, found[reason]) for reason in Reason if found[reason]]
