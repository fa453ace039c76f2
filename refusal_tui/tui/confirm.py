"""Something that cannot be taken back asks once more, over the footer: the same key again means yes."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from refusal_tui.tui import paint
from refusal_tui.tui.steady import Overlay


class Confirm(Overlay[bool]):
    """Answers True for `key`, False for any other one."""

    DEFAULT_CLASSES = "overlay"

    def __init__(self, question: Content, key: str) -> None:
        super().__init__()
        self._question = question
        self._key = key

    def compose(self) -> ComposeResult:
        answers = paint.keys((self._key, "again: yes"), ("any other key", "no"))
        yield Static(paint.words(self._question, "  ", answers), classes="line")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(event.character == self._key)
