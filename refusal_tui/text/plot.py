"""How are lines drawn in a terminal? Joined points in braille (2 x 4 dots a cell), single ones as glyphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refusal_tui.text.blocks import Series

_GLYPHS = "○◆△+×●□▽"
_JOINED = "⠒"
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, by row and column
_LABEL = 6

Runs = list[tuple[str, int | None]]  # pieces of a line and the series they belong to, None: axis and paper


def glyph_of(series: Sequence[Series], number: int) -> str:
    """What a series is drawn with: joined ones all in braille, each one with marked points with a glyph."""
    if not series[number].marked:
        return _JOINED
    return _GLYPHS[sum(one.marked for one in series[:number]) % len(_GLYPHS)]


def limits(series: Sequence[Series], bounds: tuple[float, float] | None) -> tuple[float, float, float, float]:
    """Least and most x, least and most y; never the same."""
    xs = [x for one in series for x, _ in one.points] or [0.0]
    wide = [y for one in series for pair in one.intervals for y in pair]
    ys = list(bounds) if bounds else [*wide, *(y for one in series for _, y in one.points)] or [0.0]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    return left, right if right > left else left + 1, low, high if high > low else low + 1


def axis_text(value: float) -> str:
    """
    >>> [axis_text(value) for value in (0.0, 0.5, 12.34, 1500.0, 2e-5, 12345.0)]
    ['0', '0.5', '12.3', '1500', '2e-05', '12345']
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _label(value: float) -> str:
    """Of y, in the room that it has: rounded, never cut in its exponent.

    >>> [_label(value) for value in (0.454, -0.0034, -2.754e-10)]
    ['0.454', '-0.003', '-3e-10']
    """
    texts = [axis_text(value), f"{value:.2g}", f"{value:.1g}"]
    return next((text for text in texts if len(text) <= _LABEL), texts[-1][:_LABEL])


def plot(
    series: Sequence[Series], width: int, height: int, bounds: tuple[float, float] | None = None
) -> Iterator[Runs]:
    """`height` lines of at most `width` cells: labels of y at the left, the last line is the axis of x."""
    left, right, low, high = limits(series, bounds)
    wide, tall = max(4, width - _LABEL - 2), max(2, height - 1)
    cells: list[list[tuple[int, int | None]]] = [[(0, None)] * wide for _ in range(tall)]
    glyphs: dict[tuple[int, int], tuple[str, int]] = {}

    def spot(x: float, y: float) -> tuple[int, int]:
        share_x, share_y = (x - left) / (right - left), (min(max(y, low), high) - low) / (high - low)
        return round(share_x * (2 * wide - 1)), round((1 - share_y) * (4 * tall - 1))

    # what has intervals lies over what is marked alone
    for number, one in sorted(enumerate(series), key=lambda pair: bool(pair[1].intervals)):
        spots = [spot(x, y) for x, y in one.points]
        if one.marked:
            glyphs |= {(y // 4, x // 2): (glyph_of(series, number), number) for x, y in spots}
        pairs = [(spot(x, a), spot(x, b)) for (x, _), (a, b) in zip(one.points, one.intervals, strict=False)]
        pairs += [] if one.dots else zip(spots, spots[1:] or spots, strict=False)
        for start, end in pairs:
            for x, y in _between(start, end):
                bits, _ = cells[y // 4][x // 2]
                cells[y // 4][x // 2] = bits | _DOTS[y % 4][x % 2], number
    for y, row in enumerate(cells):
        label = _label(high) if y == 0 else _label(low) if y == tall - 1 else ""
        runs: Runs = [(f"{label:>{_LABEL}} │", None)]
        for x, (bits, of) in enumerate(row):
            char, of = glyphs.get((y, x), (chr(0x2800 + bits) if bits else " ", of))
            if len(runs) > 1 and runs[-1][1] == of:
                runs[-1] = (runs[-1][0] + char, of)
            else:
                runs.append((char, of))
        yield runs
    first, last = axis_text(left), axis_text(right)
    yield [(" " * _LABEL + " └" + first + "─" * (wide - len(first) - len(last)) + last, None)]


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    for n in range(steps + 1):
        yield (
            start[0] + round(n * (end[0] - start[0]) / steps),
            start[1] + round(n * (end[1] - start[1]) / steps),
        )
