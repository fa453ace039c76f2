"""How do prompts and items get in and out?

A prompt is a content-addressed list of messages, an item a prompt with at most one response. Text is stored once, and
a prompt is indexed for search once, however many responses it has.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from refusal_tui.labels.rows import ItemId, Message, Row
from refusal_tui.store.encoding import select_in, storable, storable_json, storable_or_none
from refusal_tui.store.prompts import StoredPrompt, add_prompts, messages_of, stored_prompt


class NewItem(Protocol):
    """What an importer or a generating job hands over (`ingest.items.SourceItem` fits)."""

    @property
    def prompt(self) -> str | tuple[Message, ...]: ...
    @property
    def response(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def split(self) -> str | None: ...
    @property
    def category(self) -> str | None: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class Added:
    """What became of a batch: ids in the order given (None where the key was there before)."""

    ids: list[ItemId | None]
    conflicts: list[int]  # indexes whose key exists with other content

    @property
    def count(self) -> int:
        return sum(1 for item_id in self.ids if item_id is not None)


def content_hash(of_prompt: bytes, response: str | None, model: str | None) -> bytes:
    """sha256 of prompt, response and model: two rows with the same one say the same thing."""
    text = f"{-1 if response is None else len(response)}\0{response or ''}\0{model or ''}"
    return hashlib.sha256(of_prompt + text.encode("utf-8", "surrogatepass")).digest()


def add_items(connection: sqlite3.Connection, dataset_id: int, batch: Sequence[tuple[str, NewItem]]) -> Added:
    """Store `(key, item)` pairs and index their text; the caller holds the transaction.

    A key that is there already is left alone: the same content is the same row (importing twice adds nothing), other
    content is a conflict and reported, never overwritten.
    """
    keys = [storable(key) for key, _ in batch]
    known = {
        row[0]: row[1]
        for row in select_in(
            connection,
            "SELECT key, content_hash FROM item WHERE dataset_id = ? AND key IN ({})",
            keys,
            (dataset_id,),
        )
    }
    next_item: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM item").fetchone()[0]
    first_item = next_item
    prompts = _stored_prompts([item.prompt for _, item in batch])
    prompt_ids = add_prompts(connection, prompts)
    rows: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    added = Added([], [])
    for index, (key, (_, item)) in enumerate(zip(keys, batch, strict=True)):
        prompt = prompts[index]
        digest = content_hash(prompt.hash, item.response, item.model)
        if key in known:
            if known[key] != digest:
                added.conflicts.append(index)
            added.ids.append(None)
            continue
        known[key] = digest
        response = None if item.response is None else storable(item.response)
        rows.append(
            (next_item, dataset_id, key, prompt_ids[prompt.hash], storable_or_none(item.model),
             storable_or_none(item.split), storable_or_none(item.category), len(prompt.text),
             None if response is None else len(response), digest)
        )  # fmt: skip
        if response is not None or item.meta:
            bodies.append((next_item, storable_json(item.meta) if item.meta else None, response))
        added.ids.append(ItemId(next_item))
        next_item += 1
    connection.executemany(
        """INSERT INTO item(id, dataset_id, key, prompt_id, model, split, category, prompt_chars, response_chars,
               content_hash) VALUES (?,?,?,?,?,?,?,?,?,?)""",
        rows,
    )
    connection.executemany("INSERT INTO item_body(item_id, meta, response) VALUES (?,?,?)", bodies)
    connection.execute(
        "INSERT INTO response_fts(rowid, response) SELECT item_id, response FROM item_body WHERE item_id >= ?",
        (first_item,),
    )
    return added


def _stored_prompts(prompts: Sequence[str | tuple[Message, ...]]) -> list[StoredPrompt]:
    """One per item; neighbours often share a prompt (pairs, samples of several models), which is made once."""
    stored: list[StoredPrompt] = []
    last: str | tuple[Message, ...] | None = None
    for prompt in prompts:
        stored.append(stored[-1] if stored and prompt == last else stored_prompt(prompt))
        last = prompt
    return stored


ROW_COLUMNS = """item.id, item.key, dataset.name AS dataset, prompt.text AS prompt, prompt.layout,
    item_body.response, item.model, item.category, item.split, item_body.meta"""
ROW_JOIN = """item JOIN prompt ON prompt.id = item.prompt_id JOIN dataset ON dataset.id = item.dataset_id
    LEFT JOIN item_body ON item_body.item_id = item.id"""


def fetch_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Row]:
    """The items in the order of `ids`; ids that no longer exist are left out."""
    found = {
        record["id"]: _row(record)
        for record in select_in(connection, f"SELECT {ROW_COLUMNS} FROM {ROW_JOIN} WHERE item.id IN ({{}})", ids)
    }
    return [found[i] for i in ids if i in found]


def datasets_of(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Item id -> id of its dataset; ids that no longer exist are left out."""
    return {row[0]: row[1] for row in select_in(connection, "SELECT id, dataset_id FROM item WHERE id IN ({})", ids)}


def _row(record: sqlite3.Row) -> Row:
    meta = record["meta"]
    return Row(
        item_id=ItemId(record["id"]),
        prompt=record["prompt"],
        response=record["response"],
        key=record["key"],
        dataset=record["dataset"],
        model=record["model"],
        messages=messages_of(record["prompt"], record["layout"]),
        meta=json.loads(meta) if meta else {},
        category=record["category"],
        split=record["split"],
    )
