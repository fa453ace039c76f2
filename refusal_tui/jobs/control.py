"""What may a face do with jobs? Submit, pause, resume, cancel, retry, and notice dead workers.

Faces never own work: they write a wish into the store and see to it that the lane has a supervisor.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from refusal_tui.errors import InputError, StorageError, UsageError
from refusal_tui.jobs.files import log_file
from refusal_tui.jobs.liveness import is_alive
from refusal_tui.jobs.notify import tell_end_beside
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.waiting import has_supervisor
from refusal_tui.store import jobs as store
from refusal_tui.store.batches import open_batches
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:  # pydantic would double the supervisor's memory
    from refusal_tui.jobs.spec import JobSpec

PILOT_ROWS = 20


def submit(
    workspace: Workspace, kind_name: str, spec: JobSpec, *, selection: str = "", pilot: int | None = None,
    item_ids: Sequence[int] | None = None,
) -> int:  # fmt: skip
    """Create a job, freeze its rows and start it as soon as its lane is free; returns its number.

    `item_ids`: the rows, where the caller has chosen some of those of the selection. Raises InputError for a selection
    that is wrong or empty, SpecError for settings that do not hold here and now.
    """
    kind = job_kind(kind_name)
    spec.check()
    with closing(workspace.open()) as connection:
        spec.check_in(connection)
        lane = spec.lane(connection) or kind.lane.name
        with transaction(connection):
            ids = spec.make_rows(connection)
        if kind.selects:
            ids = select_ids(connection, selection) if item_ids is None else item_ids
            if not ids:
                shown = f"The selection {selection!r} holds no rows." if selection else "The workspace holds no rows."
                raise InputError(shown, "Look at the rows with: refusal-tui browse, or import a dataset first.")
        job_id = store.create_job(
            connection,
            kind=kind.name,
            title=spec.title(),
            lane=lane,
            spec=spec.model_dump_json(),
            spec_version=type(spec).VERSION,
            selection=selection,
            item_ids=ids,
            units=len(spec.units()),
            row_limit=pilot if kind.mode == "rows" else None,
        )
    ensure_supervisor(workspace, lane)
    return job_id


def pause(workspace: Workspace, job_id: int) -> Job:
    with closing(workspace.open()) as connection:
        reap(connection)
        return store.pause_job(connection, job_id)


def cancel(workspace: Workspace, job_id: int) -> Job:
    """Also asks providers to cancel the job's batches, in a process of its own (`recall.py`)."""
    with closing(workspace.open()) as connection:
        reap(connection)
        job = store.cancel_job(connection, job_id)
        batches = bool(open_batches(connection, job_id))
    if batches or (job.state is JobState.RUNNING and json.loads(job.spec).get("batch")):  # it may be sending one now
        try:
            _start(workspace, f"recall-{job_id}", "refusal_tui.jobs.recall", str(job_id))
        except OSError as error:
            raise StorageError(
                f"Job {job_id} is cancelled, but nobody could be sent to cancel its batches: {error}.",
                "Cancel them at the provider; what they answer is paid for.",
            ) from error
    return job


def resume(workspace: Workspace, job_id: int) -> Job:
    """Queue a job again and start its lane; two terminals may do it at once."""
    with closing(workspace.open()) as connection:
        reap(connection)
        job = store.requeue_job(connection, job_id)
    ensure_supervisor(workspace, job.lane)
    return job


def change_settings(workspace: Workspace, job_id: int, changes: Mapping[str, str]) -> None:
    """Give a job other settings for its next run: its spec's CHANGEABLE ones (budgets, the pace), "" for no limit.

    Raises UsageError for another setting, SpecError for a wrong value, ConflictError while the job is active.
    """
    from refusal_tui.jobs.spec import build_spec, load_spec

    with closing(workspace.open()) as connection:
        job = store.get_job(connection, job_id)
        kind = job_kind(job.kind).spec_type()
        for name in changes:
            if name not in kind.CHANGEABLE:
                known = ", ".join(sorted(kind.CHANGEABLE)) or "none"
                raise UsageError(f"{name} cannot be changed between runs.", f"Settings that can: {known}.")
        old = load_spec(kind, job.spec, job.spec_version).model_dump()
        store.change_spec(connection, job_id, build_spec(kind, {**old, **changes}).model_dump_json())


def changeable_settings(workspace: Workspace, job_id: int) -> dict[str, str]:
    """What `change_settings` could change, as it is now; "" where there is no limit."""
    from refusal_tui.jobs.spec import load_spec

    with closing(workspace.open(read_only=True)) as connection:
        job = store.get_job(connection, job_id)
    kind = job_kind(job.kind).spec_type()
    spec = load_spec(kind, job.spec, job.spec_version)
    values = {name: getattr(spec, name) for name in sorted(kind.CHANGEABLE)}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def resume_all(workspace: Workspace) -> list[Job]:
    """Pick up everything that was interrupted (after a reboot, say), and the lanes of what is queued."""
    with closing(workspace.open()) as connection:
        reap(connection)
        waiting = store.list_jobs(connection, limit=100_000)
        picked = [
            store.requeue_job(connection, job.id) if job.state is JobState.INTERRUPTED else job
            for job in reversed(waiting)
            if job.state in (JobState.INTERRUPTED, JobState.QUEUED)
        ]
    for lane in sorted({job.lane for job in picked}):
        ensure_supervisor(workspace, lane)
    return picked


def retry(workspace: Workspace, job_id: int, error_class: str | None = None) -> int:
    """Do the failed rows of a job again; returns how many."""
    with closing(workspace.open()) as connection:
        reap(connection)
        count = retry_failed(connection, job_id, error_class)
        lane = store.get_job(connection, job_id).lane
    ensure_supervisor(workspace, lane)
    return count


def reap(connection: sqlite3.Connection) -> list[int]:
    """Mark running jobs whose worker is dead as interrupted; returns their numbers. Cheap: call it often.

    Their end is posted to the webhook, but for those of a lane with a supervisor: it does so, and knows the cause.
    """
    reaped = []
    for job in store.list_running(connection):
        worker = store.get_worker(connection, job.id)
        if worker is None or worker.run != job.run or is_alive(worker):
            continue
        if store.end_job(connection, job, JobState.INTERRUPTED, f"its worker (pid {worker.pid}) died"):
            reaped.append(job.id)
            workspace = Workspace.of(connection)
            if not _looked_after(workspace, job.lane):
                tell_end_beside(workspace, job.id)
    return reaped


def _looked_after(workspace: Workspace, lane: str) -> bool:
    try:
        return has_supervisor(workspace, lane)
    except (
        StorageError,
        OSError,
    ):  # where nobody can lock, nobody supervises; the next dead job is reaped all the same
        return False


def ensure_supervisor(workspace: Workspace, lane: str) -> None:
    """Start the lane's supervisor; a second one finds the lock taken and leaves.

    Raises StorageError when there is no room for it.
    """
    try:
        _start(workspace, f"supervisor-{lane}", "refusal_tui.jobs.supervisor", lane)
    except OSError as error:
        raise StorageError(
            f"The job is queued, but its log cannot be written: {error}.",
            "Free some space or mend the permissions, then: refusal-tui jobs resume --all",
        ) from error


def _start(workspace: Workspace, name: str, module: str, argument: str) -> None:
    """A process of its own, which survives whoever starts it. Raises OSError where its log cannot be written."""
    with log_file(workspace, f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(workspace.root), argument],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=os.environ | {"PYTHONSAFEPATH": "1"},
            start_new_session=True,  # survives the terminal and its SIGHUP
        )
    # Somebody has to take note of its end, or a screen that is open for days collects zombies.
    threading.Thread(target=process.wait, name=name, daemon=True).start()
