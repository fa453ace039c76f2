"""A small table of counts whose cells are chosen with the arrows: a confusion matrix.

Columns that do not fit are left out on the side that the cursor is not on. An update repaints what differs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.painted import PaintedView

_GUTTER = 2


@dataclass(frozen=True, slots=True)
class GridLine:
    """One line: its name, its counts, and what follows them."""

    name: Content
    counts: tuple[int, ...]
    tail: Content = paint.NOTHING


@dataclass(frozen=True, slots=True)
class GridModel:
    """`head` stands over the names, `columns` over the counts, `tail` over what follows them."""

    head: Content
    columns: tuple[Content, ...]
    lines: tuple[GridLine, ...]
    tail: Content = paint.NOTHING
    name_width: int = 12
    column_width: int = 8


EMPTY = GridModel(paint.NOTHING, (), ())


class Grid(PaintedView, can_focus=True):
    """The cursor is shown while the table has the focus. Enter opens a cell."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--cursor"}
    DEFAULT_CSS = """
    Grid { overflow: hidden; }
    Grid > .grid--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(1, 0)", "Down", show=False, id="grid.down"),
        Binding("up,k", "step(-1, 0)", "Up", show=False, id="grid.up"),
        Binding("left,h", "step(0, -1)", "Left", show=False, id="grid.left"),
        Binding("right,l", "step(0, 1)", "Right", show=False, id="grid.right"),
        Binding("enter", "open", "Open", show=False, id="grid.open"),
    ]

    class Opened(Message):
        """Enter was pressed on the cell (line, column)."""

        def __init__(self, line: int, column: int) -> None:
            super().__init__()
            self.line, self.column = line, column

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._model = EMPTY
        self._line = self._column = 0

    @property
    def model(self) -> GridModel:
        return self._model

    @property
    def cell(self) -> tuple[int, int]:
        return self._line, self._column

    def set_model(self, model: GridModel) -> None:
        """Show other counts; nothing is painted where they are the same."""
        if _same(self._model, model):
            return
        self._model = model
        self._line = min(self._line, max(0, len(model.lines) - 1))
        self._column = min(self._column, max(0, len(model.columns) - 1))
        self.refresh()

    def choose(self, line: int, column: int) -> None:
        if line < len(self._model.lines) and column < len(self._model.columns):
            self._line, self._column = line, column
            self.refresh()

    def action_step(self, down: int, right: int) -> None:
        line = min(max(self._line + down, 0), len(self._model.lines) - 1)
        column = min(max(self._column + right, 0), len(self._model.columns) - 1)
        if (line, column) != self.cell and self._model.lines:
            self.choose(line, column)

    def action_open(self) -> None:
        if self._model.lines:
            self.post_message(self.Opened(self._line, self._column))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        model, base = self._model, self.visual_style
        width = self.size.width
        first, last = self._columns_that_fit()
        # lines that do not fit are left out above the cursor's
        above = max(0, self._line - max(1, self.size.height - 1) + 1)
        number = y - 1 + above
        segments = [Segment(" " * _GUTTER, base.rich_style)]
        if y == 0 and model.columns:
            shown = [model.head.pad_right(max(0, model.name_width - model.head.cell_length))]
            shown += [_right(column, model.column_width) for column in model.columns[first:last]]
            for part in (*shown, model.tail):
                segments += self.segments(part, base)
        elif y > 0 and number < len(model.lines):
            line = model.lines[number]
            segments += self.segments(line.name.pad_right(max(0, model.name_width - line.name.cell_length)), base)
            for column in range(first, last):
                segments += self._count(line.counts[column], number, column)
            segments += self.segments(line.tail, base)
        return Strip(segments).crop_extend(0, width, base.rich_style)

    def _count(self, count: int, line: int, column: int) -> list[Segment]:
        base, width = self.visual_style, self._model.column_width
        if self.has_focus and (line, column) == self.cell:
            cursor = self.get_visual_style("grid--cursor").rich_style
            number = f"{count:,}"
            before = " " * max(0, width - len(number) - 2)
            return [Segment(before, base.rich_style), Segment(f"›{number} ", cursor)]  # exact: our own digits
        style = paint.MUTED if not count else paint.STRONG if line == column else paint.WARN
        return self.segments(paint.words((f"{count:,}".rjust(width - 1) + " ", style)), base)

    def _columns_that_fit(self) -> tuple[int, int]:
        model = self._model
        free = self.size.width - _GUTTER - model.name_width - model.tail.cell_length
        fit = max(1, free // max(1, model.column_width))
        first = max(0, min(self._column - fit + 1, len(model.columns) - fit)) if self._column >= fit else 0
        return first, min(len(model.columns), first + fit)


def _right(content: Content, width: int) -> Content:
    return content.pad_left(max(0, width - 1 - content.cell_length)).pad_right(1)


def _same(one: GridModel, other: GridModel) -> bool:
    def parts(model: GridModel) -> Sequence[Content]:
        return [model.head, model.tail, *model.columns, *(p for line in model.lines for p in (line.name, line.tail))]

    mine, theirs = parts(one), parts(other)
    return (
        [line.counts for line in one.lines] == [line.counts for line in other.lines]
        and (one.name_width, one.column_width) == (other.name_width, other.column_width)
        and len(mine) == len(theirs)
        and all(a.is_same(b) for a, b in zip(mine, theirs, strict=True))
    )
