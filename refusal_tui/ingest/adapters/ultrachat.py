"""UltraChat: synthetic dialogues (Ding et al. 2023, arXiv:2305.14233). No refusal labels.

Forms: HuggingFaceH4/ultrachat_200k (`messages`) and stingning/ultrachat (`data`, a list of alternating turns).
`prompt_id` is a hash of the prompt's text, and prompts repeat: it is kept in `meta`, not used as the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from refusal_tui.ingest.adapters.base import Adapter, Shape, chat_turns, per_row, rest, split_reply, word
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem
from refusal_tui.labels.rows import Message

_READ = frozenset({"prompt", "messages"})
_READ_LIST = frozenset({"id", "data"})


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    if "messages" in row:
        prompt, response = split_reply(chat_turns(row["messages"]))
        return (SourceItem(None, prompt, response, None, record.origin.split, None, rest(row, _READ)),)
    said = row.get("data")
    if not isinstance(said, list) or not all(isinstance(turn, str) for turn in said):
        raise BadRow("column data is no list of texts")
    turns = tuple(Message(role, turn) for role, turn in zip(cycle(("user", "assistant")), said))
    prompt, response = split_reply(turns)
    item = SourceItem(
        word(row, "id"), prompt, response, None, record.origin.split, None, rest(row, _READ_LIST)
    )  # fmt: skip
    return (item,)


ADAPTER = Adapter(
    name="ultrachat",
    version="1",
    title="UltraChat dialogues",
    hub_id="HuggingFaceH4/ultrachat_200k",
    licence="MIT",
    gated=False,
    redistribution="full",
    eval_only=False,
    size="207,865 train_sft, 23,110 test_sft",
    splits=("train_sft", "test_sft", "train_gen", "test_gen"),
    citation="Ding et al. 2023, arXiv:2305.14233",
    notes="Harmless dialogues, model-written. stingning/ultrachat is read, too.",
    shapes=(
        Shape("messages", {"prompt": "text", "prompt_id": "text", "messages": "list"}),
        Shape("list", {"id": "text|int", "data": "list"}, others=False),
    ),
    convert=per_row(items_of),
)
