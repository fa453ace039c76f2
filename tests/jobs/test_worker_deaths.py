"""What happens when processes die? Real workers and supervisors, killed by real signals."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.jobs import control
from refusal_tui.jobs.liveness import STALLED_AFTER_SECONDS, is_alive
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import JobState, requeue_job
from tests.support.ledger import check_books, labels, outcomes
from tests.support.processes import Runner, is_gone, run_worker_with
from tests.support.rowjobs import queue_job
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.kill
ROWS = 300


@pytest.fixture
def runner(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A workspace with ROWS rows, or as many as the test's parameter says; its processes are gone afterwards."""
    runner = Runner(make_workspace(tmp_path / "ws", rows=getattr(request, "param", ROWS)))
    yield runner
    runner.kill_all()


def finish(runner: Runner, job_id: int) -> None:
    """The job runs to its end, and what it leaves is what an uninterrupted run over the same rows leaves."""
    runner.wait(job_id, JobState.DONE)
    job = check_books(runner.workspace, job_id)
    assert job.finished_rows == job.total
    left = labels(runner.workspace)
    assert len(left) == job.n_ok
    uninterrupted = make_workspace(runner.workspace.root.parent / "uninterrupted", rows=job.finished_rows)
    assert run_worker_with(uninterrupted, queue_job(uninterrupted), "").returncode == 0
    assert left == labels(uninterrupted)


def kill_and_resume(runner: Runner, job_id: int, kills: int, within: float, chance: random.Random) -> None:
    """Kill the worker at a random moment, resume, and so on; what was seen in the store stays there."""
    seen: dict[int, str] = {}
    for number in range(1, kills + 1):
        runner.wait_for_worker(job_id, run=number)
        let_pass(chance.uniform(0, within))
        before = outcomes(runner.workspace, job_id)
        runner.kill_worker(job_id)
        assert seen.items() <= before.items()
        seen = before
        job = wait_until(
            lambda: not runner.job(job_id).state.active and runner.job(job_id), what="the death to be seen"
        )
        assert job.state is JobState.INTERRUPTED, job.note
        check_books(runner.workspace, job_id)
        control.resume(runner.workspace, job_id)
    runner.wait_for_worker(job_id, run=kills + 1)
    finish(runner, job_id)
    assert seen.items() <= outcomes(runner.workspace, job_id).items()


def let_pass(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end)


def test_killed_at_random_moments_a_job_ends_like_an_uninterrupted_one(runner: Runner) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    kill_and_resume(runner, runner.label(rate=300), kills=4, within=0.15, chance=random.Random(seed))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("runner", [15_000], indirect=True)
def test_hundreds_of_kills(runner: Runner, seed: int) -> None:
    """8 times 30 kills. 2,000 rows a second keep the writer busy, so that many kills hit a transaction."""
    kill_and_resume(runner, runner.label(rate=2000), kills=30, within=0.45, chance=random.Random(seed))


# --- killed at a given point -----------------------------------------------------------------------------------------

DIE_AT = """
import os, signal
from refusal_tui.jobs import writer
from refusal_tui.store import outcomes

calls = 0
def dying(real, after):
    def call(*values, **named):
        global calls
        calls += 1
        if calls < 3:
            return real(*values, **named)
        if after:
            real(*values, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return call
"""
POINTS = {
    "before a commit": "writer.commit_group = dying(writer.commit_group, after=False)",
    "inside a transaction": "outcomes.add_verdicts = dying(outcomes.add_verdicts, after=True)",
    "between a commit and anything else": "writer.commit_group = dying(writer.commit_group, after=True)",
}


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=pytest.mark.nightly if n else ()) for n, point in enumerate(POINTS)]
)
def test_killed_at_the_worst_points(runner: Runner, point: str) -> None:
    job_id = queue_job(runner.workspace)
    died = run_worker_with(runner.workspace, job_id, DIE_AT + POINTS[point])
    assert died.returncode == -signal.SIGKILL
    committed = {"before a commit": 2, "inside a transaction": 2, "between a commit and anything else": 3}[point]
    assert runner.job(job_id).finished_rows == 64 * committed
    check_books(runner.workspace, job_id)
    control.resume(runner.workspace, job_id)
    finish(runner, job_id)


def test_killed_between_the_spilled_rows_commit_and_the_end_of_their_file(runner: Runner) -> None:
    job_id = queue_job(runner.workspace)
    full = """
from refusal_tui.jobs import writer
from refusal_tui.errors import StorageError
writer.STORAGE_PATIENCE_SECONDS = 0.0
def full(*values, **named):
    raise StorageError("full")
writer.store_group = full
"""
    assert run_worker_with(runner.workspace, job_id, full).returncode == ExitCode.JOB_FAILED
    assert runner.job(job_id).finished_rows == 0
    with closing(runner.workspace.open()) as connection:
        requeue_job(connection, job_id)  # without a supervisor
    dies = """
import os, signal
from pathlib import Path
Path.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_worker_with(runner.workspace, job_id, dies).returncode == -signal.SIGKILL
    assert runner.job(job_id).finished_rows > 0
    control.resume(runner.workspace, job_id)
    finish(runner, job_id)


# --- nobody is logged in ---------------------------------------------------------------------------------------------


def test_the_next_job_of_the_lane_starts_when_a_worker_is_killed(runner: Runner) -> None:
    first, second = runner.label(rate=20), runner.label()
    runner.wait_for_rows(first, 1)
    assert runner.job(second).state is JobState.QUEUED, "the lane holds one job"
    runner.kill_worker(first)
    killed = runner.wait(first, JobState.INTERRUPTED, timeout=5)
    assert killed.note == "its worker was killed by SIGKILL: out of memory, or killed by hand"
    worker = runner.worker(first)
    assert worker is not None and worker.exit_code == -signal.SIGKILL
    runner.wait(second, JobState.DONE, timeout=30)


def test_a_face_that_sees_the_death_first_does_not_hide_its_cause(runner: Runner) -> None:
    job_id = runner.label(rate=20)
    runner.wait_for_rows(job_id, 1)
    (supervisor,) = runner.supervisors()
    os.kill(supervisor, signal.SIGSTOP)
    runner.kill_worker(job_id)
    with closing(runner.workspace.open()) as connection:
        wait_until(lambda: control.reap(connection) == [job_id])
    os.kill(supervisor, signal.SIGCONT)
    wait_until(lambda: "SIGKILL" in runner.job(job_id).note, what="the cause")


def test_a_worker_outlives_its_supervisor(runner: Runner) -> None:
    job_id = runner.label(rate=400)
    runner.wait_for_rows(job_id, 1)
    (supervisor,) = runner.supervisors()
    os.kill(supervisor, signal.SIGKILL)
    finish(runner, job_id)
    assert runner.job(job_id).run == 1


def test_a_new_supervisor_waits_for_the_worker_of_a_killed_one(runner: Runner) -> None:
    first = runner.label(rate=200)
    runner.wait_for_rows(first, 1)
    os.kill(runner.supervisors()[0], signal.SIGKILL)
    second = runner.label()
    wait_until(runner.supervisors, what="a new supervisor")
    assert runner.job(second).state is JobState.QUEUED
    runner.wait(second, JobState.DONE)
    ends = [runner.job(job_id).finished or 0 for job_id in (first, second)]
    assert ends[0] < (runner.job(second).started or 0) < ends[1], "one after the other"


def test_everything_killed_is_picked_up_by_resume_all(runner: Runner) -> None:
    first, second = runner.label(rate=200), runner.label(rate=2000)
    runner.wait_for_rows(first, 1)
    for pid in runner.supervisors():
        os.kill(pid, signal.SIGKILL)
    worker = runner.kill_worker(first)  # a process that is just ending has no command line any more, and still a number
    wait_until(lambda: not runner.processes() and not is_alive(worker), what="everything to be dead")
    assert runner.job(first).state is JobState.RUNNING, "nobody has noticed yet"
    assert [job.id for job in control.resume_all(runner.workspace)] == [first, second]
    runner.wait(second, JobState.DONE)
    runner.wait(first, JobState.DONE)
    for job_id in (first, second):
        assert check_books(runner.workspace, job_id).n_ok == ROWS


def test_processes_leave_when_the_lane_is_empty(runner: Runner) -> None:
    runner.wait(runner.label(), JobState.DONE)
    wait_until(lambda: not runner.processes(), what="the supervisor to leave")


# --- several at once -------------------------------------------------------------------------------------------------


def test_terminals_that_resume_the_same_job_at_once_start_one_worker(runner: Runner) -> None:
    job_id = runner.label(rate=300)
    runner.wait_for_rows(job_id, 1)
    runner.kill_worker(job_id)
    runner.wait(job_id, JobState.INTERRUPTED)
    command = [sys.executable, "-m", "refusal_tui", "-w", str(runner.workspace.root), "jobs", "resume", str(job_id)]
    terminals = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for terminal in terminals:
        _, said = terminal.communicate(timeout=30)
        assert terminal.returncode == 0, said
    finish(runner, job_id)
    assert runner.job(job_id).run == 2


def test_two_workers_started_for_one_job_share_nothing(runner: Runner) -> None:
    job_id = queue_job(runner.workspace)
    command = [sys.executable, "-m", "refusal_tui.jobs.worker", str(runner.workspace.root), str(job_id)]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for worker in workers:
        _, said = worker.communicate(timeout=30)
        assert worker.returncode == 0, said
    finish(runner, job_id)
    assert runner.job(job_id).run == 1


# --- stopped, not dead -----------------------------------------------------------------------------------------------


def test_sigterm_interrupts_cleanly_and_the_job_can_be_resumed(runner: Runner) -> None:
    job_id = runner.label(rate=200)
    runner.wait_for_rows(job_id, 1)
    worker = runner.kill_worker(job_id, signal.SIGTERM)
    job = runner.wait(job_id, JobState.INTERRUPTED)
    assert job.note == "stopped by SIGTERM"
    wait_until(is_gone(worker.pid))
    ended = runner.worker(job_id)
    assert ended is not None and ended.exit_code == 0
    check_books(runner.workspace, job_id)
    control.resume(runner.workspace, job_id)
    finish(runner, job_id)


def test_sigint_and_sighup_do_not_reach_a_worker(runner: Runner) -> None:
    job_id = runner.label(rate=400)
    runner.wait_for_rows(job_id, 1)
    runner.kill_worker(job_id, signal.SIGINT)
    runner.kill_worker(job_id, signal.SIGHUP)
    finish(runner, job_id)
    assert runner.job(job_id).run == 1


def test_a_stopped_worker_loses_its_job_and_writes_nothing_when_it_comes_back(runner: Runner) -> None:
    job_id = runner.label(rate=150)
    runner.wait_for_rows(job_id, 1)
    stopped = runner.stop_worker(job_id)
    with closing(runner.workspace.open()) as connection, transaction(connection):  # as if it had been so for long
        connection.execute(
            "UPDATE worker SET heartbeat_monotonic = heartbeat_monotonic - ? WHERE job_id = ?",
            (STALLED_AFTER_SECONDS + 1, job_id),
        )
    control.resume(runner.workspace, job_id)
    second = runner.wait_for_worker(job_id, run=2)
    assert second.pid != stopped.pid
    os.kill(stopped.pid, signal.SIGCONT)
    wait_until(is_gone(stopped.pid), what="the first worker to leave")
    finish(runner, job_id)
    with closing(runner.workspace.open()) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM outcome WHERE job_id = ? AND run = 1 AND created > ?", (job_id, second.started)
        )
        assert rows.fetchone()[0] == 0
        assert not [e for e in events_of(connection, job_id) if e.code == "failed"]


# --- workers that cannot start ---------------------------------------------------------------------------------------


def change_job(runner: Runner, job_id: int, **columns: object) -> None:
    with closing(runner.workspace.open()) as connection, transaction(connection):
        for name, value in columns.items():
            connection.execute(f"UPDATE job SET {name} = ? WHERE id = ?", (value, job_id))


def test_a_job_of_an_unknown_kind_fails_with_a_sentence(runner: Runner) -> None:
    job_id = queue_job(runner.workspace)
    change_job(runner, job_id, kind="frindle")
    control.resume(runner.workspace, job_id)
    job = runner.wait(job_id, JobState.FAILED)
    assert job.note.startswith("There is no job kind 'frindle'.")
    assert job.run == 1


def test_a_job_of_a_newer_program_fails_with_a_sentence(runner: Runner) -> None:
    job_id = queue_job(runner.workspace)
    change_job(runner, job_id, spec_version=99)
    control.resume(runner.workspace, job_id)
    job = runner.wait(job_id, JobState.FAILED)
    assert "made by a newer refusal-tui" in job.note and "Upgrade this installation" in job.note


BROKEN = """
import os, sys
if sys.orig_argv[-1] == "1" and "refusal_tui.jobs.worker" in sys.orig_argv:
    os._exit(3)
"""


def test_a_worker_that_cannot_even_start_fails_its_job_and_the_lane_goes_on(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A module that breaks every worker at its start, as a damaged installation does; supervisors are spared."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    first, second = runner.label(), runner.label()
    job = runner.wait(first, JobState.FAILED)
    assert job.note == "its worker could not start (stopped with exit code 3; see its log)"
    assert job.run == 0
    runner.wait(second, JobState.DONE)


def test_a_log_folder_that_was_cleaned_away_is_made_again(runner: Runner) -> None:
    first = runner.label(rate=200)
    runner.wait_for_rows(first, 1)
    shutil.rmtree(runner.workspace.logs)
    second = runner.label()
    runner.wait(second, JobState.DONE)
    assert runner.job(first).state is JobState.DONE
    assert (runner.workspace.logs / f"job-{second}.log").exists()


def test_a_workspace_that_is_deleted_leaves_no_process_behind(runner: Runner) -> None:
    job_id = runner.label(rate=50)
    runner.wait_for_rows(job_id, 1)
    worker = runner.worker(job_id)
    assert worker is not None
    shutil.rmtree(runner.workspace.root)
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(lambda: not runner.processes(), what="the supervisor to leave")
