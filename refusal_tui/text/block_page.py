"""How is a report read by somebody without this program? As HTML: no script, nothing loaded from elsewhere.

Blocks of `blocks.py`, figures as HTML and inline SVG; text comes escaped and safe from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    cell_text,
)  # fmt: skip
from refusal_tui.text.charts import STYLE, bars, curves, histogram, matrix, passage, shown, stacked

_STYLE = (
    """
:root{color-scheme:light dark;--dim:#6b7280;--line:#8884;--panel:#8881}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,sans-serif;max-width:66rem;margin:0 auto;padding:2rem 1.2rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2.6rem 0 1rem;padding-top:.6rem;
 border-top:2px solid var(--line)}
p{margin:.3rem 0}.dim{color:var(--dim)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:.86em ui-monospace,monospace;overflow-wrap:anywhere;background:var(--panel);padding:.05rem .3rem;
 border-radius:.2rem}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin:1.2rem 0}nav a{color:inherit}
.tiles{display:flex;flex-wrap:wrap;gap:.7rem;margin:1.2rem 0}
.tiles div{background:var(--panel);border-radius:.5rem;padding:.6rem 1rem;min-width:7rem}
.tiles b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums}
.finding{border-left:.35rem solid #7f8a96;background:var(--panel);border-radius:0 .4rem .4rem 0;padding:.6rem 1rem;
 margin:.7rem 0;break-inside:avoid}
.alarm{border-color:#b3403a}.warning{border-color:#d48a2d}
.level{font-size:.75rem;font-weight:700;letter-spacing:.06em;text-transform:uppercase;margin-right:.5rem}
.alarm .level{color:#b3403a}.warning .level{color:#b8731a}
.finding p{margin:.15rem 0}.finding .say{font-size:1.02rem}
.blocks{display:flex;flex-wrap:wrap;gap:0 2.4rem;align-items:flex-start}.blocks>*{flex:1 1 26rem;min-width:0}
.blocks>.wide{flex-basis:100%;overflow-x:auto}
table.plain{border-collapse:collapse;margin:.2rem 0 1.2rem}
.plain td,.plain th{padding:.2rem 1.1rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
.plain th{color:var(--dim);font-weight:600}.plain td.n,.plain th.n{text-align:right}
@media print{nav{display:none}body{max-width:none;padding:0}}
"""
    + STYLE
)
_WIDE = 4  # a table of more columns takes the whole width


def document(title: str, body: Iterable[str]) -> str:
    """The whole file; `body` is HTML."""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{shown(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def section_html(section: Section) -> str:
    blocks = "".join(map(_block, section.blocks))
    return f"<h2 id={section.name}>{shown(section.title)}</h2><div class=blocks>{blocks}</div>"


def _block(block: Block) -> str:
    match block:
        case Bars():
            return bars(block.values, title=block.title, remark=block.remark)
        case Steps():
            wide = "<div class=wide>{}</div>" if len(block.counts) > 7 else "{}"
            return wide.format(histogram(block.counts, block.names, title=block.title, remark=block.remark))
        case Shares():
            return f"<div class=wide>{stacked(block.groups, title=block.title)}</div>"
        case Rows():
            return _rows(block)
        case Curves():
            return curves(block)
        case Matrix():
            return matrix(block)
        case Passage():
            return f"<div class=wide>{passage(block)}</div>"
    return f"<p class=wide>{shown(block.text, 2000)}</p>"


def _rows(block: Rows) -> str:
    small = f"<small>{shown(block.remark)}</small>" if block.remark else ""
    whole = f"<figure><figcaption>{shown(block.title)}{small}</figcaption>{table(block.columns, block.rows)}</figure>"
    return f"<div class=wide>{whole}</div>" if len(block.columns) > _WIDE else whole


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    lines = list(rows)
    numeric = [all(isinstance(row[n], int | float | None) for row in lines) for n in range(len(head))]
    top = "".join(
        f"<th{' class=n' if right else ''}>{shown(name)}</th>" for name, right in zip(head, numeric, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, right) for cell, right in zip(row, numeric, strict=True)) + "</tr>"
        for row in lines
    )
    return f"<table class=plain>{f'<tr>{top}</tr>' if any(head) else ''}{body}</table>"


def _cell(value: Cell, right: bool) -> str:
    return f"<td{' class=n' if right else ''}>{shown(cell_text(value))}</td>"
