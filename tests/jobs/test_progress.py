"""How fast is a job, and when will it be done?"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from refusal_tui.jobs.progress import RateMeter, active_seconds, progress_of
from refusal_tui.store.jobs import Job, JobState, WorkerRecord, claim_job, get_job, get_worker
from refusal_tui.store.workspace import Workspace
from tests.support.rowjobs import queue_job


def running(workspace: Workspace, **changes: object) -> tuple[Job, WorkerRecord]:
    with closing(workspace.open()) as connection:
        job_id = queue_job(workspace)
        claim_job(connection, job_id, host="h", boot_id="b", pid=1, start_ticks=1)
        worker = get_worker(connection, job_id)
        assert worker is not None
        worker = replace(worker, heartbeat_monotonic=worker.started_monotonic + 10.0)
        return replace(get_job(connection, job_id), **changes), worker  # type: ignore[arg-type]


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    meter = RateMeter()
    for second in range(30):
        rate = meter.observe(float(second), 10 * second if second < 15 else 150 + 2 * (second - 15))
    assert rate == 2.0


def test_rows_taken_back_for_another_try_do_not_make_a_negative_rate() -> None:
    meter = RateMeter()
    meter.observe(0.0, 100)
    assert meter.observe(1.0, 40) is None
    assert meter.observe(2.0, 50) == 10.0


def test_the_time_left_follows_from_the_rate_and_the_goal(workspace: Workspace) -> None:
    job, worker = running(workspace, n_ok=20)
    progress = progress_of(job, worker)
    assert (progress.done, progress.goal, progress.fraction) == (20, 100, 0.2)
    assert (progress.rate, progress.eta) == (2.0, 40.0)
    assert progress_of(job, worker, measured=8.0).eta == 10.0


def test_a_pilot_is_measured_against_its_own_rows(workspace: Workspace) -> None:
    job, worker = running(workspace, n_ok=10, row_limit=20)
    assert progress_of(job, worker).fraction == 0.5


def test_a_paused_job_has_no_time_left_and_its_pause_is_not_time_at_work(workspace: Workspace) -> None:
    job, worker = running(workspace, n_ok=50, state=JobState.PAUSED, active_seconds=5.0)
    progress = progress_of(job, worker)
    assert (progress.rate, progress.eta) == (10.0, None)
    assert active_seconds(job, worker) == 5.0


def test_before_the_first_row_nothing_is_claimed(workspace: Workspace) -> None:
    job, worker = running(workspace)
    assert progress_of(job, worker).rate is None and progress_of(job, None).eta is None
