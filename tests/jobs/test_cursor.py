"""The resume cursor never passes a row that has no outcome, whatever order rows are finished in."""

from __future__ import annotations

import random
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.jobs import rowjob, writer
from refusal_tui.jobs.writer import Positions
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.jobs import JobState, pause_job, requeue_job
from tests.support.ledger import check_books, outcomes
from tests.support.rowjobs import Scripted, error, queue_job, run_here, verdict
from tests.support.workspaces import make_workspace


@given(data=st.data(), start=st.integers(0, 50), count=st.integers(1, 60))
def test_the_cursor_is_the_first_position_that_is_not_durable(data: st.DataObject, start: int, count: int) -> None:
    positions = Positions(start)
    handed_out = list(range(start, start + count))
    positions.hand_out(handed_out, start + count)
    rest = set(handed_out)
    order = data.draw(st.permutations(handed_out))
    while order:
        size = data.draw(st.integers(1, len(order)))
        group, order = order[:size], order[size:]
        rest.difference_update(group)
        assert positions.cursor_without(group) == min(rest, default=start + count)
        positions.settle(group)


def test_a_group_that_could_not_be_stored_keeps_its_place() -> None:
    positions = Positions(0)
    positions.hand_out(range(4), 4)
    assert positions.cursor_without([0, 1]) == 2
    assert positions.cursor_without([2, 3]) == 0, "the first group was never settled"


@given(
    seed=st.integers(0, 10_000),
    batch_size=st.integers(1, 9),
    concurrency=st.integers(1, 8),
    pauses=st.lists(st.integers(5, 60), max_size=3),
)
def test_pauses_and_orders_of_any_kind_lose_and_repeat_nothing(
    seed: int, batch_size: int, concurrency: int, pauses: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "ws", rows=60)
        job_id = queue_job(workspace)
        done: set[int] = set()

        def run(pause_at: int | None) -> None:
            def after_batch(asked: int) -> None:
                if pause_at is not None and asked >= pause_at:
                    with closing(workspace.open()) as connection:
                        pause_job(connection, job_id)

            shuffle = random.Random(seed)
            flaky = random.Random(seed + 1)
            work = Scripted(
                lambda row, tries: error(row, ErrorClass.SERVER) if flaky.random() < 0.2 else verdict(row),
                batch_size=batch_size, concurrency=concurrency, shuffle=shuffle, after_batch=after_batch,
            )  # fmt: skip
            run_here(workspace, job_id, work)
            assert not done & work.asked.keys(), "a row that has its outcome is not asked for again"
            done.update(outcomes(workspace, job_id))
            check_books(workspace, job_id)

        old = rowjob.BACKOFF_BASE_SECONDS, rowjob.PAGE, writer.GROUP_ROWS
        rowjob.BACKOFF_BASE_SECONDS, rowjob.PAGE, writer.GROUP_ROWS = 0.0001, 16, 4
        try:
            for pause_at in pauses:
                run(pause_at)
                with closing(workspace.open()) as connection:
                    if check_books(workspace, job_id).state is JobState.DONE:
                        break
                    requeue_job(connection, job_id)
            run(None)
        finally:
            rowjob.BACKOFF_BASE_SECONDS, rowjob.PAGE, writer.GROUP_ROWS = old
        job = check_books(workspace, job_id)
        assert job.state is JobState.DONE and job.finished_rows == 60 and job.cursor == 60
