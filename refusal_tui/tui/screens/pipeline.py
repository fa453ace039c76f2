"""Pipeline: the graph of one run, live; every step leads to its job."""

from __future__ import annotations

import sqlite3
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.jobs.spec import build_spec
from refusal_tui.pipeline.plan import Plan, make_plan
from refusal_tui.pipeline.spec import PipelineSpec
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.pipeline_lines import body_lines, head_line
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.pipeline import PipelineState, pipeline_of
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark


class PipelineScreen(WorkScreen):
    """The run that is job `job_id`, or the latest one."""

    AREA = "Jobs"
    NAME = "Pipeline"
    CSS_PATH = "pipeline.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_step", "job", tooltip="Open the job of the step", id="pipeline.open"),
        Binding("r", "run", "run", tooltip="Run it, or go on with what stands still", id="pipeline.run"),
        Binding("p", "pause", "pause", tooltip="Pause the run and the jobs that it waits for", id="pipeline.pause"),
        Binding("l", "plan", "plan", tooltip="What would run now, and why", id="pipeline.plan"),
        Binding("o", "config", "config", tooltip="Choose a config (TOML or JSON)", id="pipeline.config"),
        Binding("J", "jobs", "jobs", tooltip="All jobs", id="pipeline.jobs"),
    ]

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = PipelineState(job_id)
        self._watch = JobWatch()
        self._lookup = Lookup(self)
        self._pointed = False

    def compose_body(self) -> ComposeResult:
        yield Remark(id="pipeline-head")
        yield LineList(id="pipeline-list")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def shows_job(self, job_id: int) -> bool:
        return self.state.run is not None and job_id == self.state.run.id

    def store_changed(self) -> None:
        self.state.read(self.work.connection, self._watch, self.work.clock())
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        lines = self.query_one(LineList)
        width = lines.line_width or self.size.width - 3
        lines.set_lines(body_lines(self.state, width))
        if self.state.attention and not self._pointed:  # the first time: what moves, or what stands in the way
            self._pointed = True
            lines.choose(f"step:{self.state.attention}")
        self.query_one("#pipeline-head", Remark).say(head_line(self.state, self.size.width - 4))

    # --- keys --------------------------------------------------------------------------------------------------------

    def action_escape(self) -> None:
        """From a plan back to the graph, from the graph back."""
        if self.state.plan is not None or self.state.problem is not None:
            self._graph()
        else:
            super().action_escape()

    def _graph(self) -> None:
        """What is shown is what `r` runs: a config that was only looked at is forgotten."""
        self.state.plan = self.state.problem = self.state.chosen = None
        self._show()

    @on(LineList.Opened)
    def action_open_step(self) -> None:
        name = (self.query_one(LineList).key or "").partition("step:")[2]
        found = next((one.status for one in self.state.steps if one.status.record.name == name), None)
        if found is None:
            return
        if found.record.job is not None:
            self.work.push("job", job_id=found.record.job)
        elif "queue" in found.record.product:
            self.work.push("review")
        else:
            self.work.say("This step has no job of its own.")

    def action_jobs(self) -> None:
        self.work.push("jobs")

    def action_config(self) -> None:
        def answered(path: str | None) -> None:
            if path is None:
                return
            try:
                found = build_spec(PipelineSpec, {"config": path.strip()})
            except RefusalTuiError as error:
                self.work.notify_error(error)
                return
            assert isinstance(found, PipelineSpec)
            self.state.chosen = found
            self._make_plan()

        self.app.push_screen(Ask("Config", self.state.spec.config, anew=True), answered)

    def action_plan(self) -> None:
        if self.state.plan is not None:
            self._graph()
        else:
            self._make_plan()

    def _make_plan(self) -> None:
        self.state.plan, self.state.problem, self.state.planning = None, None, True
        spec, workspace = self.state.spec, self.work.workspace

        def ask(connection: sqlite3.Connection) -> Plan:
            return make_plan(workspace, connection, pipeline_of(spec).config)

        self._lookup.start("plan", ask, self._planned, self._failed)
        self._show()

    def _planned(self, plan: Plan) -> None:
        self.state.plan, self.state.planning = plan, False
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.problem, self.state.plan, self.state.planning = error, None, False
        self._show()

    def action_run(self) -> None:
        self._start(self.state.spec)

    @work(thread=True, exclusive=True, exit_on_error=False, group="start")
    def _start(self, spec: PipelineSpec) -> None:
        try:
            job_id = pipeline_of(spec).start(self.work.workspace)
        except RefusalTuiError as error:
            self.app.call_later(self._failed, error)
            return
        self.app.call_later(self._started, job_id)

    def _started(self, job_id: int | None) -> None:
        if job_id is None:
            self.work.say("Nothing to do: every step is up to date.")
            return
        self.state.run_id = job_id
        self.state.plan = self.state.problem = self.state.chosen = None
        self.work.say(f"Pipeline job {job_id} runs; it goes on when you leave.")
        self.store_changed()

    def action_pause(self) -> None:
        run = self.state.run
        if run is None or not run.state.active:
            self.work.say("No pipeline is at work.")
        else:
            self._pause(run.id)

    @work(thread=True, exit_on_error=False, group="pause")
    def _pause(self, job_id: int) -> None:
        control.pause(self.work.workspace, job_id)
        self.app.call_later(self.work.say, f"Pipeline job {job_id} pauses, and the jobs that it waits for; r goes on.")
