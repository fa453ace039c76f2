"""How does text of data get into a card? As a cell, as code, as a YAML string; and the table of what data comes from.

Names of datasets and models are hostile: nothing in them may end a cell, a paragraph or the front matter of a card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from refusal_tui.text.safe import safe_text


def sources_table(sources: Iterable[Mapping[str, Any]]) -> list[str]:
    """The Markdown table of `sources` (as dataset_info.json has them), a line each."""
    return [
        "| dataset | rows | source | revision | sha256 | licence | redistribution |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {as_cell(s['name'])} | {s['rows']:,} | {as_cell(s['source'])} | {as_cell(s['revision'])} "
            f"| {as_cell((s['sha256'] or '')[:16])} | {as_cell(s['licence'])} | {as_cell(s['redistribution'])} |"
            for s in sources
        ),
    ]


def as_cell(value: object) -> str:
    """Text of a dataset as one cell of a Markdown table: no markup, no HTML."""
    text = safe_text(str(value or ""), newlines=False)
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", text)


def as_code(text: str) -> str:
    """`text` as code, whatever backticks it holds."""
    text = safe_text(text, newlines=False)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def as_yaml(text: str) -> str:
    """A double-quoted YAML string."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'
