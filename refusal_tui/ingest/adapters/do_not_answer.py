"""LibrAI/do-not-answer: 939 risky questions, six models, human action labels (Wang et al. 2023, arXiv:2308.13387).

Two published forms: the wide table (one row per question, `<model>_response`, `<model>_harmful`, `<model>_action`),
and the review files (one row per response; which model and which reviewer only the path says). The question forms the
prompt of several items, and one question text occurs under two ids: the text is never a key.

Actions: 0 refuses, 1 refutes the opinion, 2 balanced, 3 disclaimer or expert, 4 unable, 5 follows the instruction.
Only 0 (hard) and 5 (none) say the three-class label without doubt; 1 to 4 stay open. `<model>_harmful` describes the
response. Every question is risky by design but for the type "Treat Chatbot as a Human".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from refusal_tui.ingest.adapters.base import (
    Adapter,
    Shape,
    answered,
    number,
    per_row,
    rest,
    text,
    text_or_none,
    word,
)
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.verdict import Answer, Refusal3

MODELS = ("GPT4", "ChatGPT", "Claude", "ChatGLM2", "llama2-7b-chat", "vicuna-7b")
_REFUSES, _FOLLOWS = 0, 5
# GPT-4 reviewed with seven classes: 4 and 5 are our 4, 6 is our 5, -1 was not parsed.
_SEVEN_TO_SIX = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 5}
_SAFE_TYPE = "treat chatbot as a human"
_READ_WIDE = frozenset(
    {"id", "question", "types_of_harm"}
    | {f"{model}_{column}" for model in MODELS for column in ("response", "harmful", "action")}
)
_READ_REVIEW = frozenset({"id", "question", "response", "harmful", "action", "action_review"})


def action_answers(action: int | None, harmful: int | None) -> dict[str, Answer]:
    """What an action of the six and the harm of the response say without doubt."""
    refuses = {_REFUSES: True, _FOLLOWS: False}.get(action) if action is not None else None
    three = {_REFUSES: Refusal3.HARD.value, _FOLLOWS: Refusal3.NONE.value}.get(action) if action is not None else None
    return answered(
        refusal3=None if action is None else Answer(three),
        response_refusal=None if refuses is None else Answer(refuses),
        response_harmful=None if harmful is None else Answer(bool(harmful)),
    )


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    if "response" in record.data:
        return (_review(record),)
    row = record.data
    question = text(row, "question")
    kind = word(row, "types_of_harm")
    meta = rest(row, _READ_WIDE)
    asked = (
        (SourceVerdict("human:do-not-answer", {"prompt_harmful": Answer(True)}, "do-not-answer", kind),)
        if kind is not None and kind.lower() != _SAFE_TYPE
        else ()
    )
    row_id = word(row, "id")
    items = []
    for model in MODELS:
        response = text_or_none(row, f"{model}_response")
        if response is None:
            continue
        action, harmful = number(row, f"{model}_action"), number(row, f"{model}_harmful")
        answers = action_answers(action, harmful)
        said = (
            (SourceVerdict("human:do-not-answer", answers, "do-not-answer", f"action={action};harmful={harmful}"),)
            if answers
            else ()
        )
        key = f"{model}/{row_id}" if row_id else None
        items.append(SourceItem(key, question, response, model, record.origin.split, kind, meta, asked + said))
    if not items:
        items.append(SourceItem(row_id, question, None, None, record.origin.split, kind, meta, asked))
    return items


def _review(record: Record) -> SourceItem:
    """A row of Review/{Human,GPT4,Longformer}/<model>.csv. Ids repeat there, so that the key is the row's place."""
    row = record.data
    path = PurePosixPath(record.origin.path)
    folder = path.parent.name.lower()
    action = number(row, "action")
    raw = f"action={action}"
    if "action_review" in row:
        annotator = "judge:gpt-4"
        answers = action_answers(None if action is None else _SEVEN_TO_SIX.get(action), None)
        if action is not None and not answers:
            answers = {"refusal3": Answer(None)}
    else:
        annotator = "judge:longformer" if "longformer" in folder else "human:do-not-answer"
        harmful = number(row, "harmful")
        answers = action_answers(action, harmful)
        raw += f";harmful={harmful}"
    model = next((model for model in MODELS if model.lower() in path.name.lower().replace("_", "-")), None)
    question = text(row, "question")
    if not question:
        raise BadRow("column question is empty")
    verdict = SourceVerdict(annotator, answers, "do-not-answer", raw, word(row, "action_review"))
    return SourceItem(
        f"{annotator}/{model or path.stem}/{record.line}",
        question,
        text_or_none(row, "response"),
        model,
        record.origin.split,
        None,
        {"id": row.get("id"), **rest(row, _READ_REVIEW)},
        (verdict,) if answers else (),
    )


ADAPTER = Adapter(
    name="do-not-answer",
    version="1",
    title="Do-Not-Answer",
    hub_id="LibrAI/do-not-answer",
    licence="CC-BY-NC-SA-4.0 (the Hub card says Apache-2.0; the stricter one is taken)",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="939 questions, 5,634 responses",
    splits=("train",),
    citation="Wang et al. 2023, arXiv:2308.13387",
    notes="Non-commercial. Human, GPT-4 and Longformer reviews in the folder Review of the repository.",
    shapes=(
        Shape("table", {"id": "int|text", "risk_area": "text", "types_of_harm": "text", "question": "text"}),
        Shape(
            "review",
            {"id": "int|text", "question": "text", "response": "text?", "action": "int|text|number?", "harmful": "any"},
        ),
        Shape(
            "gpt4-review",
            {
                "id": "int|text", "question": "text", "response": "text?", "action": "int|text|number?",
                "action_review": "any",
            },
        ),
    ),
    convert=per_row(items_of),
)  # fmt: skip
