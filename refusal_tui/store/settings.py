"""What belongs to the workspace as a whole: the constitution in force, the temperatures of its judges, the secret
behind the judges' fences."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING

from refusal_tui.labels.calibration import Calibration

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution

_CONSTITUTION = "constitution"
_FENCE_SECRET = "fence_secret"
_CALIBRATION = "calibration/"
_SEEN = "seen_end_of_job_"


def constitution_in_force(connection: sqlite3.Connection) -> Constitution | None:
    """The constitution under which labels are derived here; None: the built-in one."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (_CONSTITUTION,)).fetchone()
    return None if row is None else _read(row[0])


@lru_cache(maxsize=8)
def _read(value: str) -> Constitution:
    from refusal_tui.labels.constitution import read  # 30 ms that a workspace without one never pays

    kept = json.loads(value)
    return read(kept["text"], kept["format"], name=kept["name"])


def put_in_force(connection: sqlite3.Connection, text: str, format: str, name: str) -> Constitution:
    """Keep a copy of the constitution's file (`format` toml or json) as the one in force; the caller holds the
    transaction and rebuilds the labels (`store/labels.py`). Raises InputError for a text that is no constitution."""
    value = json.dumps({"name": name, "format": format, "text": text}, sort_keys=True)
    found = _read(value)
    _set(connection, _CONSTITUTION, value)
    return found


def fence_secret(connection: sqlite3.Connection) -> bytes:
    """A random secret of this workspace, made when it is first asked for. The caller holds the transaction.

    The fences' codes are derived from it and the judged text: nobody who writes a data set can guess one, and the same
    request can be found again by its hash, in this run and in later jobs.
    """
    connection.execute(
        "INSERT OR IGNORE INTO setting(name, value) VALUES (?, ?)", (_FENCE_SECRET, secrets.token_hex(32))
    )
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (_FENCE_SECRET,)).fetchone()
    return bytes.fromhex(row[0])


def acknowledge_end(connection: sqlite3.Connection, job_id: int, run: int) -> None:
    """Somebody has looked at how this run of a job ended. The caller holds the transaction."""
    _set(connection, f"{_SEEN}{job_id}", str(run))


def acknowledged_ends(connection: sqlite3.Connection) -> dict[int, int]:
    """job -> the run whose end somebody has looked at."""
    rows = connection.execute(
        "SELECT name, value FROM setting WHERE name >= ? AND name < ?", (_SEEN, _SEEN + "\U0010ffff")
    )
    return {int(row[0].removeprefix(_SEEN)): int(row[1]) for row in rows}


def calibrations(connection: sqlite3.Connection) -> dict[str, Calibration]:
    """annotator -> the temperature that its labels are derived with; those without one are left out."""
    rows = connection.execute("SELECT value FROM setting WHERE name GLOB ?", (f"{_CALIBRATION}*",)).fetchall()
    found = [Calibration(**json.loads(row[0])) for row in rows]
    return {one.annotator: one for one in found}


def set_calibration(connection: sqlite3.Connection, calibration: Calibration) -> None:
    """Put a temperature in force; the caller holds the transaction and derives the labels again (`store/labels.py:
    rebuild_labels`)."""
    _set(connection, _CALIBRATION + calibration.annotator, json.dumps(asdict(calibration), sort_keys=True))


def drop_calibration(connection: sqlite3.Connection, annotator: str) -> bool:
    """Take a temperature back, in the same way; returns whether there was one."""
    name = _CALIBRATION + annotator
    return connection.execute("DELETE FROM setting WHERE name = ?", (name,)).rowcount > 0


def _set(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO setting(name, value) VALUES (?, ?)", (name, value))
