"""A one-line editor that is safe for data and quiet: no blinking, no border, no raw control characters."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Input

from refusal_tui.tui import paint


class LineInput(Input):
    """Textual's Input paints its value as it is; a filter may hold a model's name with an escape sequence in it."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, id=id, compact=True, select_on_focus=False)
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(paint.editable(self.value).plain, no_wrap=True, overflow="ignore", end="")
