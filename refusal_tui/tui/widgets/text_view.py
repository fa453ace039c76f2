"""How is a long text shown in full? A scrolling view that breaks lines itself and draws only the visible ones."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.painted import PaintedView
from refusal_tui.tui.wrap import Lines, wrap


class TextView(PaintedView, can_focus=True):
    """Painted text, wrapped at the view's width."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_by(1)", "Down", show=False, id="text.down"),
        Binding("up,k", "scroll_by(-1)", "Up", show=False, id="text.up"),
        Binding("ctrl+d", "scroll_pages(0.5)", "Half a page down", show=False, id="text.half_down"),
        Binding("ctrl+u", "scroll_pages(-0.5)", "Half a page up", show=False, id="text.half_up"),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False, id="text.page_down"),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False, id="text.page_up"),
        Binding("home", "scroll_home", "Top", show=False, id="text.top"),
        Binding("end,G", "scroll_end", "Bottom", show=False, id="text.bottom"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = paint.NOTHING
        self._lines: Lines = wrap("", 2)
        self._wrapped_at = 0

    @property
    def content(self) -> Content:
        return self._content

    @property
    def line_count(self) -> int:
        """Lines of the text at the view's width."""
        return len(self._lines)

    def shows(self, offset: int) -> bool:
        """Whether a character is in view."""
        return 0 <= self._lines.at(offset) - self.scroll_offset.y < self.size.height

    def show(self, content: Content, *, keep_place: bool = False) -> None:
        """Show another text from its top, or from where the reader is."""
        if content.is_same(self._content):
            return
        self._content = content
        self._wrap()
        if not keep_place:
            self.scroll_to(y=0, animate=False, immediate=True)  # one paint, not two
        self.refresh()

    def go_to(self, offset: int) -> None:
        """Bring a character into view, a third from the top."""
        line = self._lines.at(offset)
        # force: a text that was shown just now has no scrollbar yet
        self.scroll_to(y=max(line - self.size.height // 3, 0), animate=False, force=True, immediate=True)

    def _wrap(self) -> None:
        self._wrapped_at = self.scrollable_content_region.width
        self._lines = wrap(self._content.plain, self._wrapped_at)
        self.virtual_size = Size(self._wrapped_at, len(self._lines))

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._wrapped_at:
            self._wrap()
            self.refresh()

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_pages(self, pages: float) -> None:
        self.action_scroll_by(int(pages * max(self.size.height - 1, 1)))

    def action_scroll_home(self) -> None:
        self.scroll_to(y=0, animate=False)

    def action_scroll_end(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False)

    def render_line(self, y: int) -> Strip:
        base = self.visual_style
        index = y + self.scroll_offset.y
        width = self.size.width
        if index >= len(self._lines):
            return Strip.blank(width, base.rich_style)
        start, end = self._lines.starts[index], self._lines.ends[index]
        segments = self.segments(self._cut(start, end), base)
        return Strip(segments).crop_extend(0, width, base.rich_style)

    def _cut(self, start: int, end: int) -> Content:
        """Characters [start, end) with their styles; `Content` itself would divide the whole text."""
        spans = [
            span._replace(start=max(span.start - start, 0), end=min(span.end, end) - start)
            for span in self._content.spans
            if span.start < end and span.end > start
        ]
        return Content(self._content.plain[start:end], spans, strip_control_codes=False)
