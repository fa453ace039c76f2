"""New queue: which rows do people label, and what are they asked? Every setting has a default that works."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.queues import free_name, new_queue
from refusal_tui.review.spec import QueueSpec
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.review import NewQueueState
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.rows_field import RowsField
from refusal_tui.tui.widgets.spec_form import SpecForm, focused_remark


class ReviewNewScreen(WorkScreen):
    """`selection` is a filter: the rows to draw from; `values`: settings by name. The first card takes this screen's
    place."""

    AREA = "Review"
    NAME = "New queue"
    CSS_PATH = "review_new.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "make", "make it, label", tooltip="Make the queue", priority=True, id="review_new.make"),
        Binding("escape", "escape", "back", tooltip="Back; nothing is made", id="review_new.back"),
        Binding("down", "app.focus_next", "Next field", show=False, id="review_new.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, id="review_new.previous"),
    ]

    def __init__(
        self, selection: str = "", annotator: str | None = None, values: Mapping[str, object] | None = None
    ) -> None:
        super().__init__()
        self._annotator = annotator
        self._state = NewQueueState.with_defaults(selection, values)
        self._making = False

    def compose_body(self) -> ComposeResult:
        state = self._state
        state.values["name"] = free_name(self.work.connection)
        with Vertical(id="review-new"):
            yield RowsField(state.selection, id="review-rows")
            yield SpecForm(state.fields, state.values)
            yield Remark(id="review-hint")
            yield Remark(id="review-ready")
            yield Remark(id="review-command")

    def on_mount(self) -> None:
        self.query_one("#review-rows").focus()
        self._show()

    @on(RowsField.Changed)
    def change_rows(self, event: RowsField.Changed) -> None:
        self._state.selection, self._state.check = event.selection, event.check
        self._show()

    @on(LineInput.Submitted, "#review-rows")
    @on(SpecForm.Entered)
    def leave_field(self) -> None:
        self.focus_next()

    @on(SpecForm.Edited)
    def edit(self, event: SpecForm.Edited) -> None:
        self._state.put(event.name or "", event.value)
        self._show()

    def _show(self) -> None:
        if not self.is_attached:
            return
        state = self._state
        self.query_one(SpecForm).show_errors(state.errors)
        self.query_one("#review-command", Remark).say(paint.words(("$ ", paint.MUTED), paint.line(state.command, 400)))
        self.query_one("#review-ready", Remark).say(self._ready())
        self._hint()

    @on(events.DescendantFocus)
    def _hint(self) -> None:
        """The whole of what stands beside the field that is edited: there it may be cut."""
        self.query_one("#review-hint", Remark).say(focused_remark(self))

    def _ready(self) -> Content:
        if self._making:
            return paint.words("The rows are being drawn…")
        if self._state.problem:
            return paint.words(("Not yet: ", paint.WARN), paint.line(self._state.problem, 200))
        return paint.keys(("ctrl+s", "make the queue and show its first card"))

    def action_make(self) -> None:
        spec = self._state.spec()
        if spec is None or self._state.problem or self._making:
            self._show()
            return
        self._making = True
        self._show()
        self._make(spec, self._state.selection)

    @work(thread=True, exit_on_error=False, group="make")
    def _make(self, spec: QueueSpec, selection: str) -> None:
        """Reading the labels of a million rows takes seconds: in a thread."""
        try:
            with closing(self.work.workspace.open()) as connection:
                queue = new_queue(connection, selection, spec)
        except RefusalTuiError as error:
            self.call_later(self._not_made, error)
            return
        self.call_later(self._done, queue.name)

    def _not_made(self, error: RefusalTuiError) -> None:
        self._making = False
        self.work.notify_error(error)
        self._show()

    def _done(self, name: str) -> None:
        """Escape on the card leads back to where the queue was asked for."""
        work = self.work
        self.dismiss(None)
        work.push("review_card", queue=name, annotator=self._annotator)
