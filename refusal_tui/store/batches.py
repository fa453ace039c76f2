"""Which provider batches are under way?

A batch is written down as `submitting` before anything is uploaded and gets its provider id in the next commit: a
crash between the two leaves an orphan that `llm/batch.py` finds again by `key`, which the provider keeps as metadata.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from refusal_tui.store.connect import transaction
from refusal_tui.store.ledger import RowKey


class BatchState(StrEnum):
    SUBMITTING = "submitting"  # written down, perhaps not at the provider yet
    SUBMITTED = "submitted"
    FINISHED = "finished"  # ended at the provider (completed, expired, cancelled), answers not merged yet
    MERGED = "merged"
    FAILED = "failed"  # refused by the provider as a whole
    CALLED_OFF = "called_off"  # its job was cancelled; the provider was asked to cancel it, too


@dataclass(frozen=True, slots=True)
class Batch:
    """One provider batch; paths are on this machine."""

    key: str
    job_id: int
    provider: str
    state: BatchState
    input_path: str
    input_sha: str
    n: int
    provider_batch_id: str | None = None
    submitted: float | None = None
    polled: float | None = None
    output_path: str | None = None
    note: str = ""


def add_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    with transaction(connection):
        connection.execute(
            "INSERT INTO batch (key, job_id, provider, state, input_path, input_sha, n) VALUES (?,?,?,?,?,?,?)",
            (batch.key, batch.job_id, batch.provider, batch.state.value, batch.input_path, batch.input_sha, batch.n),
        )


def mark_submitted(connection: sqlite3.Connection, key: str, provider_batch_id: str) -> float:
    """Record the provider's id; returns the time under which that is recorded."""
    now = time.time()
    with transaction(connection):
        connection.execute(
            "UPDATE batch SET state = ?, provider_batch_id = ?, submitted = ? WHERE key = ?",
            (BatchState.SUBMITTED.value, provider_batch_id, now, key),
        )
    return now


def mark_state(
    connection: sqlite3.Connection, key: str, state: BatchState, *, output_path: str | None = None, note: str = ""
) -> None:
    """Record a look at the provider. An output path that is known stays."""
    with transaction(connection):
        connection.execute(
            "UPDATE batch SET state = ?, polled = ?, output_path = coalesce(?, output_path), note = ? WHERE key = ?",
            (state.value, time.time(), output_path, note, key),
        )


def batches_of(connection: sqlite3.Connection, job_id: int) -> list[Batch]:
    return [
        Batch(
            row["key"], row["job_id"], row["provider"], BatchState(row["state"]), row["input_path"], row["input_sha"],
            row["n"], row["provider_batch_id"], row["submitted"], row["polled"], row["output_path"], row["note"],
        )
        for row in connection.execute("SELECT * FROM batch WHERE job_id = ? ORDER BY key", (job_id,))
    ]  # fmt: skip


def open_batches(connection: sqlite3.Connection, job_id: int) -> list[Batch]:
    """Those that the provider has, or may have, under way."""
    under_way = (BatchState.SUBMITTING, BatchState.SUBMITTED)
    return [batch for batch in batches_of(connection, job_id) if batch.state in under_way]


def mark_merged_within(connection: sqlite3.Connection, key: str) -> None:
    """All rows of a batch have their outcome; inside the transaction that commits the last of them."""
    connection.execute("UPDATE batch SET state = ? WHERE key = ?", (BatchState.MERGED.value, key))


def finished_keys(connection: sqlite3.Connection, job_id: int) -> Iterator[RowKey]:
    """The rows of a job that have an outcome."""
    for row in connection.execute("SELECT item_id, stage, k FROM outcome WHERE job_id = ?", (job_id,)):
        yield RowKey(job_id, *row)
