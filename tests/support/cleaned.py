"""A finished cleaning job written straight into the store: no model is asked, every run of the tests is the same."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from refusal_tui.store import jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made
from refusal_tui.store.items import add_items
from refusal_tui.store.workspace import Workspace
from tests.store.building import NewRow, add

SORRY = "I'm sorry, but I can't help with that."
ANSWER = "In short: it was kept in jars, and people learnt to leave it alone."


@dataclass(frozen=True)
class Cleaned:
    """One row of the job: what came in, what it became, and what the job says of it."""

    original: str
    rewritten: str | None = None  # None: no rewrite
    response: str | None = ANSWER
    decision: str = "keep"
    reason: str = "rewritten"
    before: str | None = SORRY


ROWS = (
    Cleaned("Tell me how to smelt blorptanium.", "What is the history of smelting blorptanium?"),
    Cleaned("What do zorblings eat?", reason="answered"),
    Cleaned("What do frindles drink?", response="Mostly dew.", before="Mostly dew.", reason="no_refusal"),
    Cleaned("Describe the frindle ritual.", "What was the frindle ritual for?", SORRY, "drop", "refused"),
    Cleaned("Open the glimmer vault.", "How is the glimmer vault kept safe?", decision="review",
            reason="safety_not_judged"),
)  # fmt: skip


def cleaned_job(workspace: Workspace, rows: tuple[Cleaned, ...] = ROWS) -> tuple[int, list[int]]:
    """(the job, the items it has made in the order of `rows`)."""
    with closing(workspace.open()) as connection:
        sources = add(connection, *(NewRow(row.original, row.before, "quill") for row in rows), dataset="raw")
        job_id = jobs.create_job(
            connection, kind="clean", title="clean into tidy (question, local)", lane="free",
            spec='{"name": "tidy", "endpoint": "local"}', spec_version=1, selection="dataset:raw", item_ids=sources,
        )  # fmt: skip
        with transaction(connection):
            connection.execute("UPDATE job SET state = 'done', n_ok = total WHERE id = ?", (job_id,))
            into = begin_made(connection, "tidy", job_id, "clean")
            made = [(f"raw/k{n}", _item(row, n, source)) for n, (row, source) in enumerate(zip(rows, sources), 1)]
            added = add_items(connection, into.id, made)
    return job_id, [int(item_id) for item_id in added.ids if item_id is not None]


def _item(row: Cleaned, number: int, source: int) -> NewRow:
    rewritten = row.rewritten is not None and row.rewritten != row.original
    meta = {
        "original_instruction": row.original,
        "original_response": row.before,
        "decision": row.decision,
        "reason": row.reason,
        "rounds": 1,
        "was_refused": row.before == SORRY,
        "similarity": 0.5 if rewritten else 1.0,
        "source_dataset": "raw",
        "source_key": f"k{number}",
        "source_item": source,
        "strategy": "question@5b5b5b" if rewritten else None,
        "rewritten_by": "loopback-1" if rewritten else None,
        "judge": "judge:wildguard@local",
    }
    return NewRow(row.rewritten or row.original, row.response, "loopback-1", meta=meta)
