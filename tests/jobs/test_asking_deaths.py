"""What does it cost when a job that asks models is killed, stopped, moved or out of disk?

Real workers, and a server that counts what it was asked. Every row has its result once; sent again is at most what was
under way (`concurrency` requests) and one commit group per death.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import ExitCode, StorageError
from refusal_tui.jobs import control, writer
from refusal_tui.jobs.liveness import STALLED_AFTER_SECONDS
from refusal_tui.jobs.spill import spill_path, unspill
from refusal_tui.jobs.writer import GROUP_ROWS
from refusal_tui.judge.job import make_label_job
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job, JobState, create_job, requeue_job
from refusal_tui.store.metrics import metric_steps
from refusal_tui.store.outcomes import Finished
from refusal_tui.store.workspace import Workspace
from tests.support.asking import CASES, GENERATE, LABEL, Case, Switch, ledger
from tests.support.judging import add_endpoint, honest_xstest, serving
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_faults import Faults
from tests.support.processes import Runner, is_gone, run_worker_with
from tests.support.rowjobs import run_here
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kill
CONCURRENCY = 8
PER_DEATH = CONCURRENCY + GROUP_ROWS


@pytest.fixture
def runners() -> Iterator[list[Runner]]:
    """The workspaces of a test; nothing runs for them afterwards."""
    used: list[Runner] = []
    yield used
    for runner in used:
        runner.kill_all()


def prepared(runners: list[Runner], workspace: Workspace, server: Loopback) -> Runner:
    add_endpoint(workspace, server, concurrency=CONCURRENCY)
    runners.append(Runner(workspace))
    return runners[-1]


def kill_at(runner: Runner, switch: Switch, requests: int, *job_ids: int) -> None:
    """Kill the workers as soon as the server has been asked so often; the deaths are seen before this returns."""
    switch.arm(requests, lambda: [runner.kill_worker(job_id) for job_id in job_ids])
    switch.wait()
    for job_id in job_ids:
        runner.wait(job_id, JobState.INTERRUPTED)


def resume(runner: Runner, job_id: int) -> None:
    run = runner.job(job_id).run
    control.resume(runner.workspace, job_id)
    runner.wait_for_worker(job_id, run=run + 1)


def queue_here(workspace: Workspace, case: Case) -> int:
    """A queued job over all rows, without a supervisor that would start it."""
    with closing(workspace.open()) as connection:
        return create_job(
            connection, kind=case.kind, title=case.kind, lane="free", spec=case.spec.model_dump_json(),
            spec_version=type(case.spec).VERSION, item_ids=select_ids(connection),
        )  # fmt: skip


def check_whole(runner: Runner, case: Case, job_id: int, rows: int, asked: int, deaths: int) -> None:
    """Every row has its result once, and little was asked again."""
    job = runner.job(job_id)
    assert (job.n_failed, job.n_unparsable, job.n_ok) == (0, 0, job.total)
    assert case.results(runner.workspace, job_id) == Counter(range(1, rows + 1))
    needed = rows * case.steps
    print(f"{case.kind}: {asked - needed} of {needed} requests sent again after {deaths} deaths")
    assert needed <= asked <= needed + deaths * PER_DEATH
    statuses, _ = ledger(runner.workspace, job_id)
    assert needed <= statuses[200] <= asked, "what is in the store has its attempts in the ledger"


def kill_at_points(runners: list[Runner], folder: Path, case: Case, rows: int, points: Sequence[int]) -> None:
    """Kill at these numbers of requests, counted over all runs; 0 is at the first request after the resume."""
    switch = Switch(case.answer())
    with serving(Settings(latency=0.02, jitter=0.5, answer=switch), keep_bodies=False) as server:
        runner = prepared(runners, case.make(folder, rows), server)
        job_id = control.submit(runner.workspace, case.kind, case.spec)
        for point in points:
            kill_at(runner, switch, point, job_id)
            resume(runner, job_id)
        runner.wait(job_id, JobState.DONE, timeout=120)
        check_whole(runner, case, job_id, rows, server.stats.requests, deaths=len(points))


def random_points(chance: random.Random, kills: int, most: int) -> list[int]:
    """Every other kill comes at once after the one before: twice in a row."""
    points = sorted(chance.randrange(1, most) for _ in range((kills + 1) // 2))
    return [point for one in points for point in (one, 0)][:kills]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.kind, marks=pytest.mark.nightly if n else ()) for n, case in enumerate(CASES)],
)
def test_killed_at_30_60_and_90_percent(runners: list[Runner], tmp_path: Path, case: Case) -> None:
    points = [share * 240 // 100 for share in (30, 60, 90)]
    kill_at_points(runners, tmp_path / "ws", case, 240 // case.steps, points)


@pytest.mark.nightly
def test_killed_at_a_random_moment_and_at_once_again(runners: list[Runner], tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    points = random_points(random.Random(seed), kills=2, most=200)
    case = CASES[seed % len(CASES)]
    kill_at_points(runners, tmp_path / "ws", case, 240 // case.steps, points)


@pytest.mark.nightly
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_killed_at_fifty_random_points(runners: list[Runner], tmp_path: Path, case: Case) -> None:
    points = random_points(random.Random(case.kind), kills=50, most=3600)
    kill_at_points(runners, tmp_path / "ws", case, 4000 // case.steps, points)


# --- two workers ------------------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_two_jobs_side_by_side_at_one_end_point_and_both_killed(runners: list[Runner], tmp_path: Path) -> None:
    rows = 120

    def answer(body: dict[str, Any], row: str) -> str:
        judged = "<<<response" in str(body["messages"][-1]["content"])
        return (LABEL if judged else GENERATE).answer()(body, row)

    switch = Switch(answer)
    with serving(Settings(latency=0.02, answer=switch), keep_bodies=False) as server:
        runner = prepared(runners, LABEL.make(tmp_path / "ws", rows), server)
        jobs = {case: queue_here(runner.workspace, case) for case in (LABEL, GENERATE)}

        def both_at_work() -> None:
            for job_id in jobs.values():
                runner.wait_for_worker(job_id)
            for job_id in jobs.values():
                runner.kill_worker(job_id)

        switch.arm(1, both_at_work)  # the first request waits until both are there
        control.resume_all(runner.workspace)
        switch.wait()
        for job_id in jobs.values():
            runner.wait(job_id, JobState.INTERRUPTED)
        control.resume_all(runner.workspace)
        for case, job_id in jobs.items():
            runner.wait(job_id, JobState.DONE)
            assert case.results(runner.workspace, job_id) == Counter(range(1, rows + 1))
        assert 2 * rows <= server.stats.requests <= 2 * (rows + PER_DEATH)


def test_workers_that_are_started_for_one_job_at_once_ask_for_nothing_twice(
    runners: list[Runner], tmp_path: Path
) -> None:
    rows = 60
    with serving(Settings(latency=0.01, answer=LABEL.answer()), keep_bodies=False) as server:
        runner = prepared(runners, LABEL.make(tmp_path / "ws", rows), server)
        job_id = queue_here(runner.workspace, LABEL)
        command = [sys.executable, "-m", "refusal_tui.jobs.worker", str(runner.workspace.root), str(job_id)]
        workers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
        assert [worker.communicate(timeout=30) and worker.returncode for worker in workers] == [0, 0]
        assert server.stats.requests == rows
        check_whole(runner, LABEL, job_id, rows, rows, deaths=0)


def test_a_worker_that_comes_back_after_its_lease_writes_nothing_and_soon_asks_nothing(
    runners: list[Runner], tmp_path: Path
) -> None:
    rows = 160
    switch = Switch(LABEL.answer())
    with serving(Settings(latency=0.02, answer=switch), keep_bodies=False) as server:
        runner = prepared(runners, LABEL.make(tmp_path / "ws", rows), server)
        job_id = control.submit(runner.workspace, LABEL.kind, LABEL.spec)
        switch.arm(rows // 4, lambda: runner.stop_worker(job_id))
        switch.wait()
        stopped = runner.wait_for_worker(job_id)
        with closing(runner.workspace.open()) as connection, transaction(connection):  # as if it had been so for long
            connection.execute(
                "UPDATE worker SET heartbeat_monotonic = heartbeat_monotonic - ? WHERE job_id = ?",
                (STALLED_AFTER_SECONDS + 1, job_id),
            )
        resume(runner, job_id)
        os.kill(stopped.pid, signal.SIGCONT)
        wait_until(is_gone(stopped.pid), what="the first worker to leave")
        runner.wait(job_id, JobState.DONE)
        # The one that came back had places free when it was stopped: it fills them before its first commit is refused.
        check_whole(runner, LABEL, job_id, rows, server.stats.requests, deaths=2)


# --- moved, stopped politely, flaky servers ---------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_workspace_that_was_renamed_between_two_runs_goes_on_where_it_was(
    runners: list[Runner], tmp_path: Path
) -> None:
    rows = 120
    switch = Switch(GENERATE.answer())
    with serving(Settings(latency=0.02, answer=switch), keep_bodies=False) as server:
        runner = prepared(runners, GENERATE.make(tmp_path / "before", rows), server)
        job_id = control.submit(runner.workspace, GENERATE.kind, GENERATE.spec)
        kill_at(runner, switch, rows // 2, job_id)
        wait_until(lambda: not runner.processes(), what="the supervisor to leave")
        moved = runner.workspace.root.rename(tmp_path / "after, renamed")
        runners.append(Runner(Workspace(moved)))
        resume(runners[-1], job_id)
        runners[-1].wait(job_id, JobState.DONE)
        check_whole(runners[-1], GENERATE, job_id, rows, server.stats.requests, deaths=1)


def test_after_a_polite_stop_the_ledger_says_exactly_what_the_server_counted(
    runners: list[Runner], tmp_path: Path
) -> None:
    """A pause lets the requests under way end. A server that fails now and then, too: every try is in the ledger."""
    rows = 120
    faults = Faults(rate_limit=0.05, server_error=0.05, truncated=0.05, retry_after=0.05)
    switch = Switch(LABEL.answer())
    with serving(Settings(latency=0.02, answer=switch, faults=faults), keep_bodies=False) as server:
        runner = prepared(runners, LABEL.make(tmp_path / "ws", rows), server)
        job_id = control.submit(runner.workspace, LABEL.kind, LABEL.spec)
        switch.arm(rows // 4, lambda: control.pause(runner.workspace, job_id))
        runner.wait(job_id, JobState.PAUSED)
        resume(runner, job_id)
        job = runner.wait(job_id, JobState.DONE)
        statuses, tokens = ledger(runner.workspace, job_id)
        assert (statuses, tokens) == (server.stats.statuses, server.stats.tokens)
    assert job.n_ok == rows and LABEL.results(runner.workspace, job_id) == Counter(range(1, rows + 1))
    assert statuses[429] and statuses[500] and statuses[200] > rows, "some of everything went wrong"


# --- a disk that is full ----------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, signal
from pathlib import Path
from refusal_tui.jobs import writer
writer.STORAGE_PATIENCE_SECONDS = 0.0
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.kind, marks=pytest.mark.nightly if n else ()) for n, case in enumerate(CASES)]
)
def test_what_a_full_disk_kept_out_of_the_database_is_there_after_the_next_run_with_its_bill(
    runners: list[Runner], tmp_path: Path, case: Case
) -> None:
    """No file may grow beyond 200,000 bytes, which the database's log soon reaches and the side file does not."""
    rows = 320 // case.steps
    with serving(Settings(answer=case.answer()), keep_bodies=False) as server:
        runner = prepared(runners, case.make(tmp_path / "ws", rows), server)
        job_id = queue_here(runner.workspace, case)
        died = run_worker_with(runner.workspace, job_id, FULL_DISK)
        assert died.returncode in (ExitCode.JOB_FAILED, ExitCode.STORAGE), died.stderr
        asked = server.stats.requests
        kept = unspill(spill_path(runner.workspace, job_id))
        assert kept.finished and kept.side and asked < rows * case.steps, "it kept what it had and stopped"
        with closing(runner.workspace.open()) as connection:
            connection.execute("UPDATE job SET state = 'interrupted' WHERE state = 'running'")
        resume(runner, job_id)
        runner.wait(job_id, JobState.DONE)
        check_whole(runner, case, job_id, rows, server.stats.requests, deaths=0)
        assert ledger(runner.workspace, job_id) == (server.stats.statuses, server.stats.tokens)
    assert not spill_path(runner.workspace, job_id).exists()


def test_canaries_that_were_spilled_are_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LabelSpec(judge="xstest", endpoint="local", canaries=4)
    case = Case("label", spec, 1, LABEL.make, LABEL.answer, LABEL.made)
    workspace = case.make(tmp_path / "ws", 40)
    store_group = writer.store_group

    def no_room_for_rows(connection: sqlite3.Connection, job: Job, group: list[Finished], **more: object) -> object:
        if group:
            raise StorageError("The disk is full.")
        return store_group(connection, job, group, **more)  # type: ignore[arg-type]

    with serving(Settings(answer=honest_xstest), keep_bodies=False) as server:
        add_endpoint(workspace, server, concurrency=CONCURRENCY)
        job_id = queue_here(workspace, case)
        with monkeypatch.context() as patch:
            patch.setattr(writer, "STORAGE_PATIENCE_SECONDS", 0.0)
            patch.setattr(writer, "_SIDE_SECONDS", 60.0)  # side rows go with a group, however slow the machine
            patch.setattr(writer, "store_group", no_room_for_rows)
            assert run_here(workspace, job_id, make_label_job(spec, workspace)).state is JobState.FAILED
        tried = sum("canary" in one for one in unspill(spill_path(workspace, job_id)).side)
        assert tried
        with closing(workspace.open()) as connection:
            requeue_job(connection, job_id)
        assert run_here(workspace, job_id, make_label_job(spec, workspace)).state is JobState.DONE
        assert server.stats.requests == 40 + 4
    with closing(workspace.open(read_only=True)) as connection:
        assert len(metric_steps(connection, job_id, "canary")) == 4
