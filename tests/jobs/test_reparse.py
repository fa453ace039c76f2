"""Kept answers of jobs with stages, read again: nothing is sent, and the job goes on from there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.clean.job import CleanJob
from refusal_tui.errors import ConflictError, InputError
from refusal_tui.generate import prompts_job
from refusal_tui.generate.prompts_job import PromptsJob
from refusal_tui.jobs.reparse import reparse
from refusal_tui.judge import interview
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.llm.parse import Parsed
from refusal_tui.store.jobs import JobState, get_job, requeue_job
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import World
from tests.clean.test_clean_job import FINE, HARMFUL, OVER, decisions, made, start
from tests.clean.test_clean_job import spec as clean_spec
from tests.generate.test_prompts_job import Author, submit
from tests.generate.test_prompts_job import spec as prompts_spec
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, label, serving
from tests.support.ledger import check_books
from tests.support.loopback import Settings
from tests.support.rowjobs import run_here


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def worse(text: str, required: object) -> Parsed:
    return Parsed(reason="it is Tuesday")


def test_a_cleaning_job_goes_on_from_the_verdict_that_was_read_after_all(workspace: Workspace, monkeypatch) -> None:
    settings, world = clean_spec(rounds=1), World()
    job_id = start(workspace, settings, HARMFUL, OVER, FINE)
    with serving(Settings(answer=world)) as server, closing(workspace.open()) as connection:
        add_endpoint(workspace, server)
        with monkeypatch.context() as patch:
            patch.setattr(interview, "parse_object", worse)
            job = run_here(workspace, job_id, CleanJob(settings, workspace))
        assert (job.state, job.n_ok, job.n_unparsable) == (JobState.FAILED, 0, 15), "the early stop"
        found = reparse(workspace, connection, job)
        assert (found.looked_at, found.mended, found.to_resume) == (3, 3, True)
        assert server.stats.requests == 3, "nothing was sent for it"
        job = get_job(connection, job_id)
        assert (job.state, job.n_ok, job.n_unparsable, job.cursor) == (JobState.PAUSED, 3, 0, 0)
        assert "resume" in job.note
        requeue_job(connection, job_id)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
        assert (job.state, job.n_failed) == (JobState.DONE, 0)
        assert decisions(made(workspace, job_id)) == [
            ("keep", "rewritten"),
            ("keep", "answered"),
            ("keep", "no_refusal"),
        ]
        assert len(world.asked) == 8, "as in a run without a fault"
        assert reparse(workspace, connection, job).looked_at == 0


def test_only_the_stage_that_failed_is_read(workspace: Workspace, monkeypatch) -> None:
    """Detect is done; the verdict on the new answer cannot be read."""
    settings, world = clean_spec(rounds=1), World()
    job_id = start(workspace, settings, OVER)
    real, good = interview.parse_object, iter([True])

    def reader(text: str, required: object) -> Parsed:
        return real(text, required=required) if next(good, False) else worse(text, required)

    with serving(Settings(answer=world)) as server, closing(workspace.open()) as connection:
        add_endpoint(workspace, server)
        with monkeypatch.context() as patch:
            patch.setattr(interview, "parse_object", reader)
            job = run_here(workspace, job_id, CleanJob(settings, workspace))
        assert job.n_unparsable == 2  # verify, and decide after it
        assert reparse(workspace, connection, job).mended == 1
        requeue_job(connection, job_id)
        run_here(workspace, job_id, CleanJob(settings, workspace))
        assert server.stats.requests == 3
    assert decisions(made(workspace, job_id)) == [("keep", "answered")]


def test_a_prompt_job_reads_its_evaluations_again(workspace: Workspace, monkeypatch) -> None:
    settings, author = prompts_spec(number=4, retries=1), Author()
    job_id = submit(workspace, settings)
    with serving(Settings(answer=author)) as server, closing(workspace.open()) as connection:
        add_endpoint(workspace, server)
        with monkeypatch.context() as patch:
            patch.setattr(prompts_job, "read_evaluation", lambda reply: None)
            job = run_here(workspace, job_id, PromptsJob(settings, workspace))
        assert job.n_unparsable > 0
        sent = server.stats.requests
        found = reparse(workspace, connection, job)
        assert (found.looked_at, found.mended) == (4, 4)
        requeue_job(connection, job_id)
        job = run_here(workspace, job_id, PromptsJob(settings, workspace))
        assert (job.state, job.n_failed, job.n_unparsable) == (JobState.DONE, 0, 0)
        assert server.stats.requests == sent
        row = connection.execute("SELECT count(*) FROM item_body WHERE json_extract(meta, '$.accepted')").fetchone()
        assert row[0] == 4


def test_what_still_cannot_be_read_stays_as_it_is(workspace: Workspace) -> None:
    settings = clean_spec(rounds=1)
    job_id = start(workspace, settings, FINE)
    with serving(Settings(answer=lambda body, row: "The frindle is blue.")) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
    with closing(workspace.open()) as connection:
        assert reparse(workspace, connection, job).mended == 0
        assert get_job(connection, job_id) == job


def test_a_job_that_reads_no_answers_and_an_active_one_are_told(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        add(connection, NewRow("How?", "Well."))
        job = label(workspace, LabelSpec())
        with pytest.raises(InputError, match="no language model"):
            reparse(workspace, connection, job)
        settings = clean_spec()
        job_id = start(workspace, settings, FINE)
        with serving(Settings(answer=World())) as server:
            add_endpoint(workspace, server)
            with pytest.raises(ConflictError, match="is queued"):
                reparse(workspace, connection, get_job(connection, job_id))
    assert check_books(workspace, job.id).n_ok == 1
