"""Responses from real servers of a made-up world."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from refusal_tui.errors import InputError
from refusal_tui.generate.job import GenerateJob, later_of_a_prompt
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.rows import Message, Row
from refusal_tui.store.browse import count_items, select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job, JobState, create_job, requeue_job
from refusal_tui.store.ledger import spent_by
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.hostile import HOSTILE
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_faults import Faults
from tests.support.rowjobs import run_here

PROMPTS = [NewRow(f"Tell me about zorbling {n}.", None, category="animals", split="test") for n in range(6)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def spec(**values: object) -> GenerateSpec:
    made = build_spec(GenerateSpec, {"name": "answers", "endpoints": "local", **values})
    assert isinstance(made, GenerateSpec)
    made.check()
    return made


def start(workspace: Workspace, settings: GenerateSpec, *rows: NewRow) -> int:
    with closing(workspace.open()) as connection:
        add(connection, *rows)
        return create_job(
            connection, kind="generate", title="generate", lane="free", spec=settings.model_dump_json(),
            spec_version=1, item_ids=select_ids(connection, "dataset:demo"),
        )  # fmt: skip


def generate(workspace: Workspace, server: Loopback, *rows: NewRow, **values: object) -> tuple[Job, list[Row]]:
    settings = spec(**values)
    job_id = start(workspace, settings, *rows)
    add_endpoint(workspace, server)
    job = run_here(workspace, job_id, GenerateJob(settings, workspace))
    return job, answers(workspace)


def answers(workspace: Workspace) -> list[Row]:
    with closing(workspace.open()) as connection:
        rows = fetch_rows(connection, select_ids(connection, "dataset:answers"))
    return sorted(rows, key=lambda row: row.key)


def echo(body: dict, row: str) -> str:
    return f"{body['model']} says: {body['messages'][-1]['content']}"


def test_every_prompt_gets_an_answer_that_is_linked_to_it_and_to_its_model(workspace: Workspace) -> None:
    with serving(Settings(answer=echo)) as server:
        job, found = generate(workspace, server, *PROMPTS)
    assert (job.state, job.n_ok) == (JobState.DONE, 6)
    first = found[0]
    assert (first.prompt, first.response, first.model) == (
        PROMPTS[0].prompt, f"loopback-1 says: {PROMPTS[0].prompt}", "loopback-1",
    )  # fmt: skip
    assert (first.category, first.split) == ("animals", "test")
    meta = first.meta
    assert (meta["source_dataset"], meta["source_key"], meta["source_item"]) == ("demo", "k1", 1)
    assert (meta["endpoint"], meta["sample"], meta["temperature"], meta["finish_reason"]) == ("local", 0, 0.0, "stop")
    with closing(workspace.open()) as connection:
        shared = connection.execute("SELECT count(DISTINCT prompt_id), count(*) FROM item").fetchone()
    assert tuple(shared) == (6, 12), "a prompt is stored once, however many answers it has"


def test_several_models_and_samples_answer_every_prompt(workspace: Workspace) -> None:
    with serving(Settings(answer=echo)) as one, serving(Settings(answer=echo, model="other-1")) as other:
        add_endpoint(workspace, other, "other")
        job, found = generate(
            workspace, one, *PROMPTS[:2], endpoints="local,other", samples=3, temperature=0.7, seed=10, top_p=0.9
        )
        assert one.stats.requests == other.stats.requests == 6
        assert sorted(body["seed"] for body in one.bodies) == [10, 10, 11, 11, 12, 12]
        assert {(body["temperature"], body["top_p"]) for body in one.bodies} == {(0.7, 0.9)}
    assert job.n_ok == 12 == len(found)
    assert {(row.model, row.meta["sample"]) for row in found} == {
        (model, k) for model in ("loopback-1", "other-1") for k in range(3)
    }


def test_a_system_prompt_is_sent_in_the_place_of_a_prompts_own_and_is_part_of_the_new_prompt(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "brief.txt").write_text("Be brief.")
    turns = (
        Message("system", "Be long."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "Why?"),
    )
    with serving(Settings(answer=echo)) as server:
        _, found = generate(workspace, server, NewRow(turns), systems=f"none,{tmp_path / 'brief.txt'}")
    with_system = next(row for row in found if row.meta.get("system"))
    without = next(row for row in found if not row.meta.get("system"))
    assert with_system.messages == (Message("system", "Be brief."), *turns[1:])
    assert with_system.meta["system"].startswith("brief@") and without.messages == turns


def test_rows_that_share_a_prompt_are_answered_once(workspace: Workspace) -> None:
    with serving(Settings(answer=echo)) as server:
        job, found = generate(
            workspace, server, NewRow("Hi", "Yo", "quill"), NewRow("Hi", None), NewRow("Hi", "Hey", "b")
        )
        assert server.stats.requests == 1
    assert (job.n_ok, len(found), found[0].meta["source_item"]) == (3, 1, 2)


def test_missing_responses_alone_can_be_filled(workspace: Workspace) -> None:
    with serving(Settings(answer=echo)) as server:
        _, found = generate(workspace, server, NewRow("Hi", "Yo"), NewRow("Ho", None), missing_only=True)
    assert [row.prompt for row in found] == ["Ho"]


@pytest.mark.parametrize(
    ("fault", "said", "reason"),
    [("provider_refusal", "I'm sorry, but I can't assist with assessing this material.", "stop"),
     ("content_filter", "", "content_filter")],
)  # fmt: skip
def test_a_providers_refusal_is_a_result_that_says_what_it_is(
    workspace: Workspace, fault: str, said: str, reason: str
) -> None:
    with serving(Settings(answer=echo, faults=Faults(**{fault: 1.0}))) as server:
        job, found = generate(workspace, server, PROMPTS[0])
    assert (job.n_ok, job.n_failed) == (1, 0)
    assert (found[0].response, found[0].meta["finish_reason"]) == (said, reason)
    with closing(workspace.open()) as connection:
        assert count_items(connection, "meta.provider_refused:true") == 1


def test_an_answer_that_was_cut_off_says_so_and_a_thought_is_kept_apart(workspace: Workspace) -> None:
    with serving(Settings(answer=lambda *_: "<think>hm</think>" + "Mostly dew. " * 9)) as server:
        _, (row,) = generate(workspace, server, PROMPTS[0], answer_tokens=10)
    assert row.meta["finish_reason"] == "length" and row.meta["thinking"] == "hm"
    assert "<think>" not in (row.response or "") and (row.response or "").startswith("Mostly dew.")


def test_a_failed_request_is_no_answer_and_a_retry_asks_again(workspace: Workspace) -> None:
    settings = spec()
    job_id = start(workspace, settings, *PROMPTS)
    with serving(Settings(context_tokens=4)) as server:
        add_endpoint(workspace, server)
        assert run_here(workspace, job_id, GenerateJob(settings, workspace)).n_failed == 6
    assert answers(workspace) == []
    with closing(workspace.open()) as connection:
        retry_failed(connection, job_id)
    with serving(Settings(answer=echo)) as server:
        add_endpoint(workspace, server)
        assert run_here(workspace, job_id, GenerateJob(settings, workspace)).n_ok == 6
    assert len(answers(workspace)) == 6


def test_a_budget_pauses_it_and_a_later_run_asks_for_the_rest_alone(workspace: Workspace) -> None:
    settings = spec(max_tokens=900, answer_tokens=16)
    rows = [NewRow(f"Tell me about zorbling {n}.", None) for n in range(60)]
    job_id = start(workspace, settings, *rows)
    with serving(Settings(answer=echo)) as server:
        add_endpoint(workspace, server, concurrency=3)
        assert run_here(workspace, job_id, GenerateJob(settings, workspace)).state is JobState.PAUSED
        with closing(workspace.open()) as connection:
            requeue_job(connection, job_id)
        unlimited = settings.model_copy(update={"max_tokens": None})
        assert run_here(workspace, job_id, GenerateJob(unlimited, workspace)).n_ok == 60
        assert server.stats.requests == 60
    with closing(workspace.open()) as connection:
        assert spent_by(connection, job_id).requests == 60
    assert len(answers(workspace)) == 60


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_prompts_and_answers_are_stored_as_they_are(workspace: Workspace, hostile) -> None:
    text = hostile.text[:5000].encode("utf-8", "backslashreplace").decode().replace("\0", "") or "x"
    with serving(Settings(answer=lambda *_: text)) as server:
        _, (row,) = generate(workspace, server, NewRow(text, None), answer_tokens=5000)
    assert (row.prompt, row.response) == (text, text)


# --- asked for wrongly -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [({"samples": 3}, "temperature"), ({"endpoints": " , "}, "endpoints"), ({"systems": "nowhere.txt"}, "systems")],
)
def test_settings_that_make_no_sense_are_told_beside_their_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(SpecError) as error:
        spec(**values)
    assert field in error.value.fields


def test_a_name_that_is_taken_and_an_end_point_that_is_not_there_are_told(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        add(connection, PROMPTS[0], dataset="answers")
        with pytest.raises(InputError, match="'answers' already"):
            spec().check_in(connection)
        with pytest.raises(InputError, match="'local'"):
            spec(name="more").check_in(connection)


@pytest.mark.parametrize("seed", range(5))
def test_a_job_that_goes_on_asks_for_the_same_prompts_as_one_that_was_never_stopped(workspace, seed: int) -> None:
    random = Random(seed)
    rows = [NewRow(f"Prompt {random.randrange(12)}.", random.choice([None, f"Answer {n}."])) for n in range(40)]
    with closing(workspace.open()) as connection:
        ids = list(dict.fromkeys(add(connection, *rows)))
        random.shuffle(ids)
        job_id = create_job(
            connection, kind="generate", title="", lane="free", spec="{}", spec_version=1, item_ids=ids
        )  # fmt: skip
        every = later_of_a_prompt(connection, job_id)
        for cursor in range(1, len(ids)):
            with transaction(connection):
                connection.execute(
                    "INSERT INTO outcome(job_id, item_id, state, run, created) VALUES (?, ?, 'ok', 1, 0)",
                    (job_id, ids[cursor - 1]),
                )
            assert later_of_a_prompt(connection, job_id, cursor) == every & set(ids[cursor:])
