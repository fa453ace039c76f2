"""What a line of the Jobs screen says, without a screen."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, list_jobs
from refusal_tui.tui.state.jobs import GLYPHS, Act, JobLine, JobsState, JobWatch, Show, summary
from tests.tui.job_rows import add_job, change_job


def lines_of(workspace, now: float = 0.0, watch: JobWatch | None = None) -> list[JobLine]:
    with closing(workspace.open(read_only=True)) as connection:
        return (watch or JobWatch()).read(connection, now)


def test_every_state_has_a_glyph_of_its_own() -> None:
    assert set(GLYPHS) == set(JobState)
    assert len(set(GLYPHS.values())) == len(GLYPHS)


def test_the_newest_job_comes_first(workspace) -> None:
    add_job(workspace, JobState.QUEUED)
    assert [line.id for line in lines_of(workspace)] == [2, 1]


def test_the_rate_of_a_running_job_is_measured_between_two_looks(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=10)
    watch = JobWatch()
    assert lines_of(workspace, 100.0, watch)[0].rate is None
    with closing(workspace.open()) as connection:
        change_job(connection, job_id, n_ok=20)
    line = lines_of(workspace, 102.0, watch)[0]
    assert line.rate == 5.0
    assert line.seconds == pytest.approx(12 / 5.0), "12 of 32 rows are left"


def test_a_clock_that_is_set_back_gives_no_wrong_rate(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=10, active_seconds=10.0)
    watch = JobWatch()
    lines_of(workspace, 5000.0, watch)
    with closing(workspace.open()) as connection:
        change_job(connection, job_id, n_ok=20)
    assert lines_of(workspace, 100.0, watch)[0].rate == 2.0, "the average over its active time"


def test_a_pilot_that_is_done_says_so_instead_of_paused(workspace) -> None:
    add_job(workspace, JobState.PAUSED, row_limit=20, n_ok=20)
    line = lines_of(workspace)[0]
    assert (line.word, line.fraction, line.pilot) == ("pilot done", 1.0, True)


def test_a_wish_shows_before_the_worker_has_obeyed(workspace) -> None:
    add_job(workspace, JobState.RUNNING, wish="pause")
    assert lines_of(workspace)[0].word == "pausing"


@pytest.mark.parametrize(
    ("state", "acts"),
    [
        (JobState.QUEUED, {Act.PAUSE, Act.CANCEL}),
        (JobState.RUNNING, {Act.PAUSE, Act.CANCEL}),
        (JobState.PAUSED, {Act.RESUME, Act.CANCEL, Act.RETRY}),
        (JobState.INTERRUPTED, {Act.RESUME, Act.CANCEL, Act.RETRY}),
        (JobState.FAILED, {Act.RESUME, Act.CANCEL, Act.RETRY}),
        (JobState.DONE, {Act.RETRY}),
        (JobState.CANCELLED, {Act.RETRY}),
    ],
)
def test_what_may_be_done_follows_from_the_state(workspace, state: JobState, acts: set[Act]) -> None:
    add_job(workspace, state, n_failed=1)
    assert lines_of(workspace)[0].acts == acts


def test_the_filter_goes_round_through_its_four_views(workspace) -> None:
    for state in JobState:
        add_job(workspace, state)
    view = JobsState(lines_of(workspace))
    seen = {}
    for _ in Show:
        seen[view.show] = {line.state for line in view.shown}
        view.show = view.show.following
    assert view.show is Show.ALL
    assert seen[Show.ACTIVE] == {JobState.QUEUED, JobState.RUNNING}
    assert seen[Show.ATTENTION] == {JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED}
    assert seen[Show.ENDED] == {JobState.DONE, JobState.CANCELLED}
    assert seen[Show.ALL] == set(JobState)


def test_an_import_shows_no_rate_because_it_counts_bytes(workspace) -> None:
    add_job(workspace, JobState.RUNNING, kind="import", done=5_000_000, total=10_000_000, active_seconds=10.0)
    line = lines_of(workspace)[0]
    assert (line.rate, line.fraction) == (None, 0.5)
    assert line.seconds == 10.0, "but the time that is left is known"


def test_the_summary_counts_by_state(workspace) -> None:
    add_job(workspace, JobState.RUNNING)
    add_job(workspace, JobState.RUNNING)
    assert summary(lines_of(workspace)) == "2 running, 1 done"


def test_a_job_of_a_kind_that_this_program_does_not_know_is_shown(workspace) -> None:
    add_job(workspace, JobState.DONE, kind="dream", title="dream of frindles")
    with closing(workspace.open()) as connection, transaction(connection):
        assert list_jobs(connection)[0].kind == "dream"
    assert lines_of(workspace)[0].title == "dream of frindles"
