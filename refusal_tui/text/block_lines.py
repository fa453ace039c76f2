"""How are a report's blocks read in a terminal? Lines of text with figures made of glyphs, for 60 cells and more.

The screen paints the tones, the command line prints the text; both are told by words and numbers alone, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from refusal_tui.text.blocks import (
    Bars,
    Block,
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
from refusal_tui.text.plot import glyph_of, plot
from refusal_tui.text.safe import cell_width, shorten

_NAME = 28  # cells of a name before its bar
_NUMBER = 9
_LONGEST = 60  # cells of a bar
_BLOCKS = " ▏▎▍▌▋▊▉"
_WIDEST, _HIGH = 72, 9  # cells and lines of a picture
_MARKS = {2: "++", 1: "+", -1: "-", -2: "--"}


class Tone(StrEnum):
    PLAIN = "plain"
    HEADING = "heading"
    MUTED = "muted"
    BAR = "bar"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class TextLine:
    """`opens`: the filter of the rows that the line speaks of. `name`: what it is about, where something can be done
    with that."""

    parts: tuple[tuple[str, Tone], ...] = ()
    opens: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts).rstrip()


def section_lines(section: Section, width: int) -> list[TextLine]:
    """The section in lines of at most `width` cells; names from data are safe and cut."""
    found: list[TextLine] = []
    for block in section.blocks:
        if found:
            found.append(TextLine())
        found += _block(block, width)
    return found


def _block(block: Block, width: int) -> Iterator[TextLine]:
    match block:
        case Words(text=text):
            for line in _wrapped(text, width):
                yield TextLine(((line, Tone.PLAIN),))
        case Bars():
            yield from _head(block.title, block.remark, width)
            yield from _bars(list(block.values), list(block.values.values()), width, block)
        case Steps():
            yield from _head(block.title, block.remark, width)
            yield from _bars(list(block.names), list(block.counts), width, None)
        case Shares():
            yield from _shares(block, width)
        case Rows():
            yield from _head(block.title, block.remark, width)
            yield from _rows(block, width)
        case Curves():
            yield from _head(block.title, block.remark, width)
            yield from curve_lines(block, min(width, _WIDEST), _HIGH)
        case Matrix():
            yield from _head(block.title, block.remark, width)
            yield from _matrix(block, width)
        case Passage():
            yield from _head(block.title, block.remark, width)
            for line in _wrapped(marked(block.text, block.pieces, block.most), width):
                yield TextLine(((line, Tone.PLAIN),))


def _head(title: str, remark: str, width: int) -> Iterator[TextLine]:
    first = shorten(title, width)
    if not remark:
        yield TextLine(((first, Tone.HEADING),))
    elif cell_width(first) + 2 + cell_width(remark) <= width:
        yield TextLine(((first, Tone.HEADING), (f"  {shorten(remark, width)}", Tone.MUTED)))
    else:
        yield TextLine(((first, Tone.HEADING),))
        for line in _wrapped(remark, width):
            yield TextLine(((line, Tone.MUTED),))


def _bars(names: Sequence[str], values: Sequence[float], width: int, of: Bars | None) -> Iterator[TextLine]:
    most, total = max(values, default=0) or 1, sum(values) or 1
    name_width = min(_NAME, max(map(cell_width, names), default=0), width // 3)
    room = max(4, min(_LONGEST, width - name_width - _NUMBER - 9))
    for name, value in zip(names, values, strict=True):
        shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:.2f}"
        yield TextLine(
            (
                (_left(name, name_width) + " ", Tone.PLAIN),
                (f"{shown:>{_NUMBER}} ", Tone.PLAIN),
                (f"{value / total:>5.1%} ", Tone.MUTED),
                (bar(value / most, room), Tone.BAR),
            ),
            opens=of.opens.get(name, "") if of is not None else "",
        )


def bar(share: float, width: int) -> str:
    """A bar of `width` cells at most, exact to an eighth of a cell; what is not nothing is seen.

    >>> bar(1.0, 4), bar(0.5, 5), bar(0.0001, 4), bar(0.0, 4)
    ('████', '██▌', '▏', '')
    """
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")


def _shares(block: Shares, width: int) -> Iterator[TextLine]:
    """A line per group with the share of each class: the classes that have most rows, as far as there is room."""
    totals: dict[str, int] = {}
    for counts in block.groups.values():
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    classes = sorted(totals, key=lambda name: -totals[name])
    name_width = min(_NAME, max(map(cell_width, block.groups), default=0), width // 3)
    fitting = classes[: max(1, (width - name_width - _NUMBER - 1) // 10)]
    yield from _head(block.title, "", width)
    titles = "".join(f" {shorten(name, 9):>9}" for name in fitting)
    yield TextLine(((f"{'':<{name_width}} {'rows':>{_NUMBER}}{titles}", Tone.MUTED),))
    for group, counts in block.groups.items():
        total = sum(counts.values())
        shares = "".join(f" {counts.get(name, 0) / total:>9.1%}" if total else f" {'—':>9}" for name in fitting)
        parts = ((_left(group, name_width) + " ", Tone.PLAIN), (f"{total:>{_NUMBER},}{shares}", Tone.PLAIN))
        yield TextLine(parts, opens=block.opens.get(group, ""))


def _rows(block: Rows, width: int) -> Iterator[TextLine]:
    shown = [[cell_text(cell) for cell in row] for row in block.rows]
    numeric = [all(not isinstance(row[n], str) for row in block.rows) for n in range(len(block.columns))]
    wanted = [max([cell_width(title), *(cell_width(row[n]) for row in shown)]) for n, title in enumerate(block.columns)]
    widths = _fitted(wanted, numeric, width - 2 * (len(wanted) - 1))
    if any(block.columns):
        title = "  ".join(_placed(name, widths[n], right=numeric[n]) for n, name in enumerate(block.columns))
        yield TextLine(((title, Tone.MUTED),))
    for place, row in enumerate(shown):
        parts = [
            (("  " if n else "") + _placed(cell, widths[n], right=numeric[n]), _tone(cell))
            for n, cell in enumerate(row)
        ]
        yield TextLine(
            tuple(parts),
            opens=block.opens[place] if block.opens else "",
            name=block.names[place] if block.names else "",
        )


def curve_lines(block: Curves, width: int, height: int) -> Iterator[TextLine]:
    """The picture, `height` lines high, below it its axis and what the glyphs stand for."""
    tones = (Tone.BAR, Tone.GOOD, Tone.BAD)
    for parts in plot(block.series, width, height, block.bounds):
        yield TextLine(tuple((text, Tone.MUTED if of is None else tones[of % len(tones)]) for text, of in parts))
    yield from (TextLine(((line, Tone.MUTED),)) for line in _wrapped(legend(block), width))


def legend(block: Curves) -> str:
    """
    >>> from refusal_tui.text.blocks import Series
    >>> legend(Curves("", "step", [Series("loss", []), Series("validation", [], dots=True)]))
    'step; ⠒ loss  ○ validation'
    """
    return f"{block.x}; " + "  ".join(f"{glyph_of(block.series, n)} {one.name}" for n, one in enumerate(block.series))


def _matrix(block: Matrix, width: int) -> Iterator[TextLine]:
    names = min(_NAME, max(map(cell_width, block.rows), default=0), width // 3)
    columns = max(6, min(14, (width - names - 1) // max(1, len(block.columns)) - 1))
    yield TextLine(((" " * names + "".join(f" {shorten(c, columns):>{columns}}" for c in block.columns), Tone.MUTED),))
    for name, counts in zip(block.rows, block.counts, strict=True):
        yield TextLine(((_left(name, names), Tone.PLAIN), ("".join(f" {c:>{columns},}" for c in counts), Tone.PLAIN)))


def marked(text: str, pieces: Sequence[tuple[int, int, float]], most: float = 0.0) -> str:
    """The text with signs around what weighs much or some, as it reads without colour.

    >>> marked("Sorry, no bread.", [(0, 5, 0.9), (10, 15, -0.2)])
    '++Sorry++, no -bread-.'
    """
    most = most or heaviest(pieces)
    found, place = "", 0
    for start, end, share in sorted(pieces):
        sign = _MARKS.get(weight(share, most))
        if sign is not None and start >= place:
            found += f"{text[place:start]}{sign}{text[start:end]}{sign}"
            place = end
    return found + text[place:]


def _fitted(wanted: Sequence[int], numeric: Sequence[bool], room: int) -> list[int]:
    """Numbers keep their width; the widest words give way."""
    widths = list(wanted)
    while sum(widths) > room:
        words = [n for n, number in enumerate(numeric) if not number and widths[n] > 6]
        if not words:
            break
        widest = max(words, key=lambda n: widths[n])
        widths[widest] -= 1
    return widths


def _tone(cell: str) -> Tone:
    return {"✓": Tone.GOOD, "✗": Tone.BAD, "·": Tone.MUTED}.get(cell[:1], Tone.PLAIN)


def _placed(text: str, width: int, *, right: bool) -> str:
    return text.rjust(width) if right else _left(_both_ends(text, width), width)


def _both_ends(name: str, width: int) -> str:
    """A long name without blanks is cut in its middle: people and models of one place differ at their ends.

    >>> _both_ends("human:xstest/annotator-2", 13), _both_ends("short", 13), _both_ends("a sentence of words", 9)
    ('human:…ator-2', 'short', 'a sentence of words')
    """
    if len(name) <= width or width < 9 or " " in name or not name.isascii() or not name.isprintable():
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def _left(text: str, width: int) -> str:
    cut = shorten(text, width)
    return cut + " " * (width - cell_width(cut))


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Our own sentences, which may hold names: broken at blanks."""
    line = ""
    for word in shorten(text, 2000).split():
        if line and cell_width(line) + 1 + cell_width(word) > width:
            yield line
            line = ""
        line = shorten(f"{line} {word}" if line else word, width)
    if line:
        yield line
