"""What does the Training screen show? A run as its folder tells it, the part looked at, what is behind a line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refusal_tui.classify.behind import rows_behind, which_of
from refusal_tui.classify.files import METRICS, PREDICTIONS, RUN, mistakes_selection, of_head
from refusal_tui.classify.report import Run, read_run
from refusal_tui.classify.sections import FIGURES, section_of
from refusal_tui.classify.sections_figures import confusion
from refusal_tui.errors import RefusalTuiError
from refusal_tui.labels.rows import Row
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import get_job
from refusal_tui.text.block_lines import TextLine, section_lines
from refusal_tui.text.blocks import Matrix
from refusal_tui.tui.state.jobs import JobLine, JobWatch
from refusal_tui.tui.state.runs import job_beside, jobs_of_kind

KIND = "train-classifier"
TRAINING, RESULT, MISTAKES, RUNS = "training", "result", "mistakes", "runs"
TABS = (TRAINING, *(name for name, _, _ in FIGURES), MISTAKES, RUNS)
LIVE_STEPS = 400  # of a model that are read twice a second: a picture has no more points
CELL, LINE, MISTAKE, OTHER = "cell", "line", "mistake", "run"


@dataclass(frozen=True, slots=True)
class Brief:
    """Another run, as far as a list needs it. `macro_f1` of the head that is looked at, None: no such figure."""

    job_id: int
    name: str
    kind: str
    macro_f1: Mapping[str, float | None] | None


@dataclass(slots=True)
class TrainingState:
    """`chosen`: a head, "" for the first one; `column`: of the confusion matrix; `rows`: of the mistakes, by their id;
    `compared`: with which run, and what came out (`classify/compare.py`)."""

    job_id: int | None = None
    jobs: list[int] = field(default_factory=list)
    line: JobLine | None = None
    step: str = ""
    run: Run = field(default_factory=Run)
    chosen: str = ""
    tab: str = TRAINING
    column: int = 0
    rows: Mapping[int, Row] = field(default_factory=dict)
    runs: Sequence[Brief] = ()
    compared: tuple[str, Mapping[str, Any]] | None = None
    error: RefusalTuiError | None = None
    lines: list[TextLine] = field(default_factory=list)
    _whole: bool = False  # the run has ended and was read

    def read(self, connection: sqlite3.Connection, artifacts: Path, watch: JobWatch, now: float) -> None:
        """The folder is read again while the run goes on, and once when it has ended."""
        self.jobs = jobs_of_kind(connection, KIND)
        if self.job_id is None:
            self.job_id = self.next_job(0)
        if self.job_id is None:
            return
        try:
            job = get_job(connection, self.job_id)
        except RefusalTuiError as error:
            self.error = error
            return
        self.error, self.step, self.line = None, job.step, watch.line(connection, job, now)
        if not self._whole:
            self.run = read_run(artifacts / f"job-{job.id}", LIVE_STEPS)
            self._whole = not job.state.active
            if self.head and self.tab == MISTAKES:
                self.read_mistakes(connection)
        if self.tab == RUNS:
            self.runs = [brief for one in self.jobs if (brief := _brief(artifacts / f"job-{one}", one, self.head))]

    @property
    def head(self) -> str:
        """The head whose figures are shown; "" while there are none."""
        metrics = self.run.metrics
        return self.chosen if self.chosen in metrics else next(iter(metrics), "")

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        return self.run.metrics.get(self.head)

    @property
    def selection(self) -> str:
        """The saved selection of the mistakes, "" where there are none."""
        metrics = self.metrics
        if metrics is None or not metrics["mistakes"] or self.job_id is None:
            return ""
        return "@" + mistakes_selection(self.job_id, list(self.run.heads).index(self.head), self.head)

    def read_mistakes(self, connection: sqlite3.Connection) -> None:
        """The texts of the surest mistakes: fifty rows at most."""
        metrics = self.metrics
        ids = [one["item_id"] for one in metrics["mistakes"]] if metrics else []
        if not set(ids) <= self.rows.keys():
            self.rows = {row.item_id: row for row in fetch_rows(connection, ids)}

    def explained(self, item_id: int) -> Mapping[str, Any] | None:
        """Why the classifier says what it says of a row, if the run has explained it for this head."""
        return next((e for e in self.run.explanations if (e["item_id"], e["head"]) == (item_id, self.head)), None)

    # --- moving -----------------------------------------------------------------------------------------------------

    def show_job(self, job_id: int) -> None:
        self.job_id, self.run, self.line, self.error, self._whole = job_id, Run(), None, None, False
        self.rows, self.compared, self.column = {}, None, 0

    def next_job(self, step: int) -> int | None:
        """Older ones for 1, newer ones for -1; None where there is no other."""
        return job_beside(self.jobs, self.job_id, step)

    def turn(self, step: int) -> None:
        self.tab = TABS[(TABS.index(self.tab) + step) % len(TABS)]

    def turn_head(self) -> bool:
        """The next head with figures; False where there is no other."""
        heads = list(self.run.metrics)
        if len(heads) < 2:
            return False
        self.chosen = heads[(heads.index(self.head) + 1) % len(heads)]
        self.rows, self.compared, self.column = {}, None, 0
        return True

    def move_column(self, step: int) -> None:
        if self.metrics is not None:
            self.column = min(max(self.column + step, 0), len(self.metrics["classes"]) - 1)

    # --- what the cursor stands on ----------------------------------------------------------------------------------

    def laid_out(self, width: int) -> list[TextLine]:
        """The lines of a tab of figures; `line:N` of the list is the Nth of them."""
        self.lines = []
        if self.head and self.tab not in (TRAINING, MISTAKES, RUNS):
            section = section_of(self.run, self.head, self.tab)
            # the confusion matrix has a cursor of its own
            kept = [one for one in section.blocks if not (self.tab == RESULT and isinstance(one, Matrix))]
            self.lines = section_lines(replace(section, blocks=kept), width)
        return self.lines

    def opens(self, key: str | None) -> str:
        """The options of `refusal-tui classifiers rows` for what a line speaks of, "" for nothing."""
        kind, _, place = (key or "").partition(":")
        if self.metrics is None:
            return ""
        if kind == CELL:
            return self.cell(int(place))
        return self.lines[int(place)].opens if kind == LINE and int(place) < len(self.lines) else ""

    def cell(self, row: int) -> str:
        assert self.metrics is not None
        return confusion(self.metrics).opens[row][self.column]

    def mistake(self, key: str | None) -> int | None:
        """The place of a mistake in the list."""
        kind, _, place = (key or "").partition(":")
        return int(place) if kind == MISTAKE else None

    def other(self, key: str | None) -> int | None:
        """The job of another run that a line speaks of."""
        kind, _, job_id = (key or "").partition(":")
        return int(job_id) if kind == OTHER and int(job_id) != self.job_id else None


def ids_behind(artifacts: Path, job_id: int, run: Run, head: str, options: str) -> list[int]:
    """For a thread: numpy loads, and every prediction is read."""
    return rows_behind(artifacts / f"job-{job_id}", run, head, which_of(options))


def compare_runs(artifacts: Path, one: int, other: int, head: str) -> Mapping[str, Any]:
    """For a thread: the two runs on the rows that are test rows of both. Raises InputError where there are none."""
    from refusal_tui.classify.compare import compare
    from refusal_tui.classify.predictions import read_predictions
    from refusal_tui.errors import InputError

    found = []
    for job_id in (one, other):
        folder = artifacts / f"job-{job_id}"
        heads = list(read_run(folder, 1).heads)
        path = folder / of_head(PREDICTIONS, heads.index(head) if head in heads else 0, head)
        if head not in heads or not path.exists():
            raise InputError(f"Job {job_id} has no predictions of {head}.", "Choose a run that has ended.")
        found.append(read_predictions(path))
    return compare(found[0], found[1])


def _brief(folder: Path, job_id: int, head: str) -> Brief | None:
    try:
        about = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError):
        return None
    heads = [one["head"] for one in about["heads"]]
    figure = None
    if head in heads:
        try:
            figure = json.loads((folder / of_head(METRICS, heads.index(head), head)).read_bytes())["macro_f1"]
        except (OSError, ValueError):
            figure = None
    what = about["kind"] if about["kind"] == "linear" else f"{about['kind']} {about['encoder']}"
    return Brief(job_id, about["name"], what, figure)
