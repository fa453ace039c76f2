"""FLAN as Open-Orca/FLAN and Muennighoff/flan publish it (Longpre et al. 2023, arXiv:2301.13688). No refusal labels."""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, rest, text, word
from refusal_tui.ingest.items import Options, Record, SourceItem

_READ = frozenset({"inputs", "targets", "task"})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    return (
        SourceItem(
            None,
            text(row, "inputs"),
            text(row, "targets"),
            None,
            record.origin.split,
            word(row, "task"),
            rest(row, _READ),
        ),
    )


ADAPTER = Adapter(
    name="flan",
    version="1",
    title="FLAN tasks",
    hub_id="Muennighoff/flan",
    licence="see the dataset's card",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="hundreds of millions of rows; use --limit",
    splits=("train", "validation", "test"),
    citation="Longpre et al. 2023, arXiv:2301.13688",
    notes="Harmless task data. Open-Orca/FLAN has the same columns.",
    shapes=(Shape("tasks", {"inputs": "text", "targets": "text"}),),
    convert=per_row(items_of),
)
