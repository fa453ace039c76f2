"""An editor of a few lines that is safe for data and quiet: hidden characters are seen, nothing blinks."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from refusal_tui.tui import paint


class TextEditor(TextArea):
    """Wraps at blanks. Enter is done, escape leaves the text as it was: what is edited here is one paragraph."""

    KEYS_TITLE = "While editing"
    DEFAULT_CSS = """
    TextEditor, TextEditor:focus { border: none; padding: 0; background: $panel; height: auto; max-height: 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "done", "keep this wording", id="editor.done"),
        Binding("escape", "give_up", "leave it as it was", id="editor.give_up"),
    ]

    class Ended(Message):
        """`text` is what was written; None: nothing shall change."""

        def __init__(self, text: str | None) -> None:
            super().__init__()
            self.text = text

    def __init__(self, text: str, *, id: str | None = None) -> None:
        super().__init__(text, soft_wrap=True, compact=True, highlight_cursor_line=False, id=id)
        self.cursor_blink = False
        self.move_cursor(self.document.end)

    def get_line(self, line_index: int) -> Text:
        """Textual would pass escape sequences of the text through to the terminal."""
        return Text(paint.editable(self.document.get_line(line_index)).plain, end="", no_wrap=True)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_done()
            return
        await super()._on_key(event)

    def action_done(self) -> None:
        self.post_message(self.Ended(self.text))

    def action_give_up(self) -> None:
        self.post_message(self.Ended(None))
