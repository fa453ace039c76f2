"""Jobs for screens to show, written straight into the store: no worker runs, and every run of the tests is the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store import jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.workspace import Workspace
from tests.tui.small_workspace import EPOCH, frozen_time


def add_job(
    workspace: Workspace,
    state: jobs.JobState,
    *,
    title: str = "label with lexical",
    kind: str = "label",
    rows: int = 32,
    **columns: object,
) -> int:
    """A job in `state`; `columns` are set as they are (n_ok=12, row_limit=20, note="…")."""
    with frozen_time(), closing(workspace.open()) as connection:
        job_id = jobs.create_job(
            connection,
            kind=kind,
            title=title,
            lane="cpu",
            spec=LabelSpec().model_dump_json(),
            spec_version=1,
            selection="dataset:frindle-qa",
            item_ids=list(range(1, rows + 1)),
        )
        change_job(connection, job_id, state=state.value, **columns)
    return job_id


def change_job(connection: sqlite3.Connection, job_id: int, **columns: object) -> None:
    with transaction(connection):
        names = ", ".join(f"{name} = ?" for name in columns)
        connection.execute(f"UPDATE job SET {names} WHERE id = ?", (*columns.values(), job_id))


def fail_rows(workspace: Workspace, job_id: int, count: int, message: str, error_class: str = "rate_limit") -> None:
    """Give the first rows of a job a failed outcome."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.executemany(
                "INSERT INTO outcome VALUES (?,?,'',0,'failed',3,?,?,NULL,NULL,1,?)",
                [(job_id, item_id, error_class, message, EPOCH) for item_id in range(1, count + 1)],
            )
        change_job(connection, job_id, n_failed=count)


def one_of_each(workspace: Workspace) -> None:
    """Beside the finished job of the small workspace: running, queued, paused, interrupted and failed ones."""
    state = jobs.JobState
    add_job(workspace, state.FAILED, n_failed=32, active_seconds=3.0, note="Every row failed so far (32 rows)")
    add_job(workspace, state.INTERRUPTED, n_ok=20, active_seconds=65.0, note="its worker was killed by SIGKILL")
    add_job(workspace, state.PAUSED, n_ok=16, n_failed=2, active_seconds=3700.0)
    add_job(workspace, state.RUNNING, n_ok=8, n_failed=1, active_seconds=4.5, started=EPOCH)
    add_job(workspace, state.QUEUED, title="label with [INST] \x1b[31mlexical")
