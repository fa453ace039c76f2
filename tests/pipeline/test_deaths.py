"""A pipeline outlives its terminal, and a death of its worker."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.jobs import control
from refusal_tui.pipeline.api import Pipeline
from refusal_tui.store.jobs import JobState, list_jobs
from tests.support.processes import Runner
from tests.support.workspaces import make_workspace


@pytest.mark.kill
def test_after_kill_9_it_goes_on_with_the_jobs_that_it_had_started(tmp_path: Path) -> None:
    runner = Runner(make_workspace(tmp_path / "ws", 60))
    config = tmp_path / "slow.toml"
    config.write_text('audit = false\nexport = false\n[[datasets]]\nname = "blorp"\n[label]\nmax_rate = 60\n')
    try:
        assert Pipeline.load(config).start(runner.workspace) == 1
        runner.wait(1, JobState.RUNNING)
        runner.wait(2, JobState.RUNNING)
        runner.kill_worker(1)
        runner.wait(1, JobState.INTERRUPTED)
        assert runner.job(2).state in (JobState.RUNNING, JobState.DONE)  # nobody stopped it
        control.resume(runner.workspace, 1)
        assert runner.wait(1, JobState.DONE).run == 2
        assert runner.job(2).run == 1 and runner.job(2).n_ok == 60
        with closing(runner.workspace.open()) as connection:
            assert [job.kind for job in list_jobs(connection)] == ["label", "pipeline"]
    finally:
        runner.kill_all()
