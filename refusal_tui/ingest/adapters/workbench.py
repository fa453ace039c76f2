"""Our own records: what `export` writes, and the common fields of hand-made label files.

**Export record** (one per item; told by the columns `key` and `verdicts`). Reading gives back exactly the item that
was written:

    id          the item's number in the workspace it came from; not read
    dataset     the dataset it came from; not read, but for the option `keys=dataset` (below)
    key         text, the item's key
    prompt      text of the prompt; where `messages` is not null it is only its rendering
    messages    null, or the turns as [{"role": ..., "content": ...}, ...]
    response    text, or null for a prompt-only item ("" is an empty answer)
    model, split, category      text or null
    meta        object
    labels      derived from the verdicts, so not read (they are derived again)
    verdicts    [{"annotator", "question_set", "version", "profile", "answers": {QUESTION: {"value", "probability"}},
                "spans": [{"field", "start", "end", "rule"}], "raw", "rationale", "seen_judge"}, ...]; the first and
                `answers` are needed, the rest is null or left out where it has nothing to say

CSV, TSV and Parquet hold the same columns with `messages`, `meta`, `labels` and `verdicts` as JSON text. In CSV and
TSV an empty cell is null; a text that is empty or begins with one of ' = + - @ tab or carriage return has a ' put in
front, which is taken away here (a spreadsheet then runs no formula, and null and "" stay apart). Keys are unique in
one dataset only: a record of several datasets is read with the option `keys=dataset`, which makes the key
DATASET/KEY.

**Common fields** (told by `source`, `prompt` and `prompt_harmful`): id, source, prompt, response, model, label_raw,
refusal3 (none, hard, soft, null), prompt_harmful, response_harmful, response_refusal, licence, and any others.
`messages` may hold the prompt's turns. `annotator` says who labelled (default `human:SOURCE`); XSTest's `annotation_1`,
`annotation_2`, `gpt4_label` and `strmatch_label` are read as their annotators' verdicts, and so are the reviews of
Do-Not-Answer, `gpt4_action` and `longformer_action` (one of the six actions). A null label is no label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from refusal_tui.errors import RefusalTuiError
from refusal_tui.ingest.adapters.base import (
    Adapter,
    Shape,
    boolean,
    chat_turns,
    number,
    per_row,
    rest,
    text,
    text_or_none,
    word,
)
from refusal_tui.ingest.adapters.do_not_answer import action_answers
from refusal_tui.ingest.adapters.xstest import ANNOTATORS, class_answer
from refusal_tui.ingest.items import NOTHING, BadRow, Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.derive import derive
from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Answer, Profile, Refusal3, Span, Verdict

_BOOLEANS = {
    "prompt_harmful": "prompt_harmful",
    "response_harmful": "response_harmful",
    "human_response_harmful": "response_harmful",
    "response_refusal": "response_refusal",
}
_ACTIONS = {"gpt4_action": "judge:gpt-4", "longformer_action": "judge:longformer"}
_READ = frozenset(
    {"id", "prompt", "messages", "response", "model", "split", "category", "label_raw", "refusal3", "annotator"}
    | _BOOLEANS.keys()
    | ANNOTATORS.keys()
    | _ACTIONS.keys()
)
_CLASSES = frozenset(Refusal3)
_NO_ITEM = ItemId(0)


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    if "verdicts" in record.data:
        return (_exported(record, options),)
    return (_common(record),)


def _common(record: Record) -> SourceItem:
    row = record.data
    turns = row.get("messages")
    return SourceItem(
        word(row, "id"),
        text(row, "prompt") if turns is None else _prompt(chat_turns(turns)),
        text_or_none(row, "response"),
        word(row, "model"),
        word(row, "split") or record.origin.split,
        word(row, "category"),
        rest(row, _READ),
        _common_verdicts(row),
    )


def _common_verdicts(row: Mapping[str, Any]) -> tuple[SourceVerdict, ...]:
    answers: dict[str, Answer] = {}
    raw = word(row, "label_raw")
    three = row.get("refusal3")
    if three is not None and three != "":
        if three not in _CLASSES:
            raise BadRow(f"column refusal3 holds {three!r}; known are none, hard, soft and null")
        answers["refusal3"] = Answer(three)
    for column, question in _BOOLEANS.items():
        if row.get(column) is not None and (said := boolean(row, column)) is not None:
            answers[question] = Answer(said)
    if raw is not None and not answers:
        answers["refusal3"] = Answer(None)  # the source's word maps to none of the three
    verdicts = []
    if answers:
        annotator = word(row, "annotator") or f"human:{word(row, 'source')}"
        verdicts.append(SourceVerdict(annotator, answers, "workbench", raw))
    verdicts += [
        SourceVerdict(other, {"refusal3": class_answer(one)}, "xstest", one)
        for column, other in ANNOTATORS.items()
        if column in row and (one := word(row, column)) is not None
    ]
    verdicts += [
        SourceVerdict(other, action_answers(action, None), "do-not-answer", f"action={action}")
        for column, other in _ACTIONS.items()
        if column in row and (action := number(row, column)) is not None
    ]
    return tuple(verdicts)


def _exported(record: Record, options: Options) -> SourceItem:
    row = record.data
    if any(isinstance(row.get(column), str) for column in _PACKED):
        row = _unpacked(row, spreadsheet=record.origin.format in ("csv", "tsv"))
    key = word(row, "key")
    if options.get("keys") == "dataset" and row.get("dataset") and key:
        key = f"{row['dataset']}/{key}"
    turns = row.get("messages")
    meta = row.get("meta")
    verdicts = row["verdicts"] or ()
    if not isinstance(meta, (dict, type(None))) or not isinstance(verdicts, (list, tuple)):
        raise BadRow("column meta or verdicts has not the form of an export")
    return SourceItem(
        key,
        text(row, "prompt") if turns is None else tuple(Message(turn["role"], turn["content"]) for turn in turns),
        text_or_none(row, "response"),
        text_or_none(row, "model"),
        text_or_none(row, "split"),
        text_or_none(row, "category"),
        meta or NOTHING,
        tuple(map(_verdict, verdicts)) if verdicts else (),
    )


def _verdict(said: Mapping[str, Any]) -> SourceVerdict:
    """A verdict of an export, checked as if a stranger had written it: labels are derived from it, unlooked at."""
    verdict = SourceVerdict(
        text(said, "annotator"),
        {
            question: Answer(_plain(answer.get("value")), _probability(answer.get("probability")))
            for question, answer in said["answers"].items()
        },
        text_or_none(said, "question_set") or "",
        text_or_none(said, "raw"),
        text_or_none(said, "rationale"),
        text_or_none(said, "version") or "",
        Profile(said.get("profile") or Profile.XSTEST),
        tuple(_span(span) for span in said.get("spans") or ()),
        bool(said.get("seen_judge")),
    )
    if not verdict.annotator.startswith(("human:", "judge:")):
        raise BadRow(f"the annotator {verdict.annotator[:80]!r} is neither human:NAME nor judge:NAME")
    try:
        derive(Verdict(_NO_ITEM, verdict.annotator, verdict.question_set, verdict.version, verdict.answers))
    except (RefusalTuiError, ValueError) as error:
        raise BadRow(f"a verdict cannot be read: {error}") from None
    return verdict


def _plain(value: Any) -> str | bool | None:
    if value is None or isinstance(value, (str, bool)):
        return value
    raise BadRow("an answer is neither a text nor true or false")


def _probability(value: Any) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise BadRow("a probability is no number")


def _span(span: Mapping[str, Any]) -> Span:
    if span["field"] not in ("prompt", "response") or not isinstance(span["start"], int):
        raise BadRow("a span of a verdict has not the form of an export")
    if not isinstance(span["end"], int) or not isinstance(span["rule"], str):
        raise BadRow("a span of a verdict has not the form of an export")
    return Span(span["field"], span["start"], span["end"], span["rule"])


_PACKED = ("messages", "meta", "verdicts")


def _unpacked(row: Mapping[str, Any], spreadsheet: bool) -> dict[str, Any]:
    """A row of a CSV, TSV or Parquet export as the record it was made from."""
    cells = {name: _cell(value) for name, value in row.items()} if spreadsheet else dict(row)
    for column in _PACKED:
        value = cells.get(column)
        if isinstance(value, str):
            try:
                cells[column] = json.loads(value)
            except ValueError as error:
                raise BadRow(f"column {column} holds broken JSON: {error}") from None
    return cells


def _cell(value: Any) -> Any:
    """A spreadsheet cell: empty is null, and the protecting apostrophe goes."""
    if not isinstance(value, str):
        return value
    return value.removeprefix("'") if value else None


def _prompt(turns: tuple[Message, ...]) -> str | tuple[Message, ...]:
    if not turns:
        raise BadRow("column messages holds no turn")
    return turns[0].content if len(turns) == 1 and turns[0].role == "user" else turns


ADAPTER = Adapter(
    name="workbench",
    version="1",
    title="Exports of this workbench, and label files with its common fields",
    hub_id=None,
    licence="that of the data",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="any",
    splits=(),
    citation="",
    notes="The licence of what was exported stands in its dataset_info.json.",
    shapes=(
        Shape("export", {"key": "text", "prompt": "text", "verdicts": "list|text?"}),
        Shape("common fields", {"id": "text|int", "source": "text", "prompt": "text", "prompt_harmful": "bool?"}),
    ),
    options={"keys": ("plain", "dataset")},
    convert=per_row(items_of),
)
