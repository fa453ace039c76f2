"""The filter of Browse: one line to edit, one line that says what is shown, helps, or tells what is wrong.

The second line is always there: a line that comes and goes would move the table and repaint the screen.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from refusal_tui.errors import RefusalTuiError
from refusal_tui.text.safe import cell_width
from refusal_tui.tui import paint
from refusal_tui.tui.state.browse import check, complete, completions
from refusal_tui.tui.widgets.line_input import LineInput


class FilterInput(LineInput):
    """Enter applies, tab completes, escape leaves the filter as it was."""

    KEYS_TITLE = "While filtering"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "apply", tooltip="Apply the filter", id="filter.apply"),
        Binding("tab", "complete", "complete", tooltip="Complete the word", id="filter.complete"),
        Binding("escape", "cancel", "cancel", tooltip="Leave the filter as it was", id="filter.cancel"),
        Binding("ctrl+u", "delete_left_all", "clear", tooltip="Clear the line", id="filter.clear"),
    ]

    class Completed(Message):
        """Tab was pressed."""

    class Cancelled(Message):
        """Escape was pressed: forget what was typed."""

    def action_complete(self) -> None:
        self.post_message(self.Completed())

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled())


class FilterBar(Vertical):
    """Posts `Applied` with the new filter; the screen says what came of it."""

    class Applied(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Closed(Message):
        """Editing ended without a new filter."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._applied = text
        self._editing = False
        self._datasets: list[str] = []
        self._selections: list[str] = []
        self._status = self._said = paint.NOTHING
        self._error: Content | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Static(paint.words(("/ ", paint.KEY)), id="filter-sign")
            yield FilterInput(self._applied, placeholder="everything; press / to filter", id="filter-text")
        yield Static(paint.NOTHING, id="filter-says")

    def on_mount(self) -> None:
        self.query_one(FilterInput).can_focus = False  # tab and mouse do not wander into it; / does

    # --- what the screen tells it ----------------------------------------------------------------------------------

    def edit(self, datasets: list[str], selections: list[str]) -> None:
        self._datasets, self._selections = datasets, selections
        self._editing = True
        field = self.query_one(FilterInput)
        field.can_focus = True
        self.screen.set_focus(field)  # at once: what was typed ahead belongs into it
        field.cursor_position = len(field.value)
        self._say()

    def show_filter(self, text: str) -> None:
        self._applied = text
        self.query_one(FilterInput).value = text

    def show_status(self, status: str) -> None:
        """How many rows there are; an error stays until it is mended."""
        self._status = paint.words((status, paint.MUTED))
        self._say()

    def show_error(self, error: RefusalTuiError | None) -> None:
        """What is wrong with the filter; it stays in the bar to be mended."""
        self._error = paint.error(error) if error is not None else None
        self._say()

    def _say(self) -> None:
        """While typing: what may come next. Else the error if there is one. Else the status."""
        said = self._hint() if self._editing else self._error or self._status
        if not said.is_same(self._said):
            self._said = said
            self.query_one("#filter-says", Static).update(said, layout=False)

    # --- editing ---------------------------------------------------------------------------------------------------

    @on(FilterInput.Changed)
    def typed(self, event: FilterInput.Changed) -> None:
        event.stop()
        self._say()

    def _hint(self) -> Content:
        text = self.query_one(FilterInput).value
        choices = completions(text, self._datasets, self._selections)
        wrong = check(text)
        if choices:
            return _choices(choices, self.size.width - 4)
        if wrong is not None:
            return paint.error(wrong)
        return paint.words(('word  "a phrase"  word*  -not  judge:hard,soft  length>400  @saved', paint.MUTED))

    @on(FilterInput.Completed)
    def complete_first(self) -> None:
        field = self.query_one(FilterInput)
        choices = completions(field.value, self._datasets, self._selections)
        if choices:
            choice = choices[0] if choices[0][-1] in ":>" else choices[0] + " "
            field.value = complete(field.value, choice)
            field.cursor_position = len(field.value)

    @on(FilterInput.Submitted)
    def apply(self, event: FilterInput.Submitted) -> None:
        event.stop()
        self._applied = event.value
        self._close()
        self.post_message(self.Applied(event.value))

    @on(FilterInput.Cancelled)
    def cancel(self) -> None:
        self.query_one(FilterInput).value = self._applied
        self._close()
        self.post_message(self.Closed())

    def _close(self) -> None:
        self._editing = False
        self._say()
        self.query_one(FilterInput).can_focus = False


def _choices(choices: list[str], width: int) -> Content:
    """As many completions as fit; tab takes the first."""
    parts: list[Content | tuple[str, str] | str] = [("tab ", paint.KEY)]
    used = 4
    for choice in choices:
        shown = paint.line(choice, 40, paint.MUTED if len(parts) > 1 else "")
        used += cell_width(shown.plain) + 2
        if used > width:
            break
        parts += [shown, "  "]
    return paint.words(*parts)
