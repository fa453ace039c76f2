"""databricks-dolly-15k: instructions and answers written by people (Conover et al. 2023). No refusal labels.

The prompt is the instruction, with the context below it where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, rest, text, text_or_none, word
from refusal_tui.ingest.items import Options, Record, SourceItem

_READ = frozenset({"instruction", "response", "category"})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    prompt = text(row, "instruction")
    context = text_or_none(row, "context")
    if context:
        prompt = f"{prompt}\n\n{context}"
    item = SourceItem(
        None, prompt, text(row, "response"), None, record.origin.split, word(row, "category"), rest(row, _READ)
    )
    return (item,)


ADAPTER = Adapter(
    name="dolly",
    version="1",
    title="Databricks Dolly 15k",
    hub_id="databricks/databricks-dolly-15k",
    licence="CC-BY-SA-3.0",
    gated=False,
    redistribution="full",
    eval_only=False,
    size="15,011",
    splits=("train",),
    citation="Conover et al. 2023, Free Dolly",
    notes="Harmless instructions, answers by people. Eight categories.",
    shapes=(
        Shape("instructions", {"instruction": "text", "context": "text?", "response": "text", "category": "text"}),
    ),
    convert=per_row(items_of),
)
