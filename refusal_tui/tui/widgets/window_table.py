"""How does a table of a million rows stay fast? It draws the visible lines itself and fetches pages of 128 rows.

Memory is 8 bytes per row and 16 pages. Moving the cursor repaints two lines (about 400 bytes on the wire), never the
table. Any list of things with integer ids can be shown: rows of a dataset, datasets, jobs.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.painted import PaintedView

PAGE_ROWS = 128
PAGES_KEPT = 16
GUTTER = 2  # › for the cursor, ✓ for a mark: seen without colour, too

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column. `cell(row, width)` paints one line of at most `width` cells."""

    title: str
    width: int  # cells; 0: it shares what the others leave
    cell: Callable[[T, int], Content]
    from_width: int = 0  # left out of tables that are narrower
    share: int = 1  # of what is left
    right: bool = False  # the title stands at the right, over numbers


def lay_out(columns: Sequence[Column[T]], width: int) -> list[tuple[Column[T], int]]:
    """The columns that are shown in `width` cells, with their widths; one blank stands between two columns."""
    shown = [column for column in columns if column.from_width <= width]
    left = max(width - GUTTER - sum(c.width for c in shown) - (len(shown) - 1), 0)
    shares = sum(c.share for c in shown if not c.width) or 1
    widths = [c.width or left * c.share // shares for c in shown]
    flexible = [i for i, c in enumerate(shown) if not c.width]
    if flexible:
        widths[flexible[-1]] += left - sum(widths[i] for i in flexible)
    return [(column, cells) for column, cells in zip(shown, widths, strict=True) if cells > 0]


class TableHead(Widget):
    """The titles over a window table, one line."""

    ALLOW_SELECT = False

    def __init__(self, table: WindowTable[Any]) -> None:
        super().__init__()
        self._table = table
        self.marks: Mapping[str, str] = {}  # column title -> sort arrow

    def show_sort(self, title: str, arrow: str) -> None:
        if self.marks != {title: arrow}:
            self.marks = {title: arrow}
            self.refresh()

    def render(self) -> Content:
        parts: list[Content | tuple[str, str] | str] = [" " * GUTTER]
        for column, width in lay_out(self._table.columns, self._table.line_width):
            title = f"{column.title} {self.marks[column.title]}" if column.title in self.marks else column.title
            title = title[:width]
            parts.append((f"{title.rjust(width) if column.right else title.ljust(width)} ", paint.MUTED))
        return paint.words(*parts)


class WindowTable(PaintedView, Generic[T], can_focus=True):
    """A table over `ids`; `fetch` gives the rows of some ids, those that are gone left out."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "window-table--cursor",
        "window-table--blurred",
        "window-table--marked",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False, id="table.half_down"),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False, id="table.half_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("home", "scroll_home", "Top", show=False, id="table.top"),
        Binding("end,G", "scroll_end", "Bottom", show=False, id="table.bottom"),
        Binding("enter", "open", "Open", show=False, id="table.open"),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, table: WindowTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> WindowTable[Any]:
            return self.table

    class Opened(Moved):
        """Enter was pressed on a row."""

    def __init__(
        self,
        columns: Sequence[Column[T]],
        fetch: Callable[[Sequence[int]], Mapping[int, T]],
        *,
        empty: Content = paint.NOTHING,
        is_marked: Callable[[int, int], bool] = lambda index, item_id: False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.head = TableHead(self)
        self.ids = array("q")
        self.cursor = 0
        self._fetch = fetch
        self._empty = empty
        self._is_marked = is_marked
        self._pages: OrderedDict[int, Mapping[int, T]] = OrderedDict()

    # --- what is shown ---------------------------------------------------------------------------------------------

    def show(self, ids: array[int], *, cursor: int = 0) -> None:
        """Show other rows, with the cursor at an index of theirs."""
        self.ids = ids
        self._pages.clear()
        self.cursor = min(max(cursor, 0), max(len(ids) - 1, 0))
        self.virtual_size = Size(self.size.width, len(ids))
        self._follow()
        self.refresh()
        self.post_message(self.Moved(self))

    def show_empty(self, empty: Content) -> None:
        """What stands there instead of rows."""
        if not empty.is_same(self._empty):
            self._empty = empty
            if not self.ids:
                self.refresh()

    def update_rows(self) -> bool:
        """Fetch the visible rows again and repaint those that changed; returns whether any did."""
        visible = self._visible_ids()
        before = [self.row(index) for index in visible]
        self._pages.clear()
        changed = [index for index, old in zip(visible, before, strict=True) if self.row(index) != old]
        for index in changed:
            self.refresh_line(index)
        return bool(changed)

    def repaint(self, first: int, last: int) -> None:
        """Draw the rows between two indexes again (their marks changed)."""
        low, high = sorted((first, last))
        top = self.scroll_offset.y
        low, high = max(low, top), min(high, top + self.size.height - 1)
        if low <= high:
            self.refresh_lines(low, high - low + 1)

    def row(self, index: int) -> T | None:
        """The row at an index, None when it is gone."""
        return self._page(index // PAGE_ROWS).get(self.ids[index])

    @property
    def cursor_id(self) -> int | None:
        return self.ids[self.cursor] if self.ids else None

    @property
    def cursor_row(self) -> T | None:
        return self.row(self.cursor) if self.ids else None

    @property
    def line_width(self) -> int:
        return self.scrollable_content_region.width

    def _visible_ids(self) -> range:
        top = self.scroll_offset.y
        return range(top, min(top + self.size.height, len(self.ids)))

    def _page(self, number: int) -> Mapping[int, T]:
        page = self._pages.get(number)
        if page is None:
            page = self._fetch(self.ids[number * PAGE_ROWS : (number + 1) * PAGE_ROWS])
            self._pages[number] = page
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(number)
        return page

    # --- moving ----------------------------------------------------------------------------------------------------

    def move_to(self, index: int) -> None:
        """Put the cursor on a row and bring it into view."""
        index = min(max(index, 0), max(len(self.ids) - 1, 0))
        if index == self.cursor:
            return
        old, self.cursor = self.cursor, index
        self._follow()
        self.refresh_line(old)
        self.refresh_line(index)
        self.post_message(self.Moved(self))

    def _follow(self) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if height and not top <= self.cursor < top + height:
            far = not top - height <= self.cursor < top + 2 * height
            middle = self.cursor - height // 2
            near = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=max(middle if far else near, 0), animate=False)

    def action_move(self, rows: int) -> None:
        self.move_to(self.cursor + rows)

    def action_page(self, pages: float) -> None:
        self.move_to(self.cursor + int(pages * max(self.size.height - 1, 1)))

    def action_scroll_home(self) -> None:
        self.move_to(0)

    def action_scroll_end(self) -> None:
        self.move_to(len(self.ids) - 1)

    def action_open(self) -> None:
        if self.ids:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if index < len(self.ids):
            self.move_to(index)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.ids))
        self._follow()
        self.head.refresh()

    def on_focus(self) -> None:
        self.refresh_line(self.cursor)

    def on_blur(self) -> None:
        self.refresh_line(self.cursor)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = y + self.scroll_offset.y
        base = self.visual_style
        if index >= len(self.ids):
            return self._empty_line(y, width, base)
        on_cursor = index == self.cursor
        marked = self._is_marked(index, self.ids[index])
        if on_cursor:
            base = self.get_visual_style("window-table--cursor" if self.has_focus else "window-table--blurred")
        elif marked:
            base = self.get_visual_style("window-table--marked")
        plain = base.rich_style
        segments = [Segment(("›" if on_cursor else " ") + ("✓" if marked else " "), plain)]
        row = self.row(index)
        if row is None:
            segments.append(Segment("(gone: press r to look again)", plain))
            return Strip(segments).crop_extend(0, width, plain)
        for column, cells in lay_out(self.columns, self.line_width):
            content = column.cell(row, cells)
            # the cursor's line has one style: colours of labels are not legible on it
            whole = Segment(content.plain, plain)  # exact: a column's cell is painted text
            painted = [whole] if on_cursor else self.segments(content, base)
            segments.extend(Strip(painted).crop_extend(0, cells, plain))
            segments.append(Segment(" ", plain))
        # One style change is about 20 bytes on the wire: neighbours of the same style become one segment.
        return Strip(segments).crop_extend(0, width, plain).simplify()

    def _empty_line(self, y: int, width: int, base: Style) -> Strip:
        lines = self._empty.split("\n", allow_blank=True) if not self.ids else []
        if not 1 <= y <= len(lines):
            return Strip.blank(width, base.rich_style)
        segments = [Segment("  ", base.rich_style), *self.segments(lines[y - 1], base)]
        return Strip(segments).crop_extend(0, width, base.rich_style)
