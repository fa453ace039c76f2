"""Why a queued job is not at work yet."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.jobs.files import log_file
from refusal_tui.jobs.waiting import GRACE_SECONDS, why_waiting
from refusal_tui.store.connect import file_lock, transaction
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import JobState, claim_job, get_job
from refusal_tui.store.workspace import Workspace
from tests.support.processes import Runner
from tests.support.rowjobs import queue_job
from tests.support.workspaces import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=4)


def why(workspace: Workspace, job_id: int, later: float = 2 * GRACE_SECONDS) -> str:
    with closing(workspace.open()) as connection:
        return why_waiting(workspace, connection, get_job(connection, job_id), time.time() + later)


def test_a_job_that_was_only_just_asked_for_is_left_alone(workspace) -> None:
    assert why(workspace, queue_job(workspace), later=0.0) == ""


def test_a_job_whose_lane_has_no_supervisor_says_how_to_start_one(workspace) -> None:
    said = why(workspace, queue_job(workspace))
    assert said.startswith("Nobody starts it: no supervisor runs for its lane 'cpu'")
    assert said.endswith("Start one with: refusal-tui jobs resume 1")


def test_a_supervisor_that_holds_the_lane_is_trusted(workspace) -> None:
    job_id = queue_job(workspace)
    with file_lock(log_file(workspace, "lane-cpu.lock")) as held:
        assert held
        assert why(workspace, job_id) == ""


def test_a_job_behind_another_one_names_it(workspace) -> None:
    first, second = queue_job(workspace), queue_job(workspace)
    with closing(workspace.open()) as connection:
        claim_job(connection, first, host="h", boot_id="b", pid=1, start_ticks=1)
    assert why(workspace, second) == "It waits for job 1 to end: they share the lane 'cpu'."
    assert why(workspace, first) == "", "it runs"


@pytest.mark.kill
def test_a_worker_that_cannot_start_is_told_at_every_try(workspace, monkeypatch) -> None:
    """The worker's module is shadowed by one that ends at once, as a broken installation would."""
    runner = Runner(workspace)
    monkeypatch.setenv("LOG_LEVEL", "NOT-A-LEVEL")
    try:
        job_id = runner.label()
        job = runner.wait(job_id, JobState.FAILED)
    finally:
        runner.kill_all()
    with closing(workspace.open()) as connection:
        told = [event.text for event in events_of(connection, job_id) if event.code == "false_start"]
    assert [text.partition(": try ")[2][:6] for text in told] == ["1 of 3", "2 of 3"]
    assert "its worker could not start" in job.note


def test_the_last_false_start_is_what_a_queued_job_says(workspace) -> None:
    from refusal_tui.store.events import add_event

    job_id = queue_job(workspace)
    with closing(workspace.open()) as connection, transaction(connection):
        add_event(connection, job_id, "warning", "false_start", "its worker could not start: try 1 of 3")
    assert why(workspace, job_id) == "its worker could not start: try 1 of 3"
