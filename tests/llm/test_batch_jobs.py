"""Jobs through the Batch API: half the price, a day later, nothing paid twice. The provider is our loopback server."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError
from refusal_tui.generate.job import GenerateJob
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs import control
from refusal_tui.jobs.recall import recall
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.llm.batch import METADATA_KEY
from refusal_tui.store.batches import Batch, BatchState, add_batch, batches_of, mark_submitted, open_batches
from refusal_tui.store.browse import select_ids
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import Job, JobState, create_job, requeue_job
from refusal_tui.store.ledger import Spent, spent_by
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add
from tests.support.judging import OBEDIENT, add_endpoint, honest_xstest, label, serving
from tests.support.ledger import errors
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_batch import BatchApi
from tests.support.processes import Runner, run_worker_with
from tests.support.rowjobs import run_here
from tests.support.waiting import wait_until

ROWS = 20
PRICES = {"price_in": 2.0, "price_out": 4.0, "batch_price_in": 1.0, "batch_price_out": 2.0}
SPEC = GenerateSpec(name="answers", endpoints="prov", batch=True)
SORRY = "I'm sorry, but I can't help with that."


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        rows = [NewRow(f"[row {n}] Tell me about zorbling {n}.", (SORRY, "Sure.")[n % 2]) for n in range(ROWS)]
        add(connection, *rows)
    return workspace


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Loopback]:
    with serving(Settings()) as running:
        add_endpoint(workspace, running, "prov", capabilities=OBEDIENT | {"batch": True}, **PRICES)
        yield running


@pytest.fixture
def runner(workspace: Workspace) -> Iterator[Runner]:
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


@contextmanager
def ending(
    server: Loopback, how: Callable[[int, list[str]], dict[str, Any]] = lambda number, ids: {}
) -> Iterator[None]:
    """The provider ends every batch at once, as `how(number of the batch, its custom ids)` says."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for number, (batch_id, batch) in enumerate(list(server.batches.batches.items())):
                if batch["status"] == "in_progress":
                    server.batches.finish(batch_id, **how(number, ids_of(server, batch_id)))
            time.sleep(0.02)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ids_of(server: Loopback, batch_id: str) -> list[str]:
    lines = server.batches.files[server.batches.batches[batch_id]["input_file_id"]].decode().splitlines()
    return [json.loads(line)["custom_id"] for line in lines]


def queued(workspace: Workspace, spec: GenerateSpec = SPEC) -> int:
    with closing(workspace.open()) as connection:
        return create_job(
            connection, kind="generate", title="generate", lane="free", spec=spec.model_dump_json(), spec_version=1,
            item_ids=select_ids(connection, "dataset:demo"),
        )  # fmt: skip


def generate(workspace: Workspace, spec: GenerateSpec = SPEC) -> Job:
    return again(workspace, queued(workspace, spec), spec, requeue=False)


def again(workspace: Workspace, job_id: int, spec: GenerateSpec = SPEC, *, requeue: bool = True) -> Job:
    if requeue:
        with closing(workspace.open()) as connection:
            requeue_job(connection, job_id)
    return run_here(workspace, job_id, GenerateJob(spec, workspace))


def books(workspace: Workspace, job_id: int) -> tuple[Spent, list[Batch]]:
    with closing(workspace.open(read_only=True)) as connection:
        return spent_by(connection, job_id), batches_of(connection, job_id)


def answers(workspace: Workspace) -> Counter[str]:
    with closing(workspace.open(read_only=True)) as connection:
        sql = "SELECT key FROM item JOIN dataset ON dataset.id = dataset_id WHERE dataset.name = 'answers'"
        return Counter(row[0] for row in connection.execute(sql))


def told(workspace: Workspace, job_id: int) -> str:
    """What is said of cancelled batches, "" for nothing."""
    with closing(workspace.open(read_only=True)) as connection:
        return next((e.text for e in reversed(events_of(connection, job_id)) if e.code == "batches"), "")


# --- the good day ----------------------------------------------------------------------------------------------------


def test_all_rows_go_as_one_batch_at_batch_price_and_nothing_else_is_sent(
    workspace: Workspace, server: Loopback
) -> None:
    with ending(server):
        job = generate(workspace)
    assert (job.state, job.n_ok, server.stats.requests) == (JobState.DONE, ROWS, 0)
    spent, (batch,) = books(workspace, job.id)
    assert (batch.n, batch.state, spent.requests) == (ROWS, BatchState.MERGED, ROWS)
    assert spent.usd == pytest.approx((spent.prompt_tokens * 1.0 + spent.completion_tokens * 2.0) / 1e6)
    assert answers(workspace) == dict.fromkeys(answers(workspace), 1) and len(answers(workspace)) == ROWS
    assert job.step == "", "nothing is at the provider any more"


def test_samples_of_one_prompt_are_requests_of_their_own(workspace: Workspace, server: Loopback) -> None:
    with ending(server):
        job = generate(workspace, SPEC.model_copy(update={"samples": 3, "temperature": 1.0}))
    assert (job.state, job.n_ok) == (JobState.DONE, 3 * ROWS)
    assert books(workspace, job.id)[1][0].n == 3 * ROWS


def test_a_judges_second_look_goes_with_the_next_batch(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest)) as server, ending(server):
        add_endpoint(workspace, server, "prov", capabilities=OBEDIENT | {"batch": True}, **PRICES)
        spec = LabelSpec(judge="xstest", endpoint="prov", batch=True, second_pass=1.0, canaries=2)
        job = label(workspace, spec, selection="dataset:demo")
    assert (job.state, job.n_ok) == (JobState.DONE, 2 * ROWS)
    batches = books(workspace, job.id)[1]
    assert [batch.state for batch in batches] == [BatchState.MERGED] * 2
    assert sorted(batch.n for batch in batches)[-1] == ROWS + 2, "the canaries are in the first one"


# --- the other days --------------------------------------------------------------------------------------------------


def test_rows_that_expired_or_were_lost_are_asked_again_once(workspace: Workspace, server: Loopback) -> None:
    def first_one_expires(number: int, ids: list[str]) -> dict[str, Any]:
        return {"status": "expired", "unanswered": ids[:5], "lose": ids[5:7]} if number == 0 else {}

    with ending(server, first_one_expires):
        job = generate(workspace)
    spent, batches = books(workspace, job.id)
    assert (job.state, job.n_ok) == (JobState.DONE, ROWS)
    assert sorted(batch.n for batch in batches) == [7, ROWS]
    assert spent.requests == ROWS + 7, "every try is in the ledger"


def test_rows_that_fail_twice_have_an_outcome_and_a_retry_asks_anew(workspace: Workspace, server: Loopback) -> None:
    bad = [3, 4]
    heal = threading.Event()

    def never_these(number: int, ids: list[str]) -> dict[str, Any]:
        return (
            {}
            if heal.is_set()
            else {"status": "expired", "unanswered": [i for i in ids if int(i.split(":")[1]) in bad]}
        )

    with ending(server, never_these):
        job = generate(workspace)
        assert (job.state, job.n_ok, job.n_failed) == (JobState.DONE, ROWS - 2, 2)
        assert set(errors(workspace, job.id)) == set(bad)
        assert len(server.batches.batches) == 2
        heal.set()
        with closing(workspace.open()) as connection:
            assert retry_failed(connection, job.id, "timeout") == 2
        job = again(workspace, job.id, requeue=False)
    assert (job.state, job.n_ok, len(server.batches.batches)) == (JobState.DONE, ROWS, 3)
    assert all(batch.state is BatchState.MERGED for batch in books(workspace, job.id)[1])


def test_a_row_that_the_provider_refuses_fails_alone(workspace: Workspace, server: Loopback) -> None:
    with ending(server, lambda number, ids: {"fail": ids[:1]}):
        job = generate(workspace)
    assert (job.n_ok, job.n_failed, len(server.batches.batches)) == (ROWS - 1, 1, 1)


def test_a_budget_is_kept_before_anything_is_sent(workspace: Workspace, server: Loopback) -> None:
    job = generate(workspace, SPEC.model_copy(update={"max_cost": 0.000001}))
    assert job.state is JobState.PAUSED and "Paused before a batch of 20 requests" in job.note
    assert server.batches.batches == {}


def test_a_creation_that_fails_is_tried_again(
    workspace: Workspace, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refusal_tui.llm.batch_pool._SEND_AGAIN_SECONDS", (0.01,))
    server.batches.fail_creation = True
    with ending(server):
        job = generate(workspace)
    assert (job.state, job.n_ok, len(server.batches.batches)) == (JobState.DONE, ROWS, 1)


def test_a_provider_that_takes_nothing_pauses_the_job_and_the_next_run_sends_the_same_batch(
    workspace: Workspace, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refusal_tui.llm.batch_pool._SEND_AGAIN_SECONDS", (0.01,))
    with monkeypatch.context() as patch:
        patch.setattr(BatchApi, "_create", lambda *_: (503, {"error": {"message": "Later."}}))
        job = generate(workspace)
    assert job.state is JobState.PAUSED and "nothing that was submitted is lost" in job.note
    with ending(server):
        job = again(workspace, job.id)
    assert (job.state, job.n_ok, len(server.batches.batches)) == (JobState.DONE, ROWS, 1)


def test_an_end_point_without_a_batch_api_is_refused_when_the_job_is_made(workspace: Workspace) -> None:
    with serving(Settings()) as server:
        add_endpoint(workspace, server, "plain")
        for kind, spec in {
            "generate": GenerateSpec(name="x", endpoints="plain", batch=True),
            "label": LabelSpec(judge="xstest", endpoint="plain", batch=True),
        }.items():
            with pytest.raises(InputError, match="plain \\(custom\\) has none"):
                control.submit(workspace, kind, spec)


# --- deaths and pauses: real workers ---------------------------------------------------------------------------------


@pytest.mark.kill
def test_pausing_leaves_the_batch_to_the_provider_and_resuming_takes_its_answers(
    workspace: Workspace, server: Loopback, runner: Runner
) -> None:
    job_id = control.submit(workspace, "generate", SPEC, selection="dataset:demo")
    job = runner._wait(job_id, lambda job: "looked at" in job.step, "have looked at its batch", 30)
    assert job.step.startswith(f"1 batch, {ROWS} requests at prov: in progress, looked at")
    control.pause(workspace, job_id)
    job = runner.wait(job_id, JobState.PAUSED)
    assert job.finished_rows == 0 and job.step.startswith("1 batch, "), "still true while it is paused"
    server.batches.finish("batch_1")
    control.resume(workspace, job_id)
    assert runner.wait(job_id, JobState.DONE).n_ok == ROWS
    assert len(server.batches.batches) == 1


@pytest.mark.nightly
@pytest.mark.kill
def test_cancelling_a_running_job_asks_the_provider_when_its_worker_has_stopped(
    workspace: Workspace, server: Loopback, runner: Runner
) -> None:
    job_id = control.submit(workspace, "generate", SPEC, selection="dataset:demo")
    runner._wait(job_id, lambda job: "looked at" in job.step, "have looked at its batch", 30)
    control.cancel(workspace, job_id)
    wait_until(lambda: told(workspace, job_id), 30.0, "the provider to be asked")
    assert runner.job(job_id).state is JobState.CANCELLED
    assert server.batches.batches["batch_1"]["status"] == "cancelled"


@pytest.mark.kill
def test_cancelling_asks_the_provider_to_cancel_what_it_has_and_tells_so(
    workspace: Workspace, server: Loopback
) -> None:
    job_id = queued(workspace)
    server.batches.files["f"] = b"{}"
    wanted = {"input_file_id": "f", "endpoint": "e", "completion_window": "24h", "metadata": {METADATA_KEY: "there"}}
    with closing(workspace.open()) as connection:
        for key in ("ended", "there", "never", "known"):  # a worker died before it could record `there` and `never`
            add_batch(connection, Batch(key, job_id, "prov", BatchState.SUBMITTING, "", "", 3))
        _, ended = server.batches._create({**wanted, "metadata": {METADATA_KEY: "ended"}})
        mark_submitted(connection, "ended", ended["id"])
        ended["status"] = "completed"  # while nobody looked: the provider refuses to cancel it
        _, unrecorded = server.batches._create(wanted)
        _, known = server.batches._create({**wanted, "metadata": {METADATA_KEY: "known"}})
        mark_submitted(connection, "known", known["id"])
        control.cancel(workspace, job_id)
        wait_until(lambda: told(workspace, job_id), 30.0, "the provider to be asked")
        assert told(workspace, job_id) == "asked prov to cancel 2 batches"
        assert [one["status"] for one in (ended, unrecorded, known)] == ["completed", "cancelled", "cancelled"]
        notes = {batch.key: batch.note for batch in batches_of(connection, job_id)}
        assert notes == {
            "ended": "completed", "there": "cancelled", "known": "cancelled", "never": "never created",
        }  # fmt: skip
        assert open_batches(connection, job_id) == []


def test_batches_that_could_not_be_cancelled_are_told(workspace: Workspace) -> None:
    job_id = queued(workspace)
    with closing(workspace.open()) as connection:
        add_batch(connection, Batch("late", job_id, "nobody", BatchState.SUBMITTING, "", "", 3))
    recall(workspace, job_id)
    assert "batches at nobody were not cancelled, and cost: There is no end point" in told(workspace, job_id)


@pytest.mark.kill
def test_killed_while_the_provider_works_nothing_is_sent_twice(
    workspace: Workspace, server: Loopback, runner: Runner
) -> None:
    job_id = control.submit(workspace, "generate", SPEC, selection="dataset:demo")
    for run in (1, 2):
        runner.wait_for_worker(job_id, run=run)
        runner._wait(job_id, lambda job: "1 batch" in job.step, "have sent its batch", 30)
        runner.kill_worker(job_id)
        runner.wait(job_id, JobState.INTERRUPTED)
        if run == 2:
            server.batches.finish("batch_1")
        control.resume(workspace, job_id)
    assert runner.wait(job_id, JobState.DONE).n_ok == ROWS
    spent, batches = books(workspace, job_id)
    assert (len(server.batches.batches), len(batches), spent.requests) == (1, 1, ROWS)


@pytest.mark.kill
def test_killed_between_creation_and_its_record_the_batch_is_found_by_our_key(
    workspace: Workspace, server: Loopback, runner: Runner
) -> None:
    job_id = queued(workspace)
    prelude = (
        "import os, signal, refusal_tui.llm.batch as batch\n"
        "batch.mark_submitted = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run_worker_with(workspace, job_id, prelude).returncode < 0
    assert [batch.state for batch in books(workspace, job_id)[1]] == [BatchState.SUBMITTING]
    assert len(server.batches.batches) == 1
    with closing(workspace.open()) as connection:
        control.reap(connection)
    with ending(server):
        job = again(workspace, job_id)
    assert (job.state, job.n_ok, len(server.batches.batches)) == (JobState.DONE, ROWS, 1)


@pytest.mark.kill
def test_killed_in_the_middle_of_merging_every_row_is_there_once_and_paid_once(
    workspace: Workspace, server: Loopback, runner: Runner
) -> None:
    spec = SPEC.model_copy(update={"temperature": 1.0})  # a sample is in no cache
    with closing(workspace.open()) as connection:
        add(connection, *(NewRow(f"Tell me about dew {n}.", None) for n in range(200)), dataset="more")
        ids = select_ids(connection, "dataset:more")
        job_id = create_job(
            connection, kind="generate", title="generate", lane="free", spec=spec.model_dump_json(), spec_version=1,
            item_ids=ids,
        )  # fmt: skip
    prelude = (
        "import os, signal, refusal_tui.jobs.writer as writer\n"
        "real, groups = writer.store_group, []\n"
        "def store(connection, job, group, **options):\n"
        "    if sum(groups) >= 64: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    groups.append(len(group))\n"
        "    return real(connection, job, group, **options)\n"
        "writer.store_group = store"
    )
    with ending(server):
        assert run_worker_with(workspace, job_id, prelude).returncode < 0
        with closing(workspace.open()) as connection:
            control.reap(connection)
        assert 0 < runner.job(job_id).n_ok < 200
        assert books(workspace, job_id)[1][0].state is BatchState.FINISHED
        job = again(workspace, job_id, spec)
    spent, (batch,) = books(workspace, job_id)
    assert (job.state, job.n_ok, batch.state) == (JobState.DONE, 200, BatchState.MERGED)
    assert set(answers(workspace).values()) == {1} and len(answers(workspace)) == 200
    assert (spent.requests, len(server.batches.batches)) == (200, 1)
