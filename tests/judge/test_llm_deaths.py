"""Killed labelling jobs with settings of their own: another concurrency, a panel, a slow server. The kills that every
job must survive are in tests/jobs/test_asking_deaths.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.jobs import control
from refusal_tui.jobs.writer import GROUP_ROWS
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.endpoints import get_endpoint, save_endpoint
from refusal_tui.store.jobs import JobState
from tests.support.asking import Switch
from tests.support.judging import add_endpoint, honest_xstest, serving
from tests.support.ledger import outcomes
from tests.support.loopback import Settings
from tests.support.processes import Runner
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.kill
ROWS = 240
CONCURRENCY = 8
SPEC = LabelSpec(judge="xstest", endpoint="local")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(make_workspace(tmp_path / "ws", rows=ROWS))
    yield runner
    runner.kill_all()


def kill_when(runner: Runner, job_id: int, switch: Switch, requests: int, then: object = None) -> None:
    """Kill the worker once the server has been asked so often, and resume."""
    switch.arm(requests, lambda: runner.kill_worker(job_id))
    switch.wait()
    runner.wait(job_id, JobState.INTERRUPTED)
    if callable(then):
        then()
    run = runner.job(job_id).run
    control.resume(runner.workspace, job_id)
    runner.wait_for_worker(job_id, run=run + 1)


def test_another_concurrency_between_two_runs_asks_for_nothing_again(runner: Runner) -> None:
    def change() -> None:
        with closing(runner.workspace.open()) as connection:
            old = get_endpoint(connection, "local")
            save_endpoint(
                connection,
                type(old)(old.name, old.preset, old.base_urls, old.model, options={"concurrency": 3}),
            )

    switch = Switch(honest_xstest)
    with serving(Settings(latency=0.02, answer=switch), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "label", SPEC)
        kill_when(runner, job_id, switch, ROWS // 2, change)
        assert runner.wait(job_id, JobState.DONE).n_ok == ROWS
        assert server.stats.requests <= ROWS + CONCURRENCY + GROUP_ROWS


def test_a_killed_panel_keeps_every_vote_once(runner: Runner) -> None:
    switch = Switch(honest_xstest)
    with (
        serving(Settings(latency=0.02, answer=switch), keep_bodies=False) as one,
        serving(Settings(latency=0.05, answer=honest_xstest), keep_bodies=False) as other,
    ):
        add_endpoint(runner.workspace, one, "one", concurrency=CONCURRENCY)
        add_endpoint(runner.workspace, other, "other", concurrency=CONCURRENCY)
        spec = LabelSpec(judge="xstest", endpoint="one", panel="other", second_pass=0.2)
        job_id = control.submit(runner.workspace, "label", spec)
        kill_when(runner, job_id, switch, ROWS // 2)
        job = runner.wait(job_id, JobState.DONE)
    assert job.n_ok == job.total == 3 * ROWS and len(outcomes(runner.workspace, job_id)) == ROWS
    with closing(runner.workspace.open(read_only=True)) as connection:
        sql = "SELECT annotator, count(*), count(DISTINCT item_id) FROM verdict GROUP BY 1"
        votes = {row[0]: (row[1], row[2]) for row in connection.execute(sql)}
    assert votes["judge:xstest@one"] == votes["judge:xstest@other"] == (ROWS, ROWS)


def test_pausing_a_job_that_waits_for_a_slow_server_takes_no_longer_than_its_requests(runner: Runner) -> None:
    with serving(Settings(latency=0.05, answer=honest_xstest, requests_per_second=20), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "label", SPEC)
        wait_until(lambda: server.stats.statuses[429] > 0, what="a 429")
        control.pause(runner.workspace, job_id)
        job = runner.wait(job_id, JobState.PAUSED, timeout=20)
        assert job.n_failed == 0 and job.n_ok < ROWS
