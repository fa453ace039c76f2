"""Numbers that a job has measured, by name and step."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping


def add_metric(connection: sqlite3.Connection, job_id: int, name: str, step: int, value: float) -> None:
    """Append a number; the caller holds the transaction."""
    connection.execute(
        "INSERT INTO metric(job_id, name, step, value, created) VALUES (?,?,?,?,?)",
        (job_id, name, step, value, time.time()),
    )


def metric_steps(connection: sqlite3.Connection, job_id: int, name: str) -> dict[int, float]:
    """step -> the latest value of a metric."""
    rows = connection.execute(
        "SELECT step, value FROM metric WHERE job_id = ? AND name = ? ORDER BY created", (job_id, name)
    )
    return {row[0]: row[1] for row in rows}


def put_gauges(connection: sqlite3.Connection, job_id: int, run: int, values: Mapping[str, float]) -> None:
    """Replace what a run shows of itself while it is at work; the caller holds the transaction. `run` is the step."""
    now = time.time()
    connection.executemany(
        "DELETE FROM metric WHERE job_id = ? AND name = ? AND step = ?", [(job_id, name, run) for name in values]
    )
    connection.executemany(
        "INSERT INTO metric(job_id, name, step, value, created) VALUES (?,?,?,?,?)",
        [(job_id, name, run, value, now) for name, value in values.items()],
    )


def gauges(connection: sqlite3.Connection, job_id: int, prefix: str) -> dict[tuple[str, int], float]:
    """(name without the prefix, run) -> value of the gauges whose names begin with `prefix`."""
    rows = connection.execute(
        "SELECT name, step, value FROM metric WHERE job_id = ? AND name >= ? AND name < ?",
        (job_id, prefix, prefix + "\U0010ffff"),
    )
    return {(row[0][len(prefix) :], row[1]): row[2] for row in rows}
