"""How does a job move from state to state, and who may move it?"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import (
    FencedError,
    Job,
    JobState,
    Wish,
    beat,
    cancel_job,
    create_job,
    end_job,
    fail_unclaimed,
    get_job,
    get_worker,
    list_jobs,
    list_running,
    next_queued,
    pause_job,
    requeue_job,
    set_progress,
)
from refusal_tui.store.outcomes import commit_group
from refusal_tui.store.trouble import retry_failed, trouble
from refusal_tui.store.workspace import Workspace
from tests.store.building import NewRow, add, claim, claimed, done, failed, in_child, queue


@pytest.fixture
def items(connection: sqlite3.Connection) -> list[int]:
    return list(add(connection, *(NewRow(f"row {n}") for n in range(6))))


def beaten(connection: sqlite3.Connection, job: Job) -> Wish | None:
    with transaction(connection):
        return beat(connection, job)


def state(connection: sqlite3.Connection, job_id: int) -> JobState:
    return get_job(connection, job_id).state


def codes(connection: sqlite3.Connection, job_id: int) -> list[str]:
    return [event.code for event in events_of(connection, job_id)]


# --- creating ------------------------------------------------------------------------------------------------------


def test_a_job_freezes_its_rows_in_the_order_given(connection: sqlite3.Connection, items: list[int]) -> None:
    job_id = queue(connection, [items[3], items[0], items[2]])
    rows = connection.execute("SELECT position, item_id FROM job_item WHERE job_id = ? ORDER BY 1", (job_id,))
    assert [tuple(row) for row in rows] == [(0, items[3]), (1, items[0]), (2, items[2])]
    job = get_job(connection, job_id)
    assert (job.state, job.total, job.note) == (JobState.QUEUED, 3, "")


def test_a_row_given_twice_is_one_row(connection: sqlite3.Connection, items: list[int]) -> None:
    job = get_job(connection, queue(connection, [items[1], items[0], items[1]]))
    assert job.total == 2
    assert connection.execute("SELECT count(*) FROM job_item").fetchone()[0] == 2


def test_a_job_without_rows_does_not_know_its_total(connection: sqlite3.Connection) -> None:
    assert get_job(connection, queue(connection, None)).total is None


def test_a_job_over_no_rows_has_nothing_to_do(connection: sqlite3.Connection) -> None:
    assert get_job(connection, queue(connection, [])).total == 0


def test_many_rows_are_frozen_in_several_short_transactions(connection: sqlite3.Connection) -> None:
    ids = add(connection, *(NewRow(f"row {n}") for n in range(12_001)))
    begun: list[str] = []
    connection.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)
    queue(connection, ids)
    connection.set_trace_callback(None)
    assert len(begun) == 5  # the job, three portions of rows, the queueing
    assert connection.execute("SELECT count(*), max(position) FROM job_item").fetchone()[:] == (12_001, 12_000)


@pytest.fixture
def half_made(workspace: Workspace, items: list[int]) -> int:
    """A job whose creator dies while it records the rows."""

    class Dies(list[int]):
        def __getitem__(self, index: object) -> object:
            raise KeyboardInterrupt

    with closing(workspace.open()) as connection, pytest.raises(KeyboardInterrupt):
        queue(connection, Dies(items))
    return 1


def test_a_job_whose_rows_are_not_all_recorded_cannot_be_resumed(
    connection: sqlite3.Connection, half_made: int
) -> None:
    assert state(connection, half_made) is JobState.PAUSED
    with pytest.raises(ConflictError, match="rows are not all recorded"):
        requeue_job(connection, half_made)
    assert claim(connection, half_made) is None


def test_a_job_whose_rows_are_not_all_recorded_can_be_cancelled(connection: sqlite3.Connection, half_made: int) -> None:
    assert cancel_job(connection, half_made).state is JobState.CANCELLED


def test_a_job_that_is_cancelled_while_its_rows_are_recorded_stays_cancelled(
    workspace: Workspace, connection: sqlite3.Connection, items: list[int]
) -> None:
    class CancelledMeanwhile(list[int]):
        def __getitem__(self, index: object) -> object:
            with closing(workspace.open()) as other:
                cancel_job(other, 1)
            return super().__getitem__(index)  # type: ignore[index]

    assert state(connection, queue(connection, CancelledMeanwhile(items))) is JobState.CANCELLED


def test_titles_of_any_text_are_stored(connection: sqlite3.Connection) -> None:
    job_id = create_job(
        connection, kind="label", title="x\ud800", lane="cpu", spec="{}", spec_version=1, selection="key:\udfff"
    )
    job = get_job(connection, job_id)
    assert (job.title, job.selection) == ("x\\ud800", "key:\\udfff")


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_number_that_no_job_has_is_an_input_error(connection: sqlite3.Connection) -> None:
    with pytest.raises(InputError, match="There is no job 7"):
        get_job(connection, 7)


def test_jobs_are_listed_newest_first(connection: sqlite3.Connection) -> None:
    made = [queue(connection, []) for _ in range(3)]
    assert [job.id for job in list_jobs(connection)] == made[::-1]
    assert [job.id for job in list_jobs(connection, limit=1)] == [made[2]]


def test_a_pilot_goes_as_far_as_its_rows(connection: sqlite3.Connection, items: list[int]) -> None:
    assert get_job(connection, queue(connection, items, 2)).goal == 2
    assert get_job(connection, queue(connection, items, 20)).goal == 6
    assert get_job(connection, queue(connection, items)).goal == 6


def test_events_are_told_oldest_first(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    end_job(connection, job, JobState.DONE)
    assert codes(connection, job.id) == ["created", "started", "done"]
    assert [e.code for e in events_of(connection, job.id, limit=2)] == ["started", "done"]


# --- the queue and the claim ---------------------------------------------------------------------------------------


def test_the_oldest_queued_job_of_a_lane_is_next(connection: sqlite3.Connection) -> None:
    first, second = queue(connection, []), queue(connection, [])
    assert next_queued(connection, "cpu") == first
    assert next_queued(connection, "cpu", {first}) == second
    assert next_queued(connection, "gpu") is None
    claim(connection, first)
    assert next_queued(connection, "cpu") == second


def test_a_claim_starts_the_run_and_records_its_worker(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claim(connection, queue(connection, items), pid=77)
    assert job is not None
    assert (job.state, job.run, job.started is not None) == (JobState.RUNNING, 1, True)
    worker = get_worker(connection, job.id)
    assert worker is not None
    assert (worker.run, worker.host, worker.boot_id, worker.pid, worker.start_ticks) == (1, "here", "boot", 77, 77)
    assert (worker.ended, worker.exit_code) == (None, None)
    assert [j.id for j in list_running(connection)] == [job.id]


def test_a_job_is_claimed_once(connection: sqlite3.Connection) -> None:
    job_id = queue(connection, [])
    assert claim(connection, job_id) is not None
    assert claim(connection, job_id) is None


def test_of_several_processes_that_claim_a_job_at_once_one_gets_it(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        job_id = queue(connection, [])

    def try_to_claim() -> bool:
        return claim(workspace.open(), job_id) is not None

    waiting = [in_child(try_to_claim) for _ in range(6)]
    assert sorted(wait() for wait in waiting) == [False] * 5 + [True]


@pytest.mark.parametrize("idle", ["paused", "interrupted", "failed", "done", "cancelled"])
def test_only_a_queued_job_is_claimed(connection: sqlite3.Connection, idle: str) -> None:
    job = claimed(connection, [])
    end_job(connection, job, JobState(idle))
    assert claim(connection, job.id) is None


def test_a_worker_that_dies_before_its_claim_leaves_a_failed_job(connection: sqlite3.Connection) -> None:
    job_id = queue(connection, [])
    fail_unclaimed(connection, job_id, "no such kind")
    job = get_job(connection, job_id)
    assert (job.state, job.note, job.finished is not None) == (JobState.FAILED, "no such kind", True)
    assert codes(connection, job_id)[-1] == "failed"


def test_a_job_that_was_claimed_after_all_is_not_failed_behind_its_workers_back(
    connection: sqlite3.Connection,
) -> None:
    job = claimed(connection, [])
    fail_unclaimed(connection, job.id, "late")
    assert state(connection, job.id) is JobState.RUNNING


# --- wishes --------------------------------------------------------------------------------------------------------


def test_a_running_job_hears_a_wish_with_its_next_beat(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    assert beaten(connection, job) is None
    pause_job(connection, job.id)
    assert beaten(connection, job) is Wish.PAUSE
    cancel_job(connection, job.id)
    assert beaten(connection, job) is Wish.CANCEL
    assert state(connection, job.id) is JobState.RUNNING


def test_a_wish_is_taken_back_by_a_resume(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    pause_job(connection, job.id)
    requeue_job(connection, job.id)
    assert beaten(connection, job) is None


def test_a_queued_job_is_paused_and_cancelled_at_once(connection: sqlite3.Connection) -> None:
    job_id = queue(connection, [])
    assert pause_job(connection, job_id).state is JobState.PAUSED
    cancelled = cancel_job(connection, job_id)
    assert (cancelled.state, cancelled.finished is not None) == (JobState.CANCELLED, True)


@pytest.mark.parametrize("how", ["done", "failed", "cancelled", "interrupted"])
def test_what_does_not_run_and_does_not_wait_cannot_be_paused(connection: sqlite3.Connection, how: str) -> None:
    job = claimed(connection, [])
    end_job(connection, job, JobState(how))
    with pytest.raises(ConflictError, match=f"is {how}: it cannot be paused"):
        pause_job(connection, job.id)


def test_what_is_done_cannot_be_cancelled(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    end_job(connection, job, JobState.DONE)
    with pytest.raises(ConflictError, match="it cannot be cancelled"):
        cancel_job(connection, job.id)


def test_asking_twice_is_harmless(connection: sqlite3.Connection) -> None:
    job_id = queue(connection, [])
    assert [pause_job(connection, job_id).state for _ in range(2)] == [JobState.PAUSED] * 2
    assert [requeue_job(connection, job_id).state for _ in range(2)] == [JobState.QUEUED] * 2
    assert [cancel_job(connection, job_id).state for _ in range(2)] == [JobState.CANCELLED] * 2


@pytest.mark.parametrize("how", ["paused", "interrupted", "failed"])
def test_a_job_that_stopped_before_its_end_is_resumed(connection: sqlite3.Connection, how: str) -> None:
    job = claimed(connection, [])
    end_job(connection, job, JobState(how), "why")
    resumed = requeue_job(connection, job.id)
    assert (resumed.state, resumed.note, resumed.finished) == (JobState.QUEUED, "", None)


@pytest.mark.parametrize("how", ["done", "cancelled"])
def test_a_job_that_is_over_is_not_resumed(connection: sqlite3.Connection, how: str) -> None:
    job = claimed(connection, [])
    end_job(connection, job, JobState(how))
    with pytest.raises(ConflictError, match="nothing to resume"):
        requeue_job(connection, job.id)


def test_two_terminals_that_resume_at_once_queue_the_job_once(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        job = claimed(connection, [])
        end_job(connection, job, JobState.INTERRUPTED)
        waiting = [in_child(lambda: requeue_job(workspace.open(), job.id).state) for _ in range(2)]
        assert [wait() for wait in waiting] == [JobState.QUEUED] * 2
        assert codes(connection, job.id).count("resume") == 1


def test_a_pilot_goes_on_to_the_end_when_its_rows_are_done(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items, row_limit=2)
    commit_group(connection, job, [done(0, items[0]), done(1, items[1])], cursor=2)
    end_job(connection, job, JobState.PAUSED)
    assert requeue_job(connection, job.id).goal == 6


def test_a_pilot_that_was_paused_before_its_rows_were_done_stays_a_pilot(
    connection: sqlite3.Connection, items: list[int]
) -> None:
    job = claimed(connection, items, row_limit=2)
    commit_group(connection, job, [done(0, items[0])], cursor=1)
    end_job(connection, job, JobState.PAUSED)
    assert requeue_job(connection, job.id).goal == 2


# --- the end of a run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "over"),
    [("done", True), ("failed", True), ("cancelled", True), ("paused", False), ("interrupted", False)],
)
def test_how_a_run_ended_is_recorded(connection: sqlite3.Connection, how: str, over: bool) -> None:
    job = claimed(connection, [])
    assert end_job(connection, job, JobState(how), "why it ended", exit_code=3)
    ended = get_job(connection, job.id)
    assert (ended.state, ended.note, ended.finished is not None) == (JobState(how), "why it ended", over)
    worker = get_worker(connection, job.id)
    assert worker is not None and worker.ended is not None and worker.exit_code == 3
    assert codes(connection, job.id)[-1] == how


def test_a_run_ends_once(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    assert end_job(connection, job, JobState.DONE)
    assert not end_job(connection, job, JobState.INTERRUPTED, "late news", exit_code=-9)
    assert state(connection, job.id) is JobState.DONE
    worker = get_worker(connection, job.id)
    assert worker is not None and worker.exit_code == -9  # the supervisor's news of the process are kept


@pytest.mark.parametrize(("wish", "left_as"), [("pause", JobState.PAUSED), ("cancel", JobState.CANCELLED)])
def test_a_worker_that_dies_before_granting_a_wish_leaves_the_job_as_wished(
    connection: sqlite3.Connection, wish: str, left_as: JobState
) -> None:
    job = claimed(connection, [])
    pause_job(connection, job.id) if wish == "pause" else cancel_job(connection, job.id)
    end_job(connection, job, JobState.INTERRUPTED, "killed")
    ended = get_job(connection, job.id)
    assert (ended.state, ended.wish, ended.note) == (left_as, None, "killed")
    assert (ended.finished is not None) is (left_as is JobState.CANCELLED)


def test_a_job_without_a_worker_record_can_still_be_ended(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    with transaction(connection):
        connection.execute("DELETE FROM worker")
    assert end_job(connection, job, JobState.INTERRUPTED)
    assert get_job(connection, job.id).active_seconds == 0


def test_the_seconds_of_earlier_runs_add_up_on_the_monotonic_clock(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    for _ in range(2):
        with transaction(connection):
            connection.execute("UPDATE worker SET heartbeat_monotonic = started_monotonic + 10, heartbeat = 0")
        end_job(connection, job, JobState.PAUSED)
        requeue_job(connection, job.id)
        again = claim(connection, job.id)
        assert again is not None
        job = again
    assert get_job(connection, job.id).active_seconds == pytest.approx(20)


# --- fencing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken_over(connection: sqlite3.Connection, items: list[int]) -> tuple[Job, Job]:
    """A worker that was believed dead, and the one that has its job now."""
    old = claimed(connection, items)
    end_job(connection, old, JobState.INTERRUPTED)
    requeue_job(connection, old.id)
    new = claim(connection, old.id, pid=2)
    assert new is not None
    return old, new


def test_a_worker_that_comes_back_writes_nothing(
    connection: sqlite3.Connection, items: list[int], taken_over: tuple[Job, Job]
) -> None:
    old, _ = taken_over
    with pytest.raises(FencedError):
        commit_group(connection, old, [done(0, items[0])], cursor=1)
    assert connection.execute("SELECT count(*) FROM outcome").fetchone()[0] == 0
    assert connection.execute("SELECT count(*) FROM verdict").fetchone()[0] == 0


def test_a_worker_that_comes_back_does_not_beat_for_the_new_one(
    connection: sqlite3.Connection, taken_over: tuple[Job, Job]
) -> None:
    old, new = taken_over
    with pytest.raises(FencedError):
        beaten(connection, old)
    assert beaten(connection, new) is None


def test_a_worker_that_comes_back_cannot_end_the_new_run(
    connection: sqlite3.Connection, taken_over: tuple[Job, Job]
) -> None:
    old, new = taken_over
    assert not end_job(connection, old, JobState.DONE)
    assert state(connection, new.id) is JobState.RUNNING


def test_a_worker_whose_job_was_ended_for_it_writes_nothing(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    end_job(connection, job, JobState.INTERRUPTED)
    with pytest.raises(FencedError, match="taken over"):
        commit_group(connection, job, [done(0, items[0])], cursor=1)


# --- failed rows ---------------------------------------------------------------------------------------------------


@pytest.fixture
def troubled(connection: sqlite3.Connection, items: list[int]) -> Job:
    """A finished job with two server errors, a timeout, an unreadable answer and two good rows."""
    job = claimed(connection, items)
    group = [
        done(0, items[0]),
        failed(1, items[1]),
        failed(2, items[2], ErrorClass.TIMEOUT),
        done(3, items[3]),
        failed(4, items[4]),
        failed(5, items[5], ErrorClass.PARSE, raw="blorp"),
    ]
    commit_group(connection, job, group, cursor=6)
    end_job(connection, job, JobState.DONE)
    return job


def test_failed_rows_are_grouped_by_their_error(connection: sqlite3.Connection, troubled: Job) -> None:
    found = [(t.state, t.error_class, t.count, t.example) for t in trouble(connection, troubled.id)]
    assert found[0] == ("failed", "server", 2, "server trouble")
    assert sorted(found[1:]) == [
        ("failed", "timeout", 1, "timeout trouble"),
        ("unparsable", "parse", 1, "parse trouble"),
    ]


def test_retry_forgets_the_failed_rows_and_keeps_the_good_ones(connection: sqlite3.Connection, troubled: Job) -> None:
    assert retry_failed(connection, troubled.id) == 4
    job = get_job(connection, troubled.id)
    assert (job.state, job.n_ok, job.n_failed, job.n_unparsable, job.finished) == (JobState.QUEUED, 2, 0, 0, None)
    assert connection.execute("SELECT count(*) FROM outcome").fetchone()[0] == 2


def test_retry_goes_back_to_the_first_row_that_failed(connection: sqlite3.Connection, troubled: Job) -> None:
    retry_failed(connection, troubled.id, "timeout")
    assert get_job(connection, troubled.id).cursor == 2


def test_retry_of_one_class_leaves_the_others(connection: sqlite3.Connection, troubled: Job) -> None:
    assert retry_failed(connection, troubled.id, "server") == 2
    job = get_job(connection, troubled.id)
    assert (job.n_ok, job.n_failed, job.n_unparsable) == (2, 1, 1)


def test_retry_writes_down_what_it_forgets(connection: sqlite3.Connection, troubled: Job) -> None:
    retry_failed(connection, troubled.id, "server")
    assert "trying 2 again (failed, server: server trouble)" in events_of(connection, troubled.id)[-1].text


def test_there_must_be_something_to_retry(connection: sqlite3.Connection, troubled: Job) -> None:
    with pytest.raises(ConflictError, match="no failed rows"):
        retry_failed(connection, troubled.id, "auth")


def test_a_cancelled_job_stays_cancelled(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [failed(0, items[0])], cursor=1)
    end_job(connection, job, JobState.CANCELLED)
    with pytest.raises(ConflictError, match="was cancelled, for good"):
        retry_failed(connection, job.id)
    assert state(connection, job.id) is JobState.CANCELLED


def test_an_active_job_is_not_retried(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [failed(0, items[0])], cursor=1)
    with pytest.raises(ConflictError, match="Job 1 is running"):
        retry_failed(connection, job.id)


# --- progress of other jobs ----------------------------------------------------------------------------------------


def test_a_job_of_steps_says_how_far_it_is(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [])
    with transaction(connection):
        set_progress(connection, job, done=3, total=10, step="reading")
        set_progress(connection, job, done=4, total=None, step="writing")
    now = get_job(connection, job.id)
    assert (now.progress, now.goal, now.step) == (4, 10, "writing")


def test_a_face_and_a_worker_may_use_the_store_at_once(workspace: Workspace, items: list[int]) -> None:
    """A writer per thread on one file: nobody loses a commit."""
    with closing(workspace.open()) as connection:
        job = claimed(connection, items)

        def wish() -> None:
            with closing(workspace.open()) as face:
                for _ in range(20):
                    pause_job(face, job.id)
                    requeue_job(face, job.id)

        thread = threading.Thread(target=wish)
        thread.start()
        for position, item in enumerate(items):
            commit_group(connection, job, [done(position, item)], cursor=position + 1)
        thread.join()
        assert get_job(connection, job.id).n_ok == 6
        assert codes(connection, job.id).count("pause") == 20
