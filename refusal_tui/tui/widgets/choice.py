"""One of a few values in one line: ‹ value ›. Arrows, h, l or space step through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from refusal_tui.tui import paint


class Choice(Widget, can_focus=True):
    """`values` are what is chosen, `names` how they are shown (the values themselves when left out)."""

    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; }
    Choice:focus { color: $block-cursor-foreground; background: $block-cursor-background; }
    Choice:nocolor:focus { text-style: reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "step(1)", "next value", key_display="→", id="choice.next"),
        Binding("left,h", "step(-1)", "Previous value", show=False, id="choice.previous"),
    ]

    class Changed(Message):
        """Another value was chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> Choice:
            return self.choice

    def __init__(
        self, values: Sequence[str], value: str, *, names: Sequence[str] | None = None, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._values = list(values)
        self._names = list(names or values)
        self._index = self._values.index(value) if value in self._values else 0

    @property
    def value(self) -> str:
        return self._values[self._index]

    def action_step(self, step: int) -> None:
        self._index = (self._index + step) % len(self._values)
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self, event: Click) -> None:
        self.action_step(1)

    def render(self) -> Content:
        return paint.words("‹ ", paint.line(self._names[self._index], max(1, self.size.width - 4)), " ›")
