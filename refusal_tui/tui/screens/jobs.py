"""Which jobs are there, how far are they, and what can be done with each?"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.tui import paint
from refusal_tui.tui.job_keys import JobKeys
from refusal_tui.tui.state.jobs import JobLine, JobsState, JobWatch, Show, summary
from refusal_tui.tui.widgets.progress_line import job_columns
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.window_table import WindowTable


class JobsScreen(JobKeys):
    """All jobs, newest first, live."""

    NAME = "Jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_job", "open", tooltip="Open the job", id="jobs.open"),
        Binding("n", "new_job", "new", tooltip="Start a new job", id="jobs.new"),
        Binding("f,tab", "filter", "filter", key_display="f", tooltip="Show other jobs", id="jobs.filter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._state = JobsState()
        self._watch = JobWatch()
        self._by_id: Mapping[int, JobLine] = {}

    def compose_body(self) -> ComposeResult:
        yield Remark(id="jobs-summary")
        table: WindowTable[JobLine] = WindowTable(job_columns(), self._fetch, id="jobs-table")
        yield table.head
        yield table

    @property
    def _table(self) -> WindowTable[JobLine]:
        return self.query_one("#jobs-table", WindowTable)

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, JobLine]:
        return {job_id: self._by_id[job_id] for job_id in ids if job_id in self._by_id}

    def store_changed(self) -> None:
        self._state.lines = self._watch.read(self.work.connection, self.work.clock())
        self._show()

    def _show(self) -> None:
        table = self._table
        shown = self._state.shown
        self._by_id = {line.id: line for line in shown}
        ids = array("q", [line.id for line in shown])
        if ids != table.ids:
            before = table.cursor_id
            table.show_empty(_empty(self._state.show))
            table.show(ids, cursor=ids.index(before) if before is not None and before in ids else 0)
        else:
            table.update_rows()
        self.query_one("#jobs-summary", Remark).say(_summary(self._state))

    def current_job(self) -> JobLine | None:
        return self._table.cursor_row

    @on(WindowTable.Opened)
    def action_open_job(self) -> None:
        job = self.current_job()
        if job is not None:
            self.work.push("job", job_id=job.id)

    def action_new_job(self) -> None:
        self.work.push("new_job")

    def action_filter(self) -> None:
        self._state.show = self._state.show.following
        self._show()


def _summary(state: JobsState) -> Content:
    """Which jobs are shown, and what there is in all."""
    choices: list[Content | tuple[str, str] | str] = ["Show "]
    for show in Show:
        marked = show is state.show
        choices += [(f"[{show.value}]" if marked else f" {show.value} ", paint.STRONG if marked else paint.MUTED)]
    return paint.words(*choices, ("   " + summary(state.lines), paint.MUTED))


def _empty(show: Show) -> Content:
    if show is Show.ALL:
        return paint.lines(
            paint.words("No jobs yet."),
            paint.NOTHING,
            paint.keys(("n", "start one: label rows with the offline judge, or export them")),
            paint.keys(("g i", "import a dataset first, where there is none")),
        )
    return paint.lines(paint.words("No jobs of this kind now."), paint.NOTHING, paint.keys(("f", "show others")))
