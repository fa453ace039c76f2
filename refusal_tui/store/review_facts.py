"""What is known of the rows of a selection before some of them are drawn for review? Ids and labels, no text."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.rows import ItemId
from refusal_tui.store.query import compile_filter


@dataclass(frozen=True, slots=True)
class RowFacts:
    """One row. `judges`: (class, probability) of each judge, oldest first; `people`: the classes that people gave,
    oldest first."""

    item_id: ItemId
    dataset: str
    model: str | None
    judges: tuple[tuple[str, float | None], ...]
    people: tuple[str, ...]


def row_facts(connection: sqlite3.Connection, selection: str, *, with_response: bool = True) -> list[RowFacts]:
    """The rows of a selection by their number; `with_response`: only those in which a model has said something.

    Raises InputError for a bad filter.
    """
    condition = compile_filter(connection, selection)
    where = f"({condition.sql})" + (" AND item.response_chars > 0" if with_response else "")
    judges: dict[int, list[tuple[str, float | None]]] = {}
    people: dict[int, list[str]] = {}
    labels = connection.execute(
        f"""SELECT label.item_id, annotator, value, probability FROM label WHERE head = '{REFUSAL3}'
            AND label.item_id IN (SELECT item.id FROM item WHERE {where}) ORDER BY verdict_id""",
        condition.parameters,
    )
    for item_id, annotator, value, probability in labels:
        if annotator.startswith("human:"):
            people.setdefault(item_id, []).append(value)
        else:
            judges.setdefault(item_id, []).append((value, probability))
    rows = connection.execute(
        f"""SELECT item.id, dataset.name, item.model FROM item JOIN dataset ON dataset.id = item.dataset_id
            WHERE {where} ORDER BY item.id""",
        condition.parameters,
    )
    return [
        RowFacts(ItemId(row[0]), row[1], row[2], tuple(judges.get(row[0], ())), tuple(people.get(row[0], ())))
        for row in rows
    ]
