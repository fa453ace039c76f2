"""What does somebody get who reviews outside this program? `human_review_samples.json`, one entry per sampled row.

The fields are those of the dataset-pipeline system; `item_id` leads back to the row, the inclusion probability to an
unbiased estimate. Personal data is masked. In the workbench the same rows are a queue: `queue.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from refusal_tui.audit.sampling import Drawn
from refusal_tui.audit.table import Table
from refusal_tui.pii.scrub import masked
from refusal_tui.pii.spans import PiiSpan
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import latest_of_items


def review_samples(
    connection: sqlite3.Connection, table: Table, drawn: Sequence[Drawn], find: Callable[[str], Iterable[PiiSpan]]
) -> list[dict[str, Any]]:
    """The sampled rows with their labels and the latest rationale, to be filled in by hand."""
    ids = [int(table.ids[one.place]) for one in drawn]
    rows = {row.item_id: row for row in fetch_rows(connection, ids)}
    rationale = {
        stored.verdict.item_id: stored.verdict.rationale
        for stored in latest_of_items(connection, ids)
        if stored.verdict.rationale
    }
    found = []
    for index, (one, item_id) in enumerate(zip(drawn, ids, strict=True)):
        row = rows[item_id]  # type: ignore[index]
        labels = {
            head: column.label.names[column.label.codes[one.place]]
            for head, column in table.heads.items()
            if column.label.codes[one.place] >= 0
        }
        chance = table.heads["refusal3"].probability[one.place] if "refusal3" in table.heads else None
        found.append(
            {
                "index": index,
                "item_id": item_id,
                "dataset": row.dataset,
                "key": row.key,
                "prompt": masked(row.prompt, find(row.prompt)),
                "response": None if row.response is None else masked(row.response, find(row.response)),
                "labels": labels,
                "confidence": None if chance is None or chance != chance else round(float(chance), 4),
                "rationale": rationale.get(item_id),  # type: ignore[call-overload]
                "stratum": one.stratum,
                "inclusion_probability": round(one.inclusion, 9),
                "review_notes": "",
                "human_labels": {},
                "agreement": None,
            }
        )
    return found
