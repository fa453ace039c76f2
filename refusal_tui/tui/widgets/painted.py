"""How does painted text become what a line of a widget is made of? The base of the views that draw their own lines."""

from __future__ import annotations

from rich.segment import Segment
from textual.content import Content
from textual.scroll_view import ScrollView
from textual.style import Style


class PaintedView(ScrollView):
    """A view that draws lines of `Content`; theme variables are looked up once per theme."""

    ALLOW_SELECT = False
    _looked_up: dict[str, Style] | None = None

    def segments(self, content: Content, base: Style) -> list[Segment]:
        """One line of painted text over a base style."""
        return [
            Segment(text, style.rich_style)  # exact: the pieces of painted text
            for text, style in content.render(base, end="", parse_style=self._look_up)
        ]

    def _look_up(self, style: str | Style) -> Style:
        if isinstance(style, Style):
            return style
        if self._looked_up is None:
            self._looked_up = {}
        if style not in self._looked_up:
            self._looked_up[style] = Style.parse(style)
        return self._looked_up[style]

    def notify_style_update(self) -> None:
        self._looked_up = None  # the theme may have changed
        super().notify_style_update()
