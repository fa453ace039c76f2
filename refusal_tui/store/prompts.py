"""How is a prompt stored? Its text once, with a layout that gives the turns back, under the hash of both.

A single user turn is its own text. Several turns are stored as `render_messages` shows them (which is what search and
screens need), and the layout `[[role, characters], …]` says where each turn stands in that text.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from refusal_tui.labels.rows import Message, render_messages
from refusal_tui.store.encoding import select_in, storable

_BETWEEN_TURNS = 2  # characters: the blank line between two turns
_layout_json = json.JSONEncoder(separators=(",", ":")).encode


class StoredPrompt(NamedTuple):
    """`layout` is None for a single user turn."""

    text: str
    layout: str | None
    hash: bytes


def stored_prompt(prompt: str | tuple[Message, ...]) -> StoredPrompt:
    """What the prompt table holds of a prompt; a bare text is the same as one user turn."""
    if not isinstance(prompt, str) and len(prompt) == 1 and prompt[0].role == "user":
        prompt = prompt[0].content
    if isinstance(prompt, str):
        text, layout = storable(prompt), None
    else:
        turns, text = prompt, render_messages(prompt)
        if not text.isascii():
            turns = tuple(Message(storable(m.role), storable(m.content)) for m in prompt)
            text = render_messages(turns)
        layout = _layout_json([(m.role, len(m.content)) for m in turns])
    # Layout and text together determine every turn, so no text can pass for another prompt's turns.
    return StoredPrompt(text, layout, hashlib.sha256(f"{layout or ''}\0{text}".encode()).digest())


def messages_of(text: str, layout: str | None) -> tuple[Message, ...]:
    """The turns of a stored prompt, () for a single user turn.

    >>> messages_of("User: Hi\\n\\nAssistant: Hello", '[["user",2],["assistant",5]]')
    (Message(role='user', content='Hi'), Message(role='assistant', content='Hello'))
    """
    if layout is None:
        return ()
    turns = []
    position = 0
    for role, length in json.loads(layout):
        position += len(f"{role.capitalize()}: ")
        turns.append(Message(role, text[position : position + length]))
        position += length + _BETWEEN_TURNS
    return tuple(turns)


def add_prompts(connection: sqlite3.Connection, prompts: Sequence[StoredPrompt]) -> dict[bytes, int]:
    """Store and index the prompts that are new; hash -> id. The caller holds the transaction."""
    wanted = list({prompt.hash for prompt in prompts})
    ids: dict[bytes, int] = {
        row[0]: row[1] for row in select_in(connection, "SELECT hash, id FROM prompt WHERE hash IN ({})", wanted)
    }
    next_id: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM prompt").fetchone()[0]
    first_id = next_id
    rows: list[tuple[object, ...]] = []
    for prompt in prompts:
        if prompt.hash not in ids:
            ids[prompt.hash] = next_id
            rows.append((next_id, prompt.hash, prompt.text, prompt.layout))
            next_id += 1
    connection.executemany("INSERT INTO prompt(id, hash, text, layout) VALUES (?,?,?,?)", rows)
    connection.execute("INSERT INTO prompt_fts(rowid, text) SELECT id, text FROM prompt WHERE id >= ?", (first_id,))
    return ids
