"""Jobs for screens to show, written straight into the store: no worker runs, and every run of the tests is the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from types import MappingProxyType

from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store import jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.ledger import Attempt, RowKey, add_attempts
from refusal_tui.store.requests import Places, gauges_of, publish
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


LOCAL, SPARE = "http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"


def ask_models(
    workspace: Workspace,
    job_id: int,
    *,
    servers: tuple[str, ...] = (LOCAL,),
    price: float | None = 0.0004,
    errors: Mapping[ErrorClass, int] = MappingProxyType({}),
    silent: tuple[int, ...] = (),
) -> None:
    """Requests of a job in the ledger, 300 answered ones per server, and what its worker shows of its places."""
    with closing(workspace.open()) as connection:
        run = jobs.get_job(connection, job_id).run
        save_endpoint(connection, Endpoint("local", "vllm", servers, "quill-70b"))
        with transaction(connection):
            for url in servers:
                common = ("local", url, "quill-70b", EPOCH, EPOCH + 0.4)
                add_attempts(
                    connection,
                    [
                        Attempt(RowKey(job_id, n), 1, *common, 200, prompt_tokens=2000, completion_tokens=110,
                                cost_usd=price)
                        for n in range(300)
                    ],
                )  # fmt: skip
                for error_class, times in errors.items():
                    add_attempts(
                        connection, [Attempt(RowKey(job_id, n), 1, *common, 500, error_class) for n in range(times)]
                    )
            places = [
                Places("local", n, 0 if n in silent else 40 + n, 64, n not in silent) for n in range(len(servers))
            ]
            publish(connection, job_id, run, gauges_of(places, cached=12))
