"""One question, one line of answer, over the footer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.widgets import Static

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.query import compile_filter
from refusal_tui.tui import paint
from refusal_tui.tui.steady import Overlay
from refusal_tui.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from refusal_tui.tui.screen import WorkScreen


class Ask(Overlay[str | None]):
    """Answers with what was typed, or None for escape. `anew`: what is typed takes the place of `value`, which the
    arrow keys keep, to be edited."""

    DEFAULT_CLASSES = "overlay"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel")]

    def __init__(self, question: str, value: str = "", *, anew: bool = False) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._anew = anew

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static(paint.words((self._question + "  ", paint.STRONG)), classes="question")
            yield LineInput(self._value)
            yield Static(paint.keys(("enter", "ok"), ("esc", "cancel")), classes="answer-keys")

    def on_mount(self) -> None:
        if self._anew:
            self.query_one(LineInput).action_select_all()

    def on_key(self, event: Key) -> None:
        """What is typed before the line has the focus is not lost."""
        if self.focused is None and event.character is not None and event.is_printable:
            line = self.query_one(LineInput)
            line.replace(event.character, *sorted(line.selection))

    @on(LineInput.Submitted)
    def answer(self, event: LineInput.Submitted) -> None:
        self.dismiss(event.value)


def ask_rows(screen: WorkScreen, selection: str, chosen: Callable[[str], None]) -> None:
    """Ask for a filter; `chosen` hears one that compiles, a notice says what is wrong with another."""

    def answered(answer: str | None) -> None:
        if answer is None:
            return
        try:
            compile_filter(screen.work.connection, answer)
        except RefusalTuiError as error:
            screen.work.notify_error(error)
        else:
            chosen(answer)

    screen.app.push_screen(Ask("Rows", selection), answered)
