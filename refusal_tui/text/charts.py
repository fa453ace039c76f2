"""How are figures drawn on the page? Bars, shares, histograms, curves, matrices of plain HTML, CSS and inline SVG.

No script and no library. They grow with the page, print, and read as tables where nobody sees colours: the values
stand beside every bar. Text comes escaped and safe from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from refusal_tui.text.blocks import Curves, Matrix, Passage, Series, heaviest, weight
from refusal_tui.text.plot import axis_text, glyph_of, limits
from refusal_tui.text.safe import safe_text
from refusal_tui.text.svg import SOFT, mark, write
from refusal_tui.text.svg import line as svg_line

# Told apart in grey, too: every second one is light.
_COLOURS = ("#2f5f98", "#e0a458", "#4f8a4c", "#c9a6d8", "#a4453f", "#b9c2cc", "#2a7f7f", "#d8cf6a")
_NAME = 40
_LEGEND = 8  # curves that are named
# A later curve on top of an earlier one lets it show through.
_DASHES = ("", "6 4", "2 3", "9 3 2 3", "12 6", "1 6", "4 8")

STYLE = """
figure{margin:0 0 1.4rem;break-inside:avoid}figcaption{font-weight:600;margin-bottom:.25rem}
figcaption small{display:block;font-weight:400;color:var(--dim)}
table.bars{width:100%;border-collapse:collapse}table.bars th{font-weight:400;text-align:left;white-space:nowrap;
 max-width:14rem;overflow:hidden;text-overflow:ellipsis;padding:.08rem .7rem .08rem 0}
table.bars th,table.bars td{width:1%}table.bars td{padding:.08rem .5rem .08rem 0}
table.bars td:last-child{width:60%;padding:0}
.bar{display:block;height:.85rem;background:#2f5f98;border-radius:0 .2rem .2rem 0;min-width:1px}
.split{display:flex;height:.85rem;border-radius:.2rem;overflow:hidden}.split i{min-width:0}
.key{display:inline-block;width:.75rem;height:.75rem;border-radius:.15rem;margin:0 .3rem 0 .9rem;vertical-align:-.05rem}
.steps{display:flex;align-items:flex-end;gap:2px}
.steps div{flex:1;min-width:0;text-align:center;font-size:.72rem;line-height:1.25}
table.matrix{border-collapse:collapse}table.matrix td,table.matrix th{padding:.3rem .8rem;border:1px solid var(--line)}
table.matrix small{color:inherit;opacity:.75}svg{width:100%;max-width:44rem;background:#fff;border-radius:.3rem}
svg.key{max-width:none;width:.8rem;height:.8rem}
p.passage{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--panel);padding:.6rem .9rem;border-radius:.4rem}
mark{background:none;color:inherit;text-decoration:underline;text-decoration-thickness:.12em}
mark.for{text-decoration-color:#b3403a;background:#b3403a22}mark.against{text-decoration-color:#3c7a3a;font-style:italic;
 background:#3c7a3a22}mark.much{font-weight:700}mark.for.much{background:#b3403a44}mark.against.much{background:#3c7a3a44}
.steps .bar{border-radius:.2rem .2rem 0 0;margin:.1rem 0}.steps span{color:var(--dim);white-space:nowrap}
"""


def shown(text: object, most: int = 200) -> str:
    """Anything as harmless text of the page."""
    value = safe_text(str(text))
    return escape(value if len(value) <= most else value[: most - 1] + "…")


def colour_of(number: int) -> str:
    """Of the nth class or curve."""
    return _COLOURS[number % len(_COLOURS)]


def bars(counts: Mapping[str, float], *, title: str, remark: str = "") -> str:
    """Horizontal bars with their values and shares."""
    most, total = max(counts.values(), default=0) or 1, sum(counts.values()) or 1
    lines = []
    for name, value in counts.items():
        number = f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"
        lines.append(
            f"<tr><th scope=row title='{shown(name)}'>{shown(name, _NAME)}</th><td class=n>{number}</td>"
            f"<td class='n dim'>{value / total:.1%}</td>"
            f"<td><i class=bar style='width:{100 * value / most:.2f}%'></i></td></tr>"
        )
    return _figure(f"<table class=bars>{''.join(lines)}</table>", title, remark)


def stacked(groups: Mapping[str, Mapping[str, int]], *, title: str) -> str:
    """One bar per group, divided by the shares of its classes; the classes are named below."""
    classes = list(dict.fromkeys(name for counts in groups.values() for name in counts))
    colour = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(classes)}
    lines = []
    for name, counts in groups.items():
        total = sum(counts.values())
        parts = "".join(
            f"<i title='{shown(label)}: {counts[label]:,} ({counts[label] / total:.1%})' "
            f"style='width:{100 * counts[label] / total:.2f}%;background:{colour[label]}'></i>"
            for label in classes
            if counts.get(label)
        )
        lines.append(
            f"<tr><th scope=row title='{shown(name)}'>{shown(name, _NAME)}</th><td class=n>{total:,}</td>"
            f"<td><div class=split>{parts}</div></td></tr>"
        )
    legend = "".join(
        f"<i class=key style='background:{colour[name]}'></i>{shown(name, 40)}" for name in classes[: 2 * len(_COLOURS)]
    )
    return _figure(f"<table class=bars>{''.join(lines)}</table><p class=dim>{legend}</p>", title, "")


def histogram(counts: Sequence[int], names: Sequence[str], *, title: str, remark: str = "") -> str:
    """Upright bars; `names` has one for each of them."""
    most = max(counts, default=0) or 1
    steps = "".join(
        f"<div>{count:,}<i class=bar style='height:{6.5 * count / most:.2f}rem'></i>"
        f"<span>{shown(name, 12)}</span></div>"
        for count, name in zip(counts, names, strict=True)
    )
    return _figure(f"<div class=steps>{steps}</div>", title, remark)


def _figure(body: str, title: str, remark: str) -> str:
    small = f"<small>{shown(remark)}</small>" if remark else ""
    return f"<figure><figcaption>{shown(title)}{small}</figcaption>{body}</figure>"


def curves(block: Curves) -> str:
    """Lines over axes, as inline SVG; the least and the most of both axes are written at them."""
    left, right, low, high = limits(block.series, block.bounds)
    wide, tall, at, top = 560.0, 210.0, 46.0, 10.0

    def place(x: float, y: float) -> tuple[float, float]:
        share_x, share_y = (x - left) / (right - left), (min(max(y, low), high) - low) / (high - low)
        return at + share_x * wide, top + (1 - share_y) * tall

    parts = [svg_line(at, top, at, top + tall), svg_line(at, top + tall, at + wide, top + tall)]
    for value in (low, (low + high) / 2, high):
        y = place(left, value)[1]
        parts += [svg_line(at, y, at + wide, y), write(at - 6, y + 4, axis_text(value), SOFT, size=11, anchor="end")]
    for value, anchor in ((left, "start"), (right, "end")):
        parts.append(write(place(value, low)[0], top + tall + 16, axis_text(value), SOFT, size=11, anchor=anchor))
    parts.append(write(at + wide / 2, top + tall + 16, block.x, SOFT, size=11, anchor="middle"))
    for number, one in enumerate(block.series):
        colour = colour_of(number)
        spots = [place(x, y) for x, y in one.points]
        for (x, _), (least, most) in zip(one.points, one.intervals, strict=False):
            parts.append(svg_line(*place(x, least), *place(x, most), colour))
        if len(spots) > 1 and not one.dots:
            path, dash = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots), _dash(block.series, number)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        if one.marked:
            parts += [mark(glyph_of(block.series, number), x, y, colour) for x, y in spots]
    picture = (
        f"<svg viewBox='0 0 {at + wide + 8:.0f} {top + tall + 24:.0f}' role=img aria-label='{shown(block.title)}' "
        f"font-family='system-ui,sans-serif'>{''.join(parts)}</svg>"
    )
    names = "".join(f"{_key(block.series, n)}{shown(one.name, 40)}" for n, one in enumerate(block.series[:_LEGEND]))
    return _figure(f"{picture}<p class=dim>{names}</p>", block.title, block.remark)


def _dash(series: Sequence[Series], number: int) -> str:
    before = sum(not one.dots and len(one.points) > 1 for one in series[:number])
    dash = _DASHES[before % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _key(series: Sequence[Series], number: int) -> str:
    """What a curve looks like, beside its name."""
    colour = colour_of(number)
    if series[number].marked:
        point = mark(glyph_of(series, number), 0, 0, colour)
        return f"<svg class=key viewBox='-6 -6 12 12' aria-hidden=true>{point}</svg>"
    return f"<i class=key style='background:{colour}'></i>"


def matrix(block: Matrix) -> str:
    """A table whose cells are the darker, the larger their share of the row."""
    head = "".join(f"<th class=n scope=col>{shown(name, _NAME)}</th>" for name in block.columns)
    lines = []
    for name, counts in zip(block.rows, block.counts, strict=True):
        total = sum(counts) or 1
        cells = "".join(
            f"<td class=n style='background:rgba(47,95,152,{0.75 * count / total:.2f})'>{count:,}"
            f" <small>{count / total:.0%}</small></td>"
            for count in counts
        )
        lines.append(f"<tr><th scope=row>{shown(name, _NAME)}</th>{cells}</tr>")
    return _figure(f"<table class=matrix><tr><td></td>{head}</tr>{''.join(lines)}</table>", block.title, block.remark)


def passage(block: Passage) -> str:
    """A text with what speaks for something underlined in red, what speaks against it in green and italics."""
    most = block.most or heaviest(block.pieces)
    found, at = "", 0
    for start, end, share in sorted(block.pieces):
        step = weight(share, most)
        if step and start >= at:
            name = {2: "for much", 1: "for", -1: "against", -2: "against much"}[step]
            whole = f"<mark class='{name}' title='{share:+.3f}'>{_part(block.text[start:end])}</mark>"
            found, at = f"{found}{_part(block.text[at:start])}{whole}", end
    return _figure(f"<p class=passage>{found}{_part(block.text[at:])}</p>", block.title, block.remark)


def _part(text: str) -> str:
    return escape(safe_text(text))
