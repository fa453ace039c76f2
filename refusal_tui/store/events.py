"""What happened to a job, in the order in which it happened?"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from refusal_tui.store.encoding import storable


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    level: str
    code: str
    text: str
    created: float


def add_event(connection: sqlite3.Connection, job_id: int | None, level: str, code: str, text: str) -> None:
    connection.execute(
        "INSERT INTO event(job_id, level, code, text, created) VALUES (?,?,?,?,?)",
        (job_id, level, code, storable(text), time.time()),
    )


def events_of(connection: sqlite3.Connection, job_id: int, *, limit: int = 200) -> list[Event]:
    """The latest events of a job, oldest first."""
    rows = connection.execute(
        "SELECT id, level, code, text, created FROM event WHERE job_id = ? ORDER BY id DESC LIMIT ?",
        (job_id, limit),
    ).fetchall()
    return [Event(*row) for row in reversed(rows)]
