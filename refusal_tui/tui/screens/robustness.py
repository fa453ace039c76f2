"""Robustness: does refusal survive fine-tuning? Arms and invariants live, then curve, rates and conclusion; and what
cleaning the data changes in a model that is fine-tuned on it."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.errors import RefusalTuiError
from refusal_tui.finetune.cleaned import page as cleaned_page
from refusal_tui.finetune.cleaned.read import KIND as CLEANED_KIND
from refusal_tui.finetune.document import PAGE, write_report
from refusal_tui.store.jobs import get_job
from refusal_tui.tui.recount import Recount
from refusal_tui.tui.run_screen import PADDING, RunScreen
from refusal_tui.tui.screens.raw_cleaned_lines import compared_lines
from refusal_tui.tui.screens.robustness_lines import below, head, robustness_lines, tabs
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.robustness import (
    CURVE,
    NAMES,
    TABS,
    TRAINING,
    RobustnessState,
    Seen,
    answers_of,
    see,
)
from refusal_tui.tui.widgets.line_list import LineList

_OF_BOTH = {CURVE: "curve, or diversity"}
_AROUND = 7  # lines that are not the list: header, footer, head, tabs, what stands below


class RobustnessScreen(RunScreen):
    """The run of robustness job `job_id`, or of the latest one, live."""

    AREA = "Results"
    NAME = "Robustness"
    PART = "robustness"
    state: RobustnessState
    CSS_PATH = "robustness.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "answers", tooltip="Browse the answers of this arm", id="robust.open"),
        Binding("s", "tab(1)", "next", tooltip="The next part", id="robust.next"),
        Binding("c", "results", "compare", tooltip="Results: base and arms, two compared", id="robust.results"),
        Binding("e", "report", "report", tooltip="Write the report as one HTML file", id="robust.report"),
        Binding("b", "job", "job", tooltip="The job of this run", id="robust.job"),
        Binding("right_square_bracket", "run(1)", "older", tooltip="The run before", id="robust.older"),
        Binding("left_square_bracket", "run(-1)", "The run after", show=False, id="robust.newer"),
        Binding("t", "variant", "The next learning rate or number of steps", show=False, id="robust.variant"),
        Binding("H", "page", "Copy where the report is", show=False, id="robust.page"),
        Binding("S", "tab(-1)", "The part before", show=False, id="robust.before"),
        *(
            Binding(str(n), f"choose({n - 1})", f"Show: {_OF_BOTH.get(name, name)}", show=False, id=f"robust.{name}")
            for n, name in enumerate(TABS, 1)
        ),
    ]

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = RobustnessState(job_id=job_id)
        self._watch = JobWatch()
        self._recount = Recount(self, self._lookup, self._look, self._seen, self._failed)

    def crumbs(self) -> str:
        return super().crumbs().replace(self.NAME, NAMES[self.state.kind])

    @property
    def _artifacts(self) -> Path:
        return self.work.workspace.artifacts

    def store_changed(self) -> None:
        """The job tells the store how far it is; its folder is read beside, when the store has news."""
        self.state.read_job(self.work.connection, self._watch, self.work.clock())
        if self.state.job_id is not None and self.state.line is not None:
            self._recount.follow(self.state.job_id)
        self._show()

    def _look(self, job_id: int, connection: sqlite3.Connection) -> Seen:
        return see(self._artifacts / f"job-{job_id}", job_id, connection)

    def _seen(self, seen: Seen) -> None:
        self.state.take(seen)
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show_run(self) -> None:
        lines, width = self.query_one(LineList), self.size.width - PADDING
        self._say("head", head(self.state, width))
        self._say("tabs", tabs(self.state))
        room = lines.line_width or self.size.width - 3
        told = compared_lines if self.state.seen.compared is not None else robustness_lines
        lines.set_lines(told(self.state, lines.key, room, self.size.height - _AROUND))
        self._show_below()

    @on(LineList.Moved)
    def _moved(self) -> None:
        """What is drawn is the arm under the cursor."""
        if self.state.tab in (CURVE, TRAINING):
            self._show()
        else:
            self._show_below()

    def told_below(self) -> Content:
        return below(self.state, self._key, self.size.width - PADDING)

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_open(self) -> None:
        answers = answers_of(self._key)
        if answers:
            self.work.push("browse", filter=answers)
        else:
            self.work.say("No answers stand behind this line (yet)")

    def action_results(self) -> None:
        """Where any two of them are compared, by whichever judge or person."""
        answers = self.state.all_answers
        if answers:
            by = ("split", "model") if self.state.seen.compared is not None else ("model",)
            self.work.push("results", filter=answers, by=by)
        else:
            self.work.say("Nothing has been asked yet")

    def action_tab(self, step: int) -> None:
        self.state.turn(step)
        self._to_tab()

    def action_choose(self, number: int) -> None:
        self.state.chosen = self.state.tabs[number]
        self._to_tab()

    def _to_tab(self) -> None:
        self._show()
        self.query_one(LineList).action_scroll_home()

    def action_variant(self) -> None:
        if self.state.turn_variant():
            self._to_tab()
        else:
            self.work.say("This run has one learning rate and one number of steps")

    def action_report(self) -> None:
        job_id = self.state.job_id
        if job_id is not None:
            ask = partial(_written, self._artifacts / f"job-{job_id}", job_id)
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
        self.state.show_job(job_id)
        self.state.read_job(self.work.connection, self._watch, self.work.clock())
        self._recount.ask(job_id)
        self._to_tab()


def _written(folder: Path, job_id: int, connection: sqlite3.Connection) -> str:
    if get_job(connection, job_id).kind == CLEANED_KIND:
        path = cleaned_page.write_report(folder, job_id, connection)
    else:
        path = write_report(folder, job_id)
    return f"Wrote {path.name} into artifacts/{folder.name}; H copies the path"
