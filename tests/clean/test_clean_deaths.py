"""What does a killed cleaning job cost? A real worker is killed; the server counts what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.clean.spec import CleanSpec
from refusal_tui.jobs import control
from refusal_tui.jobs.writer import GROUP_ROWS
from refusal_tui.store.cleaned import made_by
from refusal_tui.store.jobs import JobState
from refusal_tui.store.workspace import create_workspace
from tests.clean.models import FORBIDDEN, SORRY, World
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Settings
from tests.support.processes import Runner
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kill
ROWS, CONCURRENCY = 60, 6
STEPS = 4  # detect, rewrite, answer, verify: each row needs one round


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        add(connection, *(NewRow(f"Smelt {FORBIDDEN} number {n}.", SORRY) for n in range(ROWS)))
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


def test_killed_at_30_60_and_90_percent_every_row_is_made_once_and_little_is_asked_again(runner: Runner) -> None:
    world = World(rewrite=lambda instruction, _: f"What is the history of {instruction.removesuffix('.')}?")
    with serving(Settings(latency=0.03, jitter=0.5, answer=world), keep_bodies=False) as server:
        add_endpoint(runner.workspace, server, concurrency=CONCURRENCY)
        job_id = control.submit(runner.workspace, "clean", CleanSpec(name="clean", endpoint="local"))
        for share in (0.3, 0.6, 0.9):
            wanted = int(share * ROWS * STEPS)
            wait_until(lambda wanted=wanted: server.stats.requests >= wanted, what=f"{wanted} requests")
            runner.kill_worker(job_id)
            wait_until(lambda: runner.job(job_id).state is JobState.INTERRUPTED, what="the death to be seen")
            run = runner.job(job_id).run
            control.resume(runner.workspace, job_id)
            runner.wait_for_worker(job_id, run=run + 1)
        job = runner.wait(job_id, JobState.DONE)
        asked = server.stats.requests
    assert job.n_failed == job.n_unparsable == 0
    with closing(runner.workspace.open()) as connection:
        rows = list(made_by(connection, job_id))
    assert sorted(row.meta["source_item"] for row in rows) == list(range(1, ROWS + 1))
    assert {row.meta["reason"] for row in rows} == {"rewritten"}
    print(f"{asked} requests for {ROWS * STEPS} steps and 3 kills")
    assert ROWS * STEPS <= asked <= ROWS * STEPS + 3 * (CONCURRENCY + GROUP_ROWS)
