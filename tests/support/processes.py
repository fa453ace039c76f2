"""Real worker and supervisor processes of a workspace: start them, find them, kill them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import InputError
from refusal_tui.jobs.control import submit
from refusal_tui.jobs.liveness import start_ticks
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.jobs import Job, JobState, WorkerRecord, get_job, get_worker
from refusal_tui.store.workspace import Workspace
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Runner:
    """One workspace with its processes."""

    workspace: Workspace

    def label(self, *, rate: float | None = None, pilot: int | None = None, selection: str = "") -> int:
        """Submit a labelling job over the selection, as a face does; `rate` (rows per second) makes time to kill it."""
        return submit(self.workspace, "label", LabelSpec(max_rate=rate), selection=selection, pilot=pilot)

    def job(self, job_id: int) -> Job:
        with closing(self.workspace.open()) as connection:
            return get_job(connection, job_id)

    def worker(self, job_id: int) -> WorkerRecord | None:
        with closing(self.workspace.open()) as connection:
            return get_worker(connection, job_id)

    def wait(self, job_id: int, state: JobState, timeout: float = 30.0) -> Job:
        return self._wait(job_id, lambda job: job.state is state, f"be {state.value}", timeout)

    def wait_for_rows(self, job_id: int, rows: int, timeout: float = 30.0) -> Job:
        """The job once it has so many outcomes."""
        return self._wait(job_id, lambda job: job.finished_rows >= rows, f"have {rows} rows", timeout)

    def wait_for_worker(self, job_id: int, run: int = 1, timeout: float = 30.0) -> WorkerRecord:
        """The worker of the given run, once it has taken the job."""
        self._wait(job_id, lambda job: job.run >= run, f"be in run {run}", timeout)
        worker = self.worker(job_id)
        assert worker is not None
        return worker

    def _wait(self, job_id: int, holds: Callable[[Job], bool], what: str, timeout: float) -> Job:
        """The job once `holds` says so; a failure tells what the processes have logged."""

        def there() -> Job | None:
            try:
                job = self.job(job_id)
            except InputError:  # it is only just being made
                return None
            return job if holds(job) else None

        try:
            return wait_until(there, timeout, f"job {job_id} to {what}")
        except AssertionError as error:
            job = self.job(job_id)
            logs = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in self.workspace.logs.glob("*.log"))
            raise AssertionError(f"{error}; it is {job.state.value}: {job.note}\n{logs}") from None

    def stop_worker(self, job_id: int) -> WorkerRecord:
        """SIGSTOP while it holds no lock: a process that is stopped within a transaction blocks everybody."""
        while True:
            worker = self.kill_worker(job_id, signal.SIGSTOP)
            wait_until(lambda pid=worker.pid: _stands_still(pid), what="every thread to stop")
            with closing(sqlite3.connect(self.workspace.database, timeout=0.0, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    return worker
                except sqlite3.OperationalError:
                    os.kill(worker.pid, signal.SIGCONT)
            time.sleep(0.003)

    def kill_worker(self, job_id: int, signal_: signal.Signals = signal.SIGKILL) -> WorkerRecord:
        worker = self.worker(job_id)
        assert worker is not None
        os.kill(worker.pid, signal_)
        return worker

    def supervisors(self) -> list[int]:
        return self.processes("refusal_tui.jobs.supervisor")

    def processes(self, module: str = "refusal_tui.jobs.") -> list[int]:
        """The pids of this workspace's own processes that run `module`."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.workspace.root).encode() in words and any(w.startswith(module.encode()) for w in words):
                found.append(int(folder.name))
        return [pid for pid in found if start_ticks(pid) is not None]

    def kill_all(self) -> None:
        """End whatever still runs for this workspace, supervisors first so that they start nothing more."""
        for module in ("refusal_tui.jobs.supervisor", "refusal_tui.jobs."):
            for pid in self.processes(module):
                _kill(pid)
        wait_until(lambda: not self.processes(), what="the processes to be gone")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_worker_with(workspace: Workspace, job_id: int, prelude: str) -> subprocess.CompletedProcess[str]:
    """A worker process for one job that runs `prelude` (Python code) first."""
    code = f"{prelude}\nimport sys\nfrom refusal_tui.jobs.worker import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(workspace.root), str(job_id)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def is_gone(pid: int) -> Callable[[], bool]:
    return lambda: start_ticks(pid) is None


def _stands_still(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)
