"""Who starts the next job when nobody is logged in? One tiny process per lane.

Standard library only, so that it stays small. It holds the lane's lock, starts workers, records a worker's death at
once (out-of-memory kills included) and leaves when the lane is empty. Workers go on when it is killed itself: they
record their own end.

    python -m refusal_tui.jobs.supervisor WORKSPACE LANE
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import ExitCode, RefusalTuiError
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.files import keep_private, log_file
from refusal_tui.jobs.notify import tell_end_beside
from refusal_tui.jobs.registry import LANES, Lane
from refusal_tui.jobs.waiting import FALSE_START
from refusal_tui.store.connect import file_lock, transaction
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import (
    Job,
    JobState,
    end_job,
    explain_end,
    fail_unclaimed,
    get_job,
    get_worker,
    list_running,
    next_queued,
)
from refusal_tui.store.workspace import Workspace

_POLL_SECONDS = 0.2
_REAP_SECONDS = 10.0
_LOCK_WAIT_SECONDS = 5.0  # longer than a leaving supervisor needs from its last look at the queue to its exit
_STARTS = 3  # a worker that dies so often before it has taken its job fails the job, so that the lane goes on


@dataclass(slots=True)
class _Child:
    """A worker that we started; `run` is the job's before the worker took it."""

    job_id: int
    run: int
    process: subprocess.Popen[bytes]


def supervise(workspace: Workspace, lane_name: str) -> None:
    """Run the lane until it is empty. Returns at once when another supervisor has it."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        with file_lock(log_file(workspace, f"lane-{lane_name}.lock")) as held:
            if held:
                with closing(workspace.open()) as connection:
                    _LaneKeeper(workspace, connection, lane_name).drain()
                return
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


class _LaneKeeper:
    def __init__(self, workspace: Workspace, connection: sqlite3.Connection, lane_name: str) -> None:
        self._workspace = workspace
        self._connection = connection
        # A lane that only a newer program knows still runs, one job at a time.
        self._lane = LANES.get(lane_name, Lane(lane_name, 1))
        self._children: list[_Child] = []
        self._false_starts: Counter[int] = Counter()
        self._next_reap = 0.0
        self._seen: dict[int, int] = {}  # jobs of the lane that were running -> their run, until their end is noticed
        self._told: set[tuple[int, int]] = set()

    def drain(self) -> None:
        """Start what is queued and note who dies, until nothing is queued or at work."""
        while self._workspace.database.exists():
            try:
                if not self._look():
                    return
            except (RefusalTuiError, sqlite3.Error, OSError) as error:
                # A locked or full disk now is no reason to leave the lane alone.
                print(f"{time.strftime('%F %T')} {error}", file=sys.stderr, flush=True)
                time.sleep(1.0)
            time.sleep(_POLL_SECONDS)

    def _look(self) -> bool:
        """Returns whether there is more to do or to look after."""
        for child in [c for c in self._children if c.process.poll() is not None]:
            self._record_end(child)
            self._children.remove(child)
        self._seen |= {job.id: job.run for job in self._running()}
        if time.monotonic() > self._next_reap:
            reap(self._connection)
            self._next_reap = time.monotonic() + _REAP_SECONDS
        self._tell_of_lost()
        at_work = self._at_work()
        while len(at_work) < self._lane.capacity:
            job_id = next_queued(self._connection, self._lane.name, at_work)
            if job_id is None:
                break
            self._start(job_id)
            at_work.add(job_id)
        unrecorded = any(child.process.poll() is not None for child in self._children)
        return bool(at_work or self._seen or unrecorded)  # an end since the look above has to be told, too

    def _at_work(self) -> set[int]:
        """Jobs that run, also under workers of an earlier supervisor, and those whose worker is about to take them.

        A worker that hangs and has lost its job is neither: it must not block the lane.
        """
        starting = {c.job_id for c in self._children if get_job(self._connection, c.job_id).run == c.run}
        return starting | {job.id for job in self._running()}

    def _running(self) -> list[Job]:
        return [job for job in list_running(self._connection) if job.lane == self._lane.name]

    def _start(self, job_id: int) -> None:
        run = get_job(self._connection, job_id).run
        with log_file(self._workspace, f"job-{job_id}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "refusal_tui.jobs.worker", str(self._workspace.root), str(job_id)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(_Child(job_id, run, process))

    def _record_end(self, child: _Child) -> None:
        code = child.process.returncode
        job = get_job(self._connection, child.job_id)
        worker = get_worker(self._connection, child.job_id)
        if job.run == child.run:
            self._note_false_start(child)
        elif worker is None or worker.pid != child.process.pid:
            return  # another worker has the job by now
        elif job.state is JobState.RUNNING:
            end_job(self._connection, job, JobState.INTERRUPTED, _cause(code), exit_code=code)
            self._tell(job.id)
        elif job.state is JobState.INTERRUPTED and worker.exit_code is None:
            explain_end(self._connection, job, _cause(code), exit_code=code)  # a face saw it dead before we did
            self._tell(job.id)

    def _tell_of_lost(self) -> None:
        """Whoever has reaped a job of this lane leaves the telling to us, also where an earlier supervisor has started
        its worker. Of our own workers we learn more: why they died."""
        ours = {child.job_id for child in self._children}
        running = {job.id: job.run for job in self._running()}
        for job_id, run in list(self._seen.items()):
            if running.get(job_id) == run:
                continue
            del self._seen[job_id]
            worker = get_worker(self._connection, job_id)
            reaped = worker is not None and worker.run == run and worker.exit_code is None
            if reaped and job_id not in ours:
                self._tell(job_id)

    def _tell(self, job_id: int) -> None:
        """Once for every run, whoever of us has noticed its end."""
        run = get_job(self._connection, job_id).run
        if (job_id, run) not in self._told:
            self._told.add((job_id, run))
            tell_end_beside(self._workspace, job_id)

    def _note_false_start(self, child: _Child) -> None:
        code = child.process.returncode
        if code == 0:  # the job was paused or cancelled meanwhile
            return
        self._false_starts[child.job_id] += 1
        tried = self._false_starts[child.job_id]
        note = f"its worker could not start ({_cause(code).removeprefix('its worker ')})"
        if tried >= _STARTS:
            fail_unclaimed(self._connection, child.job_id, note)
            self._tell(child.job_id)
            return
        with transaction(self._connection):
            text = f"{note}: try {tried} of {_STARTS}; see logs/job-{child.job_id}.log"
            add_event(self._connection, child.job_id, "warning", FALSE_START, text)


def _cause(code: int) -> str:
    if code == ExitCode.STORAGE:
        return "its worker stopped because the disk is full or failing; free some space, then resume it"
    if code == ExitCode.CONFLICT:
        return "its worker stopped because the database was locked by another process; resume it"
    if code >= 0:
        return f"its worker stopped with exit code {code}; see its log"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ": out of memory, or killed by hand" if name == "SIGKILL" else ""
    return f"its worker was killed by {name}{hint}"


def main(arguments: list[str]) -> None:
    root, lane = arguments
    workspace = Workspace(Path(root))
    keep_private(workspace)
    supervise(workspace, lane)


if __name__ == "__main__":
    main(sys.argv[1:])
