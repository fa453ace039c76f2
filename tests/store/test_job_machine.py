"""A job under any order of claims, commits, wishes, deaths and retries, beside a model of a few lines.

Two workers share the job. Either may be stale: it believes that it has the job, while another run has begun or the
job was ended for it. A stale worker must never write.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from refusal_tui.errors import ConflictError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import (
    FencedError,
    Job,
    JobState,
    Wish,
    beat,
    cancel_job,
    end_job,
    fail_unclaimed,
    get_job,
    pause_job,
    requeue_job,
)
from refusal_tui.store.outcomes import Finished, commit_group, pending_rows
from refusal_tui.store.trouble import retry_failed
from tests.store.building import NewRow, add, claim, done, failed, queue

ROWS = 6
RESULTS = {"ok": None, "failed": ErrorClass.SERVER, "unparsable": ErrorClass.PARSE}
WORKERS = st.integers(0, 1)


class JobMachine(RuleBasedStateMachine):
    template: sqlite3.Connection  # an empty workspace

    @initialize(limit=st.sampled_from([None, 3]))
    def begin(self, limit: int | None) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.template.backup(self.connection)
        self.connection.row_factory = sqlite3.Row
        self.items = add(self.connection, *(NewRow(f"row {n}", "answer") for n in range(ROWS)))
        self.start_a_job(limit)

    def start_a_job(self, limit: int | None) -> None:
        self.job_id = queue(self.connection, self.items, limit)
        self.workers: list[Job | None] = [None, None]
        # the model
        self.state = JobState.QUEUED
        self.wish: Wish | None = None
        self.run = 0
        self.limit = limit
        self.outcomes: dict[int, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()

    def is_current(self, worker: int) -> bool:
        job = self.workers[worker]
        return job is not None and (job.id, job.run) == (self.job_id, self.run) and self.state is JobState.RUNNING

    # --- workers ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.state is JobState.QUEUED or self.workers != [None, None])
    @rule(worker=WORKERS)
    def claims(self, worker: int) -> None:
        job = claim(self.connection, self.job_id, pid=worker + 1)
        assert (job is not None) == (self.state is JobState.QUEUED)
        if job is not None:
            self.state, self.run, self.wish = JobState.RUNNING, self.run + 1, None
            assert job.run == self.run
            self.workers[worker] = job

    @precondition(lambda self: self.workers != [None, None])
    @rule(worker=WORKERS, positions=st.lists(st.integers(0, ROWS - 1), max_size=4), data=st.data())
    def commits(self, worker: int, positions: list[int], data: Any) -> None:
        """Any rows in any order, also ones that are done already, also one twice."""
        job = self.workers[worker]
        if job is None:
            return
        results = [data.draw(st.sampled_from(list(RESULTS))) for _ in positions]
        group = [self.finished(position, result) for position, result in zip(positions, results, strict=True)]
        first_of_each = dict(reversed(list(zip(positions, results, strict=True))))
        after = self.outcomes | first_of_each | self.outcomes
        cursor = min((p for p in range(ROWS) if p not in after), default=ROWS)
        if not self.is_current(worker):
            with pytest.raises(FencedError):
                commit_group(self.connection, job, group, cursor=cursor)
            return
        fresh = len(after) - len(self.outcomes)
        assert commit_group(self.connection, job, group, cursor=cursor) == (fresh, self.wish)
        self.outcomes = after

    @precondition(lambda self: self.state is JobState.RUNNING)
    @rule(results=st.lists(st.sampled_from(list(RESULTS)), min_size=1, max_size=3))
    def works(self, results: list[str]) -> None:
        """The worker at work does what a worker does: the next rows, in order."""
        (job,) = (self.workers[w] for w in (0, 1) if self.is_current(w))
        assert job is not None
        rows, following = pending_rows(self.connection, job, get_job(self.connection, job.id).cursor, len(results))
        group = [self.finished(p.position, result) for p, result in zip(rows, results, strict=False)]
        fresh, wish = commit_group(self.connection, job, group, cursor=following if rows else 0)
        assert (fresh, wish) == (len(rows), self.wish)
        self.outcomes |= {p.position: result for p, result in zip(rows, results, strict=False)}

    def finished(self, position: int, result: str) -> Finished:
        error = RESULTS[result]
        item = self.items[position]
        return done(position, item) if error is None else failed(position, item, error)

    @precondition(lambda self: self.workers != [None, None])
    @rule(worker=WORKERS)
    def beats(self, worker: int) -> None:
        job = self.workers[worker]
        if job is None:
            return
        if not self.is_current(worker):
            with pytest.raises(FencedError), transaction(self.connection):
                beat(self.connection, job)
            return
        with transaction(self.connection):
            assert beat(self.connection, job) == self.wish

    @precondition(lambda self: self.workers != [None, None])
    @rule(worker=WORKERS, state=st.sampled_from(["done", "failed", "paused", "cancelled", "interrupted"]))
    def ends(self, worker: int, state: str) -> None:
        job = self.workers[worker]
        if job is None:
            return
        recorded = end_job(self.connection, job, JobState(state))
        assert recorded == self.is_current(worker)
        if recorded:
            granted = {Wish.PAUSE: JobState.PAUSED, Wish.CANCEL: JobState.CANCELLED}
            self.state = JobState(state)
            if self.state is JobState.INTERRUPTED and self.wish is not None:
                self.state = granted[self.wish]
            self.wish = None

    @precondition(lambda self: self.state is JobState.RUNNING)
    @rule(worker=WORKERS)
    def takes_over(self, worker: int) -> None:
        """The worker at work is believed dead, and another one (or itself, started anew) gets the job."""
        for current in (0, 1):
            self.ends(current, "interrupted")
        if self.state is not JobState.CANCELLED:
            self.resumes()
            self.claims(worker)

    @precondition(lambda self: self.state in (JobState.DONE, JobState.CANCELLED))
    @rule(limit=st.sampled_from([None, 3]))
    def another_job_begins(self, limit: int | None) -> None:
        self.start_a_job(limit)

    def dies_before_the_claim(self) -> None:
        fail_unclaimed(self.connection, self.job_id, "could not start")
        if self.state is JobState.QUEUED:
            self.state = JobState.FAILED

    # --- faces -----------------------------------------------------------------------------------------------------

    # One rule for all of it, so that wishes do not crowd out the work; most of them keep the job going.
    @rule(what=st.sampled_from(["resumes", "resumes", "resumes", "pauses", "cancels", "dies_before_the_claim"]))
    def asks(self, what: str) -> None:
        getattr(self, what)()

    def pauses(self) -> None:
        if self.state is JobState.RUNNING:
            pause_job(self.connection, self.job_id)
            self.wish = Wish.PAUSE
        elif self.state in (JobState.QUEUED, JobState.PAUSED):
            assert pause_job(self.connection, self.job_id).state is JobState.PAUSED
            self.state = JobState.PAUSED
        else:
            with pytest.raises(ConflictError):
                pause_job(self.connection, self.job_id)

    def cancels(self) -> None:
        if self.state is JobState.RUNNING:
            cancel_job(self.connection, self.job_id)
            self.wish = Wish.CANCEL
        elif self.state is JobState.DONE:
            with pytest.raises(ConflictError):
                cancel_job(self.connection, self.job_id)
        else:
            assert cancel_job(self.connection, self.job_id).state is JobState.CANCELLED
            self.state = JobState.CANCELLED

    def resumes(self) -> None:
        if self.state in (JobState.DONE, JobState.CANCELLED):
            with pytest.raises(ConflictError):
                requeue_job(self.connection, self.job_id)
        elif self.state is JobState.RUNNING:
            requeue_job(self.connection, self.job_id)
            self.wish = None
        else:
            requeue_job(self.connection, self.job_id)
            if self.state.resumable and self.limit is not None and len(self.outcomes) >= self.limit:
                self.limit = None
            self.state = JobState.QUEUED

    @precondition(lambda self: self.state not in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED))
    @rule(error_class=st.sampled_from([None, ErrorClass.SERVER, ErrorClass.PARSE]))
    def retries(self, error_class: ErrorClass | None) -> None:
        chosen = {p for p, r in self.outcomes.items() if r != "ok" and error_class in (None, RESULTS[r])}
        name = None if error_class is None else error_class.value
        if not chosen:
            with pytest.raises(ConflictError):
                retry_failed(self.connection, self.job_id, name)
            return
        assert retry_failed(self.connection, self.job_id, name) == len(chosen)
        self.outcomes = {p: r for p, r in self.outcomes.items() if p not in chosen}
        self.state = JobState.QUEUED

    @precondition(lambda self: self.state in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED))
    @rule()
    def retries_too_early_or_too_late(self) -> None:
        with pytest.raises(ConflictError):
            retry_failed(self.connection, self.job_id)

    # --- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def the_job_is_as_the_model_says(self) -> None:
        job = get_job(self.connection, self.job_id)
        assert (job.state, job.wish, job.run, job.row_limit) == (self.state, self.wish, self.run, self.limit)

    @invariant()
    def every_row_has_at_most_the_outcome_that_was_committed_first(self) -> None:
        rows = self.connection.execute("SELECT item_id, state FROM outcome WHERE job_id = ?", (self.job_id,))
        stored = {row["item_id"]: row["state"] for row in rows}
        assert stored == {self.items[p]: r for p, r in self.outcomes.items()}

    @invariant()
    def the_counts_equal_the_outcomes(self) -> None:
        job = get_job(self.connection, self.job_id)
        counted = Counter(self.outcomes.values())
        assert (job.n_ok, job.n_failed, job.n_unparsable) == (counted["ok"], counted["failed"], counted["unparsable"])

    @invariant()
    def the_cursor_passes_no_row_that_is_not_done(self) -> None:
        assert all(p in self.outcomes for p in range(get_job(self.connection, self.job_id).cursor))

    @invariant()
    def what_is_left_to_do_is_what_has_no_outcome(self) -> None:
        job = get_job(self.connection, self.job_id)
        rows, _ = pending_rows(self.connection, job, job.cursor, ROWS)
        assert [p.position for p in rows] == [p for p in range(job.goal or 0) if p not in self.outcomes]

    @invariant()
    def only_good_rows_have_a_label_of_this_job(self) -> None:
        labelled = {
            row[0] for row in self.connection.execute("SELECT item_id FROM verdict WHERE job_id = ?", (self.job_id,))
        }
        assert labelled == {self.items[p] for p, r in self.outcomes.items() if r == "ok"}


def test_a_job_obeys_its_model_whatever_happens(empty_memory: sqlite3.Connection) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    JobMachine.template = empty_memory
    run_state_machine_as_test(JobMachine, settings=settings(deadline=None, max_examples=80, stateful_step_count=50))
