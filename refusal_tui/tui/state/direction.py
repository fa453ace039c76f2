"""What does the Direction screen show? A run as its folder tells it, a figure per candidate, and the cursor."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from refusal_tui.direction.measures import MEASURES, Measure
from refusal_tui.direction.report import Report
from refusal_tui.direction.select import Cell, Reason, Score
from refusal_tui.errors import RefusalTuiError
from refusal_tui.tui.state.jobs import JobLine
from refusal_tui.tui.state.runs import job_beside, jobs_of_kind


def direction_jobs(connection: sqlite3.Connection) -> list[int]:
    """Newest first."""
    return jobs_of_kind(connection, "direction")


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the list of all runs."""

    line: JobLine
    report: Report = field(default_factory=Report)
    error: RefusalTuiError | None = None


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
        return self.cell if self.cell in report.grid else report.closest()

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
        return job_beside(self.jobs, self.job_id, step)

    def show_job(self, job_id: int) -> None:
        self.job_id, self.cell, self.line, self.error = job_id, None, None, None
        self.report, self.answers = Report(), ""

    def counts(self) -> list[tuple[Reason, int]]:
        """How many candidates fell for what, in the order of the filters."""
        found = self.report.reasons
        return [(reason, found[reason]) for reason in Reason if found[reason]]
