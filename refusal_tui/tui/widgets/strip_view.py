"""Painted lines that follow a place in them: a strip of tokens. An update repaints what has changed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip

from refusal_tui.tui.widgets.painted import PaintedView


class StripView(PaintedView, can_focus=True):
    """The screen says what the arrows do: `action_layer(step)` and `action_token(step)`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "screen.layer(1)", "layer", key_display="←→", tooltip="Next layer", id="strip.right"),
        Binding("left,h", "screen.layer(-1)", "Previous layer", show=False, id="strip.left"),
        Binding("down,j", "screen.token(1)", "token", key_display="↑↓", tooltip="Next token", id="strip.down"),
        Binding("up,k", "screen.token(-1)", "Token before", show=False, id="strip.up"),
        Binding("ctrl+d,pagedown", "screen.token(20)", "Tokens further on", show=False, id="strip.page_down"),
        Binding("ctrl+u,pageup", "screen.token(-20)", "Tokens back", show=False, id="strip.page_up"),
        Binding("home", "screen.layer(-10000)", "First layer", show=False, id="strip.home"),
        Binding("end,G", "screen.layer(10000)", "Last layer", show=False, id="strip.end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[Content] = []

    def show(self, lines: Sequence[Content], around: range) -> None:
        """`around`: lines that must be in view."""
        old, self._shown = self._shown, list(lines)
        if len(old) != len(lines):
            self.virtual_size = Size(self.size.width, len(lines))
            self.refresh()
        else:
            for y, (one, other) in enumerate(zip(old, self._shown, strict=True)):
                if not one.is_same(other):
                    self.refresh_line(y)
        top, height = self.scroll_offset.y, self.size.height
        if around.start < top:
            self.scroll_to(y=around.start, animate=False, force=True)
        elif height and around.stop > top + height:
            self.scroll_to(y=around.stop - height, animate=False, force=True)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._shown))

    def render_line(self, y: int) -> Strip:
        index, width, base = y + self.scroll_offset.y, self.size.width, self.visual_style
        if index >= len(self._shown):
            return Strip.blank(width, base.rich_style)
        return Strip(self.segments(self._shown[index], base)).crop_extend(0, width, base.rich_style)
