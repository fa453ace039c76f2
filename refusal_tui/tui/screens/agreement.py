"""Agreement: how well do people and judges agree? Figures grow as labels come in; every cell opens its rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.agreement_report import Asked, HeadAgreement
from refusal_tui.review.agreement_text import report_json
from refusal_tui.store.review_queues import list_queues
from refusal_tui.tui.ask import ask_rows
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.recount import Recount
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.agreement_lines import agreement_lines, below, summary
from refusal_tui.tui.state.agreement import AgreementState, GridCell
from refusal_tui.tui.widgets.grid import Grid
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark

_MOST_GRID_LINES = 12


class Found(NamedTuple):
    """What was counted, and the names of the queues."""

    report: Sequence[HeadAgreement]
    queues: tuple[str, ...]


class AgreementScreen(WorkScreen):
    """Percent, kappa, alpha and AC1 of groups and pairs, a judge's errors, and a matrix. `filter` chooses the rows."""

    AREA = "Review"
    NAME = "Agreement"
    CSS_PATH = "agreement.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "into_matrix", "matrix, rows", tooltip="Into the matrix; there: rows", id="agreement.matrix"),
        Binding("b", "head", "head", tooltip="The next head", id="agreement.head"),
        Binding("u", "queue", "queue", tooltip="All rows, or those of a review queue", id="agreement.queue"),
        Binding("s", "parts", "parts", tooltip="By source, by model, blind and assisted", id="agreement.parts"),
        Binding("m", "settle", "settle", tooltip="Settle what the two (or a cell) differ on", id="agreement.settle"),
        Binding("d", "apart", "apart", tooltip="Browse all rows on which the two differ", id="agreement.apart"),
        Binding("slash", "select", "filter", tooltip="Choose the rows", id="agreement.filter"),
        Binding("e", "write", "write", tooltip="Write the report as JSON", id="agreement.write"),
    ]

    def __init__(self, filter: str = "", queue: str | None = None, head: str | None = None) -> None:
        super().__init__()
        self.state = AgreementState(Asked(filter, queue=queue), head=head)
        self._lookup = Lookup(self)
        self._recount = Recount(self, self._lookup, _look_up, self._counted, self._failed)
        self._grid_height = -1

    def compose_body(self) -> ComposeResult:
        yield Remark(id="agreement-summary")
        yield LineList(id="agreement-list")
        yield Remark(id="agreement-words")
        yield Grid(id="agreement-grid")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """Count again when labels have come, with a rest in between."""
        self._recount.follow(self.state.wanted)

    def _ask(self, wanted: Asked) -> None:
        self.state.wanted = wanted
        self._recount.ask(wanted)
        self._show()

    def _counted(self, found: Found) -> None:
        self.state.report, self.state.queues, self.state.error = found.report, found.queues, None
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        lines = self.query_one(LineList)
        lines.set_lines(agreement_lines(self.state, lines.line_width or self.size.width - 3))
        self.state.key = lines.key
        self.query_one("#agreement-summary", Remark).say(summary(self.state))
        self._show_below()

    def _show_below(self) -> None:
        words, model = below(self.state, self.size.width)
        grid = self.query_one(Grid)
        remark = self.query_one("#agreement-words", Remark)
        remark.say(words)
        remark.display = bool(words.plain)
        height = min(_MOST_GRID_LINES, len(model.lines) + 1) if model.lines else 0
        if grid.display != bool(height):
            grid.display = bool(height)
        if height != self._grid_height:
            grid.styles.height = self._grid_height = height
        grid.set_model(model)
        if not height and grid.has_focus:
            self.query_one(LineList).focus()

    @on(LineList.Moved)
    def _moved(self) -> None:
        key = self.query_one(LineList).key
        if key != self.state.key:
            self.state.key = key
            self._show_below()

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_into_matrix(self) -> None:
        if self.query_one(Grid).display:
            cell = self.state.worst_cell()
            self.query_one(Grid).choose(cell.line, cell.column)
            self.query_one(Grid).focus()

    @on(Grid.Opened)
    def _open_cell(self, event: Grid.Opened) -> None:
        if self.state.pair is None:
            self.work.say("These are a person's own labels; their rows are in the queue")
        elif not self.state.matrix[event.line][event.column]:
            self.work.say("There is no row in this cell")
        elif (chosen := self.state.filter_of(GridCell(event.line, event.column))) is None:
            self.work.say("No filter can name these rows; choose fewer with /")
        else:
            self.work.push("browse", filter=chosen)

    def action_escape(self) -> None:
        """From the matrix back to the list, from there back to the screen below."""
        if self.query_one(Grid).has_focus:
            self.query_one(LineList).focus()
        else:
            super().action_escape()

    def action_head(self) -> None:
        self.state.next_head()
        self._show()

    def action_queue(self) -> None:
        if self.state.queues or self.state.wanted.queue is not None:
            self._ask(self.state.next_queue())
        else:
            self.work.say("There is no review queue")

    def action_parts(self) -> None:
        self.state.parts = not self.state.with_parts
        self._show()

    def action_apart(self) -> None:
        pair = self.state.pair
        if pair is None or not pair.disagreements:
            self.work.say("Choose a pair that differs somewhere")
        elif pair.apart is None:
            self.work.say("No filter can name so many rows; choose fewer with /")
        else:
            self.work.push("browse", filter=pair.apart)

    def action_settle(self) -> None:
        """What the pair under the cursor, or a cell of its matrix, differs on; without a pair, everybody."""
        pair, shown, grid = self.state.pair, self.state.shown, self.query_one(Grid)
        cell = GridCell(*grid.cell) if pair and grid.has_focus else None
        chosen = self.state.filter_of(cell) if cell else None
        if cell and (chosen is None or cell.line == cell.column):
            self.work.say("Choose a cell in which the two differ")
            return
        rows = (chosen, None) if chosen else (self.state.wanted.selection, self.state.wanted.queue)
        names, head = (pair.one, pair.other) if pair else (), shown.head if shown else "refusal3"
        self.work.push("adjudicate", filter=rows[0], queue=rows[1], head=head, annotators=names)

    def action_select(self) -> None:
        ask_rows(self, self.state.wanted.selection, lambda chosen: self._ask(self.state.narrowed(chosen)))

    def action_write(self) -> None:
        if not self.state.report:
            self.work.say("There is no report to write")
            return
        name = "agreement-" + time.strftime("%Y%m%d-%H%M%S", time.localtime(self.work.clock())) + ".json"
        try:
            text = json.dumps(report_json(self.state.report), indent=2)
            (self.work.workspace.artifacts / name).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            self.work.say(f"The report could not be written: {error.strerror or error}")
        else:
            self.work.say(f"Wrote artifacts/{name}")


def _look_up(wanted: Asked, connection: sqlite3.Connection) -> Found:
    from refusal_tui.review.agreement import agreement  # numpy: here, in the thread

    return Found(agreement(connection, wanted), tuple(queue.name for queue in list_queues(connection)))
