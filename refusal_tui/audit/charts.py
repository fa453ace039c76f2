"""How are figures drawn? Small SVG charts for the page, no library: bars, shares stacked by group, histograms.

Text comes escaped and safe from here; colours are told apart without hue, too (the values stand beside the bars).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from refusal_tui.text.safe import safe_text

_COLOURS = ("#3b6ea5", "#d98c3f", "#6a9f5b", "#9a6fb0", "#b0544f", "#7f7f7f", "#4aa3a3", "#c7b042")
_ROW, _LEFT, _WIDTH = 22, 220, 720
_NAME = 30


def shown(text: object, most: int = 200) -> str:
    """Anything as harmless text of the page."""
    value = safe_text(str(text))
    return escape(value if len(value) <= most else value[: most - 1] + "…")


def bars(counts: Mapping[str, float], *, title: str, unit: str = "") -> str:
    """Horizontal bars with their values."""
    most = max(counts.values(), default=0) or 1
    parts = []
    for place, (name, value) in enumerate(counts.items()):
        y = place * _ROW
        width = max(1.0, (_WIDTH - _LEFT - 110) * value / most)
        number = f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{shown(name, _NAME)}</text>'
            f'<rect x="{_LEFT}" y="{y + 4}" width="{width:.1f}" height="14" fill="{_COLOURS[0]}"/>'
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 15}">{number}{escape(unit)}</text>'
        )
    return _svg("".join(parts), len(counts) * _ROW + 4, title)


def stacked(groups: Mapping[str, Mapping[str, int]], *, title: str) -> str:
    """One bar per group, divided by the shares of its classes; the classes are named below."""
    classes = list(dict.fromkeys(name for counts in groups.values() for name in counts))
    parts = []
    for place, (name, counts) in enumerate(groups.items()):
        y, x, total = place * _ROW, float(_LEFT), sum(counts.values())
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{shown(name, _NAME)}</text>')
        for number, label in enumerate(classes):
            width = (_WIDTH - _LEFT - 110) * counts.get(label, 0) / total if total else 0
            if width:
                colour = _COLOURS[number % len(_COLOURS)]
                parts.append(
                    f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="14" fill="{colour}">'
                    f"<title>{shown(label)}: {counts[label]:,}</title></rect>"
                )
            x += width
        parts.append(f'<text x="{_WIDTH - 104}" y="{y + 15}">{total:,}</text>')
    y, x = len(groups) * _ROW, _LEFT
    for number, label in enumerate(classes[: len(_COLOURS)]):
        if x > _WIDTH - 140:
            y, x = y + _ROW, _LEFT
        parts.append(
            f'<rect x="{x}" y="{y + 6}" width="10" height="10" fill="{_COLOURS[number]}"/>'
            f'<text x="{x + 14}" y="{y + 15}">{shown(label, 18)}</text>'
        )
        x += 150
    return _svg("".join(parts), y + _ROW + 4, title)


def histogram(counts: Sequence[int], bounds: Sequence[str], *, title: str) -> str:
    """Upright bars; `bounds` names each of them."""
    most = max(counts, default=0) or 1
    step = (_WIDTH - 20) / max(1, len(counts))
    parts = []
    for place, (count, name) in enumerate(zip(counts, bounds, strict=True)):
        height = 110 * count / most
        x = 10 + place * step
        parts.append(
            f'<rect x="{x + 2:.1f}" y="{130 - height:.1f}" width="{step - 4:.1f}" height="{height:.1f}" '
            f'fill="{_COLOURS[0]}"/><text x="{x + step / 2:.1f}" y="146" text-anchor="middle">{shown(name, 12)}</text>'
            f'<text x="{x + step / 2:.1f}" y="{126 - height:.1f}" text-anchor="middle">{count:,}</text>'
        )
    return _svg("".join(parts), 152, title)


def _svg(body: str, height: int, title: str) -> str:
    return (
        f'<figure><figcaption>{shown(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{shown(title)}">{body}</svg></figure>'
    )
