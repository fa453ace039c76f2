"""Agreement: how well do people and judges agree? Figures grow as labels come in; every cell opens its rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.agreement_report import Asked, HeadAgreement
from refusal_tui.review.agreement_text import report_json
from refusal_tui.store.overview import fingerprint
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_queues import list_queues
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.agreement_lines import agreement_lines, below, summary
from refusal_tui.tui.state.agreement import AgreementState, GridCell
from refusal_tui.tui.widgets.grid import Grid
from refusal_tui.tui.widgets.line_list import LineList

LEAST_SECONDS_BETWEEN_COUNTS = 0.5
REST = 4  # times as long as counting has taken: it must not eat the machine while somebody labels
_MOST_GRID_LINES = 12


class Found(NamedTuple):
    """What was counted for what was asked, and how long it took."""

    wanted: Asked
    report: Sequence[HeadAgreement]
    queues: tuple[str, ...]
    seconds: float


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
        self._counted: tuple[int, int, int] | None = None
        self._waiting = False
        self._grid_height = -1

    def compose_body(self) -> ComposeResult:
        yield Static(id="agreement-summary")
        yield LineList(id="agreement-list")
        yield Static(id="agreement-words")
        yield Grid(id="agreement-grid")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """Count again when labels have come, with a rest in between."""
        mark = fingerprint(self.work.connection)
        if mark != self._counted and not self._waiting:
            self._counted = mark
            self._ask(self.state.wanted)

    def _ask(self, wanted: Asked) -> None:
        self.state.wanted = wanted
        self._waiting = True
        self._lookup.start("agreement", partial(_look_up, wanted), self._loaded, self._failed)
        self._show()

    def _loaded(self, found: Found) -> None:
        if found.wanted == self.state.wanted:
            self.state.report, self.state.queues, self.state.error = found.report, found.queues, None
            self._done(found.seconds)

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._done(0.0)

    def _done(self, seconds: float) -> None:
        self._show()
        self.set_timer(max(LEAST_SECONDS_BETWEEN_COUNTS, REST * seconds), self._rested)

    def _rested(self) -> None:
        self._waiting = False
        if self.is_current:
            self.store_changed()

    def _show(self) -> None:
        lines = self.query_one(LineList)
        lines.set_lines(agreement_lines(self.state, lines.line_width or self.size.width - 3))
        self.state.key = lines.key
        self._tell("#agreement-summary", summary(self.state))
        self._show_below()

    def _show_below(self) -> None:
        words, model = below(self.state, self.size.width)
        grid = self.query_one(Grid)
        self._tell("#agreement-words", words)
        self.query_one("#agreement-words").display = bool(words.plain)
        height = min(_MOST_GRID_LINES, len(model.lines) + 1) if model.lines else 0
        if grid.display != bool(height):
            grid.display = bool(height)
        if height != self._grid_height:
            grid.styles.height = self._grid_height = height
        grid.set_model(model)
        if not height and grid.has_focus:
            self.query_one(LineList).focus()

    def _tell(self, where: str, words: Content) -> None:
        shown = self.query_one(where, Static)
        if not isinstance(shown.content, Content) or not shown.content.is_same(words):
            shown.update(words)

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
        def asked(answer: str | None) -> None:
            if answer is None:
                return
            try:
                compile_filter(self.work.connection, answer)
            except RefusalTuiError as error:
                self.work.notify_error(error)
            else:
                self._ask(self.state.narrowed(answer))

        self.app.push_screen(Ask("Rows", self.state.wanted.selection), asked)

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

    started = time.monotonic()
    report = agreement(connection, wanted)
    queues = tuple(queue.name for queue in list_queues(connection))
    return Found(wanted, report, queues, time.monotonic() - started)
