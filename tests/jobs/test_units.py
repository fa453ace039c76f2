"""What does the engine promise to a job with several outcomes per row, with side rows, or that asks for a pause?"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest

from refusal_tui.errors import ConflictError
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs import control, writer
from refusal_tui.jobs.registry import counted, job_kind, make_job
from refusal_tui.jobs.rowjob import PauseRequested
from refusal_tui.jobs.spill import SideRecord
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.jobs import JobState, get_job, requeue_job
from refusal_tui.store.outcomes import Finished, PendingRow, RowResult, Unit
from refusal_tui.store.workspace import Workspace
from tests.support.ledger import outcomes
from tests.support.rowjobs import Scripted, error, queue_job, run_here, verdict

VOTES = (Unit("", 0), Unit("", 1), Unit("arbiter", 0))


def units_done(workspace: Workspace, job_id: int) -> list[tuple[int, str, int]]:
    with closing(workspace.open(read_only=True)) as connection:
        rows = connection.execute("SELECT item_id, stage, k FROM outcome WHERE job_id = ? ORDER BY 1, 2, 3", (job_id,))
        return [tuple(row) for row in rows]


def every_unit(rows: int) -> list[tuple[int, str, int]]:
    return sorted((item, unit.stage, unit.k) for item in range(1, rows + 1) for unit in VOTES)


def test_every_row_has_one_outcome_per_unit_and_they_count(workspace: Workspace) -> None:
    work = Scripted(units=VOTES, batch_size=4, concurrency=5, shuffle=random.Random(1))
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.n_ok, job.total, job.n_items, job.cursor) == (JobState.DONE, 300, 300, 100, 100)
    assert units_done(workspace, job.id) == every_unit(100)


def test_a_pilot_counts_rows_and_goes_on_with_the_rest(workspace: Workspace) -> None:
    job_id = queue_job(workspace, pilot=20)
    job = run_here(workspace, job_id, Scripted(units=VOTES))
    assert (job.state, job.n_ok, job.goal) == (JobState.PAUSED, 60, 60)
    with closing(workspace.open()) as connection:
        assert requeue_job(connection, job_id).goal == 300
    assert run_here(workspace, job_id, Scripted(units=VOTES)).n_ok == 300
    assert units_done(workspace, job_id) == every_unit(100)


def test_a_queued_job_is_counted_as_it_will_be_when_it_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ensure_supervisor", lambda *_: None)
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint("local", "custom", ("http://127.0.0.1:9/v1",), "m"))
        spec = GenerateSpec(name="made", endpoints="local", samples=3, temperature=1.0)
        job_id = control.submit(workspace, "generate", spec, pilot=20)
        job = get_job(connection, job_id)
    assert (job.total, job.goal, job.n_items) == (300, 60, 100)
    assert counted(job, 300) == "300 answers" and counted(job, 1) == "1 answer"
    assert make_job(job_kind("generate"), spec, workspace).units == spec.units()


class Pausing(Scripted):
    """Pauses when it is asked for the arbiter's vote on row 30 or later."""

    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        if any(pending.row.item_id >= 30 and pending.unit.stage == "arbiter" for pending in work):
            raise PauseRequested("The budget of 5 USD is used up.", "Raise it, then resume the job.")
        return await Scripted.process(self, work)


def test_a_job_that_asks_for_a_pause_is_paused_with_its_reason_and_loses_nothing(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    job = run_here(workspace, job_id, Pausing(units=VOTES, batch_size=1, concurrency=3))
    assert job.state is JobState.PAUSED
    assert job.note == "The budget of 5 USD is used up. Raise it, then resume the job."
    assert "failed" not in outcomes(workspace, job_id).values()
    before = units_done(workspace, job_id)
    assert (29, "arbiter", 0) in before and (30, "arbiter", 0) not in before
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    rest = Scripted(units=VOTES)
    assert run_here(workspace, job_id, rest).state is JobState.DONE
    assert rest.asked.total() == 300 - len(before), "what has its outcome is not asked for again"
    assert units_done(workspace, job_id) == every_unit(100)


def test_a_job_with_retries_of_its_own_is_asked_once(workspace: Workspace) -> None:
    work = Scripted(
        lambda row, tries: error(row, ErrorClass.SERVER) if row.item_id == 6 else verdict(row), max_attempts=1
    )
    assert run_here(workspace, queue_job(workspace), work).n_failed == 1
    assert work.asked[6] == 1


class Notes:
    """Side rows: one event per finished row, and one for every row that is only being worked on."""

    def __init__(self) -> None:
        self.new: list[str] = []
        self._writing: list[str] = []
        self.fail_next = 0

    def waiting(self) -> bool:
        return bool(self.new)

    def write(self, connection: sqlite3.Connection, finished: Sequence[Finished]) -> None:
        self._writing, self.new = self._writing + self.new, []
        for text in [*self._writing, *(f"done {f.result.item_id}" for f in finished)]:
            connection.execute("INSERT INTO event(level, code, text, created) VALUES ('info', 'note', ?, 0)", (text,))
        if self.fail_next:
            self.fail_next -= 1
            raise ConflictError("The database is locked.")

    def written(self) -> None:
        self._writing = []

    def unwritten(self) -> list[SideRecord]:
        self._writing, self.new = self._writing + self.new, []
        return [{"text": text} for text in self._writing]

    def restore(self, connection: sqlite3.Connection, records: Sequence[SideRecord]) -> None:
        for record in records:
            connection.execute(
                "INSERT INTO event(level, code, text, created) VALUES ('info', 'note', ?, 0)", (record["text"],)
            )


class Noting(Scripted):
    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        self.side.new += [f"asked {pending.row.item_id}" for pending in work]
        return await Scripted.process(self, work)


def notes(workspace: Workspace) -> list[str]:
    with closing(workspace.open(read_only=True)) as connection:
        return sorted(row[0] for row in connection.execute("SELECT text FROM event WHERE code = 'note'"))


def test_side_rows_are_committed_once_also_when_a_transaction_has_to_be_repeated(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_RETRY_SECONDS", 0.01)
    work = Noting(batch_size=4)
    work.side = Notes()
    work.side.fail_next = 2
    run_here(workspace, queue_job(workspace), work)
    assert notes(workspace) == sorted(f"{what} {n}" for what in ("asked", "done") for n in range(1, 101))


def test_side_rows_without_a_finished_row_are_committed_as_well(workspace: Workspace) -> None:
    class Only(Noting):
        async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
            self.side.new.append("asked in vain")
            raise PauseRequested("No server is left.")

    work = Only()
    work.side = Notes()
    run_here(workspace, queue_job(workspace), work)
    assert "asked in vain" in notes(workspace)


def test_side_rows_that_cannot_be_written_wait_in_the_side_file_with_the_rows_they_belong_to(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STORAGE_PATIENCE_SECONDS", 0.0)
    first = Noting(batch_size=4)
    first.side = Notes()
    first.side.fail_next = 10**6
    job = run_here(workspace, queue_job(workspace), first)
    assert (job.state, job.finished_rows, notes(workspace)) == (JobState.FAILED, 0, [])
    with closing(workspace.open()) as connection:
        requeue_job(connection, job.id)
    second = Noting(batch_size=4)
    second.side = Notes()
    assert run_here(workspace, job.id, second).state is JobState.DONE
    asked = [note for note in notes(workspace) if note.startswith("asked")]
    assert sorted(asked) == sorted(f"asked {n}" for n in range(1, 101)), "each once: kept, or asked by the second run"
    assert not first.asked.keys() & second.asked.keys()
