"""What is in the workspace, at one look? Counts for Home, for the demo's summary and for `doctor`.

`overview` reads every label once (about a second for a million of them), so a screen runs it beside the event loop, and
only when `fingerprint` says that something has changed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.store.browse import count_items

UNSURE_BELOW = 0.6  # a judge's probability that is little better than a guess
REVIEW_DISAGREEMENT = "is:disagreement"
REVIEW_UNSURE = f"confidence<{UNSURE_BELOW}"


@dataclass(frozen=True, slots=True)
class ModelRefusals:
    """The judge's labels of one model's responses. `model` is None where the source does not name it."""

    model: str | None
    none: int
    hard: int
    soft: int

    @property
    def total(self) -> int:
        return self.none + self.hard + self.soft

    @property
    def share(self) -> float:
        """Refused, fully or partly, of all labelled rows."""
        return (self.hard + self.soft) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts of rows. `disagreements` are rows where a judge and a human say otherwise."""

    datasets: int = 0
    rows: int = 0
    rejected: int = 0
    judged: int = 0
    gold: int = 0
    disagreements: int = 0
    unsure: int = 0
    models: tuple[ModelRefusals, ...] = ()


def fingerprint(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Changes whenever an overview would; costs microseconds."""
    datasets, rows = connection.execute(
        "SELECT count(*), coalesce(sum(n_items + n_rejected), 0) FROM dataset"
    ).fetchone()
    verdict = connection.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0]
    return int(datasets), int(rows), int(verdict)


def overview(connection: sqlite3.Connection, *, models: int = 50) -> Overview:
    """Everything that Home shows of data and labels; the `models` with most labelled rows."""
    datasets, rows, rejected = connection.execute(
        "SELECT count(*), coalesce(sum(n_items), 0), coalesce(sum(n_rejected), 0) FROM dataset"
    ).fetchone()
    if not rows:
        return Overview(datasets=datasets, rejected=rejected)
    refusals = _by_model(connection, models)
    judged, gold = (
        int(
            connection.execute(
                "SELECT count(DISTINCT item_id) FROM label WHERE head = ? AND annotator LIKE ?", (REFUSAL3, who)
            ).fetchone()[0]
        )
        for who in ("judge:%", "human:%")
    )
    return Overview(
        datasets=datasets,
        rows=rows,
        rejected=rejected,
        judged=judged,
        gold=gold,
        disagreements=count_items(connection, REVIEW_DISAGREEMENT) if judged and gold else 0,
        unsure=count_items(connection, REVIEW_UNSURE) if judged else 0,
        models=tuple(refusals),
    )


def _by_model(connection: sqlite3.Connection, limit: int) -> list[ModelRefusals]:
    # max(verdict_id) makes SQLite take `value` from that same row: the latest judge counts, each item once.
    rows = connection.execute(
        """SELECT item.model, sum(value = 'none'), sum(value = 'hard'), sum(value = 'soft')
           FROM (SELECT item_id, value, max(verdict_id) FROM label
                 WHERE head = ? AND annotator LIKE 'judge:%' GROUP BY item_id) AS latest
           JOIN item ON item.id = latest.item_id GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT ?""",
        (REFUSAL3, limit),
    )
    return [ModelRefusals(*row) for row in rows]
