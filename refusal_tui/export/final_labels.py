"""What does everybody say of some rows, and which of it counts? Reads labels and settled answers from the store."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from refusal_tui.export.resolve import HEADS, Resolved, Said, resolve
from refusal_tui.labels.rows import Row
from refusal_tui.store.clean_review import any_decision, reviewed_rows
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.encoding import select_in
from refusal_tui.store.gold import settled_sql
from refusal_tui.store.items import fetch_rows

_WANTED = frozenset(HEADS)
Settled = Mapping[int, Mapping[str, tuple[str, str]]]  # item -> head -> (label, who)


def settled_heads(connection: sqlite3.Connection) -> Settled:
    """Every answer that somebody has settled."""
    found: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
    for head in HEADS:
        settled = settled_sql(head, connection)
        for row in connection.execute(*settled) if settled is not None else ():
            if row["value"] is not None:
                found[row["item_id"]][head] = (row["value"], row["annotator"])
    return dict(found)


def labels_said(connection: sqlite3.Connection, item_ids: Sequence[int]) -> dict[int, list[Said]]:
    """Every annotator's current labels of these items, by head and annotator; items without any are left out."""
    found: dict[int, list[Said]] = defaultdict(list)
    sql = """SELECT item_id, head, annotator, profile, value, probability, verdict_id FROM label
        WHERE item_id IN ({}) ORDER BY item_id, head, annotator, profile"""
    for item_id, *label in select_in(connection, sql, item_ids):
        if label[0] in _WANTED:
            found[item_id].append(Said(*label))
    return found


def resolved_labels(said: Mapping[int, Sequence[Said]], settled: Settled) -> dict[int, Resolved]:
    """The labels that count, by item."""
    return {item_id: resolve(labels, settled.get(item_id, {})) for item_id, labels in said.items()}


class ReviewedRows:
    """Which cleaned rows do people's decisions take away? None of another kind, and none before anybody has decided."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cleaned = (
            {d.id for d in list_datasets(connection) if d.provenance.adapter == "clean"}
            if any_decision(connection)
            else set[int]()
        )

    def taken_away(self, item_ids: Sequence[int], dataset_ids: Sequence[int]) -> dict[int, str]:
        """Item -> why: rejected, or worded anew since it was labelled."""
        looked_at = [item for item, of in zip(item_ids, dataset_ids, strict=True) if of in self._cleaned]
        return dict(self._reasons(fetch_rows(self._connection, looked_at))) if looked_at else {}

    def _reasons(self, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
        for before, after in zip(rows, reviewed_rows(self._connection, rows), strict=True):
            if after.meta.get("reason") == "rejected" and after is not before:
                yield before.item_id, "rejected in a review of cleaned rows"
            elif after.prompt != before.prompt:
                yield before.item_id, "worded anew in a review of cleaned rows, without a label since"
