"""A pipeline does what has changed and nothing else; it stops where a step stops, and goes on from there."""

from __future__ import annotations

import json
import runpy
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError, JobError
from refusal_tui.jobs import control, worker
from refusal_tui.jobs.stop import StopReason
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.pipeline.api import Pipeline
from refusal_tui.pipeline.mistakes import ConfigError
from refusal_tui.pipeline.plan import Does
from refusal_tui.pipeline.status import status_of
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, get_job, list_jobs
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.pipelines import save_steps, steps_of
from refusal_tui.store.query import save_selection
from refusal_tui.store.review_queues import get_queue, queue_items
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import FORBIDDEN, SORRY, World
from tests.support.judging import add_endpoint, honest_atoms, serving
from tests.support.loopback import Settings
from tests.support.pipelines import copy_examples, done_anew, run_config, run_jobs_here
from tests.support.workspaces import make_workspace

pytestmark = pytest.mark.usefixtures("jobs_here")
LIGHT = "audit = false\nexport = false\n"  # of tests that are about the steps before


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path]]:
    """A workspace in which examples/offline.toml has run to its end, and the config. Tests that change it copy it."""
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("ran")
    workspace, config = create_workspace(folder / "ws"), copy_examples(folder) / "offline.toml"
    with pytest.MonkeyPatch.context() as patch:
        run_jobs_here(patch)
        run = run_config(workspace, config)
    assert run.job is not None and run.job.state is JobState.DONE
    yield workspace, config


@pytest.fixture
def undone(ran: tuple[Workspace, Path]) -> Iterator[tuple[Workspace, Path]]:
    """The same for a test that changes it: afterwards it is as it was."""
    with closing(ran[0].open()) as connection, closing(sqlite3.connect(":memory:")) as kept:
        connection.backup(kept)
        yield ran
        kept.backup(connection)


def to_do(workspace: Workspace, config: Path) -> dict[str, str]:
    """The steps that would run now, each with the reason."""
    return {one.step.name: one.why for one in Pipeline.load(config).plan(workspace).to_do}


def changed(config: Path, old: str, new: str) -> Path:
    """The config with other words, beside the old one."""
    text = config.read_text()
    assert old in text
    other = config.with_name("changed.toml")
    other.write_text(text.replace(old, new))
    return other


# --- one command ------------------------------------------------------------------------------------------------------


def test_one_config_makes_the_whole_dataset(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    run = Pipeline.load(config).run(workspace)
    assert [step.name for step in run.steps] == ["import quill", "label quill", "audit", "review", "export"]
    assert run.out is not None and (run.out / "final_dataset.jsonl").read_text().count("\n") == 48
    with closing(workspace.open()) as connection:
        queue = get_queue(connection, run.products["review"]["queue"])
        sample = queue_items(connection, queue.id)
    samples = json.loads(
        (workspace.artifacts / f"job-{run.products['audit']['job']}/human_review_samples.json").read_text()
    )
    assert {card.item_id for card in sample} == {one["item_id"] for one in samples} and len(samples) >= 10


def test_a_second_run_changes_nothing_and_makes_no_job(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    with closing(workspace.open()) as connection:
        before = list_jobs(connection), connection.execute("SELECT count(*) FROM verdict").fetchone()[0]
    run = Pipeline.load(config).run(workspace)
    assert run.job is None and run.out is not None
    assert Pipeline.load(config).plan(workspace).summary == "Nothing to do: all 5 steps are up to date."
    with closing(workspace.open()) as connection:
        assert (list_jobs(connection), connection.execute("SELECT count(*) FROM verdict").fetchone()[0]) == before


def test_from_python_it_is_the_same(ran: tuple[Workspace, Path], capsys: pytest.CaptureFixture[str]) -> None:
    workspace, config = ran
    runpy.run_path(str(config.with_name("from_python.py")))["main"](str(workspace.root))
    assert capsys.readouterr().out.splitlines() == [
        "Nothing to do: all 5 steps are up to date.", str(workspace.artifacts / "final")
    ]  # fmt: skip


# --- what runs again, and why -----------------------------------------------------------------------------------------


def test_other_rules_run_from_the_derivation_of_labels_on(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    other = changed(config, "seed = 42", 'seed = 42\nconstitution = "constitution.toml"')
    found = to_do(workspace, other)
    assert list(found) == ["constitution", "audit", "review", "export"]
    assert found["audit"] == "changed: constitution"


def test_another_setting_of_the_export_runs_the_export_alone(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    assert to_do(workspace, changed(config, "test = 0.2", "test = 0.1")) == {"export": "changed: settings"}


def test_another_judge_labels_again_and_imports_nothing(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    found = to_do(workspace, changed(config, '"linear"', '"lexical"'))
    assert list(found) == ["label quill", "audit", "review", "export"]
    assert found["label quill"] == "changed: settings, judge"


def test_a_new_file_leaves_the_labels_of_the_others_alone(ran: tuple[Workspace, Path]) -> None:
    workspace, config = ran
    other = changed(config, "[label]", '[[datasets]]\nsource = "dataset_pipeline_data.json"\nname = "more"\n\n[label]')
    assert list(to_do(workspace, other)) == ["import more", "label more", "audit", "review", "export"]


def test_a_changed_file_is_imported_beside_the_old_one(workspace: Workspace, examples: Path) -> None:
    config = changed(examples / "offline.toml", "seed = 42", f"seed = 42\n{LIGHT}")
    config.write_text(config.read_text().partition("[audit]")[0])
    run_config(workspace, config)
    rows = examples / "rows.jsonl"
    rows.write_text(rows.read_text().replace("onion soup", "pumpkin soup"))
    assert to_do(workspace, config)["import quill"] == "changed: content"
    run = run_config(workspace, config)
    assert run.products["import quill"]["dataset"] == "quill-2"
    with closing(workspace.open()) as connection:
        assert count_items(connection, "dataset:quill-2 label.linear:hard,soft,none") == 48


def test_an_output_that_is_gone_is_made_again(ran: tuple[Workspace, Path], tmp_path: Path) -> None:
    workspace, config = ran
    run = Pipeline.load(config).run(workspace)
    assert run.out is not None
    run.out.rename(tmp_path / "elsewhere")
    try:
        assert to_do(workspace, config) == {"export": "what it made is gone"}
    finally:
        (tmp_path / "elsewhere").rename(run.out)


def test_what_people_say_exports_again_and_draws_no_other_sample(undone: tuple[Workspace, Path]) -> None:
    workspace, config = undone
    with closing(workspace.open()) as connection, transaction(connection):
        said = {"refusal3": Answer("soft", None)}
        add_verdicts(connection, [Verdict(ItemId(1), "human:ada", "refusal3", "1", said)])
    assert to_do(workspace, config) == {
        "audit": "changed: labels", "review": "after audit", "export": "after review"
    }  # fmt: skip
    run = Pipeline.load(config).run(workspace)
    assert done_anew(run) == ["audit", "export"]
    assert run.out is not None and run.out.name == "final-2"


# --- without a config -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by_hand", "selection", "steps"), [
    ("lexical", "", []), ("lexical", "@first", ["label blorp"]), ("linear", "", ["label blorp"]),
])  # fmt: skip
def test_labels_of_a_job_by_hand_are_taken_where_it_did_the_same(
    tmp_path: Path, by_hand: str, selection: str, steps: list[str]
) -> None:
    workspace, config = make_workspace(tmp_path / "ws", rows=8), tmp_path / "quill.toml"
    config.write_text(LIGHT + '[label]\njudge = "lexical"\n')
    with closing(workspace.open()) as connection, transaction(connection):
        save_selection(connection, "first", "id:1-7")
    job_id = control.submit(workspace, "label", LabelSpec(judge=by_hand, max_rate=90_000), selection=selection)
    run = run_config(workspace, config)
    assert done_anew(run) == steps
    if not steps:
        assert next(step for step in run.steps if step.kind == "label").note == f"job {job_id}"


def test_without_a_config_it_works_on_what_is_imported(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", 12)
    plan = Pipeline.default().plan(workspace)
    assert [one.step.name for one in plan.steps] == ["label blorp", "audit", "review", "export"]


def test_an_empty_workspace_says_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="no dataset to work on"):
        Pipeline.default().plan(workspace)


def test_what_the_workspace_lacks_is_named_with_its_line(workspace: Workspace, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[[datasets]]\nname = "gone"\n[label]\njudge = "atoms"\nendpoint = "nobody"\n[generate]\nendpoints = ["n2"]\n'
    )
    with pytest.raises(ConfigError) as raised:
        Pipeline.load(config).run(workspace)
    assert [(one.line, one.key) for one in raised.value.mistakes] == [
        (2, "datasets[0].name"), (5, "label.endpoint"), (7, "generate.endpoints")
    ]  # fmt: skip
    with closing(workspace.open()) as connection:
        assert list_jobs(connection) == []


# --- stopping and going on --------------------------------------------------------------------------------------------


def small(folder: Path) -> Path:
    config = folder / "small.toml"
    config.write_text(LIGHT + '[[datasets]]\nname = "blorp"\n')
    return config


def test_a_step_that_fails_stops_the_graph_with_its_reason(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"number": 7}\n' * 3)
    config = tmp_path / "bad.toml"
    config.write_text('[[datasets]]\nsource = "bad.jsonl"\n')
    with pytest.raises(JobError, match="import bad stands still: job 2 is failed"):
        run_config(workspace, config)
    with closing(workspace.open()) as connection:
        assert get_job(connection, 1).state is JobState.FAILED
        assert [step.over for step in steps_of(connection, 1)] == [False] * 5


def test_a_paused_step_pauses_the_pipeline_and_a_second_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, config = make_workspace(tmp_path / "ws", 12), small(tmp_path)

    def paused(workspace: Workspace, job_id: int) -> bool:
        with closing(workspace.open()) as connection:
            if get_job(connection, job_id).kind == "pipeline":
                return False
        control.pause(workspace, job_id)
        return True

    run_jobs_here(monkeypatch, besides=paused)
    with pytest.raises(JobError, match="label blorp stands still: job 2 is paused"):
        run_config(workspace, config)
    run_jobs_here(monkeypatch)
    run = run_config(workspace, config)
    assert run.job is not None and (run.job.id, run.job.state, run.job.run) == (1, JobState.DONE, 2)
    assert run.products["label blorp"]["job"] == "2"


def test_a_step_that_stands_still_stops_no_job_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path / "ws", 12)
    make_workspace(tmp_path / "ws", 12, dataset="frindle")
    config = tmp_path / "two.toml"
    config.write_text(LIGHT + '[[datasets]]\nname = "blorp"\n[[datasets]]\nname = "frindle"\n')

    def first_paused(workspace: Workspace, job_id: int) -> bool:
        """The second job is begun and never gets its turn."""
        if job_id == 2:
            control.pause(workspace, job_id)
        return job_id > 1

    run_jobs_here(monkeypatch, besides=first_paused)
    with pytest.raises(JobError, match="label blorp stands still"):
        run_config(workspace, config)
    with closing(workspace.open()) as connection:
        assert [job.state for job in list_jobs(connection)][:2] == [JobState.QUEUED, JobState.PAUSED]


def test_a_worker_that_dies_after_it_has_asked_for_a_job_finds_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, config = make_workspace(tmp_path / "ws", 12), small(tmp_path)
    run = run_config(workspace, config)
    assert run.job is not None
    with closing(workspace.open()) as connection:  # as it was when the job was made and its number not yet written
        (step,) = steps_of(connection, run.job.id)
        spec = {"spec": get_job(connection, 2).spec}
        before = replace(step, job=None, over=False, asked_after=1, product=spec)
        with transaction(connection):
            save_steps(connection, run.job.id, [before])
            connection.execute("UPDATE job SET state = 'queued' WHERE id = ?", (run.job.id,))
    worker.run_job(workspace, run.job.id)
    with closing(workspace.open()) as connection:
        assert [job.id for job in list_jobs(connection)] == [2, 1]
        assert steps_of(connection, run.job.id)[0].product == {"job": "2"}


def test_pausing_the_pipeline_pauses_the_job_that_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, config = make_workspace(tmp_path / "ws", 12), small(tmp_path)

    def waits(workspace: Workspace, job_id: int) -> bool:
        """The label job never starts; the heartbeat hears the wish for the pipeline."""
        with closing(workspace.open()) as connection:
            return get_job(connection, job_id).kind == "label"

    run_jobs_here(monkeypatch, besides=waits)
    checked = []

    def check(context: object) -> None:
        checked.append(context)
        if len(checked) > 5:
            raise worker.Stopped(StopReason.PAUSE)

    monkeypatch.setattr("refusal_tui.jobs.compute.ComputeContext.check", check)
    with pytest.raises(JobError, match="is paused"):
        run_config(workspace, config)
    with closing(workspace.open()) as connection:
        assert get_job(connection, 2).state is JobState.PAUSED


def test_an_unfinished_job_of_a_cancelled_run_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers may have been paid for."""
    workspace, config = make_workspace(tmp_path / "ws", 12), small(tmp_path)
    run_config(workspace, config)
    with closing(workspace.open()) as connection, transaction(connection):
        (step,) = steps_of(connection, 1)
        save_steps(connection, 1, [replace(step, over=False)])
        connection.execute("UPDATE job SET state = 'cancelled' WHERE id = 1")
        connection.execute("UPDATE job SET state = 'paused' WHERE id = 2")
    plan = Pipeline.load(config).plan(workspace)
    assert (plan.steps[0].does, plan.steps[0].why) == (Does.GO_ON, "job 2 is paused")
    run = run_config(workspace, config)
    assert run.job is not None and run.job.id == 3 and run.products["label blorp"]["job"] == "2"


# --- the other examples -----------------------------------------------------------------------------------------------


def quill(body: dict[str, Any], row: str) -> str:
    """A model that answers prompts, and judges answers by what it sees."""
    return honest_atoms(body, row) if "<<<response " in str(body["messages"]) else "Sure. First stir it, then rest."


@pytest.mark.parametrize("name", ["models.toml", "dataset_pipeline_config.json"])
def test_the_examples_that_ask_models_run_to_their_end(workspace: Workspace, examples: Path, name: str) -> None:
    with serving(Settings(answer=quill, model="quill-70b")) as server:
        add_endpoint(workspace, server, "local", price_in=1.0, price_out=2.0)
        plan = Pipeline.load(examples / name).plan(workspace)
        assert plan.requests > 20 and plan.usd is not None and plan.usd > 0
        run = run_config(workspace, examples / name)
        asked = server.stats.requests
        assert run_config(workspace, examples / name).job is None and server.stats.requests == asked
    assert run.out is not None
    rows = [json.loads(line) for line in (run.out / "final_dataset.jsonl").read_text().splitlines()]
    assert len(rows) == (48 if name == "models.toml" else 24) + 8
    assert {row["head_a"] for row in rows} >= {"COMPLY.BENIGN"}
    assert next(step for step in run.steps if step.name.startswith("generate quill")).skipped


def test_cleaned_rows_take_the_place_of_the_refusals_that_they_were(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"prompt": f"Smelt {FORBIDDEN} number {n}.", "response": SORRY} for n in range(4)]
    rows.append({"prompt": "Describe zorblings.", "response": "They are small and round."})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tmp_path / "clean.toml"
    config.write_text(LIGHT + '[[datasets]]\nsource = "rows.jsonl"\n[clean]\nendpoint = "local"\nroutes = "none"\n')
    world = World(rewrite=lambda instruction, _: f"What is the history of {instruction.removesuffix('.')}?")
    with serving(Settings(answer=world)) as server:
        add_endpoint(workspace, server, "local")
        run = run_config(workspace, config)
        asked = len(world.asked)
        assert run_config(workspace, config).job is None and len(world.asked) == asked
    assert run.products["clean rows"]["dataset"] == "rows-cleaned"
    with closing(workspace.open()) as connection:
        job = get_job(connection, int(run.products["label rows"]["job"]))
        assert job.selection == "dataset:rows-cleaned has:response -meta.decision:drop,review"
        kept = count_items(connection, job.selection)
        assert 0 < kept == job.n_ok <= 5


def test_rows_that_failed_are_told_with_the_command_that_tries_them_again(tmp_path: Path) -> None:
    workspace, config = make_workspace(tmp_path / "ws", 12), small(tmp_path)
    run_config(workspace, config)
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.execute("UPDATE job SET n_ok = 10, n_failed = 2 WHERE id = 2")
        (step,) = status_of(connection, get_job(connection, 1))
    assert step.says == "2 rows failed; try them again: refusal-tui jobs retry 2"


def test_their_config_runs_without_any_model(workspace: Workspace, examples: Path) -> None:
    run = run_config(workspace, examples / "dataset_pipeline_config.json", offline=True)
    assert run.out == examples / "outputs/dataset_pipeline"
    assert (run.out / "final_dataset.json").is_file()
