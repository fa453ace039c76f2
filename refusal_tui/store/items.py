"""How do prompts and items get in and out?

A prompt is a content-addressed list of messages, an item a prompt with at most one response. Text is stored once, and
a prompt is indexed for search once, however many responses it has.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from refusal_tui.labels.rows import ItemId, Message, Row, render_messages

_MAX_VARIABLES = 900  # below the oldest SQLite's limit of 999
_SURROGATE = re.compile("[\ud800-\udfff]")


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


def prompt_hash(prompt: str | tuple[Message, ...]) -> bytes:
    """sha256 of the messages; a bare text is the same as one user turn."""
    if not isinstance(prompt, str) and len(prompt) == 1 and prompt[0].role == "user":
        prompt = prompt[0].content
    if isinstance(prompt, str):
        return hashlib.sha256(b"user\0" + prompt.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(b"messages\0" + json.dumps(prompt).encode()).digest()  # JSON: no text can fake a turn


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
    hashes = [prompt_hash(item.prompt) for _, item in batch]
    prompts = _add_prompts(connection, hashes, [item.prompt for _, item in batch])
    rows: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    added = Added([], [])
    for index, (key, (_, item)) in enumerate(zip(keys, batch, strict=True)):
        digest = content_hash(hashes[index], item.response, item.model)
        if key in known:
            if known[key] != digest:
                added.conflicts.append(index)
            added.ids.append(None)
            continue
        known[key] = digest
        response = None if item.response is None else storable(item.response)
        prompt_id, prompt_chars = prompts[hashes[index]]
        rows.append(
            (next_item, dataset_id, key, prompt_id, storable_or_none(item.model), storable_or_none(item.split),
             storable_or_none(item.category), prompt_chars, None if response is None else len(response), digest)
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


def _add_prompts(
    connection: sqlite3.Connection, hashes: Sequence[bytes], prompts: Sequence[str | tuple[Message, ...]]
) -> dict[bytes, tuple[int, int]]:
    """Store the prompts that are new; hash -> (id, characters)."""
    known = {
        row[0]: row[1]
        for row in select_in(connection, "SELECT hash, id FROM prompt WHERE hash IN ({})", list(set(hashes)))
    }
    ids: dict[bytes, tuple[int, int]] = {}
    next_id: int = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM prompt").fetchone()[0]
    first_id = next_id
    rows: list[tuple[object, ...]] = []
    for digest, prompt in zip(hashes, prompts, strict=True):
        if digest in ids:
            continue
        # Counted here: SQLite's length() stops at a NUL.
        text = storable(prompt if isinstance(prompt, str) else render_messages(prompt))
        if digest in known:
            ids[digest] = (known[digest], len(text))
            continue
        single = isinstance(prompt, str) or (len(prompt) == 1 and prompt[0].role == "user")
        rows.append((next_id, digest, text, None if single else storable_json(prompt)))
        ids[digest] = (next_id, len(text))
        next_id += 1
    connection.executemany("INSERT INTO prompt(id, hash, text, messages) VALUES (?,?,?,?)", rows)
    connection.execute("INSERT INTO prompt_fts(rowid, text) SELECT id, text FROM prompt WHERE id >= ?", (first_id,))
    return ids


def storable(text: str) -> str:
    """SQLite stores UTF-8, so a lone surrogate (JSON allows one) is kept as its escape, not dropped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def storable_json(value: object) -> str:
    """JSON whose lone surrogates are escaped twice, so that they come out of json.loads as the escapes that the same
    text has elsewhere."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


ROW_COLUMNS = """item.id, item.key, dataset.name AS dataset, prompt.text AS prompt, prompt.messages,
    item_body.response, item.model, item_body.meta"""
ROW_JOIN = """item JOIN prompt ON prompt.id = item.prompt_id JOIN dataset ON dataset.id = item.dataset_id
    LEFT JOIN item_body ON item_body.item_id = item.id"""


def fetch_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Row]:
    """The items in the order of `ids`; ids that no longer exist are left out."""
    found = {
        record["id"]: _row(record)
        for record in select_in(connection, f"SELECT {ROW_COLUMNS} FROM {ROW_JOIN} WHERE item.id IN ({{}})", ids)
    }
    return [found[i] for i in ids if i in found]


def _row(record: sqlite3.Row) -> Row:
    messages = record["messages"]
    meta = record["meta"]
    return Row(
        item_id=ItemId(record["id"]),
        prompt=record["prompt"],
        response=record["response"],
        key=record["key"],
        dataset=record["dataset"],
        model=record["model"],
        messages=tuple(Message(*m) for m in json.loads(messages)) if messages else (),
        meta=json.loads(meta) if meta else {},
    )


def select_in(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any], before: tuple[object, ...] = ()
) -> Iterator[sqlite3.Row]:
    """Run `sql` with its `{}` filled by as many placeholders as there are values, in chunks."""
    for chunk in chunks(values, _MAX_VARIABLES):
        yield from connection.execute(sql.format(",".join("?" * len(chunk))), (*before, *chunk))


def chunks(values: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Consecutive slices of at most `size` values."""
    return (values[start : start + size] for start in range(0, len(values), size))
