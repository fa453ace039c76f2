"""Numbers that a job has measured, by name and step."""

from __future__ import annotations

import sqlite3
import time


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
