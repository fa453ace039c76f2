"""A table of figures as bars: rows are positions, columns are layers; one cell is under the cursor.

A bar has eight heights, a colour and a mark: it is read without colour, too. Where the columns do not fit beside
each other the rows go on below, in bands. An update repaints the cells that have changed alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.painted import PaintedView

BARS = "▁▂▃▄▅▆▇█"
UNKNOWN = "·"
GUTTER = 2
_HEAD = 2  # lines above the rows of a band: the ruler, and the mark over the cursor
WIDEST = 4  # cells of a column


@dataclass(frozen=True, slots=True)
class HeatCell:
    """`bar` is one of BARS, UNKNOWN or another character; `mark` stands beside it. One cell wide each."""

    bar: str = UNKNOWN
    style: str = ""
    mark: str = " "
    strong: bool = False


@dataclass(frozen=True, slots=True)
class HeatModel:
    """`names` stand before the rows. Columns from `shut` on are ruled off."""

    names: tuple[Content, ...] = ()
    cells: tuple[tuple[HeatCell, ...], ...] = ()
    shut: int = 0
    name_width: int = 12

    @property
    def columns(self) -> int:
        return len(self.cells[0]) if self.cells else 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model lies in a width: `wide` cells per column, `fit` columns per band."""

    wide: int
    fit: int
    bands: int = field(default=1)

    @classmethod
    def of(cls, model: HeatModel, width: int) -> Layout:
        free = max(1, width - GUTTER - model.name_width)
        columns = max(1, model.columns)
        wide = max(1, min(WIDEST, free // columns))
        fit = min(columns, max(1, free // wide))
        bands = -(-columns // fit)
        return cls(wide, -(-columns // bands), bands)

    def height(self, rows: int) -> int:
        return self.bands * (rows + _HEAD) if rows else 0


class HeatMap(PaintedView, can_focus=True):
    """The cursor is moved with the arrows. Posts `Moved`, and `Opened` for Enter."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"heat-map--cursor", "heat-map--blurred"}
    DEFAULT_CSS = """
    HeatMap { overflow: hidden; }
    HeatMap > .heat-map--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    HeatMap > .heat-map--blurred { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "step(0, 1)", "Next layer", show=False, id="map.right"),
        Binding("left,h", "step(0, -1)", "Previous layer", show=False, id="map.left"),
        Binding("down,j", "step(1, 0)", "Next position", show=False, id="map.down"),
        Binding("up,k", "step(-1, 0)", "Previous position", show=False, id="map.up"),
        Binding("home", "step(0, -10000)", "First layer", show=False, id="map.home"),
        Binding("end,G", "step(0, 10000)", "Last layer", show=False, id="map.end"),
        Binding("enter", "open", "Open", show=False, id="map.open"),
    ]

    class Moved(Message):
        """The cursor has come to (row, column)."""

        def __init__(self, row: int, column: int) -> None:
            super().__init__()
            self.row, self.column = row, column

    class Opened(Moved):
        """Enter was pressed on a cell."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._model = HeatModel()
        self._row = self._column = 0

    @property
    def model(self) -> HeatModel:
        return self._model

    @property
    def cell(self) -> tuple[int, int]:
        return self._row, self._column

    def set_model(self, model: HeatModel) -> None:
        """Show other figures; the cells that differ are painted again."""
        old, self._model = self._model, model
        self._row = min(self._row, max(0, len(model.cells) - 1))
        self._column = min(self._column, max(0, model.columns - 1))
        if not _same_frame(old, model):
            self.refresh()
            return
        for row, (before, now) in enumerate(zip(old.cells, model.cells, strict=True)):
            for column, (one, other) in enumerate(zip(before, now, strict=True)):
                if one != other:
                    self._refresh_cell(row, column)

    def choose(self, row: int, column: int) -> None:
        """Put the cursor on a cell that is there."""
        if (row, column) == self.cell or not (0 <= row < len(self._model.cells) and 0 <= column < self._model.columns):
            return
        places = [self.cell, (row, column)]
        self._row, self._column = row, column
        for place in places:
            self._refresh_cell(*place)
            self._refresh_frame(*place)
        self.post_message(self.Moved(row, column))

    def action_step(self, down: int, right: int) -> None:
        if self._model.cells:
            row = min(max(self._row + down, 0), len(self._model.cells) - 1)
            self.choose(row, min(max(self._column + right, 0), self._model.columns - 1))

    def action_open(self) -> None:
        if self._model.cells:
            self.post_message(self.Opened(self._row, self._column))

    def on_focus(self) -> None:
        self._refresh_cell(*self.cell)

    def on_blur(self) -> None:
        self._refresh_cell(*self.cell)

    # --- where things lie --------------------------------------------------------------------------------------------

    @property
    def _layout(self) -> Layout:
        return Layout.of(self._model, self.size.width)

    def _place(self, row: int, column: int) -> tuple[int, int]:
        """(x, y) of a cell."""
        layout = self._layout
        band, at = divmod(column, layout.fit)
        y = band * (len(self._model.cells) + _HEAD) + _HEAD + row
        return GUTTER + self._model.name_width + at * layout.wide, y

    def _refresh_cell(self, row: int, column: int) -> None:
        x, y = self._place(row, column)
        self.refresh(Region(x, y, self._layout.wide, 1))

    def _refresh_frame(self, row: int, column: int) -> None:
        """What points at the cursor: beside the row, and above the column."""
        x, y = self._place(row, column)
        self.refresh(Region(x, y - row - 1, self._layout.wide, 1))
        for band in range(self._layout.bands):
            self.refresh(Region(0, band * (len(self._model.cells) + _HEAD) + _HEAD + row, GUTTER, 1))

    # --- drawing -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        model, layout, base = self._model, self._layout, self.visual_style
        width = self.size.width
        band, at = divmod(y, len(model.cells) + _HEAD)
        if not model.cells or band >= layout.bands:
            return Strip.blank(width, base.rich_style)
        columns = range(band * layout.fit, min((band + 1) * layout.fit, model.columns))
        if at == 0:
            segments = self.segments(paint.words(" " * GUTTER, self._ruler(columns, layout.wide)), base)
        elif at == 1:
            segments = self.segments(paint.words(" " * GUTTER, self._pointer(columns, layout.wide)), base)
        else:
            segments = self._cells(at - _HEAD, columns, layout.wide)
        return Strip(segments).crop_extend(0, width, base.rich_style)

    def _ruler(self, columns: range, wide: int) -> Content:
        """Numbers of layers, as many as have room."""
        every = 1 if wide > 3 else 2 if wide == 3 else 5
        shown = [" "] * (len(columns) * wide + 2)
        for column in columns:
            if column % every == 0:
                at = (column - columns.start) * wide
                shown[at : at + len(str(column))] = str(column)
        name = "layer".ljust(self._model.name_width)
        return paint.words((name + "".join(shown).rstrip(), paint.MUTED))

    def _pointer(self, columns: range, wide: int) -> Content:
        """Where the cursor's column is, and which columns are shut."""
        parts: list[tuple[str, str]] = [(" " * self._model.name_width, "")]
        for column in columns:
            fill = "╌" if column >= self._model.shut else " "
            if column == self._column:
                parts.append(("▾" + fill * (wide - 1), paint.ACCENT))
            else:
                parts.append((fill * wide, paint.MUTED))
        return paint.words(*parts)

    def _cells(self, row: int, columns: range, wide: int) -> list[Segment]:
        model, base = self._model, self.visual_style
        name = model.names[row].pad_right(max(0, model.name_width - model.names[row].cell_length))
        mark = "› " if row == self._row else "  "
        segments = self.segments(paint.words((mark, paint.ACCENT), name), base)
        for column in columns:
            cell = model.cells[row][column]
            shown = paint.words((_glyphs(cell, wide), cell.style))
            if (row, column) == self.cell:
                style = self.get_visual_style("heat-map--cursor" if self.has_focus else "heat-map--blurred")
                segments.append(Segment(shown.plain, style.rich_style))
            else:
                segments += self.segments(shown, base)
        return segments


def _glyphs(cell: HeatCell, wide: int) -> str:
    """The bar with its mark; where there is no room for both, a strong mark takes the place of the bar."""
    if wide == 1:
        return cell.mark if cell.strong else cell.bar
    if wide == 2:
        return cell.bar + cell.mark
    return (cell.bar * 2 if cell.bar in BARS else cell.bar + " ") + cell.mark + " " * (wide - 3)


def _same_frame(one: HeatModel, other: HeatModel) -> bool:
    return (
        (one.columns, one.shut, one.name_width, len(one.names))
        == (other.columns, other.shut, other.name_width, len(other.names))
        and all(a.is_same(b) for a, b in zip(one.names, other.names, strict=True))
    )  # fmt: skip
