"""How does a report become a PDF? The blocks of the page drawn with fpdf2: vectors and words, no browser, no fonts.

The fonts every reader has know Western European letters only: another character is a question mark, and the last line
says how many there were. The page (`block_page.py`) has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refusal_tui.text.blocks import (
    Bars,
    Block,
    Cell,
    Curves,
    Matrix,
    Passage,
    Rows,
    Section,
    Shares,
    Steps,
    Words,
    cell_text,
    heaviest,
    weight,
)
from refusal_tui.text.charts import colour_of
from refusal_tui.text.plot import axis_text, limits
from refusal_tui.text.safe import safe_text, shorten

Pdf = Any  # the document of `_pages`: fpdf2 takes .4 s to import, so only where one is written
_ENCODING = "windows-1252"
_GLYPHS = str.maketrans({"≥": ">=", "≤": "<=", "→": "->", "−": "-", "✓": "+", "✗": "x", "⟨": "<", "⟩": ">", "⏎": " "})
_INK, _DIM, _RULE, _FILL = (26, 26, 26), (95, 99, 107), (205, 208, 212), (47, 95, 152)
_FOR, _AGAINST = (160, 45, 40), (40, 105, 45)
_MARGIN, _NAME, _LINE = 18.0, 46, 4.6  # mm, characters, mm
_GAP, _LEAST = 4.0, 3.0  # mm between columns, and of a column: a letter must fit
_LONGEST = 3000  # characters of a paragraph


def pdf_report(title: str, told: str, sections: Sequence[Section]) -> bytes:
    """A4 pages with their numbers. `told` stands below the title."""
    pdf = _pages(title)
    pdf.add_page()
    _say(pdf, title, 19, "B")
    _say(pdf, told, 10, colour=_DIM)
    for section in sections:
        _heading(pdf, section.title)
        for block in section.blocks:
            _draw(block, pdf)
            pdf.ln(2.5)
    if pdf.lost:
        _say(pdf, f"{pdf.lost:,} characters that these fonts do not have are question marks; the HTML page has them.",
             8, colour=_DIM)  # fmt: skip
    return bytes(pdf.output())


def _pages(title: str) -> Pdf:
    """An empty document; `lost` counts the characters that its fonts do not have."""
    from fpdf import FPDF

    class Pages(FPDF):
        lost = 0

        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("Helvetica", size=8)
            self.set_text_color(*_DIM)
            self.cell(0, 5, f"{_known(self, shorten(title, 80))}   {self.page_no()}", align="R")

    pdf = Pages(format="A4", unit="mm")
    pdf.core_fonts_encoding = _ENCODING
    pdf.set_margins(_MARGIN, 16, _MARGIN)
    pdf.set_auto_page_break(True, 18)
    pdf.c_margin = 0
    pdf.set_title(_known(pdf, shorten(title, 80)))
    return pdf


def _known(pdf: Pdf, text: object, *, newlines: bool = False) -> str:
    """Harmless text in the letters that the fonts have; the others are counted."""
    shown = safe_text(str(text), newlines=newlines).translate(_GLYPHS)
    known = shown.encode(_ENCODING, errors="replace").decode(_ENCODING)
    pdf.lost += sum(a != b for a, b in zip(shown, known, strict=True))
    return known


def _say(pdf: Pdf, text: str, size: float, style: str = "", colour: tuple[int, int, int] = _INK) -> None:
    pdf.set_font("Helvetica", style=style, size=size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(
        0, size * 0.46, _known(pdf, text[:_LONGEST], newlines=True), align="L", new_x="LMARGIN", new_y="NEXT"
    )


def _heading(pdf: Pdf, title: str) -> None:
    _room(pdf, 30)
    pdf.ln(4)
    pdf.set_draw_color(*_RULE)
    pdf.line(_MARGIN, pdf.get_y(), pdf.w - _MARGIN, pdf.get_y())
    pdf.ln(2)
    _say(pdf, title, 14, "B")
    pdf.ln(1)


def _room(pdf: Pdf, height: float) -> None:
    """Begin another page where less than `height` mm are left."""
    if pdf.will_page_break(height):
        pdf.add_page()


def _title(pdf: Pdf, title: str, remark: str, height: float) -> None:
    _room(pdf, height + 12)
    _say(pdf, title, 10.5, "B")
    if remark:
        _say(pdf, remark, 8.5, colour=_DIM)
    pdf.ln(1)


def _draw(block: Block, pdf: Pdf) -> None:
    match block:
        case Bars():
            _bars(block, pdf)
        case Steps():
            _steps(block, pdf)
        case Shares():
            _shares(block, pdf)
        case Rows():
            _rows(block, pdf)
        case Curves():
            _curves(block, pdf)
        case Matrix():
            _matrix(block, pdf)
        case Passage():
            _passage(block, pdf)
        case Words():
            _say(pdf, block.text, 10)


def _rows(block: Rows, pdf: Pdf) -> None:
    _title(pdf, block.title, block.remark, 12)
    head = block.columns if any(block.columns) else None
    _table(pdf, head, [[cell_text(cell) for cell in row] for row in block.rows], _numeric(block.rows))


def _numeric(rows: Sequence[Sequence[Cell]]) -> list[bool]:
    return [all(not isinstance(cell, str) for cell in column) for column in zip(*rows, strict=True)]


def _table(pdf: Pdf, head: Sequence[str] | None, rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """As wide as its words need, at most as wide as the page; a long cell is broken into lines. Drawn cell by cell:
    fpdf2's own tables measure every cell four times and take ten times as long."""
    pdf.set_draw_color(*_RULE)
    pdf.set_text_color(*_INK)
    lines = [[_known(pdf, cell) for cell in row] for row in rows]
    titles = [_known(pdf, cell) for cell in head] if head else None
    pdf.set_font("Helvetica", style="B", size=8.5)
    wanted = [pdf.get_string_width(title) for title in titles] if titles else [0.0] * len(right)
    pdf.set_font("Helvetica", size=8.5)
    wanted = [min(max([least, *(pdf.get_string_width(line[n]) for line in lines)]) + _GAP, 95.0)
              for n, least in enumerate(wanted)]  # fmt: skip
    scale = min(1.0, (pdf.w - 2 * _MARGIN) / sum(wanted))
    widths = [width * scale for width in wanted]
    for number, line in enumerate(lines):
        cells = [_broken(pdf, cell, width - _GAP) for width, cell in zip(widths, line, strict=True)]
        high = _LINE * max(map(len, cells)) + 0.8
        if titles and (number == 0 or pdf.will_page_break(high)):
            _room(pdf, high + _LINE)
            pdf.set_font("Helvetica", style="B", size=8.5)
            pdf.set_text_color(*_DIM)
            _table_row(pdf, [[title] for title in titles], widths, right, _LINE + 0.8)
            pdf.set_font("Helvetica", size=8.5)
            pdf.set_text_color(*_INK)
        _room(pdf, high)
        _table_row(pdf, cells, widths, right, high)
    pdf.ln(1)


def _broken(pdf: Pdf, cell: str, width: float) -> list[str]:
    """The lines of a cell; fpdf2 gives them back as bytes of the font's encoding."""
    if pdf.get_string_width(cell) <= width:
        return [cell]
    lines = pdf.multi_cell(max(width, _LEAST), _LINE, cell, dry_run=True, output="LINES", align="L")
    return [line.encode("latin-1").decode(_ENCODING) for line in lines]


def _table_row(
    pdf: Pdf, cells: Sequence[Sequence[str]], widths: Sequence[float], right: Sequence[bool], high: float
) -> None:
    top, x = pdf.get_y(), _MARGIN
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        for place, part in enumerate(cell):
            pdf.set_xy(x, top + 0.4 + place * _LINE)
            pdf.cell(width - _GAP, _LINE, part, align="R" if to_right else "L")
        x += width
    pdf.line(_MARGIN, top + high, x - _GAP, top + high)
    pdf.set_xy(_MARGIN, top + high)


def _bars(block: Bars, pdf: Pdf) -> None:
    _title(pdf, block.title, block.remark, 10)
    most, total = max(block.values.values(), default=0) or 1, sum(block.values.values()) or 1
    for name, value in block.values.items():
        _room(pdf, _LINE)
        pdf.set_font("Helvetica", size=8.5)
        pdf.set_text_color(*_INK)
        shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"
        pdf.cell(58, _LINE, _known(pdf, shorten(name, _NAME)))
        pdf.cell(18, _LINE, shown, align="R")
        pdf.cell(14, _LINE, f"{value / total:.1%}", align="R")
        pdf.set_fill_color(*_FILL)
        pdf.rect(pdf.get_x() + 3, pdf.get_y() + 0.9, max(0.2, 75 * value / most), _LINE - 1.8, style="F")
        pdf.ln(_LINE)


def _steps(block: Steps, pdf: Pdf) -> None:
    _title(pdf, block.title, block.remark, 34)
    most, wide = max(block.counts, default=0) or 1, min(16.0, 170 / max(1, len(block.counts)))
    top = pdf.get_y()
    pdf.set_font("Helvetica", size=7)
    pdf.set_text_color(*_INK)
    pdf.set_fill_color(*_FILL)
    for place, (name, count) in enumerate(zip(block.names, block.counts, strict=True)):
        x, high = _MARGIN + place * wide, 22 * count / most
        pdf.rect(x + 0.5, top + 4 + 22 - high, wide - 1, max(high, 0.15), style="F")
        for y, text in ((top + 22 - high, f"{count:,}"), (top + 26.5, _known(pdf, shorten(name, 12)))):
            pdf.set_xy(x, y)
            pdf.cell(wide, 4, text, align="C")
    pdf.set_xy(_MARGIN, top + 31)


def _shares(block: Shares, pdf: Pdf) -> None:
    names = list(dict.fromkeys(name for counts in block.groups.values() for name in counts))
    rows = []
    for group, counts in block.groups.items():
        total = sum(counts.values())
        rows.append([group, f"{total:,}", *(f"{counts.get(name, 0) / (total or 1):.1%}" for name in names)])
    _title(pdf, block.title, "", 12)
    _table(pdf, ("", "rows", *names), rows, [False, *(True for _ in range(len(names) + 1))])


def _curves(block: Curves, pdf: Pdf) -> None:
    wide, tall, at = 120.0, 44.0, _MARGIN + 13
    _title(pdf, block.title, block.remark, tall + 14)
    left, right, low, high = limits(block.series, block.bounds)
    top = pdf.get_y() + 1

    def place(x: float, y: float) -> tuple[float, float]:
        share = (min(max(y, low), high) - low) / (high - low)
        return at + wide * (x - left) / (right - left), top + (1 - share) * tall

    pdf.set_font("Helvetica", size=7.5)
    pdf.set_text_color(*_DIM)
    pdf.set_draw_color(*_RULE)
    pdf.set_line_width(0.2)
    for value in (low, (low + high) / 2, high):
        y = place(left, value)[1]
        pdf.line(at, y, at + wide, y)
        pdf.set_xy(_MARGIN, y - 2)
        pdf.cell(12, 4, axis_text(value), align="R")
    for text, align in ((axis_text(left), "L"), (_known(pdf, block.x), "C"), (axis_text(right), "R")):
        pdf.set_xy(at, top + tall + 0.5)
        pdf.cell(wide, 4, text, align=align)
    for number, one in enumerate(block.series):
        colour = _rgb(colour_of(number))
        spots = [place(x, y) for x, y in one.points]
        pdf.set_draw_color(*colour)
        pdf.set_fill_color(*colour)
        pdf.set_line_width(0.45)
        for (x, _), (least, most) in zip(one.points, one.intervals, strict=False):
            pdf.line(*place(x, least), *place(x, most))
        if one.marked:
            for x, y in spots:
                pdf.circle(x, y, 1.0, style="F")
        if len(spots) > 1 and not one.dots:
            pdf.polyline(spots)
    pdf.set_line_width(0.2)
    pdf.set_xy(at, top + tall + 5)
    pdf.set_text_color(*_INK)
    for number, one in enumerate(block.series):
        pdf.set_fill_color(*_rgb(colour_of(number)))
        pdf.rect(pdf.get_x(), pdf.get_y() + 1, 2.2, 2.2, style="F")
        pdf.set_x(pdf.get_x() + 3)
        name = _known(pdf, shorten(one.name, 30))
        pdf.cell(pdf.get_string_width(name) + 5, 4, name)
    pdf.set_xy(_MARGIN, top + tall + 10)


def _matrix(block: Matrix, pdf: Pdf) -> None:
    names, wide, tall = 42.0, min(28.0, 130 / max(1, len(block.columns))), 8.0
    _title(pdf, block.title, block.remark, tall * (len(block.rows) + 1))
    pdf.set_font("Helvetica", size=8.5)
    pdf.set_draw_color(*_RULE)
    pdf.set_text_color(*_DIM)
    pdf.set_x(_MARGIN + names)
    for name in block.columns:
        pdf.cell(wide, tall, _known(pdf, shorten(name, 16)), align="C")
    pdf.ln(tall)
    for name, counts in zip(block.rows, block.counts, strict=True):
        total = sum(counts) or 1
        pdf.set_text_color(*_INK)
        pdf.cell(names, tall, _known(pdf, shorten(name, 26)))
        for count in counts:
            share = 0.75 * count / total
            pdf.set_fill_color(*(round(255 + share * (part - 255)) for part in _FILL))
            pdf.set_text_color(*((255, 255, 255) if share > 0.45 else _INK))
            said = f"{count:,}  {count / total:.0%}" if wide > 14 else f"{count:,}"
            pdf.cell(wide, tall, said, border=1, align="C", fill=True)
        pdf.ln(tall)


def _passage(block: Passage, pdf: Pdf) -> None:
    """What speaks for it bold or underlined in red, what speaks against it italic in green."""
    _title(pdf, block.title, block.remark, 14)
    most = block.most or heaviest(block.pieces)
    at = 0
    for start, end, share in sorted(block.pieces):
        step = weight(share, most)
        if step and start >= at:
            _run(pdf, block.text[at:start], 0)
            _run(pdf, block.text[start:end], step)
            at = end
    _run(pdf, block.text[at:], 0)
    pdf.ln(_LINE)


def _run(pdf: Pdf, text: str, step: int) -> None:
    style = {2: "BU", 1: "U", -1: "I", -2: "BI"}.get(step, "")
    pdf.set_font("Helvetica", style=style, size=9)
    pdf.set_text_color(*(_FOR if step > 0 else _AGAINST if step < 0 else _INK))
    pdf.write(_LINE, _known(pdf, text, newlines=True))


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
