"""XSTest: safe prompts that look unsafe, and their unsafe contrasts (Röttger et al., NAACL 2024, arXiv:2308.01263).

Three published forms: the prompts (`xstest_prompts.csv`), the completions of five models with two annotators and a
final label (`xstest_v2_completions_<model>.csv`), and the automated labels beside them (`*_gpteval.csv`,
`*_streval.csv`). Also allenai/xstest-response, whose one label column is a refusal or a harm label.

Traps: only the file name says which model answered; `agreement` is TRUE/FALSE in one folder and True/False in the
other; the completion files have no safe/unsafe column, unsafe is a type that begins with `contrast_`; many Llama-2
completions begin with a space (kept); some `gpt4_label` cells hold the judge's own refusal to judge (kept as open).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import (
    Adapter,
    Shape,
    answered,
    boolean,
    per_row,
    rest,
    text,
    text_or_none,
    word,
    yes_no,
)
from refusal_tui.ingest.items import Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.verdict import Answer, Refusal3

CLASSES = {
    "1_full_compliance": Refusal3.NONE.value,
    "2_full_refusal": Refusal3.HARD.value,
    "3_partial_refusal": Refusal3.SOFT.value,
}
ANNOTATORS = {
    "annotation_1": "human:xstest-1",
    "annotation_2": "human:xstest-2",
    "gpt4_label": "judge:gpt-4",
    "strmatch_label": "judge:xstest-strmatch",
}
_MODEL = re.compile(r"xstest_(?:v\d+_)?completions_([a-z0-9]+)")
_READ_PROMPT = frozenset({"id", "prompt", "type", "label"})
_READ = frozenset({"id", "prompt", "completion", "type", "agreement", "final_label", *ANNOTATORS})
_READ_RESPONSE = frozenset({"prompt", "response", "label", "prompt_harm_category"})


def class_answer(raw: str) -> Answer:
    """The three-class answer of an XSTest label; open for any other text."""
    return Answer(CLASSES.get(raw))


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    if "completion" in record.data:
        return (_completion(record),)
    return (_response(record) if "response" in record.data else _prompt(record),)


def _completion(record: Record) -> SourceItem:
    row = record.data
    kind = text(row, "type")
    file_says = _MODEL.search(record.origin.path)
    model = word(row, "model") or (file_says.group(1) if file_says else None)
    final = word(row, "final_label")
    verdicts = [
        SourceVerdict(annotator, {"refusal3": class_answer(raw)}, "xstest", raw)
        for column, annotator in ANNOTATORS.items()
        if (raw := word(row, column)) is not None
    ]
    answers = answered(
        refusal3=None if final is None else class_answer(final), prompt_harmful=Answer(kind.startswith("contrast_"))
    )
    verdicts.append(SourceVerdict("human:xstest", answers, "xstest", final))
    meta = rest(row, _READ)
    if (agreement := boolean(row, "agreement")) is not None:
        meta["agreement"] = agreement
    key = word(row, "id")
    return SourceItem(
        f"{model}/{key}" if model and key else key,
        text(row, "prompt"),
        text(row, "completion"),
        model,
        record.origin.split,
        kind,
        meta,
        tuple(verdicts),
    )


def _prompt(record: Record) -> SourceItem:
    row = record.data
    label = word(row, "label")
    harmful = yes_no(label, "unsafe", "safe")
    verdicts = (SourceVerdict("human:xstest", {"prompt_harmful": harmful}, "xstest", label),) if harmful else ()
    return SourceItem(
        word(row, "id"),
        text(row, "prompt"),
        None,
        None,
        record.origin.split,
        text(row, "type"),
        rest(row, _READ_PROMPT),
        verdicts,
    )


def _response(record: Record) -> SourceItem:
    """A row of allenai/xstest-response; the label's word tells which of its two splits this is."""
    row = record.data
    label = word(row, "label")
    head = "response_harmful" if label in ("harmful", "unharmful") else "response_refusal"
    words = ("harmful", "unharmful") if head == "response_harmful" else ("refusal", "compliance")
    answer = yes_no(label, *words)
    verdicts = (SourceVerdict("human:xstest-response", {head: answer}, head, label),) if answer else ()
    return SourceItem(
        None,
        text(row, "prompt"),
        text_or_none(row, "response"),
        None,
        record.origin.split,
        word(row, "prompt_harm_category"),
        rest(row, _READ_RESPONSE),
        verdicts,
    )


def _caution(items: Sequence[SourceItem]) -> str | None:
    if items[0].response is None or items[0].model is not None or "prompt_type" in items[0].meta:
        return None
    return "the file name says no model (xstest_v2_completions_MODEL.csv), so model stays open and ids may clash"


ADAPTER = Adapter(
    name="xstest",
    version="1",
    title="XSTest, exaggerated safety",
    hub_id="walledai/XSTest",
    licence="CC-BY-4.0 (prompts); completions under the terms of Meta, Mistral and OpenAI",
    gated=False,
    redistribution="labels-only",
    eval_only=True,
    size="450 prompts, 5 x 450 completions",
    splits=("test",),
    citation="Röttger et al., NAACL 2024, arXiv:2308.01263",
    notes="Human labels by two annotators and a final one, in three classes. The completions are in the repository "
    "paul-rottger/exaggerated-safety, not on the Hub; allenai/xstest-response (gated) is read, too.",
    shapes=(
        Shape(
            "completions",
            {
                "id": "text|int", "type": "text", "prompt": "text", "completion": "text", "annotation_1": "text",
                "annotation_2": "text", "agreement": "text|bool", "final_label": "text",
            },
        ),
        Shape("prompts", {"prompt": "text", "type": "text", "label": "text", "focus": "text?", "note": "text?"}),
        Shape(
            "xstest-response",
            {
                "prompt": "text", "response": "text?", "label": "text?", "prompt_type": "text",
                "prompt_harm_category": "text?",
            },
        ),
    ),
    convert=per_row(items_of),
    caution=_caution,
)  # fmt: skip
