"""The import job in real worker processes: killed, paused and resumed, it stores what an undisturbed one stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.control import pause, resume, submit
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.jobs import JobState
from refusal_tui.store.workspace import create_workspace
from tests.support.imports import dataset, everything_in, import_here
from tests.support.processes import Runner
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kill
ROWS = 40_000  # seconds of work, so that there is time to look, kill and pause


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for n in range(ROWS):
            bad = n % 1000 == 7
            file.write(
                "{broken\n" if bad else json.dumps({"prompt": f"frindle {n % 50}", "response": f"hum {n}"}) + "\n"
            )
    return path


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(create_workspace(tmp_path / "ws"))
    yield runner
    runner.kill_all()


def in_the_middle(runner: Runner) -> Callable[[], bool]:
    def holds() -> bool:
        from contextlib import closing

        with closing(runner.workspace.open()) as connection:
            found = find_dataset(connection, "rows")
        return found is not None and found.n_items > 0

    return holds


def test_an_import_killed_in_the_middle_and_resumed_equals_an_undisturbed_one(
    runner: Runner, source: Path, tmp_path: Path
) -> None:
    job_id = submit(runner.workspace, "import", ImportSpec(source=str(source)))
    wait_until(in_the_middle(runner), what="the first rows")
    runner.kill_worker(job_id)
    runner.wait(job_id, JobState.INTERRUPTED)
    there = dataset(runner.workspace, "rows")
    assert there.state == "importing" and there.n_items + there.n_rejected == there.records_read < ROWS
    resume(runner.workspace, job_id)
    runner.wait(job_id, JobState.DONE)

    whole = create_workspace(tmp_path / "whole")
    import_here(whole, source)
    assert everything_in(runner.workspace) == everything_in(whole)
    assert dataset(runner.workspace, "rows").n_rejected == dataset(whole, "rows").n_rejected == ROWS // 1000


def test_an_import_that_is_paused_stops_between_commits_and_goes_on(runner: Runner, source: Path) -> None:
    job_id = submit(runner.workspace, "import", ImportSpec(source=str(source)))
    wait_until(in_the_middle(runner), what="the first rows")
    pause(runner.workspace, job_id)
    runner.wait(job_id, JobState.PAUSED)
    there = dataset(runner.workspace, "rows")
    assert there.n_items + there.n_rejected == there.records_read < ROWS
    resume(runner.workspace, job_id)
    job = runner.wait(job_id, JobState.DONE)
    assert job.note == f"rows: {ROWS - ROWS // 1000:,} rows imported, {ROWS // 1000} quarantined"
