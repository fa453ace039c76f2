"""How are the pictures of a run drawn as SVG? Heat maps, lines over layers, histograms, strips of tokens.

Readable in print without colour: darker is more, figures stand in the cells where there is room, series have marks of
their own, and every cell says its figure when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from refusal_tui.text.safe import cell_width, shorten
from refusal_tui.text.svg import CHARACTER, INK, MARGIN, RULE, SOFT, line, svg_document, svg_text, write

HARMFUL, HARMLESS = "#b3361e", "#2b6ca3"
_SERIES = (HARMFUL, HARMLESS, "#1f6f4a", "#8a5a00", "#6b4c9a", "#333333")
_MARKS = ("●", "○", "▲", "△", "■", "□")
_TOP = 56
_ROW = 22
_WIDE, _NARROW = 40, 14  # of a column, with figures in the cells and without
_MOST_FIGURES = 24  # columns that have room for figures
_PLOT_WIDTH, _PLOT_HEIGHT = 560, 240
_PANEL, _PANEL_HEIGHT, _ACROSS = 170, 84, 4
_LINE_CELLS = 96  # of a strip


@dataclass(frozen=True, slots=True)
class Square:
    """share: 0 (white) to 1 (darkest), negative in another hue; None: nothing is known. `text` stands in it."""

    share: float | None
    text: str = ""
    told: str = ""


def heat_svg(
    title: str, rows: Sequence[str], columns: Sequence[str], squares: Sequence[Sequence[Square]], note: str,
    *, across: str = "layer",
) -> str:  # fmt: skip
    """A row of squares per name; `across` says what the columns are."""
    roomy = len(columns) <= _MOST_FIGURES
    wide = _WIDE if roomy else _NARROW
    left = MARGIN + (max(map(cell_width, (*rows, across))) + 1) * CHARACTER
    parts = [write(MARGIN, _TOP - 6, across, SOFT, size=11)]
    every = 1 if roomy else 5
    for number, name in enumerate(columns):
        if number % every == 0:
            parts.append(write(left + (number + 0.5) * wide, _TOP - 6, name, SOFT, size=11, anchor="middle"))
    for number, (name, row) in enumerate(zip(rows, squares, strict=True)):
        y = _TOP + number * _ROW
        parts.append(write(MARGIN, y + 15, name))
        for place, square in enumerate(row):
            parts.append(_square(square, left + place * wide, y, wide, roomy))
    bottom = _TOP + len(rows) * _ROW
    parts += _notes(note, bottom + 24)
    width = max(left + len(columns) * wide + MARGIN, _note_width(note, title))
    return svg_document(width, bottom + 24 + 16 * note.count("\n") + MARGIN, title, parts)


def _square(square: Square, x: float, y: float, wide: int, roomy: bool) -> str:
    fill, ink = _shade(square.share)
    shown = (
        write(x + wide / 2, y + 15, square.text, ink, size=11, anchor="middle")
        if roomy or len(square.text) == 1
        else ""
    )
    told = f"<title>{svg_text(square.told)}</title>" if square.told else ""
    return f'<g>{told}<rect x="{x:.1f}" y="{y}" width="{wide - 1}" height="{_ROW - 1}" fill="{fill}"/>{shown}</g>'


def _shade(share: float | None) -> tuple[str, str]:
    """Colour of a square and of the figure in it."""
    if share is None:
        return "#ececec", SOFT
    strength = min(1.0, abs(share))
    dark = (20, 66, 114) if share >= 0 else (138, 56, 8)
    colour = "#" + "".join(f"{round(255 + (one - 255) * strength):02x}" for one in dark)
    return colour, "#ffffff" if strength > 0.55 else INK


def lines_svg(
    title: str,
    xs: Sequence[float],
    series: Mapping[str, Sequence[float]],
    bounds: tuple[float, float],
    *,
    x_name: str,
    y_name: str,
    note: str = "",
    levels: Sequence[float] = (),
) -> str:
    """A line per series, each with a mark of its own. `levels` are ruled through."""
    left, low, high = MARGIN + 52, *bounds
    first, last = min(xs), max(xs)

    def x_of(value: float) -> float:
        return left + _PLOT_WIDTH * ((value - first) / (last - first) if last > first else 0.5)

    def y_of(value: float) -> float:
        return _TOP + _PLOT_HEIGHT * (1 - (min(high, max(low, value)) - low) / (high - low))

    parts = [write(MARGIN, _TOP - 14, y_name, SOFT, size=11)]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(line(left, y_of(value), left + _PLOT_WIDTH, y_of(value)))
        parts.append(write(left - 8, y_of(value) + 4, f"{value:g}", SOFT, size=11, anchor="end"))
    parts += [line(left, y_of(value), left + _PLOT_WIDTH, y_of(value), SOFT) for value in levels]
    shown = [x for n, x in enumerate(xs) if len(xs) <= 20 or n % 5 == 0]
    base = _TOP + _PLOT_HEIGHT
    parts += [write(x_of(x), base + 16, f"{x:g}", SOFT, size=11, anchor="middle") for x in shown]
    parts.append(write(left + _PLOT_WIDTH / 2, base + 34, x_name, SOFT, size=11, anchor="middle"))
    for number, (name, ys) in enumerate(series.items()):
        colour, mark = _SERIES[number % len(_SERIES)], _MARKS[number % len(_MARKS)]
        points = [(x_of(x), y_of(y), y) for x, y in zip(xs, ys, strict=True) if y == y]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts += [
            f"<g><title>{svg_text(f'{name}: {value:.4g}')}</title>{write(x, y + 4, mark, colour, anchor='middle')}</g>"
            for x, y, value in points
        ]
        parts.append(write(left + _PLOT_WIDTH + 14, _TOP + 14 + 18 * number, f"{mark} {shorten(name, 28)}", colour))
    parts += _notes(note, base + 56)
    width = left + _PLOT_WIDTH + 14 + 30 * CHARACTER
    return svg_document(max(width, _note_width(note, title)), base + 56 + 16 * note.count("\n") + MARGIN, title, parts)


@dataclass(frozen=True, slots=True)
class Panel:
    """One small histogram: how many harmful and harmless prompts fall into each bin between low and high."""

    name: str
    low: float
    high: float
    harmful: Sequence[int]
    harmless: Sequence[int]


def histograms_svg(title: str, panels: Sequence[Panel], note: str) -> str:
    """Small multiples: harmful prompts upwards, harmless ones downwards."""
    parts: list[str] = []
    down = -(-len(panels) // _ACROSS)
    for number, panel in enumerate(panels):
        x = MARGIN + (number % _ACROSS) * (_PANEL + 24)
        parts += _panel(panel, x, _TOP + (number // _ACROSS) * (_PANEL_HEIGHT + 44))
    bottom = _TOP + down * (_PANEL_HEIGHT + 44)
    parts += _notes(note, bottom + 12)
    width = max(2 * MARGIN + min(_ACROSS, len(panels)) * (_PANEL + 24), _note_width(note, title))
    return svg_document(width, bottom + 12 + 16 * note.count("\n") + MARGIN, title, parts)


def _panel(panel: Panel, x: float, y: float) -> Iterator[str]:
    middle, most = y + _PANEL_HEIGHT / 2, max((*panel.harmful, *panel.harmless, 1))
    step = _PANEL / max(1, len(panel.harmful))
    yield write(x, y - 6, panel.name, INK, size=11)
    for place, (up, down) in enumerate(zip(panel.harmful, panel.harmless, strict=True)):
        for count, colour, top in ((up, HARMFUL, True), (down, HARMLESS, False)):
            height = _PANEL_HEIGHT / 2 * count / most
            if count:
                start = middle - height if top else middle
                yield (
                    f'<rect x="{x + place * step:.1f}" y="{start:.1f}" width="{step - 1:.1f}" height="{height:.1f}" '
                    f'fill="{colour}"><title>{count}</title></rect>'
                )
    yield line(x, middle, x + _PANEL, middle, RULE)
    yield write(x, y + _PANEL_HEIGHT + 14, f"{panel.low:.3g}", SOFT, size=10)
    yield write(x + _PANEL, y + _PANEL_HEIGHT + 14, f"{panel.high:.3g}", SOFT, size=10, anchor="end")


@dataclass(frozen=True, slots=True)
class Token:
    """share: where it lies between harmless (0) and harmful prompts (1); None: there is no such scale."""

    text: str
    share: float | None
    figure: float
    answer: bool


def strip_svg(title: str, tokens: Sequence[Token], note: str) -> str:
    """Tokens in lines, each with its figure below it; those of the answer are underlined."""
    parts: list[str] = []
    at, y = 0, _TOP
    for token in tokens:
        shown = shorten(token.text.strip() or repr(token.text)[1:-1], 24)
        cells = max(cell_width(shown), 6) + 1
        if at + cells > _LINE_CELLS:
            at, y = 0, y + 46
        x, wide = MARGIN + at * CHARACTER, cells * CHARACTER - 3
        fill, ink = _shade(token.share)
        parts.append(
            f"<g><title>{svg_text(f'{token.text!r} {token.figure:+.3f}')}</title>"
            f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="20" fill="{fill}"/>'
            f"{write(x + 3, y + 14, shown, ink)}{write(x + 3, y + 33, f'{token.figure:+.2f}', SOFT, size=10)}</g>"
        )
        if token.answer:
            parts.append(line(x, y + 21, x + wide, y + 21, INK, 1.5))
        at += cells
    parts += _notes(note, y + 64)
    return svg_document(2 * MARGIN + _LINE_CELLS * CHARACTER, y + 64 + 16 * note.count("\n") + MARGIN, title, parts)


def _notes(note: str, y: float) -> list[str]:
    return [write(MARGIN, y + 16 * n, text, SOFT, size=11) for n, text in enumerate(note.splitlines())]


def _note_width(*texts: str) -> float:
    return 2 * MARGIN + max(cell_width(one) for text in texts for one in (text or " ").splitlines()) * CHARACTER
