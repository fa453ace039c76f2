"""Which runs of one kind are there, and which stands beside the one that is looked at?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence


def jobs_of_kind(connection: sqlite3.Connection, kind: str) -> list[int]:
    """Newest first."""
    return [row[0] for row in connection.execute("SELECT id FROM job WHERE kind = ? ORDER BY id DESC", (kind,))]


def job_beside(jobs: Sequence[int], job_id: int | None, step: int) -> int | None:
    """Of `jobs`, newest first, an older one for 1, a newer one for -1; None where there is no other.

    >>> job_beside([7, 5, 2], 5, 1), job_beside([7, 5, 2], 7, -1), job_beside([7, 5, 2], None, 0)
    (2, None, 7)
    """
    if job_id not in jobs:
        return jobs[0] if jobs else None
    index = jobs.index(job_id) + step
    return jobs[index] if 0 <= index < len(jobs) else None
