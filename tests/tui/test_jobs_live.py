"""The keys of Jobs, Job and Home on real jobs in real worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from refusal_tui.store.jobs import JobState
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.window_table import WindowTable
from tests.support.processes import Runner
from tests.tui.live import until

pytestmark = pytest.mark.kill
SLOW = 8.0  # rows per second: 44 rows take five seconds


@pytest.fixture
def runner(workspace) -> Iterator[Runner]:
    found = Runner(workspace)
    yield found
    found.kill_all()


def lines_of(pilot) -> str:
    return "\n".join(line.content.plain for lines in pilot.app.screen.query(LineList) for line in lines.shown)


async def test_a_running_job_is_paused_and_goes_on_to_its_end(workspace, open_app, runner: Runner) -> None:
    job_id = runner.label(rate=SLOW)
    runner.wait_for_rows(job_id, 1)
    async with open_app(workspace, "jobs") as pilot:
        await pilot.press("p")
        await until(pilot, lambda: runner.job(job_id).state is JobState.PAUSED)
        await until(pilot, lambda: pilot.app.screen.query_one(WindowTable).cursor_row.word == "paused")
        done = runner.job(job_id).finished_rows
        assert 0 < done < 44, "the rows in flight were finished, the others were left"
        await pilot.press("r")
        await until(pilot, lambda: runner.job(job_id).state is JobState.DONE)
        await until(pilot, lambda: pilot.app.screen.query_one(WindowTable).cursor_row.word == "done")


async def test_a_running_job_is_cancelled_and_keeps_what_it_has_done(workspace, open_app, runner: Runner) -> None:
    job_id = runner.label(rate=SLOW)
    runner.wait_for_rows(job_id, 1)
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        await pilot.press("x", "x")
        await until(pilot, lambda: "– cancelled" in lines_of(pilot))
    assert 0 < runner.job(job_id).finished_rows < 44


async def test_failed_rows_are_tried_again(workspace, open_app, runner: Runner) -> None:
    assert runner.job(1).n_unparsable == 1
    async with open_app(workspace, "job", job_id=1) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: runner.job(1).n_ok == 32)
        await until(pilot, lambda: "ok 32   failed 0   unparsable 0" in lines_of(pilot))


async def test_home_follows_a_job_from_its_start_to_its_labels(workspace, open_app, runner: Runner) -> None:
    async with open_app(workspace, "home", gpu_line=lambda: "") as pilot:
        job_id = runner.label(rate=SLOW, selection="dataset:frindle-qa")
        await until(pilot, lambda: "▶ running" in lines_of(pilot))
        await until(pilot, lambda: runner.job(job_id).state is JobState.DONE)
        await until(pilot, lambda: "32 labelled by a judge" in lines_of(pilot))


async def test_a_worker_that_dies_with_its_supervisor_is_noticed_by_the_workbench(
    workspace, open_app, runner: Runner
) -> None:
    job_id = runner.label(rate=5.0)
    runner.wait_for_rows(job_id, 1)
    async with open_app(workspace, "home", gpu_line=lambda: "") as pilot:
        for pid in runner.supervisors():
            os.kill(pid, signal.SIGKILL)
        runner.kill_worker(job_id)
        await until(pilot, lambda: "! interrupted" in lines_of(pilot))
        assert "enter, then r to go on" in lines_of(pilot)
