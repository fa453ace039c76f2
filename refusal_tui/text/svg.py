"""How is a figure written as SVG? By hand: small, the same at every run, no library; data comes in as text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from refusal_tui.text.safe import safe_text

INK, SOFT, RULE, STRIPE = "#1a1a1a", "#555555", "#d6d6d0", "#f5f5f2"
CHARACTER = 7.2  # width of one cell of a 12 px sans-serif face, on the safe side
MARGIN = 20


def svg_text(value: str) -> str:
    """Data as text of an XML document: nothing invisible, nothing that XML forbids, nothing that is markup.

    >>> svg_text('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return escape(safe_text(value, newlines=False), quote=True)


def write(x: float, y: float, text: str, colour: str = INK, *, size: int = 12, anchor: str = "start") -> str:
    """A word or a figure at a place."""
    where = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {where}>{svg_text(text)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, colour: str = RULE, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


_SIZE = 4.0  # half the width of a mark
_HALF = _SIZE * 0.9
# The outline of each glyph around (0, 0), and whether it is filled. Two arcs make a circle.
_CIRCLE = f"M{-_HALF} 0a{_HALF} {_HALF} 0 1 0 {2 * _HALF} 0a{_HALF} {_HALF} 0 1 0 {-2 * _HALF} 0"
_MARKS = {
    "○": (_CIRCLE, False),
    "●": (_CIRCLE, True),
    "◆": (f"M0 {-_SIZE}L{_SIZE} 0L0 {_SIZE}L{-_SIZE} 0Z", True),
    "△": (f"M0 {-_SIZE}L{_SIZE} {_HALF}L{-_SIZE} {_HALF}Z", False),
    "▽": (f"M0 {_SIZE}L{_SIZE} {-_HALF}L{-_SIZE} {-_HALF}Z", False),
    "□": (f"M{-_HALF} {-_HALF}H{_HALF}V{_HALF}H{-_HALF}Z", False),
    "+": (f"M{-_SIZE} 0H{_SIZE}M0 {-_SIZE}V{_SIZE}", False),
    "×": (f"M{-_HALF} {-_HALF}L{_HALF} {_HALF}M{_HALF} {-_HALF}L{-_HALF} {_HALF}", False),
}


def mark(glyph: str, x: float, y: float, colour: str) -> str:
    """A point of a series, in the shape that the terminal draws it with (`plot.glyph_of`)."""
    outline, filled = _MARKS[glyph]
    return (
        f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{outline}" '
        f'fill="{colour if filled else "none"}" stroke="{colour}" stroke-width="1.6"/>'
    )


def svg_document(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A whole document with its title; `parts` are elements."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{svg_text(title)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="26" font-size="15" font-weight="600" fill="{INK}">{svg_text(title)}</text>',
        *parts, "</svg>", "",
    ])  # fmt: skip
