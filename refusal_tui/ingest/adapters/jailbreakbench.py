"""JailbreakBench: 100 harmful and 100 benign behaviours, and attack artifacts (Chao et al. 2024, arXiv:2404.01318).

Forms: behaviours (Hub config `behaviors`, splits harmful and benign), artifacts (JSON files of the repository
JailbreakBench/artifacts), and the config `judge_comparison`. The labels of the latter two say whether a jailbreak
succeeded, which is not refusal: they become answers to `jailbroken`, and no refusal label follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter, Shape, boolean, per_row, rest, text, text_or_none, word
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.verdict import Answer

_JUDGES = {
    "jailbroken": "judge:jailbreakbench",
    "jailbroken_llama_guard1": "judge:llama-guard-1",
    "human1": "human:jailbreakbench-1",
    "human2": "human:jailbreakbench-2",
    "human3": "human:jailbreakbench-3",
    "human_majority": "human:jailbreakbench",
    "harmbench_cf": "judge:harmbench",
    "gpt4_cf": "judge:gpt-4",
    "llamaguard2_cf": "judge:llama-guard-2",
    "llama3_cf": "judge:llama-3",
}
_READ_BEHAVIOUR = frozenset({"Index", "Goal", "Category"})
_READ_ATTACK = frozenset({"index", "Index", "prompt", "response", "target_response", "category", *_JUDGES})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    return (_behaviour(record) if "Goal" in record.data else _attack(record),)


def _behaviour(record: Record) -> SourceItem:
    row = record.data
    split = record.origin.split
    harmful = {"harmful": True, "benign": False}.get(split or "")
    verdicts = (
        ()
        if harmful is None
        else (SourceVerdict("human:jailbreakbench", {"prompt_harmful": Answer(harmful)}, "jailbreakbench", split),)
    )
    index = word(row, "Index")
    return SourceItem(
        f"{split}/{index}" if split and index else index,
        text(row, "Goal"),
        None,
        None,
        split,
        word(row, "Category"),
        rest(row, _READ_BEHAVIOUR),
        verdicts,
    )


def _attack(record: Record) -> SourceItem:
    """A row of an artifact file or of the judge comparison. An attack that found no prompt is no item."""
    row = record.data
    if row.get("prompt") is None:
        raise BadRow("the attack found no prompt (column prompt is null)")
    parameters = record.origin.header.get("parameters")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    response = text_or_none(row, "target_response" if "target_response" in row else "response")
    model = parameters.get("model")
    meta: dict[str, Any] = rest(row, _READ_ATTACK)
    meta.update({name: parameters[name] for name in ("method", "attack_type") if name in parameters})
    verdicts = tuple(
        SourceVerdict(annotator, {"jailbroken": Answer(said)}, "jailbreakbench", str(row[column]))
        for column, annotator in _JUDGES.items()
        if (said := boolean(row, column)) is not None and response is not None
    )
    place = "/".join(
        str(part)
        for part in (parameters.get("method"), parameters.get("attack_type"), model, row.get("index", row.get("Index")))
        if part is not None
    )
    return SourceItem(
        place if "index" in row else None,
        text(row, "prompt"),
        response,
        model if isinstance(model, str) else None,
        record.origin.split,
        word(row, "category"),
        meta,
        verdicts,
    )


def _caution(items: Sequence[SourceItem]) -> str | None:
    if items[0].verdicts or items[0].response is not None or "Behavior" not in items[0].meta:
        return None
    return "neither split nor file name says harmful or benign, so prompt_harmful stays open"


ADAPTER = Adapter(
    name="jailbreakbench",
    version="1",
    title="JailbreakBench",
    hub_id="JailbreakBench/JBB-Behaviors",
    licence="MIT",
    gated=False,
    redistribution="full",
    eval_only=True,
    size="100 harmful + 100 benign behaviours",
    splits=("harmful", "benign"),
    citation="Chao et al. 2024, arXiv:2404.01318",
    notes="Config behaviors; judge_comparison and the artifact files are read, too. Their labels say whether a "
    "jailbreak succeeded, not whether the model refused.",
    shapes=(
        Shape(
            "behaviors",
            {"Index": "int|text", "Goal": "text", "Target": "text", "Behavior": "text", "Category": "text"},
        ),
        Shape(
            "artifacts",
            {"index": "int", "goal": "text", "prompt": "text?", "response": "text?", "jailbroken": "bool?"},
        ),
        Shape(
            "judge_comparison",
            {"goal": "text", "prompt": "text", "target_response": "text?", "human_majority": "bool|int?"},
        ),
    ),
    convert=per_row(items_of),
    caution=_caution,
    configs=("behaviors", "judge_comparison"),
)
