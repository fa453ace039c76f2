"""Results: who refuses how much? Every line opens its rows."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.results.compare import Comparison, compare_models
from refusal_tui.results.forest import forest_svg
from refusal_tui.results.render import table_csv, table_markdown
from refusal_tui.results.table import ResultsTable, results_table
from refusal_tui.tui.ask import ask_rows
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.recount import Recount
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.results_lines import COMPARE, results_lines, summary
from refusal_tui.tui.state.results import GROUPINGS, Asked, ResultsState
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark

LEAST_SECONDS_BETWEEN_COUNTS = 5.0  # a million labels take as long to count


class ResultsScreen(WorkScreen):
    """Refusal, over-refusal and fulfilment by model, dataset and category. `filter` chooses the rows."""

    AREA = "Results"
    NAME = "Who refuses"
    CSS_PATH = "results.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_rows", "rows", tooltip="Browse the rows of this line", id="results.rows"),
        Binding("b", "grouping", "group by", tooltip="Group by model, dataset, category", id="results.by"),
        Binding("l", "labels", "labels", tooltip="Whose labels count", id="results.labels"),
        Binding("o", "sort", "order", tooltip="Order by name or by a rate", id="results.sort"),
        Binding("slash", "select", "filter", tooltip="Choose the rows", id="results.filter"),
        Binding("c", "compare", "compare", tooltip="Compare this model with another", id="results.compare"),
        Binding("e", "write", "write", tooltip="Write the table as CSV, Markdown and SVG", id="results.write"),
    ]

    def __init__(self, filter: str = "", by: tuple[str, ...] = GROUPINGS[0]) -> None:
        super().__init__()
        self.state = ResultsState(wanted=Asked(filter, by))
        self._lookup = Lookup(self)
        self._recount = Recount(self, self._lookup, _look_up, self._counted, self._failed, LEAST_SECONDS_BETWEEN_COUNTS)

    def compose_body(self) -> ComposeResult:
        yield Remark(id="results-summary")
        yield LineList(id="results-list")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """Count again when labels have come, but not all the time while a job runs."""
        self._recount.follow(self.state.wanted)

    def _ask(self, wanted: Asked) -> None:
        self.state.wanted = wanted
        self._recount.ask(wanted)
        self._show()

    def _counted(self, table: ResultsTable) -> None:
        self.state.table, self.state.error = table, None
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        lines = self.query_one(LineList)
        lines.set_lines(results_lines(self.state, lines.line_width or self.size.width - 3))
        self.query_one("#results-summary", Remark).say(summary(self.state))

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_open_rows(self) -> None:
        key = self.query_one(LineList).key
        if key is None:
            return
        if key.startswith(COMPARE) and self.state.comparison is not None:
            self.work.push("browse", filter=self.state.comparison.filter)
        else:
            self.work.push("browse", filter=self.state.cells[int(key)].filter)

    def action_grouping(self) -> None:
        self._ask(self.state.next_grouping())

    def action_labels(self) -> None:
        self._ask(self.state.next_judge())

    def action_sort(self) -> None:
        self.state.next_sort()
        self._show()

    def action_select(self) -> None:
        ask_rows(self, self.state.wanted.selection, lambda chosen: self._ask(self.state.narrowed(chosen)))

    def action_compare(self) -> None:
        """The first press remembers a model, the second compares; pressed on the same model again it forgets."""
        key = self.query_one(LineList).key
        model = None if key is None or key.startswith(COMPARE) else self.state.model_of(self.state.cells[int(key)])
        if model is None:
            self.work.say("This line is not about a model with a name")
        elif self.state.first is None or self.state.first == model:
            self.state.first = None if self.state.first == model else model
            self._show()
        else:
            wanted, first = self.state.wanted, self.state.first
            self.state.first = None
            ask = partial(_compare, wanted, first, model)
            self._lookup.start("compare", ask, self._compared, self.work.notify_error)

    def _compared(self, found: Comparison) -> None:
        self.state.comparison = found
        self._show()
        lines = self.query_one(LineList)
        lines.choose(next((line.key for line in lines.shown if line.key and line.key.startswith(COMPARE)), ""))

    def action_write(self) -> None:
        table = self.state.table
        if table is None or not table.cells:
            self.work.say("There is no table to write")
            return
        stem = "results-" + time.strftime("%Y%m%d-%H%M%S", time.localtime(self.work.clock()))
        texts = {".csv": table_csv(table), ".md": table_markdown(table), ".svg": forest_svg(table)}
        try:
            for ending, text in texts.items():
                (self.work.workspace.artifacts / (stem + ending)).write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            self.work.say(f"The table could not be written: {error.strerror or error}")
        else:
            self.work.say(f"Wrote artifacts/{stem}.csv, .md and .svg")


def _look_up(wanted: Asked, connection: sqlite3.Connection) -> ResultsTable:
    return results_table(connection, wanted.selection, wanted.by, wanted.judge)


def _compare(wanted: Asked, one: str, other: str, connection: sqlite3.Connection) -> Comparison:
    """Prompts of another kind (a split) are not mixed where the table does not mix them."""
    by = tuple(group for group in wanted.by if group == "split")
    return compare_models(connection, one, other, wanted.selection, by, wanted.judge)
