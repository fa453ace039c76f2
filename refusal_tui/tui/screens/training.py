"""Training: how a classifier learns, live; then how good it is, where it is wrong, and how it stands beside others."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.classify.document import PAGE, write_report
from refusal_tui.store.id_ranges import id_filter
from refusal_tui.tui.run_screen import PADDING, RunScreen
from refusal_tui.tui.screens.training_lines import below, head, tabs, training_lines
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.training import MISTAKES, RESULT, TABS, TrainingState, compare_runs, ids_behind
from refusal_tui.tui.widgets.line_list import LineList


class TrainingScreen(RunScreen):
    """The run of training job `job_id`, or of the latest one."""

    AREA = "Results"
    NAME = "Training"
    PART = "training"
    state: TrainingState
    CSS_PATH = "training.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "open", "open", tooltip="Rows behind a figure, why a mistake was made, compare", id="train.open"
        ),
        Binding("s", "tab(1)", "next", tooltip="The next part", id="train.next"),
        Binding("v", "review", "review", tooltip="A review queue of the surest mistakes", id="train.review"),
        Binding("m", "mistakes", "mistakes", tooltip="Browse the surest mistakes", id="train.mistakes"),
        Binding("e", "report", "report", tooltip="Write the report: HTML and PDF", id="train.report"),
        Binding("H", "page", "Copy where the report is", show=False, id="train.page"),
        Binding("t", "head", "Figures of the other head", show=False, id="train.head"),
        Binding("b", "job", "job", tooltip="The job of this run", id="train.job"),
        Binding("right_square_bracket", "run(1)", "older", tooltip="The run before", id="train.older"),
        Binding("left_square_bracket", "run(-1)", "The run after", show=False, id="train.newer"),
        Binding("S", "tab(-1)", "The part before", show=False, id="train.before"),
        Binding("right,l", "column(1)", "Next column of the matrix", show=False, id="train.right"),
        Binding("left,h", "column(-1)", "Column before", show=False, id="train.left"),
        *(
            Binding(str(n), f"choose({n - 1})", f"Show: {name}", show=False, id=f"train.{name}")
            for n, name in enumerate(TABS, 1)
        ),
    ]

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = TrainingState(job_id=job_id)
        self._watch = JobWatch()

    @property
    def _artifacts(self) -> Path:
        return self.work.workspace.artifacts

    def store_changed(self) -> None:
        """The app says so at most twice a second; the run reports steps to the store as it goes."""
        self.state.read(self.work.connection, self._artifacts, self._watch, self.work.clock())
        self._show()

    def _show_run(self) -> None:
        lines = self.query_one(LineList)
        width = self.size.width - PADDING
        self._say("head", head(self.state, width))
        self._say("tabs", tabs(self.state))
        room = lines.line_width or self.size.width - 3
        lines.set_lines(training_lines(self.state, lines.key, room, self.size.height - 6))
        self._show_below()

    @on(LineList.Moved)
    def _moved(self) -> None:
        """The matrix has a cursor in the line under the cursor."""
        if self.state.tab == RESULT:
            self._show()
        else:
            self._show_below()

    def told_below(self) -> Content:
        return below(self.state, self._key, self.size.width - PADDING)

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_open(self) -> None:
        state, key = self.state, self._key
        options, place, other = state.opens(key), state.mistake(key), state.other(key)
        if options and state.job_id is not None:
            ask = partial(_behind, self._artifacts, state, options)
            self._lookup.start("rows", ask, self._open_rows, self.work.notify_error)
        elif place is not None:
            self.work.push("training_mistake", state=state, place=place)
        elif other is not None and state.job_id is not None:
            self._compare(state.job_id, other)
        else:
            self.work.say("No rows stand behind this line")

    def _open_rows(self, ids: Sequence[int]) -> None:
        if ids:
            self.work.push("browse", filter=id_filter(ids))
        else:
            self.work.say("There is no such row")

    def _compare(self, job_id: int, other: int) -> None:
        if self.state.metrics is None:
            self.work.say("This run has no figures yet to compare")
            return
        name = next(one.name for one in self.state.runs if one.job_id == other)

        def compared(found: Mapping[str, Any]) -> None:
            if self.state.job_id == job_id:
                self.state.compared = name, found
                self._show()

        ask = partial(_compared, self._artifacts, job_id, other, self.state.head)
        self._lookup.start("compare", ask, compared, self.work.notify_error)

    def action_tab(self, step: int) -> None:
        self.state.turn(step)
        self._to_tab()

    def action_choose(self, number: int) -> None:
        self.state.tab = TABS[number]
        self._to_tab()

    def _to_tab(self) -> None:
        if self.state.tab == MISTAKES:
            self.state.read_mistakes(self.work.connection)
        self.store_changed()
        self.query_one(LineList).action_scroll_home()

    def action_head(self) -> None:
        if self.state.turn_head():
            self._to_tab()
        else:
            self.work.say("This classifier has one head")

    def action_column(self, step: int) -> None:
        self.state.move_column(step)
        self._show()

    def action_review(self) -> None:
        """The form of a new queue, filled: people look at these rows without seeing what was said."""
        if self.state.selection:
            self.work.push("review_new", selection=self.state.selection, values={"aims": "none"})
        else:
            self.work.say("There is no mistake to review")

    def action_mistakes(self) -> None:
        if self.state.selection:
            self.work.push("browse", filter=self.state.selection)
        else:
            self.work.say("There is no mistake to look at")

    def action_report(self) -> None:
        state = self.state
        if state.job_id is None or not state.run.done:
            self.work.say("The report is written when the run has ended")
            return
        ask = partial(_written, self._artifacts / f"job-{state.job_id}", state.job_id)
        self._lookup.start("report", ask, self.work.say, self.work.notify_error)

    def action_page(self) -> None:
        path = self._artifacts / f"job-{self.state.job_id}" / PAGE
        if self.state.job_id is not None and path.exists():
            self.work.copy(str(path), "path of the report")
        else:
            self.work.say("There is no report yet: e writes it")

    def action_run(self, step: int) -> None:
        job_id = self.state.next_job(step)
        if job_id is None:
            self.work.say("There is no older run" if step > 0 else "There is no newer run")
            return
        self._lookup.stop_all()
        self.state.show_job(job_id)
        self._to_tab()


def _behind(artifacts: Path, state: TrainingState, options: str, connection: sqlite3.Connection) -> list[int]:
    assert state.job_id is not None
    return ids_behind(artifacts, state.job_id, state.run, state.head, options)


def _compared(artifacts: Path, one: int, other: int, of_head: str, connection: sqlite3.Connection) -> Mapping[str, Any]:
    return compare_runs(artifacts, one, other, of_head)


def _written(folder: Path, job_id: int, connection: sqlite3.Connection) -> str:
    paths = write_report(folder, job_id, connection)
    return f"Wrote {' and '.join(path.name for path in paths)} into artifacts/{folder.name}; H copies the path"
