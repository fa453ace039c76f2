"""How long are the rows of a selection? A sample is enough: an estimate must not wait for a million rows."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from refusal_tui.store.browse import count_items
from refusal_tui.store.query import compile_filter

_SAMPLE = 4000  # rows looked at, spread over the whole table
_ENOUGH = 200  # of them in the selection; of a smaller selection its first rows are taken


@dataclass(frozen=True, slots=True)
class Lengths:
    """`rows` in all; the mean characters of their prompts and, of those that are answered, responses. `answered`: the
    share of rows that have a response."""

    rows: int
    prompt_chars: float = 0.0
    response_chars: float = 0.0
    answered: float = 1.0


NO_LENGTHS = Lengths(0)


def lengths_of(connection: sqlite3.Connection, selection: str = "", rows: int | None = None) -> Lengths:
    """`rows`: their number where it is known already. Raises InputError for a selection that is wrong."""
    total = count_items(connection, selection) if rows is None else rows
    if not total:
        return NO_LENGTHS
    condition = compile_filter(connection, selection)
    first, last = connection.execute("SELECT min(id), max(id) FROM item").fetchone()
    step = max(1, (last - first + 1) // _SAMPLE)
    spread = json.dumps(list(range(first, last + 1, step)))
    seen = connection.execute(
        f"""SELECT count(*), avg(prompt_chars), avg(response_chars), avg(coalesce(response_chars, 0) > 0) FROM item
            WHERE item.id IN (SELECT value FROM json_each(?)) AND {condition.sql}""",
        (spread, *condition.parameters),
    ).fetchone()
    if seen[0] < min(_ENOUGH, total):
        seen = connection.execute(
            f"""SELECT count(*), avg(prompt_chars), avg(response_chars), avg(coalesce(response_chars, 0) > 0)
                FROM (SELECT prompt_chars, response_chars FROM item WHERE {condition.sql} LIMIT ?)""",
            (*condition.parameters, _SAMPLE),
        ).fetchone()
    return Lengths(total, seen[1] or 0.0, seen[2] or 0.0, seen[3] or 0.0)
