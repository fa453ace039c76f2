"""What the Job screen knows of a job, without a screen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.answers import answers_of, count_answers
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.labels import add_verdicts
from refusal_tui.tui.state.job import (
    JobDetails,
    JobScreenState,
    command_of,
    dataset_of,
    log_tail,
    read_details,
    read_facts,
)
from refusal_tui.tui.state.jobs import JobWatch
from tests.tui.job_rows import add_job, change_job, fail_rows


def details_of(workspace, job_id: int) -> JobDetails:
    with closing(workspace.open(read_only=True)) as connection:
        return read_details(connection, get_job(connection, job_id), JobDetails())


def facts_of(workspace, job_id: int):
    with closing(workspace.open(read_only=True)) as connection:
        return read_facts(connection, job_id, JobWatch(), 0.0)


def test_labels_are_counted_in_the_order_of_the_labels(workspace) -> None:
    labels = details_of(workspace, 1).labels
    assert [value for value, _ in labels] == ["hard", "soft", "none"]
    assert sum(number for _, number in labels) == 31


def test_counting_goes_on_where_it_stopped(workspace) -> None:
    with closing(workspace.open()) as connection:
        first = count_answers(connection, 1)
        answers = {"refusal3": Answer("soft", 0.7)}
        with transaction(connection):
            add_verdicts(connection, [Verdict(ItemId(1), "judge:lexical", "refusal3", "1", answers)], job_id=1)
            add_verdicts(connection, [Verdict(ItemId(1), "human:ada", "refusal3", "1", answers)])
        second = count_answers(connection, 1, first)
    assert second.counts["soft"] == first.counts["soft"] + 1, "the human's verdict belongs to no job"
    assert second.counts["hard"] == first.counts["hard"]


def test_an_answer_that_was_left_open_is_counted_as_open(workspace) -> None:
    with closing(workspace.open()) as connection:
        with transaction(connection):
            add_verdicts(
                connection, [Verdict(ItemId(1), "judge:j", "refusal3", "1", {"refusal3": Answer(None)})], job_id=9
            )
        assert dict(count_answers(connection, 9).counts) == {"open": 1}


def test_the_first_answers_come_in_the_jobs_order_with_their_evidence(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        answers = answers_of(connection, 1, limit=5)
    assert [answer.item_id for answer in answers] == [1, 2, 3, 4, 5]
    hard = next(answer for answer in answers if answer.value == "hard")
    assert hard.evidence == ("I can't help with",)
    assert hard.confidence is not None


def test_a_row_without_an_answer_tells_its_error(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        answer = answers_of(connection, 1, limit=32)[29]
    assert (answer.state, answer.value, answer.error) == ("unparsable", None, "no label in the answer")


def test_errors_are_grouped(workspace) -> None:
    job_id = add_job(workspace, JobState.DONE)
    fail_rows(workspace, job_id, 3, "429 slow down")
    groups = details_of(workspace, job_id).troubles
    assert [(g.state, g.error_class, g.count, g.example) for g in groups] == [
        ("failed", "rate_limit", 3, "429 slow down")
    ]


def test_rows_that_are_left_are_counted_of_all_rows_not_of_the_pilot(workspace) -> None:
    facts = facts_of(workspace, add_job(workspace, JobState.PAUSED, row_limit=20, n_ok=20))
    assert facts.left == 12
    assert facts.pilot_waits


def test_a_pilot_shows_its_answers_and_another_job_only_on_demand(workspace) -> None:
    details = details_of(workspace, 1)
    pilot = facts_of(workspace, add_job(workspace, JobState.PAUSED, row_limit=20, n_ok=20))
    assert JobScreenState(2, pilot, details).answers_shown
    usual = JobScreenState(1, facts_of(workspace, 1), details)
    assert not usual.answers_shown
    usual.turn_answers()
    assert usual.answers_shown


def test_the_command_starts_the_same_job(workspace) -> None:
    job_id = add_job(workspace, JobState.DONE, spec='{"judge": "lexical", "max_rate": 50.0}')
    assert command_of(facts_of(workspace, job_id).job) == ("refusal-tui run label dataset:frindle-qa --max-rate 50.0")


@pytest.mark.parametrize(
    "columns", [{"kind": "dream"}, {"spec_version": 99}, {"spec": '{"unknown": 1}'}, {"spec": "no json"}]
)
def test_a_job_that_this_program_cannot_make_again_shows_its_settings_as_they_are(workspace, columns) -> None:
    job_id = add_job(workspace, JobState.DONE, **columns)
    job = facts_of(workspace, job_id).job
    assert command_of(job) == f"{job.kind} {job.spec}"


def test_an_unknown_job_is_an_error_with_a_next_step(workspace) -> None:
    with pytest.raises(InputError, match="no job 77"):
        facts_of(workspace, 77)


def test_an_import_leads_to_its_dataset_by_source(workspace) -> None:
    job_id = add_job(workspace, JobState.DONE, kind="import", spec='{"source": "frindle.jsonl"}')
    with closing(workspace.open()) as connection:
        assert dataset_of(connection, get_job(connection, job_id)) == "frindle-qa"
        change_job(connection, job_id, spec='{"source": "elsewhere.jsonl"}')
        assert dataset_of(connection, get_job(connection, job_id)) is None


def test_the_log_tail_is_the_end_of_the_file_in_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    assert log_tail(path) == []
    path.write_bytes(b"first line\nsecond \xff line\nthird line\n")
    assert log_tail(path) == ["first line", "second \ufffd line", "third line"]
    assert log_tail(path, limit=15) == ["third line"]
