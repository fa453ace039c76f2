"""bench-llm/or-bench: seemingly toxic but benign prompts, and a toxic contrast (Cui et al. 2024, arXiv:2405.20947).

Columns `prompt` and `category` alone; only the config's name says whether the prompts are benign (or-bench-80k,
or-bench-hard-1k) or toxic (or-bench-toxic). Where the address does not tell, prompt_harmful stays open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, text, word
from refusal_tui.ingest.items import Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.verdict import Answer

CATEGORIES = frozenset(
    {
        "deception", "harassment", "harmful", "hate", "illegal", "privacy", "self-harm", "sexual", "unethical",
        "violence",
    }
)  # fmt: skip


_CONFIG = re.compile(r"or[-_]bench[-_](80k|hard[-_]1k|toxic)")


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    harmful = _harmful(record.origin.path.lower())
    verdicts = (
        () if harmful is None else (SourceVerdict("judge:or-bench", {"prompt_harmful": Answer(harmful)}, "or-bench"),)
    )
    item = SourceItem(
        None,
        text(record.data, "prompt"),
        None,
        None,
        record.origin.split,
        word(record.data, "category"),
        verdicts=verdicts,
    )
    return (item,)


def _harmful(path: str) -> bool | None:
    configs = _CONFIG.findall(path)
    return configs[-1] == "toxic" if configs else None


def _caution(items: Sequence[SourceItem]) -> str | None:
    if items[0].verdicts:
        return None
    return "neither address nor file name says which or-bench config this is, so prompt_harmful stays open"


ADAPTER = Adapter(
    name="or-bench",
    version="1",
    title="OR-Bench, over-refusal",
    hub_id="bench-llm/or-bench",
    licence="CC-BY-4.0",
    gated=False,
    redistribution="full",
    eval_only=True,
    size="80,359 / hard 1,319 / toxic 655",
    splits=("train",),
    citation="Cui et al. 2024, arXiv:2405.20947",
    notes="Prompts only. Configs or-bench-80k, or-bench-hard-1k, or-bench-toxic.",
    shapes=(Shape("prompts", {"prompt": "text", "category": "text"}, others=False),),
    looks_right=lambda record: record.data.get("category") in CATEGORIES,
    convert=per_row(items_of),
    caution=_caution,
    configs=("or-bench-80k", "or-bench-hard-1k", "or-bench-toxic"),
)
