"""What a judge, a screen or an exporter sees of one item: plain text, no store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NewType

ItemId = NewType("ItemId", int)


class Message(NamedTuple):
    """One turn of a dialogue. `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One item: a prompt with at most one response.

    `prompt` is the text of a single user turn, or all turns rendered by `render_messages`; `messages` is empty for a
    single user turn. `response` is None for a prompt-only item, and "" when a model answered with nothing.
    """

    item_id: ItemId
    prompt: str
    response: str | None
    key: str = ""
    dataset: str = ""
    model: str | None = None
    messages: tuple[Message, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    category: str | None = None
    split: str | None = None


def render_messages(messages: tuple[Message, ...]) -> str:
    """The turns as readable text; a single user turn is its own text.

    >>> render_messages((Message("user", "Hi"),))
    'Hi'
    >>> render_messages((Message("user", "Hi"), Message("assistant", "Hello")))
    'User: Hi\\n\\nAssistant: Hello'
    """
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content
    return "\n\n".join(f"{m.role.capitalize()}: {m.content}" for m in messages)
