"""A list of painted lines with a cursor. An update repaints the lines that have changed, and no others.

Textual's own lists repaint themselves whole on every change; a job that reports twice a second would send kilobytes
over a slow link. Here a moving progress bar costs one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual


@dataclass(frozen=True, slots=True)
class Line:
    """`key` names what the line stands for; a line without one (a heading, say) is passed over by the cursor."""

    content: Content
    key: str | None = None

    def same_as(self, other: Line) -> bool:
        return self.key == other.key and self.content.is_same(other.content)


class LineList(ScrollView, can_focus=True):
    """Lines that are chosen with the cursor and opened with Enter."""

    COMPONENT_CLASSES = {"line-list--cursor"}
    DEFAULT_CSS = """
    LineList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
    LineList > .line-list--cursor { background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground; text-style: $block-cursor-blurred-text-style; }
    LineList:focus > .line-list--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style; }
    """
    BINDINGS = [
        Binding("down,j", "move(1)", "Down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="list.page_down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="list.page_up"),
        Binding("home", "edge(-1)", "First", show=False, id="list.first"),
        Binding("end,G", "edge(1)", "Last", show=False, id="list.last"),
        Binding("enter", "open", "Open", show=False, id="list.open"),
    ]

    @dataclass
    class Opened(Message):
        """Enter was pressed on a line."""

        list: LineList
        key: str

        @property
        def control(self) -> LineList:
            return self.list

    @dataclass
    class Moved(Message):
        """The cursor stands on another line (or the first one with a key has come)."""

        list: LineList
        key: str | None

        @property
        def control(self) -> LineList:
            return self.list

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._cursor = 0

    @property
    def key(self) -> str | None:
        """What the cursor stands on."""
        return self._lines[self._cursor].key if self._cursor < len(self._lines) else None

    @property
    def lines(self) -> Sequence[Line]:
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the lines; the cursor stays on its key where that is still there. Sends nothing if nothing changed."""
        old, before = self._lines, self.key
        self._lines = list(lines)
        self._cursor = self._place(before)
        if len(old) != len(lines):
            self.virtual_size = Size(0, len(lines))
            self.refresh()
        else:
            changed = [y for y, (one, other) in enumerate(zip(old, self._lines)) if not one.same_as(other)]
            for y in changed:
                self.refresh_line(y)
        if self.key != before:
            self.refresh()
            self.post_message(self.Moved(self, self.key))

    def choose(self, key: str) -> None:
        """Put the cursor on `key`, if it is there."""
        for y, line in enumerate(self._lines):
            if line.key == key:
                self._go(y)
                return

    def _place(self, key: str | None) -> int:
        if key is not None:
            for y, line in enumerate(self._lines):
                if line.key == key:
                    return y
        start = min(self._cursor, max(0, len(self._lines) - 1))
        return self._near(start, 1, self._near(start, -1, 0))

    def _near(self, start: int, step: int, otherwise: int) -> int:
        y = start
        while 0 <= y < len(self._lines):
            if self._lines[y].key is not None:
                return y
            y += step
        return otherwise

    def _go(self, y: int) -> None:
        if y == self._cursor or not 0 <= y < len(self._lines):
            return
        self.refresh_line(self._cursor)
        self._cursor = y
        self.refresh_line(y)
        # The headings above the first line come into view with it.
        top = 0 if self._near(0, 1, 0) == y else y
        self.scroll_to_region(Region(0, top, 1, y - top + 1), animate=False, force=True)
        self.post_message(self.Moved(self, self.key))

    def action_move(self, step: int) -> None:
        self._go(self._near(self._cursor + step, step, self._cursor))

    def action_page(self, direction: int) -> None:
        target = self._cursor + direction * max(1, self.size.height - 1)
        target = max(0, min(len(self._lines) - 1, target))
        self._go(self._near(target, direction, self._near(target, -direction, self._cursor)))

    def action_edge(self, direction: int) -> None:
        start = 0 if direction < 0 else len(self._lines) - 1
        self._go(self._near(start, -direction, self._cursor))

    def action_open(self) -> None:
        if self.key is not None:
            self.post_message(self.Opened(self, self.key))

    def on_click(self, event: Click) -> None:
        y = event.y + self.scroll_offset.y
        if 0 <= y < len(self._lines) and self._lines[y].key is not None:
            if y == self._cursor:
                self.action_open()
            self._go(y)

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.size.width
        style = self.visual_style
        if index >= len(self._lines):
            return Strip.blank(width, style.rich_style)
        content = self._lines[index].content
        if index == self._cursor and self._lines[index].key is not None:
            style = style + self.get_visual_style("line-list--cursor")
        strips = Visual.to_strips(self, content, width, 1, style, apply_selection=False, pad=True)
        return strips[0] if strips else Strip.blank(width, style.rich_style)
