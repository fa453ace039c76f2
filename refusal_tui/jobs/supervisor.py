"""Who starts the next job when nobody is logged in? One tiny process per lane.

Standard library only, so that it stays small. It holds the lane's lock, starts workers, records a worker's death at
once (out-of-memory kills included) and leaves when the lane is empty. Workers go on when it is killed itself: they
record their own end.

    python -m refusal_tui.jobs.supervisor WORKSPACE LANE
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.registry import LANES
from refusal_tui.store.connect import file_lock
from refusal_tui.store.jobs import JobState, end_job, fail_unclaimed, get_job, get_worker, list_running, next_queued
from refusal_tui.store.workspace import Workspace

_POLL_SECONDS = 0.2
_REAP_SECONDS = 10.0
_LOCK_WAIT_SECONDS = 5.0  # longer than a leaving supervisor needs from its last look at the queue to its exit


@dataclass(slots=True)
class _Child:
    job_id: int
    process: subprocess.Popen[bytes]


def supervise(workspace: Workspace, lane_name: str) -> None:
    """Run the lane until it is empty. Returns at once when another supervisor has it."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        with file_lock(workspace.logs / f"lane-{lane_name}.lock") as held:
            if held:
                with closing(workspace.open()) as connection:
                    _drain(workspace, connection, lane_name)
                return
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _drain(workspace: Workspace, connection: sqlite3.Connection, lane_name: str) -> None:
    capacity = LANES[lane_name].capacity
    children: list[_Child] = []
    next_reap = 0.0
    while True:
        try:
            for child in [c for c in children if c.process.poll() is not None]:
                _record_end(connection, child)
                children.remove(child)
            if time.monotonic() > next_reap:
                reap(connection)
                next_reap = time.monotonic() + _REAP_SECONDS
            # Workers of an earlier supervisor count, too: they outlive it.
            at_work = {c.job_id for c in children} | _running(connection, lane_name)
            while len(at_work) < capacity and (job_id := next_queued(connection, lane_name, at_work)) is not None:
                children.append(_Child(job_id, _start_worker(workspace, job_id)))
                at_work.add(job_id)
            if not at_work:
                return
        except RefusalTuiError as error:  # a locked or full disk now is no reason to leave the lane alone
            print(f"{time.strftime('%F %T')} {error}", file=sys.stderr, flush=True)
            time.sleep(1.0)
        time.sleep(_POLL_SECONDS)


def _running(connection: sqlite3.Connection, lane_name: str) -> set[int]:
    return {job.id for job in list_running(connection) if job.lane == lane_name}


def _start_worker(workspace: Workspace, job_id: int) -> subprocess.Popen[bytes]:
    with (workspace.logs / f"job-{job_id}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "refusal_tui.jobs.worker", str(workspace.root), str(job_id)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _record_end(connection: sqlite3.Connection, child: _Child) -> None:
    code = child.process.returncode
    worker = get_worker(connection, child.job_id)
    if worker is None or worker.pid != child.process.pid:
        if code != 0:
            fail_unclaimed(connection, child.job_id, f"its worker could not start (exit code {code}); see its log")
        return
    job = get_job(connection, child.job_id)
    if job.state is JobState.RUNNING and job.run == worker.run:
        end_job(connection, job, JobState.INTERRUPTED, _cause(code), exit_code=code)


def _cause(code: int) -> str:
    if code >= 0:
        return f"its worker stopped with exit code {code}; see its log"
    name = signal.Signals(-code).name
    hint = ": out of memory, or killed by hand" if name == "SIGKILL" else ""
    return f"its worker was killed by {name}{hint}"


def main(arguments: list[str]) -> None:
    root, lane = arguments
    os.umask(0o077 if not Path(root).stat().st_mode & 0o020 else 0o007)
    supervise(Workspace(Path(root)), lane)


if __name__ == "__main__":
    main(sys.argv[1:])
