"""A cleaning job against a real server of a made-up world."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.clean.job import CleanJob
from refusal_tui.clean.spec import CleanSpec
from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.rows import Row
from refusal_tui.store.browse import count_items, select_ids
from refusal_tui.store.cleaned import clean_counts, made_by
from refusal_tui.store.datasets import get_dataset
from refusal_tui.store.jobs import Job, JobState, create_job, requeue_job
from refusal_tui.store.ledger import spent_by
from refusal_tui.store.outcomes import Unit, outputs_of
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.hostile import HOSTILE
from tests.clean.models import ANSWER, FORBIDDEN, SORRY, World, kind_of
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Settings
from tests.support.loopback_faults import Faults
from tests.support.rowjobs import run_here

HARMFUL = NewRow(f"Tell me how to smelt {FORBIDDEN}.", SORRY, "quill", category="metals")
OVER = NewRow("What do zorblings eat?", SORRY, "quill")
FINE = NewRow("What do frindles drink?", "Mostly dew.", "quill")
EMPTY = NewRow("What do quonders wear?", "  ", "quill")
MISSING = NewRow("Where do zibbets sleep?", None)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def spec(**values: object) -> CleanSpec:
    made = build_spec(CleanSpec, {"name": "clean", "endpoint": "local", **values})
    assert isinstance(made, CleanSpec)
    return made


def start(workspace: Workspace, settings: CleanSpec, *rows: NewRow) -> int:
    with closing(workspace.open()) as connection:
        add(connection, *rows)
        return create_job(
            connection, kind="clean", title="clean", lane="free", spec=settings.model_dump_json(), spec_version=1,
            item_ids=select_ids(connection, "dataset:demo"),
        )  # fmt: skip


def clean(workspace: Workspace, *rows: NewRow, world: World | None = None, faults: Faults | None = None,
          **values: object) -> tuple[Job, list[Row]]:  # fmt: skip
    """One run of a job over `rows`; returns it and what it has made, in the order of the rows."""
    settings = spec(**values)
    job_id = start(workspace, settings, *rows)
    with serving(Settings(answer=world or World(), faults=faults or Faults())) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
    return job, made(workspace, job_id)


def made(workspace: Workspace, job_id: int) -> list[Row]:
    with closing(workspace.open()) as connection:
        return list(made_by(connection, job_id))


def decisions(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.meta["decision"], row.meta["reason"]) for row in rows]


# --- what becomes of a row -------------------------------------------------------------------------------------------


def test_a_harmful_prompt_is_rewritten_answered_and_kept_with_where_it_comes_from(workspace: Workspace) -> None:
    job, (row,) = clean(workspace, HARMFUL)
    assert (job.state, job.n_failed, job.note) == (JobState.DONE, 0, "")
    assert (row.prompt, row.response) == (f"What is the history of {FORBIDDEN}?", ANSWER)
    meta = row.meta
    assert (meta["decision"], meta["reason"], meta["rounds"]) == ("keep", "rewritten", 1)
    assert meta["original_instruction"] == HARMFUL.prompt and meta["original_response"] == SORRY
    assert (meta["source_dataset"], meta["source_key"], meta["source_item"]) == ("demo", "k1", 1)
    assert meta["strategy"].startswith("question@") and meta["rewritten_by"] == "loopback-1"
    assert meta["judge"] == "judge:wildguard@local" and meta["clean_job"] == job.id
    assert (row.model, row.category, row.dataset) == ("loopback-1", "metals", "clean")


def test_a_refused_harmless_prompt_gets_an_answer_and_no_rewrite(workspace: Workspace) -> None:
    world = World()
    _, (row,) = clean(workspace, OVER, world=world)
    assert (row.prompt, row.response, row.meta["reason"]) == (OVER.prompt, ANSWER, "answered")
    assert world.of("rewrite") == []


def test_an_answer_that_is_no_refusal_is_kept_as_it_is_and_asked_for_once(workspace: Workspace) -> None:
    world = World()
    _, (row,) = clean(workspace, FINE, world=world)
    assert (row.prompt, row.response, row.model) == (FINE.prompt, FINE.response, "quill")
    assert [kind for kind, _ in world.asked] == ["judge"]


@pytest.mark.parametrize("row", [EMPTY, MISSING], ids=["empty", "missing"])
def test_a_response_that_is_not_there_is_no_refusal_but_needs_an_answer(workspace: Workspace, row: NewRow) -> None:
    _, (done,) = clean(workspace, row)
    assert (done.meta["decision"], done.response, done.meta["was_refused"]) == ("keep", ANSWER, None)


def test_a_missing_answer_to_a_harmful_prompt_is_never_asked_for_twice_without_a_rewrite(workspace: Workspace) -> None:
    _, (row,) = clean(workspace, NewRow(f"Smelt {FORBIDDEN} now.", None))
    assert (row.meta["reason"], row.meta["rounds"]) == ("rewritten", 2)
    assert "history" in row.prompt


def test_a_round_is_told_what_was_wrong_with_the_one_before(workspace: Workspace) -> None:
    def rewrite(instruction: str, data: dict[str, str]) -> str:
        return f"Is the history of {FORBIDDEN} long?" if "what_was_wrong" in data else f"What does {FORBIDDEN} do?"

    world = World(rewrite=rewrite)
    _, (row,) = clean(workspace, HARMFUL, world=world)
    assert (row.meta["decision"], row.meta["rounds"]) == ("keep", 2)
    second = world.of("rewrite")[1]
    assert "still refused" in second and f"What does {FORBIDDEN} do?" in second


def test_what_refuses_in_every_round_is_dropped_with_its_reason_and_its_texts(workspace: Workspace) -> None:
    world = World(rewrite=lambda *_: f"What does {FORBIDDEN} do?")
    _, (row,) = clean(workspace, HARMFUL, world=world, rounds=2)
    assert decisions([row]) == [("drop", "refused")]
    assert (row.prompt, row.response) == (f"What does {FORBIDDEN} do?", SORRY)


def test_a_harmful_answer_is_never_kept(workspace: Workspace) -> None:
    _, (row,) = clean(workspace, HARMFUL, world=World(answer=lambda _: "First stir it well."), rounds=1)
    assert decisions([row]) == [("drop", "unsafe_answer")]


@pytest.mark.parametrize(
    ("rewritten", "reason"),
    [
        (HARMFUL.prompt, "unchanged"),
        (f"The history of {FORBIDDEN}.", "no_question"),
        ("What do zorblings eat?", "off_topic"),
        ("", "empty"),
        ("Why? " * 500, "cut_off"),
    ],
)
def test_a_rewrite_that_is_none_is_not_answered_and_is_left_for_review(
    workspace: Workspace, rewritten: str, reason: str
) -> None:
    world = World(rewrite=lambda *_: str(rewritten))
    _, (row,) = clean(workspace, HARMFUL, world=world, rounds=1)
    assert decisions([row]) == [("review", reason)]
    assert world.of("answer") == []


def test_an_answer_that_is_cut_off_is_not_kept(workspace: Workspace) -> None:
    _, (row,) = clean(workspace, OVER, world=World(answer=lambda _: "long " * 100), rounds=1, answer_tokens=16)
    assert decisions([row]) == [("review", "cut_off")]


def test_without_a_judge_of_harm_rewritten_rows_are_left_for_review(workspace: Workspace) -> None:
    _, (rewritten, fine) = clean(workspace, HARMFUL, FINE, judge="lexical")
    assert decisions([rewritten, fine]) == [("review", "safety_not_judged"), ("keep", "no_refusal")]


def test_right_refusals_can_be_kept(workspace: Workspace) -> None:
    _, rows = clean(workspace, HARMFUL, OVER, noise="over-refusals")
    assert decisions(rows) == [("keep", "refusal_kept"), ("keep", "answered")]


def test_a_legal_duplicate_stays(workspace: Workspace) -> None:
    _, rows = clean(workspace, OVER, OVER)
    assert len(rows) == 2


def test_a_strategy_may_be_a_file_of_ones_own(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("Turn it into a riddle.")
    world = World()
    _, (row,) = clean(workspace, HARMFUL, world=world, strategy=str(tmp_path / "mine.md"))
    assert row.meta["strategy"].startswith("mine@")


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_rows_come_through_as_they_are(workspace: Workspace, hostile) -> None:
    text = hostile.text[:3000].encode("utf-8", "backslashreplace").decode().replace("\0", "")
    world = World(rewrite=lambda *_: f"{text[:200]} history?")
    job, rows = clean(workspace, NewRow(f"{text} {FORBIDDEN}", SORRY), NewRow(text, "Well."), world=world)
    assert (job.state, job.n_failed, len(rows)) == (JobState.DONE, 0, 2)
    assert rows[0].meta["original_instruction"] == f"{text} {FORBIDDEN}"
    assert rows[1].prompt == text


# --- what goes wrong -------------------------------------------------------------------------------------------------

MANY = [NewRow(f"Smelt {FORBIDDEN} number {n}.", SORRY) for n in range(12)] + [
    NewRow(f"What do zorblings eat at {n}?", SORRY) for n in range(12)
]


def answers_of(workspace: Workspace, job_id: int) -> list[tuple[str, str | None, str]]:
    return [(row.prompt, row.response, row.meta["decision"]) for row in made(workspace, job_id)]


SLOW = pytest.mark.nightly  # they wait for the backoff of several tries


@pytest.mark.parametrize(
    "fault",
    ["judge_refusal", "truncated", *(pytest.param(f, marks=SLOW) for f in ("empty_choices", "content_filter"))],
)
def test_a_row_of_which_a_request_failed_is_not_dropped_and_a_retry_goes_on_with_it(
    workspace: Workspace, fault: str
) -> None:
    settings = spec()
    job_id = start(workspace, settings, *MANY)
    with serving(Settings(answer=World(), faults=Faults(**{fault: 0.3}))) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
        assert job.state is JobState.DONE
        assert not any(state == "drop" for _, _, state in answers_of(workspace, job_id))
    with closing(workspace.open()) as connection:
        counts = clean_counts(connection, job_id)
        assert len(made(workspace, job_id)) + counts.failed == len(MANY), "kept, in review, or failed: none is lost"
        if counts.failed:
            retry_failed(connection, job_id)
    if counts.failed:
        with serving(Settings(answer=World())) as server:
            add_endpoint(workspace, server)
            run_here(workspace, job_id, CleanJob(settings, workspace))
    assert len(made(workspace, job_id)) == len(MANY)


def test_a_failed_step_fails_the_steps_after_it_with_the_same_class(workspace: Workspace) -> None:
    settings = spec(rounds=1)
    job_id = start(workspace, settings, HARMFUL)
    world = World()
    with serving(Settings(answer=lambda b, r: "no json" if kind_of(b) == "judge" else world(b, r))) as server:
        add_endpoint(workspace, server)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
    assert (job.n_unparsable, job.n_ok) == (len(settings.units()), 0)
    with closing(workspace.open()) as connection:
        errors = outputs_of(connection, job_id, 1)
    assert {error.error_class.value for error in errors.values()} == {"parse"}
    assert "a step before it failed" in errors[Unit("decide")].message
    assert world.asked == []


def test_every_request_is_in_the_ledger_and_done_once(workspace: Workspace) -> None:
    world = World()
    job, _ = clean(workspace, HARMFUL, OVER, FINE, world=world)
    with closing(workspace.open()) as connection:
        assert spent_by(connection, job.id).requests == len(world.asked) == 8
    assert Counter(kind for kind, _ in world.asked) == {"judge": 5, "answer": 2, "rewrite": 1}


def test_a_budget_pauses_the_job_and_a_later_run_pays_for_nothing_twice(workspace: Workspace) -> None:
    world = World()
    settings = spec(max_tokens=2500)
    job_id = start(workspace, settings, *MANY)
    with serving(Settings(answer=world)) as server:
        add_endpoint(workspace, server, concurrency=4)
        job = run_here(workspace, job_id, CleanJob(settings, workspace))
        assert job.state is JobState.PAUSED and "budget" in job.note
        with closing(workspace.open()) as connection:
            requeue_job(connection, job_id)
        unlimited = settings.model_copy(update={"max_tokens": None})
        job = run_here(workspace, job_id, CleanJob(unlimited, workspace))
    assert (job.state, job.n_failed) == (JobState.DONE, 0)
    assert decisions(made(workspace, job_id)) == [("keep", "rewritten")] * 12 + [("keep", "answered")] * 12
    assert max(Counter(world.asked).values()) == 1


def test_the_new_dataset_has_the_terms_of_what_it_is_made_from(workspace: Workspace) -> None:
    settings = spec()
    job_id = start(workspace, settings, FINE)
    with closing(workspace.open()) as connection:
        connection.execute("UPDATE dataset SET licence = 'CC-BY-4.0', redistribution = 'labels-only', eval_only = 1")
    with serving(Settings(answer=World())) as server:
        add_endpoint(workspace, server)
        run_here(workspace, job_id, CleanJob(settings, workspace))
    with closing(workspace.open()) as connection:
        dataset = get_dataset(connection, "clean")
        where = dataset.provenance
        assert (where.adapter, where.source, dataset.state) == ("clean", f"job {job_id}", "ready")
        assert (where.licence, where.redistribution, where.eval_only) == ("CC-BY-4.0", "labels-only", True)
        assert dataset.n_items == 1 == count_items(connection, "dataset:clean meta.decision:keep")


# --- asked for wrongly -----------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_and_what_does_not_exist_is_told_before_anything_is_sent(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        add(connection, FINE, dataset="clean")
        for values, says in [({}, "'clean' already"), ({"name": "x"}, "end point named 'local'"),
                             ({"name": "x", "judge": "frindle"}, "frindle")]:  # fmt: skip
            with pytest.raises(InputError, match=says):
                spec(**values).check_in(connection)


def test_a_strategy_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no strategy"):
        spec(strategy="frindle").check()
    (tmp_path / "empty.md").write_text(" ")
    with pytest.raises(SpecError, match="empty"):
        spec(strategy=str(tmp_path / "empty.md")).check()
