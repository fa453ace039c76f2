"""What does the Audit screen show? A report as its job wrote it, what is left out of it, and the section looked at."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.audit.actions import Action, Does, action_of
from refusal_tui.audit.kept import kept_selection, left_out, surplus_of
from refusal_tui.audit.queue import queue_name
from refusal_tui.audit.report import Finding, Report, audits, read_report
from refusal_tui.audit.sections import NAMES, sections_of
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.review_queues import list_queues
from refusal_tui.text.block_lines import TextLine, section_lines
from refusal_tui.text.blocks import Section
from refusal_tui.tui.state.runs import job_beside

FINDINGS = "findings"
TABS = (FINDINGS, *NAMES)
KEPT, SAMPLE = "kept", "sample"


@dataclass(slots=True)
class AuditState:
    """`without`: the names of what is left out; `kept`: how many rows are kept then, None until they are counted;
    `writing`: how often that is being stored just now. `queue`: the review queue that was made of the sample, "" for
    none. `tab`: one of TABS."""

    job_id: int | None = None
    jobs: list[int] = field(default_factory=list)
    report: Report | None = None
    sections: dict[str, Section] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    kept: int | None = None
    writing: int = 0
    queue: str = ""
    tab: str = FINDINGS
    error: RefusalTuiError | None = None
    lines: list[TextLine] = field(default_factory=list)

    def read(self, connection: sqlite3.Connection, root: Path) -> None:
        """The report is read once: it does not change. What is left out and the queue are looked up every time."""
        self.jobs = audits(connection)
        if self.job_id is None and self.jobs:
            self.job_id = self.jobs[0]
        if self.job_id is None:
            return
        if self.report is None:
            try:
                self.report, self.error = read_report(connection, root, self.job_id), None
            except RefusalTuiError as error:
                self.error = error
                return
            self.sections = {section.name: section for section in sections_of(self.report)}
        if not self.writing:
            before, self.without = self.without, left_out(connection, self.report)
            if self.without != before:
                self.kept = None
        name = self.report.sections["review_samples"].get("queue") or queue_name(self.job_id)
        self.queue = name if any(queue.name == name for queue in list_queues(connection)) else ""

    def show_job(self, job_id: int) -> None:
        self.job_id, self.report, self.sections, self.error = job_id, None, {}, None
        self.without, self.kept, self.queue = [], None, ""

    def next_job(self, step: int) -> int | None:
        """Older ones for 1, newer ones for -1; None where there is no other."""
        return job_beside(self.jobs, self.job_id, step)

    def turn(self, step: int) -> None:
        self.tab = TABS[(TABS.index(self.tab) + step) % len(TABS)]

    def laid_out(self, width: int) -> list[TextLine]:
        """The lines of the section that is looked at; `line:N` of the list is the Nth of them."""
        self.lines = section_lines(self.sections[self.tab], width) if self.tab in self.sections else []
        return self.lines

    # --- what the cursor stands on ---------------------------------------------------------------------------------

    def finding(self, key: str | None) -> Finding | None:
        kind, _, name = (key or "").partition(":")
        if kind != "finding" or self.report is None:
            return None
        return next((finding for finding in self.report.findings if finding.name == name), None)

    def line(self, key: str | None) -> TextLine | None:
        kind, _, number = (key or "").partition(":")
        return self.lines[int(number)] if kind == "line" and int(number) < len(self.lines) else None

    def rows(self, key: str | None) -> str | None:
        """The filter of the rows that a line speaks of; None where it speaks of none."""
        if self.report is not None and key == KEPT:
            return f"@{kept_selection(self.report.job)}"
        if self.report is not None and key == SAMPLE:
            return str(self.report.sections["review_samples"]["filter"])
        spoken = self.finding(key) or self.line(key)
        if spoken is None:
            return None
        return (spoken.filter if isinstance(spoken, Finding) else spoken.opens) or None

    def surplus(self, key: str | None) -> str | None:
        """The name of what a line speaks of, where it can be left out."""
        finding, line = self.finding(key), self.line(key)
        name = finding.name if finding is not None else line.name if line is not None else ""
        return name if self.report is not None and name in surplus_of(self.report) else None

    def toggle(self, name: str) -> None:
        """Leave `name` out, or take it in again."""
        self.without = [one for one in self.without if one != name] if name in self.without else [*self.without, name]
        self.kept = None

    def action(self, key: str | None) -> Action | None:
        """What the recommended command of a line starts."""
        finding = self.finding(key)
        if finding is not None:
            return action_of(finding.command)
        name = self.surplus(key)
        return Action(Does.LEAVE_OUT, name) if name is not None else None
