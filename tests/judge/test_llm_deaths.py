"""What does a killed labelling job cost? Real workers are killed; the server counts what it was asked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.jobs import control
from refusal_tui.jobs.writer import GROUP_ROWS
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.endpoints import get_endpoint, save_endpoint
from refusal_tui.store.jobs import JobState
from refusal_tui.store.ledger import spent_by
from tests.support.judging import add_endpoint, honest_xstest, serving
from tests.support.ledger import outcomes
from tests.support.loopback import Loopback, Settings
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


def kill_when(runner: Runner, job_id: int, server: Loopback, requests: int, then: object = None) -> None:
    """Kill the worker once the server has been asked so often, and resume."""
    wait_until(lambda: server.stats.requests >= requests, what=f"{requests} requests")
    runner.kill_worker(job_id)
    wait_until(lambda: runner.job(job_id).state is JobState.INTERRUPTED, what="the death to be seen")
    if callable(then):
        then()
    run = runner.job(job_id).run
    control.resume(runner.workspace, job_id)
    runner.wait_for_worker(job_id, run=run + 1)


def one_verdict_per(runner: Runner, job_id: int, votes: int) -> bool:
    with closing(runner.workspace.open(read_only=True)) as connection:
        rows = connection.execute("SELECT item_id FROM verdict WHERE job_id = ?", (job_id,)).fetchall()
    return Counter(row[0] for row in rows) == dict.fromkeys(range(1, ROWS + 1), votes)


def test_killed_at_30_60_and_90_percent_every_row_is_there_once_and_little_is_asked_again(runner: Runner) -> None:
    with serving(Settings(latency=0.03, jitter=0.5, answer=honest_xstest), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "label", SPEC)
        for share in (0.3, 0.6, 0.9):
            kill_when(runner, job_id, server, int(share * ROWS))
        job = runner.wait(job_id, JobState.DONE)
        asked = server.stats.requests
    print(f"{asked} requests for {ROWS} rows and 3 kills")
    assert job.n_ok == ROWS and one_verdict_per(runner, job_id, 1)
    assert ROWS <= asked <= ROWS + 3 * (CONCURRENCY + GROUP_ROWS)
    with closing(runner.workspace.open(read_only=True)) as connection:
        assert spent_by(connection, job_id).requests >= ROWS, "what is in the store has its attempts in the ledger"


def test_killed_twice_in_a_row_at_a_random_moment(runner: Runner) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with serving(Settings(latency=0.03, answer=honest_xstest), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "label", SPEC)
        first = random.Random(seed).randrange(1, ROWS // 2)
        kill_when(runner, job_id, server, first)
        kill_when(runner, job_id, server, first + 1)
        assert runner.wait(job_id, JobState.DONE).n_ok == ROWS
        asked = server.stats.requests
    assert one_verdict_per(runner, job_id, 1)
    assert asked <= ROWS + 2 * (CONCURRENCY + GROUP_ROWS)


def test_another_concurrency_between_two_runs_asks_for_nothing_again(runner: Runner) -> None:
    def change() -> None:
        with closing(runner.workspace.open()) as connection:
            old = get_endpoint(connection, "local")
            save_endpoint(
                connection,
                type(old)(old.name, old.preset, old.base_urls, old.model, options={"concurrency": 3}),
            )

    with serving(Settings(latency=0.02, answer=honest_xstest), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "label", SPEC)
        kill_when(runner, job_id, server, ROWS // 2, change)
        assert runner.wait(job_id, JobState.DONE).n_ok == ROWS
        assert server.stats.requests <= ROWS + CONCURRENCY + GROUP_ROWS


def test_a_killed_panel_keeps_every_vote_once(runner: Runner) -> None:
    with (
        serving(Settings(latency=0.02, answer=honest_xstest), keep_bodies=False) as one,
        serving(Settings(latency=0.05, answer=honest_xstest), keep_bodies=False) as other,
    ):
        add_endpoint(runner.workspace, one, "one", concurrency=CONCURRENCY)
        add_endpoint(runner.workspace, other, "other", concurrency=CONCURRENCY)
        spec = LabelSpec(judge="xstest", endpoint="one", panel="other", second_pass=0.2)
        job_id = control.submit(runner.workspace, "label", spec)
        kill_when(runner, job_id, one, ROWS // 2)
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
