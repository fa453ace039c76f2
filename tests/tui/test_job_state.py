"""What the Job screen knows of a job, without a screen."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.answers import answers_of, count_answers
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.requests import ServerUse, Usage
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
        return read_details(workspace, connection, get_job(connection, job_id), JobDetails(), 0.0)


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


def test_answers_are_shown_until_they_are_hidden(workspace) -> None:
    state = JobScreenState(1, facts_of(workspace, 1), details_of(workspace, 1))
    assert state.answers_shown
    state.turn_answers()
    assert not state.answers_shown
    assert not JobScreenState(1, facts_of(workspace, 1)).answers_shown, "there are none yet"


def test_the_sample_is_a_pilots_rows_in_order_and_of_others_the_newest(workspace) -> None:
    assert [answer.item_id for answer in details_of(workspace, 1).answers][:2] == [32, 31]
    with closing(workspace.open()) as connection:
        change_job(connection, 1, row_limit=20)
    assert [answer.item_id for answer in details_of(workspace, 1).answers][:2] == [1, 2]


def test_what_a_generating_job_has_made_is_its_sample(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING, kind="generate", spec='{"name": "new"}', n_ok=3)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE dataset SET source = ? WHERE name = 'frindle-qa'", (f"job {job_id}",))
    answers = details_of(workspace, job_id).answers
    assert (answers[0].item_id, answers[0].remark) == (32, "marrow-13b")


def test_the_speed_in_tokens_is_that_of_the_last_seconds_and_at_the_end_the_average(workspace) -> None:
    state = JobScreenState(2, facts_of(workspace, add_job(workspace, JobState.RUNNING)))
    server = ServerUse("local", "u", "m", 1, prompt_tokens=1000)
    state.take(JobDetails(usage=Usage((server,))), 100.0)
    state.take(JobDetails(usage=Usage((replace(server, prompt_tokens=3000),))), 102.0)
    assert state.tokens_per_second == 1000.0
    ended = add_job(workspace, JobState.DONE, active_seconds=10.0)
    state = JobScreenState(ended, facts_of(workspace, ended))
    state.take(JobDetails(usage=Usage((server,))), 100.0)
    assert state.tokens_per_second == 100.0


def test_the_command_starts_the_same_job(workspace) -> None:
    job_id = add_job(workspace, JobState.DONE, spec='{"judge": "linear", "max_rate": 50.0}')
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


def test_an_experiment_leads_to_its_answers_once_there_are_any(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING, kind="raw-vs-cleaned", spec='{"name": "frindle-qa"}')
    with closing(workspace.open()) as connection:
        assert dataset_of(connection, get_job(connection, job_id)) == "frindle-qa"
        change_job(connection, job_id, spec='{"name": "not-asked-yet"}')
        assert dataset_of(connection, get_job(connection, job_id)) is None


def test_the_log_tail_is_the_end_of_the_file_in_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    assert log_tail(path) == []
    path.write_bytes(b"first line\nsecond \xff line\nthird line\n")
    assert log_tail(path) == ["first line", "second \ufffd line", "third line"]
    assert log_tail(path, limit=15) == ["third line"]
