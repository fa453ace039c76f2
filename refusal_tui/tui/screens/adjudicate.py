"""Disagreements: the rows worth settling, the most valuable first. Enter settles them from the cursor on."""

from __future__ import annotations

from contextlib import closing
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.review.adjudication import Disagreement, Wanted, adjudication_of
from refusal_tui.review.annotator import annotator_named
from refusal_tui.store.review_queues import get_queue
from refusal_tui.tui.ask import ask_rows
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.recount import Recount
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.adjudicate_view import counted, disagreement_lines, summary
from refusal_tui.tui.state.adjudicate import AdjudicateState, FoundDisagreements, look_up
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark


class AdjudicateScreen(WorkScreen):
    """Of the rows of `filter` and `queue`, about `head`, between `annotators` (everybody where nobody is named)."""

    AREA = "Review"
    NAME = "Disagreements"
    CSS_PATH = "adjudicate.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "settle", "settle", tooltip="Settle the rows from here on", id="adjudicate.settle"),
        Binding("slash", "select", "filter", tooltip="Choose the rows", id="adjudicate.filter"),
        Binding("u", "queue", "queue", tooltip="All rows, or those of a review queue", id="adjudicate.queue"),
        Binding("w", "everybody", "everybody", tooltip="Between everybody again", id="adjudicate.everybody"),
        Binding("b", "browse", "browse", tooltip="Browse what is settled already", id="adjudicate.browse"),
    ]

    def __init__(
        self,
        filter: str = "",
        queue: str | None = None,
        head: str = REFUSAL3,
        annotators: tuple[str, ...] = (),
        annotator: str | None = None,
    ) -> None:
        super().__init__()
        self.state = AdjudicateState(Wanted(filter, None, head, annotators))
        self._queue_name = queue
        self._annotator = annotator_named(annotator)
        self._lookup = Lookup(self)
        self._recount = Recount(self, self._lookup, look_up, self._counted, self._failed)
        self._making = False

    def compose_body(self) -> ComposeResult:
        yield Remark(id="adjudicate-summary")
        yield LineList(id="adjudicate-list")
        yield Remark(id="adjudicate-counts")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        if self._queue_name is not None:
            try:
                queue = get_queue(self.work.connection, self._queue_name)
            except RefusalTuiError as error:
                self.work.notify_error(error)
            else:
                wanted = self.state.wanted
                self.state.wanted = Wanted(wanted.selection, queue, wanted.head, wanted.annotators)
        self.store_changed()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        if not self._making:
            self._recount.follow(self.state.wanted)

    def _ask(self, wanted: Wanted) -> None:
        self.state.wanted = wanted
        self._recount.ask(wanted)
        self._show()

    def _counted(self, answer: FoundDisagreements) -> None:
        self.state.answer, self.state.error = answer, None
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        if not self.is_attached:
            return
        lines = self.query_one(LineList)
        lines.set_lines(disagreement_lines(self.state, lines.line_width or self.size.width - 3))
        self.query_one("#adjudicate-summary", Remark).say(summary(self.state))
        self.query_one("#adjudicate-counts", Remark).say(counted(self.state))

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_settle(self) -> None:
        if self.state.found and not self._making:
            self._making = True
            self._make(list(self.state.from_here(self.query_one(LineList).key)), self.state.wanted)

    @work(thread=True, exit_on_error=False, group="make")
    def _make(self, found: list[Disagreement], wanted: Wanted) -> None:
        try:
            with closing(self.work.workspace.open()) as connection:
                queue = adjudication_of(connection, found, wanted, self._annotator)
        except RefusalTuiError as error:
            self.call_later(self._made, None, error)
            return
        self.call_later(self._made, queue.name, None)

    def _made(self, name: str | None, error: RefusalTuiError | None) -> None:
        self._making = False
        if error is not None:
            self.work.notify_error(error)
        elif self.is_current:
            self.work.push("adjudicate_card", queue=name, annotator=self._annotator)

    def action_select(self) -> None:
        ask_rows(self, self.state.wanted.selection, lambda chosen: self._ask(self.state.narrowed(chosen)))

    def action_queue(self) -> None:
        if self.state.answer is not None and self.state.answer.queues:
            self._ask(self.state.next_queue())
        else:
            self.work.say("There is no review queue")

    def action_everybody(self) -> None:
        wanted = self.state.wanted
        self._ask(Wanted(wanted.selection, wanted.queue, wanted.head))

    def action_browse(self) -> None:
        self.work.push("browse", filter="is:settled")
