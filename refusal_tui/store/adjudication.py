"""On which rows do annotators differ, and what did each of them say? Reading for `review/adjudication.py` and its card.

Rows that were settled are not contested any more (`store/gold.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.labels.derive import derive
from refusal_tui.labels.rows import ItemId
from refusal_tui.store.gold import COMPUTED, is_computed, settled_sql
from refusal_tui.store.labels import StoredVerdict, verdicts_of
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_queues import Queue
from refusal_tui.store.settings import calibrations, constitution_in_force


@dataclass(frozen=True, slots=True)
class Voice:
    """One annotator's label of a row. `reason`: a judge's rationale or a person's note; `seen_judge`: a person had seen
    a judge's label before."""

    annotator: str
    value: str
    probability: float | None = None
    reason: str | None = None
    seen_judge: bool = False

    @property
    def human(self) -> bool:
        return self.annotator.startswith("human:")

    @property
    def name(self) -> str:
        return self.annotator.partition(":")[2]


def contested_rows(
    connection: sqlite3.Connection,
    head: str,
    filter_text: str = "",
    queue: Queue | None = None,
    annotators: Sequence[str] = (),
    *,
    sure_below: float,
) -> list[tuple[ItemId, tuple[Voice, ...]]]:
    """Rows on which two annotators differ, and rows that no person has labelled and a judge is not sure of (its
    probability is less than `sure_below`); of the filter, the queue, and these annotators alone where some are named.

    Of one annotator's labels the latest counts. Raises InputError for a bad filter.
    """
    condition = compile_filter(connection, filter_text)
    terms, values = [condition.sql], [*condition.parameters]
    if annotators:
        terms.append(f"annotator IN ({','.join('?' * len(annotators))})")
        values += annotators
    else:
        terms.append(f"NOT {COMPUTED}")
    if queue is not None:
        terms.append(f"label.item_id IN (SELECT item_id FROM queue_item WHERE queue_id = {queue.id})")
    if (settled := settled_sql(head, connection)) is not None:
        terms.append(f"label.item_id NOT IN (SELECT item_id FROM ({settled[0]}))")
        values += settled[1]
    where = " AND ".join(f"({term})" for term in terms)
    rows = connection.execute(
        f"""SELECT label.item_id, annotator, value, probability FROM label
            WHERE head = ? AND label.item_id IN (
                SELECT label.item_id FROM label JOIN item ON item.id = label.item_id WHERE head = ? AND {where}
                GROUP BY label.item_id HAVING min(value) <> max(value)
                    OR (max(annotator GLOB 'human:*') = 0 AND min(probability) < ?))
            ORDER BY verdict_id""",
        (head, head, *values, sure_below),
    )
    wanted = set(annotators)
    said: dict[int, dict[str, Voice]] = {}
    for item_id, annotator, value, probability in rows:  # oldest first: the latest stays
        if annotator in wanted or not (wanted or is_computed(annotator)):
            said.setdefault(item_id, {})[annotator] = Voice(annotator, value, probability)
    return [(ItemId(item_id), _in_order(voices)) for item_id, voices in sorted(said.items())]


def voices_of(connection: sqlite3.Connection, item_id: int, head: str) -> tuple[Voice, ...]:
    """What everybody says of a row, with their reasons; answers that were given to settle it are left out, so that
    whoever settles a row again sees what there was to settle."""
    settling = {
        row[0]
        for row in connection.execute(
            """SELECT e.verdict_id FROM review_event e JOIN queue q ON q.id = e.queue_id
               JOIN queue_item i ON i.queue_id = e.queue_id AND i.position = e.position
               WHERE q.purpose = 'adjudicate' AND e.kind = 'label' AND i.item_id = ?""",
            (item_id,),
        )
    }
    latest: dict[tuple[str, str, str], StoredVerdict] = {}
    for stored in verdicts_of(connection, item_id):
        v = stored.verdict
        if stored.id not in settling and not is_computed(v.annotator):
            latest[v.annotator, v.question_set, v.profile.value] = stored
    constitution, honest = constitution_in_force(connection), calibrations(connection)
    said: dict[str, Voice] = {}
    for stored in sorted(latest.values(), key=lambda one: one.id):
        v = stored.verdict
        for label in derive(v, constitution):
            if label.head == head:
                calibration = honest.get(v.annotator)
                sure = label.probability if calibration is None else calibration.of(head, label.probability)
                said[v.annotator] = Voice(v.annotator, label.value, sure, v.rationale, v.seen_judge)
    return _in_order(said)


def _in_order(voices: dict[str, Voice]) -> tuple[Voice, ...]:
    return tuple(voices[name] for name in sorted(voices))
