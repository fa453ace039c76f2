"""An import as a worker runs it, in this process: whole, or stopped somewhere and resumed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from refusal_tui.export.records import records
from refusal_tui.ingest.job import ImportJob
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.spec import JobSpec, build_spec
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.store.browse import select_ids
from refusal_tui.store.datasets import Dataset, get_dataset
from refusal_tui.store.jobs import JobState, claim_job, create_job, end_job
from refusal_tui.store.workspace import Workspace


def import_here(workspace: Workspace, source: Path | str, **settings: object) -> str:
    """Import `source` to its end; returns the closing note."""
    with closing(workspace.open()) as connection:
        return import_with(workspace, connection, source, **settings)


def import_with(
    workspace: Workspace,
    connection: sqlite3.Connection,
    source: Path | str,
    *,
    during: Callable[[ComputeContext], None] | None = None,
    **settings: object,
) -> str:
    """The same over a connection of the caller's; `during` is called with each report and may raise."""
    spec = build_spec(ImportSpec, {"source": str(source), **settings})
    context = claimed(workspace, connection, "import", spec)
    if during is not None:
        _listen(context, during)
    return ImportJob(spec, workspace).run(context)  # type: ignore[arg-type]


def claimed(
    workspace: Workspace, connection: sqlite3.Connection, kind: str, spec: JobSpec, selection: str | None = None
) -> ComputeContext:
    """A new job, taken by this process as its worker."""
    number = create_job(
        connection, kind=kind, title=spec.title(), lane=job_kind(kind).lane.name, spec=spec.model_dump_json(),
        spec_version=spec.VERSION, selection=selection or "",
        item_ids=None if selection is None else select_ids(connection, selection),
    )  # fmt: skip
    job = claim_job(connection, number, host="", boot_id="", pid=os.getpid(), start_ticks=1)
    assert job is not None
    return ComputeContext(workspace, connection, job, StopFlag())


def claimed_again(context: ComputeContext) -> ComputeContext:
    """The same job in its next run, after its worker went away."""
    from refusal_tui.store.jobs import requeue_job

    end_job(context.connection, context.job, JobState.INTERRUPTED, "gone")
    requeue_job(context.connection, context.job.id)
    job = claim_job(context.connection, context.job.id, host="", boot_id="", pid=os.getpid(), start_ticks=1)
    assert job is not None
    return ComputeContext(context.workspace, context.connection, job, StopFlag())


def _listen(context: ComputeContext, during: Callable[[ComputeContext], None]) -> None:
    report = context.report

    def reported(*arguments: Any, **named: Any) -> None:
        report(*arguments, **named)
        during(context)

    context.report = reported  # type: ignore[method-assign]


def everything_in(workspace: Workspace, selection: str = "") -> list[dict[str, Any]]:
    """All items with labels and verdicts, as an export would write them, without what tells workspaces apart."""
    with closing(workspace.open()) as connection:
        return list(records(connection, select_ids(connection, selection)))


def dataset(workspace: Workspace, name: str) -> Dataset:
    with closing(workspace.open()) as connection:
        return get_dataset(connection, name)
