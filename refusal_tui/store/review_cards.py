"""What does an annotator see of a card? The row in full, the evidence, and what judges and the annotator have said."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Span
from refusal_tui.store.encoding import select_in
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import StoredLabel, StoredVerdict, latest_of_items
from refusal_tui.store.review_answers import Decision, decisions
from refusal_tui.store.review_queues import Queue, QueueItem, queue_items_at

_HARM_HEADS = ("prompt_harmful", "response_harmful")


@dataclass(frozen=True, slots=True)
class Card:
    """`judges`: every judge's standing verdicts on the row, `labels`: the labels that follow from them. `spans`: their
    evidence in reading order. `own`: where the annotator stands. `comes_again`: a silent repeat of the row follows.
    `harmless`: a judge has said so of prompt or response, and none has said otherwise."""

    item: QueueItem
    row: Row
    spans: tuple[Span, ...]
    judges: tuple[StoredVerdict, ...]
    labels: tuple[StoredLabel, ...]
    own: Decision | None
    comes_again: bool
    harmless: bool


def fetch_cards(connection: sqlite3.Connection, queue: Queue, annotator: str, positions: Sequence[int]) -> list[Card]:
    """The cards at these positions, in the order given; positions that the queue does not have are left out."""
    items = {item.position: item for item in queue_items_at(connection, queue, positions)}
    item_ids = [item.item_id for item in items.values()]
    rows = {row.item_id: row for row in fetch_rows(connection, item_ids)}
    judges: dict[int, list[StoredVerdict]] = {}
    for stored in latest_of_items(connection, item_ids):
        if stored.verdict.annotator.startswith("judge:") and stored.verdict.answers:
            judges.setdefault(stored.verdict.item_id, []).append(stored)
    labels: dict[int, list[StoredLabel]] = {}
    sql = """SELECT item_id, head, annotator, value, probability, profile, verdict_id FROM label
        WHERE item_id IN ({}) AND annotator GLOB 'judge:*'"""
    for found in select_in(connection, sql, item_ids):
        labels.setdefault(found[0], []).append(StoredLabel(*tuple(found)[1:]))
    own = {d.item.position: d for d in decisions(connection, queue, annotator=annotator, positions=list(positions))}
    again = {
        row[0]
        for row in select_in(
            connection, "SELECT repeat_of FROM queue_item WHERE queue_id = ? AND repeat_of IN ({})", positions,
            (queue.id,),
        )
    }  # fmt: skip
    return [
        _card(item, row, judges.get(row.item_id, ()), labels.get(row.item_id, ()), own.get(p), p in again)
        for p in positions
        if (item := items.get(p)) is not None and (row := rows.get(item.item_id)) is not None
    ]


def _card(
    item: QueueItem,
    row: Row,
    judges: Sequence[StoredVerdict],
    labels: Sequence[StoredLabel],
    own: Decision | None,
    comes_again: bool,
) -> Card:
    spans = {span for stored in judges for span in stored.verdict.spans}
    said = [
        stored.verdict.answers[head].value
        for stored in judges
        for head in _HARM_HEADS
        if head in stored.verdict.answers and stored.verdict.answers[head].value is not None
    ]
    return Card(
        item, row, tuple(sorted(spans, key=lambda s: (s.field, s.start, s.end))), tuple(judges), tuple(labels), own,
        comes_again, bool(said) and not any(said),
    )  # fmt: skip
