"""Which rows are marked? One byte per item id, so that marking a million rows takes a megabyte and an instant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from refusal_tui.store.id_ranges import written

_RUN = re.compile(b"\x01+")


class Marks:
    """A set of item ids that outlives filters: mark some rows, filter anew, mark some more."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __contains__(self, item_id: int) -> bool:
        return item_id < len(self._bytes) and self._bytes[item_id] == 1

    def __len__(self) -> int:
        return self._bytes.count(1)

    def _reach(self, item_id: int) -> None:
        if item_id >= len(self._bytes):
            self._bytes.extend(bytes(item_id + 1 - len(self._bytes)))

    def toggle(self, item_id: int) -> None:
        self._reach(item_id)
        self._bytes[item_id] ^= 1

    def add(self, ids: Iterable[int]) -> None:
        ids = list(ids)
        self._reach(max(ids, default=0))
        marked = self._bytes
        for item_id in ids:
            marked[item_id] = 1

    def clear(self) -> None:
        self._bytes = bytearray()

    def expression(self) -> str:
        """The marked rows in the filter language, "" for none.

        >>> marks = Marks()
        >>> marks.add([1, 2, 3, 9])
        >>> marks.expression()
        'id:1-3,9'
        """
        ranges = written((run.start(), run.end() - 1) for run in _RUN.finditer(self._bytes))
        return f"id:{ranges}" if ranges else ""
