"""declare-lab/HarmfulQA: harmful questions with safe (blue) and harmful (red) dialogues (arXiv:2308.09662).

One item per dialogue: its last reply is the response. Blue is the safe side, but not every blue reply is an explicit
refusal, so no label follows from the side; it stays in `meta["side"]`. CategoricalHarmfulQA (prompts only) is
read, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter, Shape, chat_turns, per_row, rest, split_reply, text, word
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem

_READ = frozenset({"id", "topic", "blue_conversations", "red_conversations"})
_READ_CATEGORICAL = frozenset({"Question", "Category"})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    split = record.origin.split
    if "Question" in row:
        category = word(row, "Category")
        return (
            SourceItem(None, text(row, "Question"), None, None, split, category, rest(row, _READ_CATEGORICAL)),
        )  # fmt: skip
    question = text(row, "question")
    key, category = word(row, "id"), word(row, "topic")
    meta = rest(row, _READ)
    wanted = options.get("side", "both")
    items = []
    for side in ("blue", "red"):
        if wanted not in ("both", side):
            continue
        for name, turns in _dialogues(row.get(f"{side}_conversations"), side):
            prompt, response = split_reply(chat_turns(turns))
            items.append(
                SourceItem(
                    f"{key}/{side}/{name}" if key else None,
                    prompt,
                    response,
                    None,
                    split,
                    category,
                    {**meta, "side": side, "dialogue": name},
                )
            )
    return items or (SourceItem(key, question, None, None, split, category, meta),)


def _dialogues(value: Any, side: str) -> Iterator[tuple[str, Any]]:
    """(number, turns) of the dialogues that are there: a dict "0".."4" (null where one is missing), or a list."""
    if value is None:
        return
    if isinstance(value, list):
        value = {str(index): turns for index, turns in enumerate(value)}
    if not isinstance(value, dict):
        raise BadRow(f"column {side}_conversations is neither an object nor a list")
    yield from ((name, turns) for name, turns in value.items() if turns)


ADAPTER = Adapter(
    name="harmfulqa",
    version="1",
    title="HarmfulQA, blue and red dialogues",
    hub_id="declare-lab/HarmfulQA",
    licence="see the dataset's card",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="1,960 questions",
    splits=("train",),
    citation="Bhardwaj & Poria 2023, arXiv:2308.09662",
    notes="No labels. Blue dialogues are the safe side, red ones the harmful side.",
    shapes=(
        Shape(
            "dialogues",
            {
                "id": "int|text",
                "topic": "text",
                "subtopic": "text",
                "question": "text",
                "blue_conversations": "object|list?",
                "red_conversations": "object|list?",
            },
        ),
        Shape("categorical", {"Question": "text", "Category": "text", "Subcategory": "text"}),
    ),
    options={"side": ("both", "blue", "red")},
    convert=per_row(items_of),
)
