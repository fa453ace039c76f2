"""What does the engine promise to a row job?"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from refusal_tui.errors import UnavailableError
from refusal_tui.jobs import rowjob, worker
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, cancel_job, pause_job, requeue_job
from refusal_tui.store.outcomes import PendingRow, RowResult
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace
from tests.support.ledger import attempts, check_books, errors, outcomes
from tests.support.rowjobs import Scripted, error, queue_job, run_here, verdict
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowjob, "BACKOFF_BASE_SECONDS", 0.0001)


def row_number(row: Row) -> int:
    return int(row.key.removeprefix("row-"))


# --- every row once -------------------------------------------------------------------------------------------------


def test_every_row_is_asked_for_once_and_stored_once(workspace: Workspace) -> None:
    work = Scripted()
    job = run_here(workspace, queue_job(workspace), work)
    assert job.state is JobState.DONE and job.note == ""
    assert set(work.asked.values()) == {1} and len(work.asked) == 100
    assert check_books(workspace, job.id).n_ok == 100


def test_batches_that_finish_in_any_order_are_stored_alike(workspace: Workspace) -> None:
    work = Scripted(batch_size=3, concurrency=7, shuffle=random.Random(1))
    job = run_here(workspace, queue_job(workspace), work)
    assert job.state is JobState.DONE
    assert check_books(workspace, job.id).n_ok == 100


def test_a_second_run_of_a_finished_job_asks_for_nothing(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    run_here(workspace, job_id, Scripted())
    again = Scripted()
    assert run_here(workspace, job_id, again).run == 1, "a job that is not queued is not claimed"
    assert not again.asked


def test_rows_deleted_after_the_job_was_made_are_passed_over(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("DELETE FROM item WHERE id > 90")
    job = run_here(workspace, job_id, Scripted())
    assert (job.state, job.n_ok, job.note) == (JobState.DONE, 90, "10 rows no longer exist")


# --- errors belong to rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_class", [e for e in ErrorClass if e.retryable])
def test_a_passing_error_is_tried_again_and_the_tries_are_counted(
    workspace: Workspace, error_class: ErrorClass
) -> None:
    def answer(row: Row, tries: int) -> RowResult:
        return error(row, error_class) if tries < row_number(row) % 4 else verdict(row)

    job = run_here(workspace, queue_job(workspace), Scripted(answer, batch_size=5, concurrency=3))
    assert job.n_ok == 100
    assert [attempts(workspace, job.id)[item] for item in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 1]


def test_a_row_that_keeps_failing_ends_as_failed_after_five_tries(workspace: Workspace) -> None:
    work = Scripted(lambda row, tries: error(row, ErrorClass.SERVER, "503") if row_number(row) == 6 else verdict(row))
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.n_ok, job.n_failed, job.note) == (JobState.DONE, 99, 1, "1 row failed")
    assert errors(workspace, job.id) == {7: ("server", "503")}
    assert work.asked[7] == attempts(workspace, job.id)[7] == rowjob.MAX_ATTEMPTS == 5


@pytest.mark.parametrize("error_class", [e for e in ErrorClass if not e.retryable and e is not ErrorClass.AUTH])
def test_a_lasting_error_is_not_tried_again(workspace: Workspace, error_class: ErrorClass) -> None:
    work = Scripted(lambda row, tries: error(row, error_class) if row.item_id == 3 else verdict(row))
    job = run_here(workspace, queue_job(workspace), work)
    assert work.asked[3] == 1
    assert outcomes(workspace, job.id)[3] == ("unparsable" if error_class is ErrorClass.PARSE else "failed")
    check_books(workspace, job.id)


def test_an_exception_in_one_row_leaves_its_batch_mates_alone(workspace: Workspace) -> None:
    def answer(row: Row, tries: int) -> RowResult:
        if row.item_id == 5:
            raise ZeroDivisionError("frindle")
        return verdict(row)

    job = run_here(workspace, queue_job(workspace), Scripted(answer, batch_size=10))
    assert job.n_ok == 99
    assert errors(workspace, job.id) == {5: ("internal", "ZeroDivisionError: frindle")}


@dataclass
class Muddled(Scripted):
    """Answers for other rows than it was asked about, as long as it is asked about several."""

    muddle: str = "reversed"

    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        results = await Scripted.process(self, work)
        if len(work) == 1:
            return results
        return {
            "reversed": results[::-1],
            "one is missing": results[:-1],
            "all of the first row": [results[0]] * len(work),
        }[self.muddle]


@pytest.mark.parametrize("muddle", ["reversed", "one is missing", "all of the first row"])
def test_answers_that_do_not_fit_the_batch_are_never_stored_for_the_wrong_row(
    workspace: Workspace, muddle: str
) -> None:
    def answer(row: Row, tries: int) -> RowResult:
        return verdict(row, "hard" if row_number(row) % 2 else "none")

    job = run_here(workspace, queue_job(workspace), Muddled(answer, batch_size=4, muddle=muddle))
    assert check_books(workspace, job.id).n_ok == 100


def test_a_slow_row_does_not_hold_back_its_batch_mates(workspace: Workspace) -> None:
    """While row 1 waits for its next try, the others of its batch are durable."""

    def answer(row: Row, tries: int) -> RowResult:
        if row.item_id == 1 and tries == 0:
            return error(row, ErrorClass.RATE_LIMIT)
        if row.item_id == 1:
            wait_until(lambda: len(outcomes(workspace, job_id)) >= 7, what="the batch mates to be durable")
        return verdict(row)

    job_id = queue_job(workspace)
    assert run_here(workspace, job_id, Scripted(answer, batch_size=8)).n_ok == 100


# --- when it makes no sense to go on --------------------------------------------------------------------------------


def test_a_job_whose_first_fifty_rows_fail_stops_and_says_why(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=1000)
    work = Scripted(lambda row, tries: error(row, ErrorClass.BAD_REQUEST, "no such model"))
    job = run_here(workspace, queue_job(workspace), work)
    assert job.state is JobState.FAILED
    assert "Every row failed so far" in job.note and "no such model" in job.note
    assert f"jobs retry {job.id}" in job.note
    assert 50 <= job.n_failed < 500
    check_books(workspace, job.id)


def test_one_good_row_keeps_a_failing_job_going(workspace: Workspace) -> None:
    work = Scripted(lambda row, tries: verdict(row) if row.item_id == 2 else error(row, ErrorClass.BAD_REQUEST))
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.n_ok, job.n_failed) == (JobState.DONE, 1, 99)


def test_refused_credentials_stop_the_job_at_once(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=1000)
    work = Scripted(
        lambda row, tries: verdict(row) if row_number(row) < 8 else error(row, ErrorClass.AUTH, "401 bad key")
    )
    job = run_here(workspace, queue_job(workspace), work)
    assert job.state is JobState.FAILED
    assert "The end point refuses the key: 401 bad key" in job.note
    assert job.n_failed < 300


def test_an_error_of_the_whole_job_ends_it_with_its_sentence(workspace: Workspace) -> None:
    def answer(row: Row, tries: int) -> RowResult:
        if row.item_id == 40:
            raise UnavailableError("The device is gone.", "Plug it in.")
        return verdict(row)

    job = run_here(workspace, queue_job(workspace), Scripted(answer, batch_size=8))
    assert (job.state, job.note) == (JobState.FAILED, "The device is gone. Plug it in.")
    assert 32 <= job.n_ok < 40, "what was done before is kept"
    check_books(workspace, job.id)


def test_the_rows_of_a_failed_job_are_done_by_a_retry(workspace: Workspace) -> None:
    job_id = queue_job(workspace)
    broken = Scripted(lambda row, tries: error(row, ErrorClass.BAD_REQUEST) if row.item_id % 3 else verdict(row))
    run_here(workspace, job_id, broken)
    with closing(workspace.open()) as connection:
        assert retry_failed(connection, job_id) == 67
    mended = Scripted()
    job = run_here(workspace, job_id, mended)
    assert (job.state, job.n_ok, job.n_failed, job.run) == (JobState.DONE, 100, 0, 2)
    assert sorted(mended.asked) == [item for item in range(1, 101) if item % 3]
    check_books(workspace, job_id)


# --- pilot, pause, cancel -------------------------------------------------------------------------------------------


def test_a_pilot_stops_at_its_limit_and_goes_on_in_the_same_job(workspace: Workspace) -> None:
    job_id = queue_job(workspace, pilot=20)
    pilot = Scripted()
    job = run_here(workspace, job_id, pilot)
    assert (job.state, job.n_ok, job.goal) == (JobState.PAUSED, 20, 20)
    assert job.note == "pilot of 20 rows done; resume to go on with the rest"
    with closing(workspace.open()) as connection:
        assert requeue_job(connection, job_id).goal == 100
    rest = Scripted()
    job = run_here(workspace, job_id, rest)
    assert (job.id, job.state, job.n_ok) == (job_id, JobState.DONE, 100)
    assert len(pilot.asked) == 20 and len(rest.asked) == 80
    check_books(workspace, job_id)


def test_a_pilot_over_rows_that_are_gone_can_go_on(workspace: Workspace) -> None:
    job_id = queue_job(workspace, pilot=20)
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.execute("DELETE FROM item WHERE id BETWEEN 11 AND 20")
        assert run_here(workspace, job_id, Scripted()).n_ok == 10
        assert requeue_job(connection, job_id).goal == 100
    assert run_here(workspace, job_id, Scripted()).n_ok == 90


def test_a_pilot_of_more_rows_than_there_are_is_the_whole_job(workspace: Workspace) -> None:
    job = run_here(workspace, queue_job(workspace, pilot=500), Scripted())
    assert (job.state, job.n_ok) == (JobState.DONE, 100)


@dataclass
class Wishing:
    """States a wish from outside once so many rows were asked for."""

    workspace: Workspace
    wish: object
    at: int
    stated: bool = field(default=False)

    def __call__(self, asked: int) -> None:
        if asked >= self.at and not self.stated:
            self.stated = True
            with closing(self.workspace.open()) as connection:
                self.wish(connection, 1)  # type: ignore[operator]


@pytest.mark.parametrize(("wish", "state"), [(pause_job, JobState.PAUSED), (cancel_job, JobState.CANCELLED)])
def test_a_wish_is_granted_within_the_rows_in_flight(tmp_path: Path, wish: object, state: JobState) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=2000)
    work = Scripted(batch_size=4, concurrency=3, after_batch=Wishing(workspace, wish, at=100))
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.wish) == (state, None)
    # The wish is read with the next commit: what is in flight then, and a group that waits for its 20 ms, is done.
    assert 100 <= job.n_ok <= work.asked.total() < 1000
    assert len(work.asked) == job.n_ok, "no row that was asked for is thrown away"
    check_books(workspace, job.id)


def test_a_paused_job_goes_on_where_it_stopped(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=1000)
    first = Scripted(batch_size=4, after_batch=Wishing(workspace, pause_job, at=100))
    job = run_here(workspace, queue_job(workspace), first)
    with closing(workspace.open()) as connection:
        requeue_job(connection, job.id)
    second = Scripted(batch_size=4)
    assert run_here(workspace, job.id, second).n_ok == 1000
    assert not first.asked.keys() & second.asked.keys(), "no row is done twice"
    check_books(workspace, job.id)


def test_a_row_that_waits_for_its_next_try_is_left_to_the_next_run_by_a_pause(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.02)  # by which the wish is heard while nothing is committed
    monkeypatch.setattr(rowjob, "BACKOFF_BASE_SECONDS", 1000.0)
    work = Scripted(
        lambda row, tries: error(row, ErrorClass.TIMEOUT) if row.item_id > 50 else verdict(row),
        batch_size=10, after_batch=Wishing(workspace, pause_job, at=60),
    )  # fmt: skip
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.n_failed) == (JobState.PAUSED, 0)
    with closing(workspace.open()) as connection:
        requeue_job(connection, job.id)
    assert run_here(workspace, job.id, Scripted()).n_ok == 100
    check_books(workspace, job.id)


def test_the_pace_is_kept(workspace: Workspace) -> None:
    """A lower bound alone, which no busy machine can break: 95 rows after the first batch, 500 a second."""
    starts: list[float] = []
    work = Scripted(batch_size=5, concurrency=4, max_rate=500.0)
    work.after_batch = lambda asked: starts.append(time.monotonic())
    run_here(workspace, queue_job(workspace), work)
    assert starts[-1] - starts[0] >= 95 / 500 - 0.01
