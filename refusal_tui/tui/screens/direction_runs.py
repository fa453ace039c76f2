"""Directions: every run that looks for a refusal direction, and what each has found."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.direction.report import ReportReader
from refusal_tui.direction.report_text import outcome, plain, share, signed
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.jobs import get_job
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.direction_lines import empty
from refusal_tui.tui.state.direction import RunLine, direction_jobs
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.widgets.line_list import Line, LineList
from refusal_tui.tui.widgets.progress_line import state_word
from refusal_tui.tui.widgets.remark import Remark

_NUMBER, _STATE, _FIGURE = 5, 12, 9


class DirectionRunsScreen(WorkScreen):
    """Newest first; enter opens a run."""

    AREA = "Results"
    NAME = "Directions"
    CSS_PATH = "direction_runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="Open the run", id="runs.open"),
        Binding("b", "job", "job", tooltip="The job of the run", id="runs.job"),
        Binding("n", "new", "new run", tooltip="Look for another direction", id="runs.new"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[RunLine] = []
        self._watch = JobWatch()
        self._readers: dict[int, ReportReader] = {}

    def compose_body(self) -> ComposeResult:
        yield Remark(id="runs-head")
        yield LineList(id="runs-list")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        self.runs = [self._read(job_id) for job_id in direction_jobs(self.work.connection)]
        self._show()

    def _read(self, job_id: int) -> RunLine:
        """The folders of runs that have ended are looked at, and not read, again."""
        connection, folder = self.work.connection, self.work.workspace.job_folder(job_id)
        line = self._watch.line(connection, get_job(connection, job_id), self.work.clock())
        reader = self._readers.setdefault(job_id, ReportReader(folder))
        try:
            return RunLine(line, reader.read())
        except RefusalTuiError as error:
            return RunLine(line, error=error)

    def _show(self) -> None:
        if not self.whole:
            return
        lines = self.query_one(LineList)
        width = lines.line_width or self.size.width - 3
        self.query_one("#runs-head", Remark).say(_titles(width) if self.runs else empty(None))
        lines.set_lines([line for run in self.runs for line in _lines(run, width)])

    @property
    def _job_id(self) -> int | None:
        key = self.query_one(LineList).key
        return None if key is None else int(key)

    @on(LineList.Opened)
    def action_open(self) -> None:
        if self._job_id is not None:
            self.work.push("direction", job_id=self._job_id)

    def action_job(self) -> None:
        if self._job_id is not None:
            self.work.push("job", job_id=self._job_id)

    def action_new(self) -> None:
        self.work.push("new_job", kind="direction")


def _titles(width: int) -> Content:
    figures = "".join(f"{name:>{_FIGURE}}" for name in ("ablated", "added", "KL"))
    names = f"{'job':<{_NUMBER}}{'state':<{_STATE}}{'model':<{_name_width(width)}}{figures}"
    return paint.words(("  " + names, paint.MUTED))


def _name_width(width: int) -> int:
    return max(10, width - _NUMBER - _STATE - 3 * _FIGURE)


def _lines(run: RunLine, width: int) -> list[Line]:
    """Two lines: figures of the pick, and the result in a sentence."""
    report = run.report
    pick = report.choice.pick if report.decided else None
    scores = None if pick is None else report.grid[pick]
    figures = ("", "", "") if pick is None or scores is None else (
        share(report.effect(pick)), signed(scores.steering, 1), plain(scores.kl)
    )  # fmt: skip
    word = state_word(run.line)
    title = paint.line(run.line.title.removeprefix("refusal direction of "), _name_width(width) - 2, paint.STRONG)
    first = paint.words(
        f"{run.line.id:<{_NUMBER}}", word.pad_right(max(1, _STATE - word.cell_length)),
        title.pad_right(_name_width(width) - title.cell_length),
        ("".join(f"{figure:>{_FIGURE}}" for figure in figures), ""),
    )  # fmt: skip
    said = paint.error(run.error) if run.error is not None else paint.words((outcome(report), paint.MUTED))
    return [Line(first, str(run.line.id)), Line(paint.words(" " * _NUMBER, said))]
