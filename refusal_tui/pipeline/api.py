"""A pipeline from Python: load a config, look at its plan, run it.

from pathlib import Path
from refusal_tui import Pipeline, Workspace

workspace = Workspace(Path("my-workspace"))
pipeline = Pipeline.load("pipeline.toml")
print(pipeline.plan(workspace).summary)
run = pipeline.run(workspace)
print(run.out)
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import JobError
from refusal_tui.jobs import control
from refusal_tui.jobs.spec import build_spec
from refusal_tui.pipeline.config import PipelineConfig
from refusal_tui.pipeline.job import FROZEN
from refusal_tui.pipeline.plan import Does, Plan, PlannedStep, make_plan
from refusal_tui.pipeline.spec import PipelineSpec
from refusal_tui.store.jobs import Job, JobState, get_job, list_jobs
from refusal_tui.store.pipelines import StepRecord, steps_of
from refusal_tui.store.workspace import Workspace

_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class PipelineRun:
    """A run that has ended, or one that goes on by itself. `job` is None where there was nothing to do."""

    job: Job | None
    steps: tuple[StepRecord, ...]

    @property
    def products(self) -> Mapping[str, Mapping[str, str]]:
        """step name -> what it has made (`dataset`, `queue`, `out`, `job`)."""
        return {step.name: step.product for step in self.steps if step.over}

    @property
    def out(self) -> Path | None:
        """The folder of the final dataset; None where the pipeline makes none, or has not got so far."""
        found = next((step.product["out"] for step in self.steps if step.over and "out" in step.product), None)
        return None if found is None else Path(found)


@dataclass(frozen=True)
class Pipeline:
    """Several jobs as one graph. `config` is checked already."""

    config: PipelineConfig
    spec: PipelineSpec

    @classmethod
    def load(cls, path: str | Path, *, offline: bool = False) -> Pipeline:
        """The pipeline of a TOML or JSON file. `offline`: no model is asked.

        Raises ConfigError with every mistake and its line, InputError for a file that cannot be read.
        """
        spec = build_spec(PipelineSpec, {"config": str(path), "offline": offline})
        assert isinstance(spec, PipelineSpec)
        return cls(spec.read(), spec)

    @classmethod
    def default(cls) -> Pipeline:
        """Label what is imported with the offline judge, audit it, draw a sample for people, export it."""
        spec = PipelineSpec()
        return cls(spec.read(), spec)

    def plan(self, workspace: Workspace) -> Plan:
        """What would be done now, and why; nothing is started. Raises ConfigError for what the workspace lacks."""
        with closing(workspace.open()) as connection:
            return make_plan(workspace, connection, self.config)

    def run(
        self, workspace: Workspace, *, wait: bool = True, watch: Callable[[list[StepRecord]], None] | None = None
    ) -> PipelineRun:
        """Do what is to be done: start the run, or go on with one of the same config that stood still.

        It goes on by itself when this process ends. `watch` is called with the steps while it waits. Raises JobError
        for a run that stops before its end.
        """
        job_id = self.start(workspace)
        if job_id is None:
            return PipelineRun(None, tuple(_kept(step) for step in self.plan(workspace).steps))
        with closing(workspace.open()) as connection:
            while wait and get_job(connection, job_id).state.active:
                control.reap(connection)
                if watch is not None:
                    watch(steps_of(connection, job_id))
                time.sleep(_POLL_SECONDS)
            run = PipelineRun(get_job(connection, job_id), tuple(steps_of(connection, job_id)))
        assert run.job is not None
        if wait and run.job.state is not JobState.DONE:
            raise JobError(f"Pipeline job {job_id} is {run.job.state.value}: {run.job.note}", "Run it again to go on.")
        return run

    def start(self, workspace: Workspace) -> int | None:
        """The number of the run that was started or gone on with; None where there is nothing to do."""
        plan = self.plan(workspace)
        with closing(workspace.open()) as connection:
            control.reap(connection)
            standing = self._standing(connection, workspace)
        if standing is not None:
            return control.resume(workspace, standing).id
        if not plan.to_do:
            return None
        return control.submit(workspace, "pipeline", self.spec)

    def _standing(self, connection: sqlite3.Connection, workspace: Workspace) -> int | None:
        """A run of the very same config that is not at its end."""
        spec = self.spec.model_dump_json()
        for job in list_jobs(connection, limit=1000):
            if job.kind != "pipeline" or job.spec != spec:
                continue
            ended = job.state in (JobState.DONE, JobState.CANCELLED)
            return None if ended or not self._same_text(workspace, job.id) else job.id
        return None

    def _same_text(self, workspace: Workspace, job_id: int) -> bool:
        """Whether the config is what it was when that run began; one that has not begun will read it then."""
        frozen = workspace.job_folder(job_id) / FROZEN
        if not self.spec.config or not frozen.exists():
            return True
        kept = json.loads(frozen.read_text(encoding="utf-8"))["text"]
        return bool(kept == Path(self.spec.config).read_text(encoding="utf-8-sig"))


def _kept(step: PlannedStep) -> StepRecord:
    """A step that need not run, as a run would have recorded it."""
    skipped = step.does is Does.SKIP
    return StepRecord(
        step.step.name, step.step.kind.value, step.step.after, product=step.product, over=True, reused=not skipped,
        skipped=skipped, note=step.why,
    )  # fmt: skip
