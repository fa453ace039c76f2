"""Who is alive, and who may write? Fencing, death by proof, and clocks that jump."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from refusal_tui.jobs import liveness, worker
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.liveness import STALLED_AFTER_SECONDS, is_alive, start_ticks, this_process
from refusal_tui.jobs.progress import active_seconds
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import (
    FencedError,
    JobState,
    WorkerRecord,
    beat,
    claim_job,
    end_job,
    get_job,
    get_worker,
    requeue_job,
)
from refusal_tui.store.workspace import Workspace
from tests.support.ledger import check_books, outcomes
from tests.support.rowjobs import Scripted, queue_job, run_here
from tests.support.waiting import wait_until


def record(**changes: object) -> WorkerRecord:
    """This process as a worker that has just beaten."""
    me, now, tick = this_process(), time.time(), time.monotonic()
    alive = WorkerRecord(1, 1, me.host, me.boot_id, me.pid, me.start_ticks, now, now, tick, tick, None, None)
    return replace(alive, **changes)  # type: ignore[arg-type]


def test_this_process_is_alive() -> None:
    assert is_alive(record())


def test_a_worker_that_has_recorded_its_end_is_not_alive() -> None:
    assert not is_alive(record(ended=time.time()))


def test_a_pid_that_was_given_to_another_process_is_not_the_worker() -> None:
    assert not is_alive(record(start_ticks=this_process().start_ticks + 1))


def test_a_worker_of_an_earlier_boot_is_dead_whoever_has_its_pid() -> None:
    assert not is_alive(record(boot_id="another boot"))


def test_a_pid_that_nobody_has_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not is_alive(record(pid=child.pid, start_ticks=0))


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_ticks(child.pid) is None
    child.wait()


def test_a_live_pid_that_this_user_may_not_see_counts_as_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc mounted with hidepid hides the processes of other annotators of the workspace."""
    monkeypatch.setattr(liveness.Path, "read_text", _not_found)
    assert start_ticks(os.getpid()) == 0


def _not_found(*_: object, **__: object) -> str:
    raise FileNotFoundError


def test_a_worker_without_a_heartbeat_for_long_has_lost_its_job() -> None:
    assert not is_alive(record(heartbeat_monotonic=time.monotonic() - STALLED_AFTER_SECONDS - 1))


def test_a_worker_on_another_host_is_known_by_its_heartbeat_alone() -> None:
    there = record(host=socket.gethostname() + "-other", pid=1, boot_id="theirs")
    assert is_alive(there)
    assert not is_alive(replace(there, heartbeat=time.time() - STALLED_AFTER_SECONDS - 1))


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_a_clock_that_jumps_kills_nobody_and_loses_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    job_id = queue_job(workspace)
    real = time.time

    def at_row(asked: int) -> None:
        if asked == 48:
            monkeypatch.setattr(time, "time", lambda: real() + jump)
        with closing(workspace.open()) as connection:
            assert reap(connection) == []

    job = run_here(workspace, job_id, Scripted(after_batch=at_row))
    assert (job.state, job.n_ok) == (JobState.DONE, 100)
    with closing(workspace.open()) as connection:
        assert 0 <= active_seconds(job, get_worker(connection, job_id)) < 600
    check_books(workspace, job_id)


def take(workspace: Workspace, job_id: int) -> object:
    me = this_process()
    with closing(workspace.open()) as connection:
        return claim_job(connection, job_id, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)


def test_a_job_is_claimed_once(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    assert take(workspace, job_id) is not None
    assert take(workspace, job_id) is None


@pytest.mark.parametrize("asked_before", [8, 40, 96])
def test_a_worker_that_was_replaced_writes_nothing_more(workspace: Workspace, asked_before: int) -> None:
    job_id = queue_job(workspace)
    at_takeover: dict[int, str] = {}

    def take_over(asked: int) -> None:
        if asked == asked_before:
            with closing(workspace.open()) as connection:
                end_job(connection, get_job(connection, job_id), JobState.INTERRUPTED, "reaped")
                requeue_job(connection, job_id)
            take(workspace, job_id)
            at_takeover.update(outcomes(workspace, job_id))

    with pytest.raises(FencedError):
        run_here(workspace, job_id, Scripted(after_batch=take_over))
    assert outcomes(workspace, job_id) == at_takeover
    with closing(workspace.open()) as connection:
        job = get_job(connection, job_id)
        assert (job.state, job.run) == (JobState.RUNNING, 2), "the second worker's job is left as it is"
    check_books(workspace, job_id)


def test_a_replaced_worker_that_has_nothing_to_write_leaves_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.02)
    job_id = queue_job(workspace)

    def take_over() -> None:
        wait_until(lambda: len(outcomes(workspace, job_id)) == 8, what="the first batch")
        with closing(workspace.open()) as connection:
            end_job(connection, get_job(connection, job_id), JobState.INTERRUPTED, "reaped")

    other = threading.Thread(target=take_over)
    other.start()
    with pytest.raises(FencedError):
        run_here(workspace, job_id, Scripted(max_rate=1.0))  # the second batch is eight seconds away
    other.join()
    assert len(outcomes(workspace, job_id)) == 8


def test_a_heartbeat_of_a_job_that_was_cancelled_meanwhile_is_refused(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    take(workspace, job_id)
    with closing(workspace.open()) as connection:
        job = get_job(connection, job_id)
        end_job(connection, job, JobState.CANCELLED)
        with pytest.raises(FencedError), transaction(connection):
            beat(connection, job)


def test_reap_spares_the_living_and_marks_the_dead(workspace: Workspace) -> None:
    alive, dead = queue_job(workspace), queue_job(workspace)
    take(workspace, alive)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    me = this_process()
    with closing(workspace.open()) as connection:
        claim_job(connection, dead, host=me.host, boot_id=me.boot_id, pid=child.pid, start_ticks=1)
        assert reap(connection) == [dead]
        assert get_job(connection, dead).note == f"its worker (pid {child.pid}) died"
        assert reap(connection) == []
        assert get_job(connection, alive).state is JobState.RUNNING
