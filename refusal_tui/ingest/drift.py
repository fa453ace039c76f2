"""Does the source still have the columns and kinds of values that its adapter expects? Differences in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.items import Record
from refusal_tui.ingest.plain import kind_of

_SAY = {
    "text": "text", "bool": "true or false", "int": "whole numbers", "number": "numbers", "list": "lists",
    "object": "objects", "null": "null",
}  # fmt: skip


def drift(adapter: Adapter, records: Sequence[Record]) -> list[str]:
    """What differs from the shape that the rows come nearest to; empty where nothing does.

    A column is missing where no row of the head has it (JSON rows may leave nulls out); its kind is wrong where no
    expected kind is found in some row. CSV holds text alone, so kinds are not compared there.
    """
    if not adapter.shapes or not records:
        return []
    kinds: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.data.items():
            kinds.setdefault(name, set()).add(kind_of(value))
    shape = adapter.nearest_shape(set(kinds))
    said = []
    for column, expected in shape.columns.items():
        if column not in kinds:
            near = difflib.get_close_matches(column, kinds.keys() - shape.columns.keys(), 1, 0.6)
            said.append(f"column {column} is missing" + (f"; found {near[0]}" if near else ""))
        elif records[0].origin.format not in ("csv", "tsv") and expected != "any":
            allowed = set(expected.removesuffix("?").split("|"))
            allowed |= {"null"} if expected.endswith("?") else set()
            if unexpected := kinds[column] - allowed:
                found = ", ".join(sorted(_SAY.get(kind, kind) for kind in unexpected))
                wanted = ", ".join(_SAY[kind] for kind in sorted(allowed))
                said.append(f"column {column} holds {found}; expected {wanted}")
    return said
