"""What is in the workspace, what runs, and what waits for somebody? Every line that can be chosen leads further."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.store.overview import Overview, fingerprint, overview
from refusal_tui.store.settings import acknowledged_ends
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.home_lines import home_lines
from refusal_tui.tui.state.home import HomeState, Target
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.widgets.line_list import LineList

GPU_SECONDS = 10.0
LEAST_SECONDS_BETWEEN_COUNTS = 2.0
_COUNT_SHARE = 5  # counting may take a fifth of a thread's time while a job runs


class HomeScreen(WorkScreen):
    """The first screen."""

    NAME = "Home"
    CSS_PATH = "home.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "open('datasets')", "datasets", tooltip="Datasets", id="home.datasets"),
        Binding("b", "open('browse')", "browse", tooltip="Browse all rows", id="home.browse"),
        Binding("i", "open('import')", "import", show=False, tooltip="Import a dataset", id="home.import"),
        Binding("J", "open('jobs')", "jobs", tooltip="Jobs", id="home.jobs"),
        Binding("n", "open('new_job')", "new job", tooltip="Start a new job", id="home.new_job"),
        Binding("r", "open('review')", "review", tooltip="Label rows by hand", id="home.review"),
        Binding("g", "app.go", "go to", tooltip="Results, pipeline, audit, models, settings", id="home.go"),
        Binding("v", "review('v')", "Rows where judge and people disagree", show=False, id="home.disagreements"),
        Binding("u", "review('u')", "Rows of which the judge is not sure", show=False, id="home.unsure"),
        Binding("q", "back", "quit", tooltip="Quit; jobs go on", id="home.quit"),
    ]

    def __init__(self, gpu_line: Callable[[], str] | None = None) -> None:
        """`gpu_line` says what the GPU does; tests give their own, so that every machine draws the same."""
        super().__init__()
        self._gpu_line = gpu_line
        self._state = HomeState()
        self._watch = JobWatch()
        self._counted: tuple[int, int, int] | None = None
        self._counting = False

    def compose_body(self) -> ComposeResult:
        yield LineList(id="home-list")

    def on_mount(self) -> None:
        self._look_for_gpu()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        connection = self.work.connection
        self._state.jobs = self._watch.read(connection, self.work.clock())
        self._state.seen = acknowledged_ends(connection)
        mark = fingerprint(connection)
        if mark != self._counted and not self._counting:
            self._counting = True
            self._counted = mark
            self._count()
        self._show()

    @work(thread=True, exit_on_error=False, group="count")
    def _count(self) -> None:
        """Everything that reads all labels, on a connection of its own."""
        started = time.monotonic()
        with closing(self.work.workspace.open(read_only=True)) as connection:
            found = overview(connection)
        pause = max(LEAST_SECONDS_BETWEEN_COUNTS, _COUNT_SHARE * (time.monotonic() - started))
        self.call_later(self._count_ended, found, pause)

    def _count_ended(self, found: Overview, pause: float) -> None:
        self._state.overview = found
        self._show()
        self.set_timer(pause, self._count_again)

    def _count_again(self) -> None:
        """What was committed while the last count ran, or just after it, is counted now."""
        self._counting = False
        if self.is_current:
            self.store_changed()

    @work(thread=True, exit_on_error=False, group="gpu")
    def _look_for_gpu(self) -> None:
        if self._gpu_line is None:
            from refusal_tui.jobs.device import gpu_line

            self._gpu_line = gpu_line
        self.call_later(self._gpu_found, self._gpu_line() or "")

    def _gpu_found(self, line: str) -> None:
        self._state.gpu = line
        self._show()
        if line:  # a machine without one will not grow one
            self.set_timer(GPU_SECONDS, self._look_for_gpu)

    def _show(self) -> None:
        if not self.is_attached:  # closed while something ran beside it
            return
        lines = self.query_one(LineList)
        lines.set_lines(home_lines(self._state, lines.line_width or self.size.width - 3))

    @on(LineList.Opened)
    def open_line(self, event: LineList.Opened) -> None:
        target, _, value = (event.key or "").partition(":")
        if target == Target.JOB:
            self.work.push("job", job_id=int(value))
        elif target == Target.BROWSE:
            self.work.push("browse", filter=value)
        else:
            self.work.push(target)

    def action_open(self, name: str) -> None:
        self.work.push(name)

    def action_review(self, key: str) -> None:
        for entry in self._state.review:
            if entry.key == key:
                self.work.push("browse", filter=entry.value)
                return
        self.work.say("There is no such row now.")
