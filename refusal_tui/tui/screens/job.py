"""One job: how far is it, what came out so far, what went wrong, and what can be done with it?"""

from __future__ import annotations

from contextlib import closing
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.jobs import control
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.settings import acknowledge_end, acknowledged_ends
from refusal_tui.tui.job_keys import JobKeys
from refusal_tui.tui.screens.job_lines import LOOKED_AT, body_lines, head_lines
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

LOOK_AT_QUEUE_SECONDS = 2.0


class JobScreen(JobKeys):
    """Job number `job_id`, live."""

    AREA = "Jobs"
    NAME = "Job"
    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "rows", "rows", tooltip="Browse the rows of this job", id="job.rows"),
        Binding("e", "failed_rows", "failed rows", tooltip="Browse the rows that failed", id="job.failed_rows"),
        Binding("l", "log", "log", tooltip="The worker's log, or the events", id="job.log"),
        Binding(
            "t", "retry_class", "retry kind", tooltip="Try the rows of one kind of error again", id="job.retry_class"
        ),
        Binding("v", "look_at_work", "Its judge card, review, map or findings", show=False, id="job.look_at_work"),
        Binding("a", "answers", "Show or hide the answers", show=False, id="job.answers"),
        Binding("y", "copy_command", "Copy the command", show=False, id="job.copy_command"),
    ]

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self._state = JobScreenState(job_id)
        self._watch = JobWatch()
        self._command = ""
        self._reading = False
        self._detailed = False  # until the first details are shown
        self._seen_run = -1

    def crumbs(self) -> str:
        return f"Jobs › Job {self._state.job_id}"

    def shows_job(self, job_id: int) -> bool:
        return job_id == self._state.job_id

    def compose_body(self) -> ComposeResult:
        head = LineList(id="job-head")
        head.can_focus = False
        yield head
        yield LineList(id="job-body")

    def on_mount(self) -> None:
        self.query_one("#job-body", LineList).focus()
        self.set_interval(LOOK_AT_QUEUE_SECONDS, self._look_at_queue)

    def _look_at_queue(self) -> None:
        """A job that nobody starts changes nothing in the store: somebody has to look why."""
        facts = self._state.facts
        if facts is not None and facts.job.state is JobState.QUEUED and self.is_current:
            self.store_changed()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        state = self._state
        state.facts = read_facts(self.work.connection, state.job_id, self._watch, self.work.clock())
        if not self._command:
            self._command = command_of(state.facts.job)
        if state.facts.job.state is JobState.FAILED and state.facts.job.run != self._seen_run:
            self._seen_run = state.facts.job.run
            self._acknowledge(state.facts.job)
        if state.show_log:
            state.log = log_tail(self.work.workspace.logs / f"job-{state.job_id}.log")
        if not self._reading:
            self._reading = True
            self._read(state.facts.job, state.details)
        self._show()

    @work(thread=True, exit_on_error=False, group="acknowledge")
    def _acknowledge(self, job: Job) -> None:
        """Home need not tell of this failure any more."""
        with closing(self.work.workspace.open()) as connection, transaction(connection):
            if acknowledged_ends(connection).get(job.id) != job.run:
                acknowledge_end(connection, job.id, job.run)

    @work(thread=True, exit_on_error=False, group="details")
    def _read(self, job: Job, known: JobDetails) -> None:
        """Counts over all rows, on a connection of its own; at most one reader at a time."""
        with closing(self.work.workspace.open(read_only=True)) as connection:
            details = read_details(self.work.workspace, connection, job, known, self.work.clock())
        self.call_later(self._read_ended, job, details)

    def _read_ended(self, job: Job, details: JobDetails) -> None:
        self._reading = False
        self._state.take(details, self.work.clock())
        facts = self._state.facts
        if facts is None or (facts.job.state is JobState.RUNNING and self._detailed):
            return  # the next look, half a second later, shows it
        self._detailed = True
        if facts.job != job and self.is_current:  # it ended while this was read
            self.store_changed()
        else:
            self._show()

    def _show(self) -> None:
        if self._state.facts is None or not self.is_attached:  # closed while something ran beside it
            return
        head, body = self.query_one("#job-head", LineList), self.query_one("#job-body", LineList)
        now = self.work.clock()
        lines = head_lines(self._state, self._command, head.line_width or self.size.width - 3, now)
        if head.styles.height is None or head.styles.height.value != len(lines):
            head.styles.height = len(lines)
        head.set_lines(lines)
        follows = self._state.show_log and body.at_end
        height = self.size.height - len(lines) - 3  # header, footer, the line between
        body.set_lines(body_lines(self._state, body.line_width or self.size.width - 3, height, now))
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

    def action_look_at_work(self) -> None:
        """How good is what the job has done?"""
        kind = self._state.facts.job.kind if self._state.facts else ""
        if kind in LOOKED_AT:
            self.work.push(LOOKED_AT[kind][0], job_id=self._state.job_id)
        else:
            self.work.say("Labelling, cleaning, direction, audit, training, robustness have screens for their work")

    def action_failed_rows(self) -> None:
        facts = self._state.facts
        if facts is not None and facts.line.failed:
            self.work.push("browse", filter=f"job.{facts.job.id}:failed,unparsable")
        else:
            self.work.say("No row of this job has failed.")

    def action_retry_class(self) -> None:
        """The kind under the cursor; the only one when there is one."""
        kinds = [group.error_class for group in self._state.details.troubles]
        chosen = (self.query_one("#job-body", LineList).key or "").partition("trouble:")[2]
        if not kinds:
            self.work.say("No row of this job has failed.")
        elif chosen in kinds or len(kinds) == 1:
            self._retry_class(chosen if chosen in kinds else kinds[0])
        else:
            self.work.say("Move to a line under Errors first: t tries that kind again, R all of them.")

    def _retry_class(self, error_class: str) -> None:
        what = error_class.replace("_", " ")

        def again(job_id: int) -> str:
            rows = control.retry(self.work.workspace, job_id, error_class)
            return f"Job {job_id} tries {rows:,} failures again ({what})."

        self._act(again)

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
