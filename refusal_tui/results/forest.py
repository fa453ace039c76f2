"""How does a table of results look as a figure? A forest plot: one line per cell, one panel per measure, in plain SVG.

Each rate is a dot on its interval over the same axis from 0 to 100 %. Made by hand, so that the file is small, the
same at every run, opens in any browser or vector editor, and needs no library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refusal_tui.results.render import NOT_NAMED, notes
from refusal_tui.results.table import EXPLAINED, TITLES, Cell, Rate, ResultsTable
from refusal_tui.store.results import MEASURES
from refusal_tui.text.safe import cell_width, shorten
from refusal_tui.text.svg import CHARACTER, MARGIN, svg_document, svg_text

_LINE, _TOP, _GAP = 22, 64, 36
_PANEL = 240
_FIGURES = 132  # room for "12.3 (10.1–14.9)" beside a panel
_LABEL_CELLS = 48
_COLOURS = {"refusal": "#b3361e", "over_refusal": "#8a5a00", "fulfilment": "#1f6f4a"}


def forest_svg(table: ResultsTable, title: str = "") -> str:
    """The table as an SVG document. Measures of which no cell knows anything have no panel."""
    panels = [m for m in MEASURES if any(cell.rates[m].known for cell in table.cells)]
    labels = [label_of(cell) for cell in table.cells]
    left = MARGIN + max([cell_width(label) for label in labels] + [10]) * CHARACTER
    width = left + len(panels) * (_PANEL + _FIGURES + _GAP) + MARGIN
    remarks = notes(table)
    bottom = _TOP + len(labels) * _LINE
    height = bottom + 40 + 16 * len(remarks) + MARGIN
    heading = title or "Who refuses how much"
    parts: list[str] = []
    for row, label in enumerate(labels):
        y = _TOP + row * _LINE
        if row % 2:
            parts.append(f'<rect x="0" y="{y}" width="{width:.0f}" height="{_LINE}" fill="#f5f5f2"/>')
        parts.append(f'<text x="{MARGIN}" y="{y + 15}" fill="#1a1a1a">{svg_text(label)}</text>')
    for number, measure in enumerate(panels):
        x = left + _GAP + number * (_PANEL + _FIGURES + _GAP)
        parts += _panel(measure, table.cells, x, bottom)
    for number, remark in enumerate(remarks):
        y = bottom + 48 + 16 * number
        parts.append(f'<text x="{MARGIN}" y="{y}" font-size="11" fill="#555555">{svg_text(remark)}</text>')
    return svg_document(width, height, heading, parts)


def label_of(cell: Cell) -> str:
    """The cell's groups on one line, cut to what fits beside the panels.

    >>> from refusal_tui.results.table import Cell
    >>> label_of(Cell(("m", None), 0, 0, 0, 0, {}, ""))
    'm · (not named)'
    """
    return shorten(" · ".join(NOT_NAMED if value is None else value for value in cell.key) or "all rows", _LABEL_CELLS)


def _panel(measure: str, cells: Sequence[Cell], x: float, bottom: int) -> Iterator[str]:
    yield f"<g><title>{svg_text(EXPLAINED[measure])}</title>"
    yield f'<text x="{x:.1f}" y="{_TOP - 16}" font-weight="600" fill="#1a1a1a">{TITLES[measure]}, %</text>'
    for tick in (0, 25, 50, 75, 100):
        at = x + _PANEL * tick / 100
        yield f'<line x1="{at:.1f}" y1="{_TOP - 6}" x2="{at:.1f}" y2="{bottom + 4}" stroke="#d6d6d0" stroke-width="1"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" font-size="11" fill="#555555">{tick}</text>'
    for row, cell in enumerate(cells):
        yield from _mark(cell.rates[measure], x, _TOP + row * _LINE + _LINE / 2, _COLOURS[measure])
    yield "</g>"


def _mark(rate: Rate, x: float, y: float, colour: str) -> Iterator[str]:
    if not rate.known:
        yield f'<text x="{x + _PANEL + 12:.1f}" y="{y + 4:.1f}" font-size="11" fill="#8a8a85">—</text>'
        return
    value, low, high = rate.interval
    start, end, at = (x + _PANEL * share for share in (low, high, value))
    yield f'<line x1="{start:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="1.6"/>'
    for edge in (start, end):
        ends = f'x1="{edge:.1f}" y1="{y - 4:.1f}" x2="{edge:.1f}" y2="{y + 4:.1f}"'
        yield f'<line {ends} stroke="{colour}" stroke-width="1.6"/>'
    yield f'<circle cx="{at:.1f}" cy="{y:.1f}" r="3.6" fill="{colour}"/>'
    figures = f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    yield f'<text x="{x + _PANEL + 12:.1f}" y="{y + 4:.1f}" font-size="11" fill="#1a1a1a">{figures}</text>'
