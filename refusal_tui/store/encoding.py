"""What can SQLite take? Text as UTF-8, JSON as text, and lists of values in portions."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_MAX_VARIABLES = 900  # below the oldest SQLite's limit of 999
_SURROGATE = re.compile("[\ud800-\udfff]")
_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would build an encoder for every row


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
    text = _json(value)
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def select_in(
    connection: sqlite3.Connection, sql: str, values: Sequence[Any], before: tuple[object, ...] = ()
) -> Iterator[sqlite3.Row]:
    """Run `sql` with its `{}` filled by as many placeholders as there are values, in chunks."""
    for chunk in chunks(values, _MAX_VARIABLES):
        yield from connection.execute(sql.format(",".join("?" * len(chunk))), (*before, *chunk))


def chunks(values: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Consecutive slices of at most `size` values."""
    return (values[start : start + size] for start in range(0, len(values), size))
