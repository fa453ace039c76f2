"""What does the Pipeline screen know? One run with its steps, live, or the plan of a run that could be started."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.spec import load_spec
from refusal_tui.pipeline.api import Pipeline
from refusal_tui.pipeline.plan import Plan
from refusal_tui.pipeline.spec import PipelineSpec
from refusal_tui.pipeline.status import StepStatus, status_of
from refusal_tui.store.jobs import Job, JobState, get_job
from refusal_tui.store.pipelines import latest_run
from refusal_tui.tui.state.jobs import JobLine, JobWatch


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step; `line` is that of its job, None for a step without one, or before it has one."""

    status: StepStatus
    line: JobLine | None


@dataclass(slots=True)
class PipelineState:
    """`run_id` None: the latest run. `chosen`: the config of the next run, None for that of the run that is shown.

    `plan` is shown in place of the graph while it is there, `problem` in place of both.
    """

    run_id: int | None = None
    run: Job | None = None
    steps: list[StepLine] = field(default_factory=list)
    chosen: PipelineSpec | None = None
    plan: Plan | None = None
    planning: bool = False
    problem: RefusalTuiError | None = None

    def read(self, connection: sqlite3.Connection, watch: JobWatch, now: float) -> None:
        """Where the run stands. `now` in seconds."""
        number = self.run_id or latest_run(connection)
        self.run = get_job(connection, number) if number is not None else None
        self.steps = []
        for status in status_of(connection, self.run) if self.run is not None else ():
            line = watch.line(connection, status.job, now) if status.job is not None else None
            self.steps.append(StepLine(status, line))

    @property
    def spec(self) -> PipelineSpec:
        """The config of the next run: the chosen one, else that of the run that is shown, else none."""
        if self.chosen is not None:
            return self.chosen
        if self.run is None:
            return PipelineSpec()
        found = load_spec(PipelineSpec, self.run.spec, self.run.spec_version)
        assert isinstance(found, PipelineSpec)
        return found

    @property
    def config_name(self) -> str:
        """The config in a few words."""
        spec = self.spec
        name = Path(spec.config).name if spec.config else "no config: what is imported"
        return f"{name}, offline" if spec.offline else name

    @property
    def counts(self) -> tuple[int, int]:
        """How many steps are over, and how many there are."""
        return sum(one.status.record.over for one in self.steps), len(self.steps)

    @property
    def attention(self) -> str:
        """The step that is at work or stands still, the first of them; "" for none."""
        live = (one.status.record.name for one in self.steps if one.line is not None and not one.status.record.over)
        return next(live, "")

    @property
    def stopped(self) -> bool:
        """Whether somebody has to do something before it goes on."""
        return self.run is not None and self.run.state in (JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED)


def pipeline_of(spec: PipelineSpec) -> Pipeline:
    """Raises ConfigError with every mistake of the config."""
    return Pipeline(spec.read(), spec)
