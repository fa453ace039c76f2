"""What is a model asked to get a response, and what item does its reply make? Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from refusal_tui.labels.rows import Message, Row
from refusal_tui.llm.request import ChatRequest, Reply, Sampling
from refusal_tui.store.outcomes import MadeItem

TEMPLATE = "generate/1"
_THOUGHT_ENDS = "</think>"
_THOUGHT_BEGINS = "<think>"


def turns_of(row: Row, system: str | None) -> tuple[Message, ...]:
    """The prompt of a row as it is sent: its turns, with `system` in the place of their own system turn.

    >>> from refusal_tui.labels.rows import ItemId
    >>> [turn.role for turn in turns_of(Row(ItemId(1), "Hi", None), "Be brief.")]
    ['system', 'user']
    """
    turns = row.messages or (Message("user", row.prompt),)
    if system is None:
        return turns
    return (Message("system", system), *(turn for turn in turns if turn.role != "system"))


def response_request(turns: tuple[Message, ...], sampling: Sampling, k: int) -> ChatRequest:
    return ChatRequest(turns, sampling, template=TEMPLATE, k=k)


def item_of(row: Row, turns: tuple[Message, ...], reply: Reply, model: str, known: dict[str, Any]) -> MadeItem:
    """The new item. What a provider's filter has stopped is an item, too: its response is what was said instead, empty
    where nothing was, and `meta.provider_refused` says so. A thought before the answer is kept in `meta.thinking`."""
    text, thinking = _without_thought(reply.text)
    meta = {
        "source_dataset": row.dataset,
        "source_key": row.key,
        "source_item": row.item_id,
        **known,
        "model_returned": reply.model_returned or None,
        "finish_reason": reply.finish_reason,
        "thinking": thinking,
    }
    if reply.provider_refused:
        meta["provider_refused"] = True
        meta["provider_said"] = reply.refusal
        text = text or (reply.refusal or "" if reply.finish_reason != "content_filter" else "")
    kept = {name: value for name, value in meta.items() if value is not None}
    return MadeItem(turns, text, model, row.split, row.category, kept)


def name_of_text(text: str) -> str:
    """A text's identity in provenance.

    >>> name_of_text("Be brief.")
    '213c22ed7234'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _without_thought(text: str) -> tuple[str, str | None]:
    """The answer and the thought before it; templates may swallow the opening tag."""
    thought, found, answer = text.rpartition(_THOUGHT_ENDS)
    if not found:
        return text, None
    return answer.strip(), thought.replace(_THOUGHT_BEGINS, "", 1).strip()
