"""What may a compute job rely on? Progress, checkpoints, frozen rows, and being stopped between steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest

from refusal_tui.errors import InputError
from refusal_tui.jobs import worker
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.stop import StopReason
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import add_event, events_of
from refusal_tui.store.jobs import (
    FencedError,
    Job,
    JobState,
    cancel_job,
    create_job,
    end_job,
    get_job,
    pause_job,
    requeue_job,
)  # fmt: skip
from refusal_tui.store.workspace import Workspace

Step = Callable[[ComputeContext], str | None]


@dataclass
class Steps:
    run: Step


def start(workspace: Workspace, rows: int | None = None) -> int:
    with closing(workspace.open()) as connection:
        return create_job(
            connection, kind="export", title="steps", lane="free", spec='{"out": "/nowhere/blorp"}', spec_version=1,
            item_ids=None if rows is None else range(1, rows + 1),
        )  # fmt: skip


def run_steps(workspace: Workspace, job_id: int, step: Step) -> Job:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "make_job", lambda *_: Steps(step))
        worker.run_job(workspace, job_id)
    with closing(workspace.open()) as connection:
        return get_job(connection, job_id)


def test_the_closing_note_and_the_steps_are_kept(workspace: Workspace) -> None:
    def step(context: ComputeContext) -> str:
        context.report(3, 7, "stirring", now=True)
        return "7 kettles stirred"

    job = run_steps(workspace, start(workspace), step)
    assert (job.state, job.note, job.done, job.total) == (JobState.DONE, "7 kettles stirred", 3, 7)


def test_an_error_of_the_family_is_the_jobs_note(workspace: Workspace) -> None:
    def step(context: ComputeContext) -> str:
        raise InputError("The kettle is empty.", "Fill it with token=hf_abcdefghijklmnopqrstuvwxyz012345.")

    job = run_steps(workspace, start(workspace), step)
    assert job.state is JobState.FAILED
    assert job.note.startswith("The kettle is empty. Fill it") and "hf_abcdef" not in job.note


def test_an_unexpected_error_names_the_log(workspace: Workspace) -> None:
    job_id = start(workspace)
    job = run_steps(workspace, job_id, lambda context: str(1 / 0))
    assert (job.state, job.note) == (
        JobState.FAILED, f"unexpected error: ZeroDivisionError: division by zero (see logs/job-{job_id}.log)"
    )  # fmt: skip


@pytest.mark.parametrize(("wish", "state"), [(pause_job, JobState.PAUSED), (cancel_job, JobState.CANCELLED)])
def test_a_wish_stops_it_between_steps(workspace: Workspace, wish: Callable[..., Job], state: JobState) -> None:
    job_id = start(workspace)
    steps: list[int] = []

    def step(context: ComputeContext) -> None:
        for number in range(100):
            steps.append(number)
            if number == 2:
                with closing(workspace.open()) as connection:
                    wish(connection, job_id)
            context.report(number, 100, now=True)

    assert run_steps(workspace, job_id, step).state is state
    assert steps == [0, 1, 2, 3], "the wish is heard with the next report and granted by the one after it"


def test_a_checkpoint_survives_into_the_next_run(workspace: Workspace) -> None:
    job_id = start(workspace)
    found: list[object] = []

    def step(context: ComputeContext) -> None:
        found.append(context.load_checkpoint())
        context.save_checkpoint({"step": 4, "loss": 0.5})
        context._stop.set(StopReason.TERMINATE)
        context.check()

    assert run_steps(workspace, job_id, step).state is JobState.INTERRUPTED
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    run_steps(workspace, job_id, step)
    assert found == [None, {"step": 4, "loss": 0.5}]


def test_a_checkpoint_is_the_old_one_or_the_new_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workspace.artifacts / "state.json"
    write_atomically(path, b"old")

    def crash(*_: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="power cut"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in workspace.artifacts.iterdir() if file.name.startswith(".")] == []


def test_a_job_that_was_taken_over_commits_nothing(workspace: Workspace) -> None:
    job_id = start(workspace)

    def step(context: ComputeContext) -> None:
        with closing(workspace.open()) as connection:
            end_job(connection, get_job(connection, job_id), JobState.INTERRUPTED)
        context.metric("loss", 1, 0.5)

    with pytest.raises(FencedError):
        run_steps(workspace, job_id, step)
    with closing(workspace.open()) as connection:
        assert connection.execute("SELECT count(*) FROM metric").fetchone()[0] == 0
        assert get_job(connection, job_id).state is JobState.INTERRUPTED


def test_rows_are_read_while_this_job_and_others_write(workspace: Workspace) -> None:
    """A statement that stays open would make the next write of this connection fail at once."""
    job_id = start(workspace, rows=25_000)
    seen: list[int] = []

    def step(context: ComputeContext) -> None:
        for number, item_id in enumerate(context.item_ids()):
            seen.append(item_id)
            if number % 5000 == 0:
                with closing(workspace.open()) as other, transaction(other):
                    add_event(other, job_id, "info", "other", "somebody else writes")
                context.event("info", "own", f"row {number}")

    assert run_steps(workspace, job_id, step).state is JobState.DONE
    assert seen == list(range(1, 25_001))
    with closing(workspace.open()) as connection:
        assert len([e for e in events_of(connection, job_id) if e.code == "own"]) == 5
