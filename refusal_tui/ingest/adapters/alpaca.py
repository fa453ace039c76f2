"""tatsu-lab/alpaca: instructions with an optional input (Taori et al. 2023). No refusal labels.

The prompt is the instruction, with the input below it where there is one. The column `text` renders the same three
columns again and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, rest, text, text_or_none
from refusal_tui.ingest.items import Options, Record, SourceItem

_READ = frozenset({"instruction", "output", "text"})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    prompt = text(row, "instruction")
    context = text_or_none(row, "input")
    if context:
        prompt = f"{prompt}\n\n{context}"
    return (SourceItem(None, prompt, text(row, "output"), None, record.origin.split, None, rest(row, _READ)),)


ADAPTER = Adapter(
    name="alpaca",
    version="1",
    title="Alpaca instructions",
    hub_id="tatsu-lab/alpaca",
    licence="CC-BY-NC-4.0",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="52,002",
    splits=("train",),
    citation="Taori et al. 2023, Stanford Alpaca",
    notes="Harmless instructions, model-written answers. Non-commercial.",
    shapes=(Shape("instructions", {"instruction": "text", "input": "text?", "output": "text"}),),
    convert=per_row(items_of),
)
