"""What does one exported row hold? The item, every current label, and the verdicts behind them.

The record is what the `workbench` adapter of `ingest` reads, so that export and import are each other's inverse. Text
is exact; null stays null. What people have rejected in a Clean review is left out, what they have edited is as edited:
without its labels, which are about another wording.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.store.browse import Dossier, read_dossier
from refusal_tui.store.clean_review import any_decision, reviewed_rows
from refusal_tui.store.labels import StoredLabel

# Columns of the flat formats (csv, parquet, hf); the ones in JSON_COLUMNS hold JSON text.
COLUMNS = (
    "key", "dataset", "prompt", "messages", "response", "model", "split", "category", "refusal3", "refusal3_by",
    *BOOLEAN_HEADS, "labels", "verdicts", "meta",
)  # fmt: skip
JSON_COLUMNS = frozenset({"messages", "labels", "verdicts", "meta"})


def records(connection: sqlite3.Connection, item_ids: Iterable[int]) -> Iterator[dict[str, Any]]:
    """The exported rows, in order; rows that no longer exist are left out."""
    has_reviews = any_decision(connection)
    for item_id in item_ids:
        dossier = read_dossier(connection, item_id)
        if dossier is not None and has_reviews:
            dossier = _after_review(connection, dossier)
        if dossier is not None:
            yield record_of(dossier)


def _after_review(connection: sqlite3.Connection, dossier: Dossier) -> Dossier | None:
    """The row as people have decided; None: it is rejected."""
    (row,) = reviewed_rows(connection, [dossier.row])
    if row is dossier.row:
        return dossier
    if row.meta["reason"] == "rejected":
        return None
    if row.prompt == dossier.row.prompt:
        return replace(dossier, row=row)
    return replace(dossier, row=row, labels=[], verdicts=[])


def record_of(dossier: Dossier) -> dict[str, Any]:
    """One row as nested JSON."""
    row = dossier.row
    three = _headline(dossier, REFUSAL3)
    return {
        "key": row.key,
        "dataset": row.dataset,
        "prompt": row.prompt,
        "messages": [{"role": m.role, "content": m.content} for m in row.messages] or None,
        "response": row.response,
        "model": row.model,
        "split": dossier.split,
        "category": dossier.category,
        "refusal3": three.value if three else None,
        "refusal3_by": three.annotator if three else None,
        **{head: label.value == "yes" if (label := _headline(dossier, head)) else None for head in BOOLEAN_HEADS},
        "labels": [
            {
                "head": label.head,
                "annotator": label.annotator,
                "value": label.value,
                "probability": label.probability,
                "profile": label.profile or None,
            }
            for label in dossier.labels
        ],
        "verdicts": [
            {
                "annotator": v.annotator,
                "question_set": v.question_set,
                "version": v.version,
                "profile": v.profile.value,
                "answers": {q: {"value": a.value, "probability": a.probability} for q, a in v.answers.items()},
                "spans": [{"field": s.field, "start": s.start, "end": s.end, "rule": s.rule} for s in v.spans],
                "raw": v.raw,
                "rationale": v.rationale,
                "seen_judge": v.seen_judge,
            }
            for v in (stored.verdict for stored in dossier.verdicts)
        ],
        "meta": dict(row.meta),
    }


def _headline(dossier: Dossier, head: str) -> StoredLabel | None:
    """The label to train on: a human's where there is one, else the latest judge's; null is not none."""
    found = [label for label in dossier.labels if label.head == head]
    humans = [label for label in found if label.annotator.startswith("human:")]
    return max(humans or found, key=lambda label: label.verdict_id, default=None)


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its nested values as JSON text; an empty one is null."""
    cells = {name: record[name] for name in COLUMNS}
    for name in JSON_COLUMNS:
        cells[name] = json.dumps(record[name], ensure_ascii=False) if record[name] else None
    return cells
