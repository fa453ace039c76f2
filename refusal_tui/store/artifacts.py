"""Which files did jobs write, and are they still what was written?"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.store.connect import transaction


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file with its sha256, the job that wrote it and what it was made from; `path` is relative to the workspace
    where it lies inside, absolute elsewhere."""

    job_id: int | None
    path: str
    kind: str
    sha256: str
    bytes: int
    made_from: str
    created: float


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_artifact(
    connection: sqlite3.Connection,
    root: Path,
    path: Path,
    *,
    kind: str,
    job_id: int | None = None,
    made_from: Mapping[str, object] | None = None,
) -> Artifact:
    """Record a finished file; writing the same path again replaces its record."""
    absolute = path.absolute()
    stored = str(absolute.relative_to(root)) if absolute.is_relative_to(root) else str(absolute)
    artifact = Artifact(
        job_id, stored, kind, sha256_of(absolute), absolute.stat().st_size,
        json.dumps(made_from or {}, sort_keys=True), time.time(),
    )  # fmt: skip
    with transaction(connection):
        connection.execute("DELETE FROM artifact WHERE path = ?", (stored,))
        connection.execute(
            "INSERT INTO artifact(job_id, path, kind, sha256, bytes, made_from, created) VALUES (?,?,?,?,?,?,?)",
            (artifact.job_id, artifact.path, artifact.kind, artifact.sha256, artifact.bytes, artifact.made_from,
             artifact.created),
        )  # fmt: skip
    return artifact


def list_artifacts(connection: sqlite3.Connection, job_id: int | None = None) -> list[Artifact]:
    rows = connection.execute(
        "SELECT job_id, path, kind, sha256, bytes, made_from, created FROM artifact "
        "WHERE ? IS NULL OR job_id = ? ORDER BY id",
        (job_id, job_id),
    )
    return [Artifact(*row) for row in rows]
