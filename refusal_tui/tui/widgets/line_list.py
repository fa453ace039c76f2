"""A short list of painted lines, some of which can be chosen. An update repaints the lines that have changed alone.

Textual's own lists repaint themselves whole on every change; a job that reports twice a second would send kilobytes
over a slow link. Here a moving progress bar costs one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.painted import PaintedView

GUTTER = 2


@dataclass(frozen=True, slots=True)
class Line:
    """`key` names what the line stands for; a line without one (a heading, say) is passed over by the cursor."""

    content: Content = paint.NOTHING
    key: str | None = None

    def same_as(self, other: Line) -> bool:
        return self.key == other.key and self.content.is_same(other.content)


class LineList(PaintedView, can_focus=True):
    """Lines that are chosen with the cursor and opened with Enter."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--cursor", "line-list--blurred"}
    DEFAULT_CSS = """
    LineList { height: 1fr; }
    LineList > .line-list--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    LineList > .line-list--blurred {
        background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground;
        text-style: $block-cursor-blurred-text-style;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up"),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False, id="list.half_down"),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False, id="list.half_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="list.page_down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="list.page_up"),
        Binding("home", "scroll_home", "Top", show=False, id="list.top"),
        Binding("end,G", "scroll_end", "Bottom", show=False, id="list.bottom"),
        Binding("enter", "open", "Open", show=False, id="list.open"),
    ]

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: LineList) -> None:
            super().__init__()
            self.lines = lines
            self.key = lines.key

        @property
        def control(self) -> LineList:
            return self.lines

    class Opened(Moved):
        """Enter was pressed on a line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[Line] = []
        self._cursor = 0
        self._moved = False  # until the user moves it, the cursor stays on the first line that can be chosen

    @property
    def key(self) -> str | None:
        """What the cursor stands on."""
        return self._shown[self._cursor].key if self._cursor < len(self._shown) else None

    @property
    def shown(self) -> Sequence[Line]:
        return self._shown

    @property
    def at_end(self) -> bool:
        """Whether the cursor stands on the last line that can be chosen."""
        return self._cursor == self._near(len(self._shown) - 1, -1, 0)

    @property
    def line_width(self) -> int:
        """Cells that a line's content may take."""
        return max(0, self.scrollable_content_region.width - GUTTER)

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Replace the lines; the cursor stays on its key where that is still there. Repaints what differs."""
        old, before = self._shown, self.key
        self._shown = list(lines)
        self._cursor = self._place(before)
        if len(old) != len(lines) or self.key != before:
            self.virtual_size = Size(self.size.width, len(lines))
            self.refresh()
            if self.key != before:
                self.post_message(self.Moved(self))
            return
        for y, (one, other) in enumerate(zip(old, self._shown, strict=True)):
            if not one.same_as(other):
                self.refresh_line(y)

    def choose(self, key: str) -> None:
        """Put the cursor on `key`, if it is there."""
        for y, line in enumerate(self._shown):
            if line.key == key:
                self._go(y)
                return

    def _place(self, key: str | None) -> int:
        if not self._moved:
            return self._near(0, 1, 0)
        if key is not None:
            for y, line in enumerate(self._shown):
                if line.key == key:
                    return y
        start = min(self._cursor, max(0, len(self._shown) - 1))
        return self._near(start, 1, self._near(start, -1, 0))

    def _near(self, start: int, step: int, otherwise: int) -> int:
        """The first line with a key from `start` on in the direction of `step`."""
        y = start
        while 0 <= y < len(self._shown):
            if self._shown[y].key is not None:
                return y
            y += step
        return otherwise

    def _go(self, y: int) -> None:
        if y == self._cursor or not 0 <= y < len(self._shown):
            return
        old, self._cursor = self._cursor, y
        self._moved = True
        self._follow()
        self.refresh_line(old)
        self.refresh_line(y)
        self.post_message(self.Moved(self))

    def _follow(self) -> None:
        top, height = self.scroll_offset.y, self.size.height
        first = 0 if self._near(0, 1, 0) == self._cursor else self._cursor  # the heading above comes into view, too
        if first < top:
            self.scroll_to(y=first, animate=False)
        elif height and self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False)

    def action_move(self, step: int) -> None:
        self._go(self._near(self._cursor + step, step, self._cursor))

    def action_page(self, pages: float) -> None:
        direction = 1 if pages > 0 else -1
        target = self._cursor + int(pages * max(2, self.size.height - 1))
        target = max(0, min(len(self._shown) - 1, target))
        self._go(self._near(target, direction, self._near(target, -direction, self._cursor)))

    def action_scroll_home(self) -> None:
        self._go(self._near(0, 1, self._cursor))

    def action_scroll_end(self) -> None:
        self._go(self._near(len(self._shown) - 1, -1, self._cursor))

    def action_open(self) -> None:
        if self.key is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: Click) -> None:
        y = event.y + self.scroll_offset.y
        if 0 <= y < len(self._shown) and self._shown[y].key is not None:
            if y == self._cursor:
                self.action_open()
            self._go(y)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._shown))
        self._follow()

    def on_focus(self) -> None:
        self.refresh_line(self._cursor)

    def on_blur(self) -> None:
        self.refresh_line(self._cursor)

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.size.width
        base = self.visual_style
        if index >= len(self._shown):
            return Strip.blank(width, base.rich_style)
        line = self._shown[index]
        if index == self._cursor and line.key is not None:
            name = "line-list--cursor" if self.has_focus else "line-list--blurred"
            plain = self.get_visual_style(name).rich_style
            # one style for the line: colours of states are not legible on the cursor
            segments = [Segment("› ", plain), Segment(line.content.plain, plain)]
            return Strip(segments).crop_extend(0, width, plain)
        segments = [Segment("  ", base.rich_style), *self.segments(line.content, base)]
        return Strip(segments).crop_extend(0, width, base.rich_style)
