"""What does the Robustness screen show? A run as its folder tells it, the part looked at, what is behind a line.

Runs of two kinds: arms of one task (robustness), and one model fine-tuned on raw and on cleaned data.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.finetune.cleaned import conclude as cleaned_conclude
from refusal_tui.finetune.cleaned import figures as cleaned_figures
from refusal_tui.finetune.cleaned.read import KIND as CLEANED_KIND
from refusal_tui.finetune.cleaned.read import Comparison, read_comparison
from refusal_tui.finetune.cleaned.sections import all_answers
from refusal_tui.finetune.conclude import conclusion
from refusal_tui.finetune.figures import VANILLA, ArmFigures, figures
from refusal_tui.finetune.report import Run, TrialState, read_run
from refusal_tui.finetune.sections import at_work, final_answers, trials_by_arm
from refusal_tui.store.jobs import get_job
from refusal_tui.tui.state.jobs import JobLine, JobWatch
from refusal_tui.tui.state.runs import job_beside, jobs_of_kind

KIND = "robustness"
NAMES = {KIND: "Robustness", CLEANED_KIND: "Raw against cleaned"}
RESULT, CURVE, DIVERSITY, PAIRED, TRAINING = "result", "curve", "diversity", "paired", "training"
TABS = (RESULT, CURVE, PAIRED, TRAINING)
CLEANED_TABS = (RESULT, DIVERSITY, PAIRED, TRAINING)


@dataclass(frozen=True, slots=True)
class Seen:
    """A run's folder at one moment, and what follows from it. `compared`, `compared_figures`: of a raw-vs-cleaned run
    alone, and then `figures` is empty."""

    job_id: int
    run: Run
    figures: tuple[ArmFigures, ...] = ()
    said: tuple[str, ...] = ()
    compared: Comparison | None = None
    compared_figures: cleaned_figures.Figures | None = None


def see(folder: Path, job_id: int, connection: sqlite3.Connection) -> Seen:
    """For a thread: a big run takes a second. Raises InputError for files that cannot be read."""
    if get_job(connection, job_id).kind == CLEANED_KIND:
        found = read_comparison(folder, connection)
        said, figured = cleaned_conclude.conclusion(found), cleaned_figures.figures(found)
        return Seen(job_id, found.run, (), said, found, figured)
    run = read_run(folder)
    return Seen(job_id, run, figures(run), conclusion(run))


_NOTHING = Seen(0, Run("", "", "", "", {}, (), ()))


@dataclass(slots=True)
class RobustnessState:
    """`chosen`: the part that was asked for, "": training while the run goes on, then the result; `number`: of the
    variant in a grid of learning rates and steps."""

    job_id: int | None = None
    kind: str = KIND
    jobs: list[int] = field(default_factory=list)
    line: JobLine | None = None
    step: str = ""
    seen: Seen = _NOTHING
    chosen: str = ""
    number: int = 0
    error: RefusalTuiError | None = None

    def read_job(self, connection: sqlite3.Connection, watch: JobWatch, now: float) -> None:
        """Where the job stands; what it has measured is read elsewhere (`see`)."""
        self.jobs = sorted((job for kind in NAMES for job in jobs_of_kind(connection, kind)), reverse=True)
        if self.job_id is None:
            self.job_id = self.next_job(0)
        if self.job_id is None:
            return
        try:
            job = get_job(connection, self.job_id)
        except RefusalTuiError as error:
            self.error = error
            return
        self.kind, self.step, self.line = job.kind, job.step, watch.line(connection, job, now)

    def take(self, seen: Seen) -> None:
        """What was read, unless another run is looked at by now."""
        if seen.job_id == self.job_id:
            self.seen, self.error = seen, None

    @property
    def run(self) -> Run:
        return self.seen.run

    @property
    def tabs(self) -> tuple[str, ...]:
        return CLEANED_TABS if self.kind == CLEANED_KIND else TABS

    @property
    def tab(self) -> str:
        active = self.line is not None and self.line.state.active
        return self.chosen if self.chosen in self.tabs else TRAINING if active else RESULT

    @property
    def variant(self) -> str:
        variants = self.run.variants
        return variants[self.number % len(variants)]

    @property
    def now(self) -> TrialState | None:
        """The trial at work, or the last one that was."""
        begun = [trial for trial in self.run.trials if trial.steps]
        return next((t for t in begun if t.state == "running"), begun[-1] if begun else None)

    # --- moving ------------------------------------------------------------------------------------------------------

    def next_job(self, step: int) -> int | None:
        """Older ones for 1, newer ones for -1; None where there is no other."""
        return job_beside(self.jobs, self.job_id, step)

    def show_job(self, job_id: int) -> None:
        self.job_id, self.seen, self.line, self.error, self.number = job_id, _NOTHING, None, None, 0

    def turn(self, step: int) -> None:
        self.chosen = self.tabs[(self.tabs.index(self.tab) + step) % len(self.tabs)]

    def turn_variant(self) -> bool:
        """The next variant of the grid; False where there is no grid."""
        if len(self.run.variants) < 2:
            return False
        self.number = (self.number + 1) % len(self.run.variants)
        return True

    # --- what the cursor stands on ------------------------------------------------------------------------------------

    def joined(self, key: str | None) -> list[str]:
        """The arms whose curve is drawn with lines and intervals: vanilla, and the one under the cursor."""
        return [VANILLA, arm_of(key)]

    def trial_of(self, key: str | None) -> TrialState | None:
        """What is drawn below the table of arms: a trial of the arm under the cursor, or the one at work."""
        mine = [trials for trials in trials_by_arm(self.run) if trials[0].arm + trials[0].variant == arm_of(key)]
        return at_work(mine[0]) if mine and at_work(mine[0]).steps else self.now

    @property
    def all_answers(self) -> str:
        """Of base and all arms at their last stops, as a filter; "" while nothing was asked."""
        if self.seen.compared is not None:
            return all_answers(self.seen.compared)
        return final_answers(self.run, self.seen.figures, self.variant) if self.run.base is not None else ""


def key_of(arm: str, number: int, answers: str) -> str:
    """The key of line `number`, which speaks of an arm and its answers (a filter).

    >>> arm_of(key_of("random", 3, "dataset:x")), answers_of(key_of("random", 3, "dataset:x")), answers_of("say:1")
    ('random', 'dataset:x', '')
    """
    return f"arm:{arm}:{number}:{answers}"


def arm_of(key: str | None) -> str:
    return (key or "").split(":", 3)[1] if (key or "").startswith("arm:") else ""


def answers_of(key: str | None) -> str:
    return (key or "").split(":", 3)[3] if (key or "").startswith("arm:") else ""
