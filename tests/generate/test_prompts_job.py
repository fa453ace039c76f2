"""Prompts that a model writes and evaluates, against a real server of a made-up world."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError
from refusal_tui.generate.prompts_job import PromptsJob
from refusal_tui.generate.prompts_spec import PromptsSpec
from refusal_tui.generate.wording import CRITERIA
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.rows import Row
from refusal_tui.store.browse import count_items, select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job, JobState, create_job, requeue_job
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Settings
from tests.support.loopback_faults import Faults
from tests.support.rowjobs import run_here

GOOD = "Hi, tell me please how the frindle ritual came about, I really want to know it today, thanks."


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def spec(**values: object) -> PromptsSpec:
    usual = {"name": "made", "endpoint": "local", "categories": "vaults=2,rituals=1", "number": 12, "lengths": "10-40"}
    made = build_spec(PromptsSpec, {**usual, **values})
    assert isinstance(made, PromptsSpec)
    made.check()
    return made


def submit(workspace: Workspace, settings: PromptsSpec) -> int:
    """As `jobs/control.py: submit` does, without a supervisor."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            ids = settings.make_rows(connection)
        return create_job(
            connection, kind="prompts", title="prompts", lane="free", spec=settings.model_dump_json(), spec_version=1,
            item_ids=ids,
        )  # fmt: skip


class Author:
    """Writes what `write(brief, data)` says and finds wrong what `wrong(prompt)` names."""

    def __init__(self, write=lambda brief, data: GOOD, wrong=lambda prompt: ()) -> None:
        self.write, self.wrong = write, wrong
        self.written: list[dict[str, Any]] = []
        self.evaluated: list[str] = []

    def __call__(self, body: dict[str, Any], row: str) -> str:
        data = json.loads(body["messages"][-1]["content"])
        if "prompt" in data:
            self.evaluated.append(data["prompt"])
            failed = self.wrong(data["prompt"])
            return json.dumps({**{name: name not in failed for name in CRITERIA}, "feedback": "be plainer"})
        self.written.append(data)
        return json.dumps({"prompt": self.write(data["brief"], data)})


def write(workspace: Workspace, author: Author, **values: object) -> tuple[Job, list[Row]]:
    settings = spec(**values)
    job_id = submit(workspace, settings)
    with serving(Settings(answer=author)) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, PromptsJob(settings, workspace))
    return job, rows_of(workspace)


def rows_of(workspace: Workspace, dataset: str = "made") -> list[Row]:
    with closing(workspace.open()) as connection:
        return sorted(fetch_rows(connection, select_ids(connection, f"dataset:{dataset}")), key=lambda row: row.key)


def test_every_slot_of_the_mix_gets_a_prompt_that_knows_what_was_asked_for(workspace: Workspace) -> None:
    author = Author(write=lambda brief, data: f"{GOOD} {brief[-90:-70]}")
    job, rows = write(workspace, author)
    assert (job.state, len(rows), job.n_failed) == (JobState.DONE, 12, 0)
    assert Counter(row.category for row in rows) == {"vaults": 8, "rituals": 4}
    assert Counter(row.meta["kind"] for row in rows) == {"harmful": 6, "borderline": 3, "harmless": 3}
    assert all(row.meta["accepted"] and row.meta["attempts"] == 1 and row.response is None for row in rows)
    plan = rows_of(workspace, "made-plan")
    assert [row.meta["kind"] for row in plan] == [row.meta["kind"] for row in rows]
    assert author.written[0]["brief"] in {row.prompt for row in plan}, "the brief can be browsed"


def test_a_prompt_that_failed_is_written_again_with_what_was_wrong(workspace: Workspace) -> None:
    author = Author(
        write=lambda brief, data: GOOD if "earlier_version" in data else "I am a test prompt " + GOOD,
        wrong=lambda prompt: ["natural"] if "test prompt" in prompt else [],
    )
    _, (row,) = write(workspace, author, number=1)
    assert (row.prompt, row.meta["accepted"], row.meta["attempts"]) == (GOOD, True, 2)
    again = author.written[1]
    assert (again["failed"], again["what_to_change"]) == (["natural"], "be plainer")
    assert again["earlier_version"].startswith("I am a test prompt")


def test_after_the_last_retry_it_is_kept_as_not_accepted_with_the_criteria(workspace: Workspace) -> None:
    author = Author(wrong=lambda prompt: ["kind", "natural"])
    _, (row,) = write(workspace, author, number=1, retries=2)
    assert (row.meta["accepted"], row.meta["failed"], row.meta["attempts"]) == (False, ["kind", "natural"], 3)
    with closing(workspace.open()) as connection:
        assert count_items(connection, "dataset:made meta.accepted:true") == 0


def test_a_length_is_counted_and_not_asked(workspace: Workspace) -> None:
    _, (row,) = write(workspace, Author(write=lambda *_: "Why?"), number=1, retries=0)
    assert row.meta["failed"] == ["length"]


def test_a_model_that_writes_nothing_leaves_a_slot_without_a_prompt(workspace: Workspace) -> None:
    job, rows = write(workspace, Author(write=lambda *_: " "), number=2, retries=1)
    assert (job.state, job.n_failed, rows) == (JobState.DONE, 0, [])


def test_an_evaluation_that_cannot_be_read_is_an_error_of_the_row_and_a_retry_goes_on_there(
    workspace: Workspace,
) -> None:
    settings = spec(number=6)
    job_id = submit(workspace, settings)
    author = Author()
    with serving(Settings(answer=lambda b, r: author(b, r) if "brief" in b["messages"][-1]["content"]
                          and '"prompt":' not in b["messages"][-1]["content"] else "well")) as server:  # fmt: skip
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, PromptsJob(settings, workspace))
    assert (len(author.written), job.n_ok, rows_of(workspace)) == (6, 6, [])
    with closing(workspace.open()) as connection:
        retry_failed(connection, job_id)
    with serving(Settings(answer=author)) as server:
        add_endpoint(workspace, server)
        run_here(workspace, job_id, PromptsJob(settings, workspace))
    assert (len(author.written), len(rows_of(workspace))) == (6, 6), "what was written is not written again"


def test_paused_in_the_middle_it_ends_with_one_prompt_per_slot(workspace: Workspace) -> None:
    settings = spec(number=40, max_tokens=6000)
    job_id = submit(workspace, settings)
    author = Author()
    with serving(Settings(answer=author)) as server:
        add_endpoint(workspace, server, concurrency=3)
        assert run_here(workspace, job_id, PromptsJob(settings, workspace)).state is JobState.PAUSED
        with closing(workspace.open()) as connection:
            requeue_job(connection, job_id)
        unlimited = settings.model_copy(update={"max_tokens": None})
        assert run_here(workspace, job_id, PromptsJob(unlimited, workspace)).state is JobState.DONE
    assert len(rows_of(workspace)) == 40
    assert max(Counter(data["brief"] for data in author.written).values()) == 1


@pytest.mark.parametrize("fault", ["provider_refusal", "content_filter", "judge_refusal"])
def test_a_model_that_refuses_to_write_is_asked_again_and_never_stops_the_job(workspace: Workspace, fault: str) -> None:
    settings = spec(number=10)
    job_id = submit(workspace, settings)
    with serving(Settings(answer=Author(), faults=Faults(**{fault: 0.3}))) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, PromptsJob(settings, workspace))
    assert job.state is JobState.DONE


@pytest.mark.parametrize(
    ("values", "field"),
    [({"tones": "a=x"}, "tones"), ({"lengths": "short"}, "lengths"), ({"habits": "typo=900"}, "habits"),
     ({"categories": " , "}, "categories")],
)  # fmt: skip
def test_a_mix_that_cannot_be_read_is_told_beside_its_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(SpecError) as error:
        spec(**values)
    assert field in error.value.fields


def test_names_that_are_taken_are_told(workspace: Workspace) -> None:
    submit(workspace, spec())
    with closing(workspace.open()) as connection, pytest.raises(InputError, match="'made-plan' already"):
        spec().check_in(connection)
