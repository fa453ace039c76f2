"""Audit: what was found in labelled data, the worst first, the figures behind it, and a key that mends each of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.audit.actions import Action, Does
from refusal_tui.audit.kept import kept_selection, leave_out
from refusal_tui.audit.markdown import report_markdown
from refusal_tui.audit.queue import queue_of_sample
from refusal_tui.audit.report import PAGE, Report, report_folder
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import transaction
from refusal_tui.tui.run_screen import PADDING, RunScreen
from refusal_tui.tui.screens.audit_lines import audit_lines, below, head, tabs
from refusal_tui.tui.state.audit import KEPT, TABS, AuditState
from refusal_tui.tui.widgets.line_list import LineList


class AuditScreen(RunScreen):
    """The report of audit job `job_id`, or of the latest one."""

    AREA = "Results"
    NAME = "Audit"
    PART = "audit"
    state: AuditState
    CSS_PATH = "audit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_rows", "rows", tooltip="Browse the rows of this line", id="audit.rows"),
        Binding("f", "fix", "fix", tooltip="Do what is recommended", id="audit.fix"),
        Binding("d", "leave_out", "leave out", tooltip="Leave the rows out, or not", id="audit.leave_out"),
        Binding("s", "section(1)", "next", tooltip="The next section of figures", id="audit.section"),
        Binding("v", "review", "queue", tooltip="Review queue of the sample", id="audit.review"),
        Binding("x", "export", "export", tooltip="Export what is kept", id="audit.export"),
        Binding("e", "write", "write", tooltip="Write the report as Markdown", id="audit.write"),
        Binding("H", "page", "page", tooltip="Where the HTML page is", id="audit.page"),
        Binding("S", "section(-1)", "The section before", show=False, id="audit.section_back"),
        Binding("b", "job", "The job of this audit", show=False, id="audit.job"),
        Binding("right_square_bracket", "audit(1)", "The audit before", show=False, id="audit.older"),
        Binding("left_square_bracket", "audit(-1)", "The audit after", show=False, id="audit.newer"),
        *(
            Binding(str(n), f"choose({n - 1})", f"Show: {name}", show=False, id=f"audit.{name}")
            for n, name in enumerate(TABS, 1)
        ),
    ]

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = AuditState(job_id=job_id)

    def store_changed(self) -> None:
        state = self.state
        state.read(self.work.connection, self.work.workspace.root)
        if state.without and state.kept is None and state.report is not None and not state.writing:
            ask = partial(_count, kept_selection(state.report.job))
            self._lookup.start("kept", ask, self._counted, self.work.notify_error)
        self._show()

    def _counted(self, rows: int) -> None:
        self.state.kept = rows
        self._show()

    def _show_run(self) -> None:
        self._say("head", head(self.state))
        self._say("tabs", tabs(self.state))
        lines = self.query_one(LineList)
        lines.set_lines(audit_lines(self.state, lines.line_width or self.size.width - 3))
        self._show_below()

    @on(LineList.Moved)
    def _moved(self) -> None:
        self._show_below()

    def told_below(self) -> Content:
        return below(self.state, self._key, self.size.width - PADDING)

    def _reported(self) -> Report | None:
        """The report; where there is none, every key says so."""
        if self.state.report is None:
            self.work.say("There is no audit here yet; g n starts one")
        return self.state.report

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_open_rows(self) -> None:
        rows = self.state.rows(self._key)
        if rows is None and self._reported() is not None:
            self.work.say("This line speaks of no rows that could be opened")
        elif rows is not None:
            self.work.push("browse", filter=rows)

    def action_section(self, step: int) -> None:
        self.state.turn(step)
        self._to_section()

    def action_choose(self, number: int) -> None:
        self.state.tab = TABS[number]
        self._to_section()

    def _to_section(self) -> None:
        self._show()
        self.query_one(LineList).action_scroll_home()

    def action_fix(self) -> None:
        finding, action = self.state.finding(self._key), self.state.action(self._key)
        if self._reported() is None:
            return
        if action is None:
            self.work.say(finding.advice if finding is not None and finding.advice else "There is nothing to mend here")
        elif action.does is Does.LEAVE_OUT:
            self._leave_out(action.kind)
        else:
            self._open_form(action)

    def _open_form(self, action: Action) -> None:
        """The form filled with what is recommended: it starts when the user says so."""
        if action.does is Does.JOB:
            self.work.push("new_job", selection=action.selection, kind=action.kind, values=action.settings)
        elif action.does is Does.QUEUE:
            self.work.push("review_new", selection=action.selection, values=action.settings)
        else:
            by = tuple(str(action.settings.get("by", "model")).split(","))
            self.work.push("results", filter=self.state.report.selection if self.state.report else "", by=by)

    def action_leave_out(self) -> None:
        name = self.state.surplus(self._key)
        if self._reported() is None:
            return
        if name is None:
            self.work.say("Only repeats, clusters, leaks and personal data can be left out")
        else:
            self._leave_out(name)

    def _leave_out(self, name: str) -> None:
        if self.state.report is not None:
            self._lookup.stop("kept")
            self.state.toggle(name)
            self.state.writing += 1
            self._show()
            self._write_kept(self.state.report)

    @work(thread=True, exit_on_error=False, group="write")
    def _write_kept(self, report: Report) -> None:
        """No row is changed: a saved selection is written, which exports and jobs take. Of several presses the last
        one to be stored stores what is wanted then."""
        try:
            with closing(self.work.workspace.open()) as connection, transaction(connection):
                leave_out(connection, report, self.state.without)
        finally:
            self.app.call_later(self._written)

    def _written(self) -> None:
        self.state.writing -= 1
        self.store_changed()

    def action_review(self) -> None:
        if self.state.queue:
            self.work.push("review_card", queue=self.state.queue)
        elif (report := self._reported()) is not None:
            self._make_queue(report)

    @work(thread=True, exit_on_error=False, group="write")
    def _make_queue(self, report: Report) -> None:
        work = self.work
        with closing(work.workspace.open()) as connection, transaction(connection):
            queue = queue_of_sample(connection, work.workspace.root, report)
        work.call_later(work.say, f"Made the review queue {queue.name}; v opens it")
        work.call_later(self.store_changed)

    def action_export(self) -> None:
        report = self._reported()
        if report is None:
            return
        kept = self.state.rows(KEPT) if self.state.without else report.selection
        self.work.push("new_job", selection=kept or "", kind="export")

    def action_page(self) -> None:
        report = self._reported()
        if report is not None:
            self.work.copy(str(report_folder(self.work.workspace.root, report.job) / PAGE), "path of the page")

    def action_audit(self, step: int) -> None:
        job_id = self.state.next_job(step)
        if job_id is None:
            self.work.say("There is no older audit" if step > 0 else "There is no newer audit")
            return
        self._lookup.stop("kept")
        self.state.show_job(job_id)
        self.store_changed()
        self.query_one(LineList).action_scroll_home()

    def action_write(self) -> None:
        report = self._reported()
        if report is None:
            return
        path = self.work.workspace.artifacts / f"audit-{report.job}.md"
        try:
            path.write_text(report_markdown(report), encoding="utf-8")
        except OSError as error:
            self.work.say(f"The report could not be written: {error.strerror or error}")
        else:
            self.work.say(f"Wrote artifacts/{path.name}")


def _count(selection: str, connection: sqlite3.Connection) -> int:
    return count_items(connection, f"@{selection}")
