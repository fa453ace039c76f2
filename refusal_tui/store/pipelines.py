"""Which steps has a run of a pipeline taken, with which inputs, and which job stands behind each?

One value of the table `setting` per run, `pipeline/JOB`: the list of its steps, rewritten with every change by the
pipeline's own worker. A step's `key` is a hash of everything that it depends on (`inputs`): a step with the same key
that has ended need not run again, whichever run has ended it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

_PREFIX = "pipeline/"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of one run.

    `kind`: the kind of its job, or what it is called where it has none. `job`: who does it. `asked_after`: the newest
    job before its own was asked for, so that a worker that died in between finds it again. `product`: what it has made
    (a dataset, a queue, a folder). `over`: nothing is left to do; `reused`: an earlier run or hand has done it;
    `skipped`: there was nothing to do.
    """

    name: str
    kind: str
    after: tuple[str, ...] = ()
    key: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    job: int | None = None
    asked_after: int | None = None
    product: Mapping[str, str] = field(default_factory=dict)
    over: bool = False
    reused: bool = False
    skipped: bool = False
    note: str = ""


def save_steps(connection: sqlite3.Connection, job_id: int, steps: Sequence[StepRecord]) -> None:
    """Replace what is known of the steps of a run; the caller holds the transaction."""
    value = json.dumps([asdict(step) for step in steps], ensure_ascii=True)
    connection.execute("INSERT OR REPLACE INTO setting(name, value) VALUES (?, ?)", (f"{_PREFIX}{job_id}", value))


def steps_of(connection: sqlite3.Connection, job_id: int) -> list[StepRecord]:
    """In the order of the graph; none for a run that has not looked yet."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (f"{_PREFIX}{job_id}",)).fetchone()
    return _read(row[0]) if row else []


def latest_run(connection: sqlite3.Connection) -> int | None:
    """The newest pipeline job of the workspace."""
    row = connection.execute("SELECT max(id) FROM job WHERE kind = 'pipeline'").fetchone()
    return None if row[0] is None else int(row[0])


def all_steps(connection: sqlite3.Connection) -> list[tuple[int, StepRecord]]:
    """(run, step) of every run, the newest run first."""
    rows = connection.execute("SELECT name, value FROM setting WHERE name GLOB ?", (f"{_PREFIX}*",)).fetchall()
    runs = sorted(((int(row[0].removeprefix(_PREFIX)), row[1]) for row in rows), reverse=True)
    return [(run, step) for run, value in runs for step in _read(value)]


def _read(value: str) -> list[StepRecord]:
    return [StepRecord(**{**kept, "after": tuple(kept["after"])}) for kept in json.loads(value)]
