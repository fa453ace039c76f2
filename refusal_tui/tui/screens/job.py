"""One job: how far is it, what came out so far, what went wrong, and what can be done with it?"""

from __future__ import annotations

from contextlib import closing
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.store.jobs import Job
from refusal_tui.tui.job_keys import JobKeys
from refusal_tui.tui.screens.job_lines import body_lines, head_lines
from refusal_tui.tui.state.job import (
    JobDetails,
    JobScreenState,
    command_of,
    dataset_of,
    log_tail,
    read_details,
    read_facts,
)
from refusal_tui.tui.state.jobs import JobLine, JobWatch
from refusal_tui.tui.widgets.line_list import LineList


class JobScreen(JobKeys):
    """Job number `job_id`, live."""

    AREA = "Jobs"
    NAME = "Job"
    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "rows", "rows", tooltip="Browse the rows of this job", id="job.rows"),
        Binding("e", "failed_rows", "failed rows", tooltip="Browse the rows that failed", id="job.failed_rows"),
        Binding("l", "log", "log", tooltip="The worker's log, or the events", id="job.log"),
        Binding("a", "answers", "First answers", show=False, id="job.answers"),
        Binding("y", "copy_command", "Copy the command", show=False, id="job.copy_command"),
    ]

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self._state = JobScreenState(job_id)
        self._watch = JobWatch()
        self._command = ""
        self._reading = False

    def crumbs(self) -> str:
        return f"Jobs › Job {self._state.job_id}"

    def compose_body(self) -> ComposeResult:
        head = LineList(id="job-head")
        head.can_focus = False
        yield head
        yield LineList(id="job-body")

    def on_mount(self) -> None:
        self.query_one("#job-body", LineList).focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        state = self._state
        state.facts = read_facts(self.work.connection, state.job_id, self._watch, self.work.clock())
        if not self._command:
            self._command = command_of(state.facts.job)
        if state.show_log:
            state.log = log_tail(self.work.workspace.logs / f"job-{state.job_id}.log")
        if not self._reading:
            self._reading = True
            self._read(state.facts.job, state.details)
        self._show()

    @work(thread=True, exit_on_error=False, group="details")
    def _read(self, job: Job, known: JobDetails) -> None:
        """Counts over all rows, on a connection of its own; at most one reader at a time."""
        with closing(self.work.workspace.open(read_only=True)) as connection:
            details = read_details(connection, job, known)
        self.call_later(self._read_ended, job, details)

    def _read_ended(self, job: Job, details: JobDetails) -> None:
        self._reading = False
        self._state.details = details
        facts = self._state.facts
        if facts is None or facts.job.state.active:
            return  # the next look, half a second later, shows it
        if facts.job != job and self.is_current:  # it ended while this was read
            self.store_changed()
        else:
            self._show()

    def _show(self) -> None:
        if self._state.facts is None or not self.is_attached:  # closed while something ran beside it
            return
        head, body = self.query_one("#job-head", LineList), self.query_one("#job-body", LineList)
        lines = head_lines(self._state, self._command, head.line_width or self.size.width - 3)
        if head.styles.height is None or head.styles.height.value != len(lines):
            head.styles.height = len(lines)
        head.set_lines(lines)
        follows = self._state.show_log and body.at_end
        body.set_lines(body_lines(self._state, body.line_width or self.size.width - 3, self.work.clock()))
        if follows:
            body.action_scroll_end()

    def current_job(self) -> JobLine | None:
        return self._state.facts.line if self._state.facts else None

    @on(LineList.Opened)
    def open_line(self, event: LineList.Opened) -> None:
        """A failed group leads to its rows, an answer to its dossier, everything else to the rows of the job."""
        kind, _, value = (event.key or "").partition(":")
        if kind == "trouble":
            self.action_failed_rows()
        elif kind == "answer":
            self.work.push("browse", filter=f"id:{value}")
        else:
            self.action_rows()

    def action_rows(self) -> None:
        facts = self._state.facts
        if facts is None:
            return
        if facts.rows:
            self.work.push("browse", filter=f"job:{facts.job.id}")
            return
        dataset = dataset_of(self.work.connection, facts.job)
        if dataset is not None:
            self.work.push("browse", filter=f'dataset:"{dataset}"')
        elif facts.job.selection:
            self.work.push("browse", filter=facts.job.selection)
        else:
            self.work.say("This job has no rows to show yet.")

    def action_failed_rows(self) -> None:
        facts = self._state.facts
        if facts is not None and facts.line.failed:
            self.work.push("browse", filter=f"job.{facts.job.id}:failed,unparsable")
        else:
            self.work.say("No row of this job has failed.")

    def action_log(self) -> None:
        self._state.show_log = not self._state.show_log
        self.store_changed()
        if self._state.show_log:
            self.query_one("#job-body", LineList).action_scroll_end()

    def action_answers(self) -> None:
        self._state.turn_answers()
        self._show()

    def action_copy_command(self) -> None:
        self.work.copy(self._command, "command")
