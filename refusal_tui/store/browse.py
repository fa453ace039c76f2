"""What does a screen or an export need to show items? Ids of a selection, pages of previews, facets, one dossier.

A selection of a million rows is an array of ids (8 bytes each); text is fetched for the visible page alone. OFFSET is
never used: it reads everything before it.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.store.encoding import select_in
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import StoredLabel, StoredVerdict, labels_of, verdicts_of
from refusal_tui.store.query import compile_filter

PREVIEW_CHARACTERS = 400
_PREVIEW_BYTES = 4 * PREVIEW_CHARACTERS  # cut as bytes: on text, SQLite's substr() stops at a NUL

_LABEL = f"""(SELECT {{column}} FROM label WHERE item_id = item.id AND head = '{REFUSAL3}'
             AND annotator GLOB '{{who}}:*' ORDER BY verdict_id DESC LIMIT 1)"""
SORTS = {
    "id": "item.id",
    "key": "item.key",
    "dataset": "item.dataset_id",
    "model": "item.model",
    "category": "item.category",
    "length": "item.response_chars",
    "prompt_length": "item.prompt_chars",
    "judge": _LABEL.format(column="value", who="judge"),
    "gold": _LABEL.format(column="value", who="human"),
    "confidence": _LABEL.format(column="probability", who="judge"),
}
FACETS = ("judge", "gold", "dataset", "model", "split", "category")


@dataclass(frozen=True, slots=True)
class Preview:
    """One line of the table. Texts are cut to PREVIEW_CHARACTERS; they are still hostile."""

    item_id: ItemId
    key: str
    dataset: str
    model: str | None
    category: str | None
    prompt: str
    response: str | None
    judge: str | None
    confidence: float | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class Facet:
    field: str
    value: str
    count: int

    @property
    def term(self) -> str:
        """The filter term that keeps these rows alone."""
        exactly = "=" if "*" in self.value else ":"
        if re.fullmatch(r"[^\s,\"]+", self.value):
            return f"{self.field}{exactly}{self.value}"
        doubled = self.value.replace('"', '""')
        return f'{self.field}{exactly}"{doubled}"'


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    job_id: int
    kind: str
    stage: str
    k: int
    state: str
    attempts: int
    error_class: str | None
    error: str | None
    raw: str | None
    created: float


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that is known of one item."""

    row: Row
    split: str | None
    category: str | None
    labels: list[StoredLabel]
    verdicts: list[StoredVerdict]
    outcomes: list[StoredOutcome]


def select_ids(
    connection: sqlite3.Connection, filter_text: str = "", sort: str = "id", *, descending: bool = False
) -> array[int]:
    """The item ids of a selection in order, as int64. Raises InputError for a bad filter or sort."""
    if sort not in SORTS:
        raise InputError(f"Rows cannot be sorted by {sort!r}.", f"Use one of: {', '.join(SORTS)}.")
    condition = compile_filter(connection, filter_text)
    direction = "DESC" if descending else "ASC"
    tie = "" if sort == "id" else ", item.id"
    cursor = connection.execute(
        f"SELECT item.id FROM item WHERE {condition.sql} ORDER BY {SORTS[sort]} {direction}{tie}",
        condition.parameters,
    )
    cursor.row_factory = None
    ids = array("q")
    while batch := cursor.fetchmany(10_000):
        ids.extend([row[0] for row in batch])
    return ids


def count_items(connection: sqlite3.Connection, filter_text: str = "") -> int:
    condition = compile_filter(connection, filter_text)
    found = connection.execute(f"SELECT count(*) FROM item WHERE {condition.sql}", condition.parameters)
    return int(found.fetchone()[0])


def fetch_previews(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Preview]:
    """One page of table lines, in the order of `ids`; ids that are gone are left out."""
    if not ids:
        return []
    found: dict[int, sqlite3.Row] = {}
    labels: dict[tuple[int, str], tuple[str, float | None]] = {}
    sql = f"""SELECT item.id, item.key, dataset.name AS dataset, item.model, item.category,
            substr(CAST(prompt.text AS BLOB), 1, {_PREVIEW_BYTES}) AS prompt,
            substr(CAST(item_body.response AS BLOB), 1, {_PREVIEW_BYTES}) AS response
        FROM item JOIN dataset ON dataset.id = item.dataset_id JOIN prompt ON prompt.id = item.prompt_id
        LEFT JOIN item_body ON item_body.item_id = item.id WHERE item.id IN ({{}})"""
    for row in select_in(connection, sql, ids):
        found[row["id"]] = row
    sql = f"""SELECT item_id, annotator, value, probability FROM label
        WHERE item_id IN ({{}}) AND head = '{REFUSAL3}' ORDER BY verdict_id"""
    for item_id, annotator, value, probability in select_in(connection, sql, ids):
        labels[item_id, annotator.partition(":")[0]] = (value, probability)
    previews = []
    for item_id in ids:
        if item_id not in found:
            continue
        row = found[item_id]
        judge, confidence = labels.get((item_id, "judge"), (None, None))
        gold, _ = labels.get((item_id, "human"), (None, None))
        previews.append(
            Preview(
                ItemId(item_id), row["key"], row["dataset"], row["model"], row["category"], _start(row["prompt"]),
                None if row["response"] is None else _start(row["response"]), judge, confidence, gold,
            )
        )  # fmt: skip
    return previews


def _start(text: bytes) -> str:
    return text.decode("utf-8", "ignore")[:PREVIEW_CHARACTERS]


def facets(connection: sqlite3.Connection, field: str, filter_text: str = "", limit: int = 50) -> list[Facet]:
    """How many rows of the selection have each value of `field`, most frequent first."""
    if field not in FACETS:
        raise InputError(f"There is no facet {field!r}.", f"Use one of: {', '.join(FACETS)}.")
    condition = compile_filter(connection, filter_text)
    if field in ("judge", "gold"):
        who = "judge" if field == "judge" else "human"
        sql = f"""SELECT label.value, count(DISTINCT item.id) FROM label JOIN item ON item.id = label.item_id
            WHERE label.head = '{REFUSAL3}' AND label.annotator GLOB '{who}:*' AND {condition.sql} GROUP BY 1"""
    elif field == "dataset":
        sql = f"""SELECT dataset.name, n FROM (SELECT dataset_id, count(*) AS n FROM item WHERE {condition.sql}
            GROUP BY 1) JOIN dataset ON dataset.id = dataset_id"""
    else:
        sql = f"""SELECT item.{field}, count(*) FROM item WHERE item.{field} IS NOT NULL AND {condition.sql}
            GROUP BY 1"""
    rows = connection.execute(f"{sql} ORDER BY 2 DESC, 1 LIMIT ?", (*condition.parameters, limit))
    return [Facet(field, row[0], row[1]) for row in rows]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Items of a dataset with a three-class label by a judge, and by a human."""

    judge: int
    gold: int


def label_counts(connection: sqlite3.Connection) -> dict[int, LabelCounts]:
    """How many items of each dataset are labelled; datasets without a label are left out."""
    found: dict[int, dict[str, int]] = {}
    rows = connection.execute(
        f"""SELECT dataset_id, who, count(*) FROM
              (SELECT DISTINCT item_id, substr(annotator, 1, 5) AS who FROM label WHERE head = '{REFUSAL3}')
            JOIN item ON item.id = item_id GROUP BY 1, 2"""
    )
    for dataset_id, who, count in rows:
        found.setdefault(dataset_id, {})[who] = count
    return {i: LabelCounts(counts.get("judge", 0), counts.get("human", 0)) for i, counts in found.items()}


def read_dossier(connection: sqlite3.Connection, item_id: int) -> Dossier | None:
    """Everything about one item, None when it does not exist."""
    rows = fetch_rows(connection, [item_id])
    if not rows:
        return None
    split, category = connection.execute("SELECT split, category FROM item WHERE id = ?", (item_id,)).fetchone()
    outcomes = connection.execute(
        """SELECT o.job_id, job.kind, o.stage, o.k, o.state, o.attempts, o.error_class, o.error, o.raw, o.created
           FROM outcome o JOIN job ON job.id = o.job_id WHERE o.item_id = ? ORDER BY o.created""",
        (item_id,),
    )
    return Dossier(
        rows[0], split, category, labels_of(connection, item_id), verdicts_of(connection, item_id),
        [StoredOutcome(*o) for o in outcomes],
    )  # fmt: skip
