"""What does the engine promise to a job whose rows go through stages?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from refusal_tui.errors import JobError
from refusal_tui.jobs.rowjob import PauseRequested
from refusal_tui.jobs.stages import RowRun, Staged, Value
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made, get_dataset
from refusal_tui.store.jobs import Job, JobState, requeue_job
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import Made, MadeItem, Unit, outputs_of
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace
from tests.support.rowjobs import queue_job, run_here

Trouble = Callable[[str, int], Value | RowError | None]


class Counting(Staged):
    """Three stages; each adds its name to what the one before has said, the last one makes an item."""

    units = (Unit("first"), Unit("second"), Unit("third"))
    concurrency = 12

    def __init__(self, workspace: Workspace, trouble: Trouble = lambda stage, item: None) -> None:
        super().__init__(workspace)
        self._trouble = trouble
        self.done: list[tuple[str, int]] = []

    async def start(self, job: Job) -> None:
        await super().start(job)
        with closing(self._workspace.open()) as connection, transaction(connection):
            self._dataset = begin_made(connection, "made", job.id, "counting").id

    async def work_on(self, run: RowRun) -> None:
        said = ""
        for stage in ("first", "second"):
            said = (await run.step(stage, 0, self._adding(said)))["said"]
        await run.step("third", 0, self._making(run, said))

    def _adding(self, said: str):
        async def add(key: RowKey) -> Value | RowError:
            found = self._trouble(key.stage, key.item_id)
            if found is not None:
                return found
            self.done.append((key.stage, key.item_id))
            return {"said": f"{said}{key.stage} "}

        return add

    def _making(self, run: RowRun, said: str):
        async def make(key: RowKey) -> Made:
            self.done.append((key.stage, key.item_id))
            return Made(run.row.item_id, self._dataset, run.row.key, MadeItem(run.row.prompt, said), {"said": said})

        return make


def items_made(workspace: Workspace) -> list[str]:
    with closing(workspace.open()) as connection:
        dataset = get_dataset(connection, "made")
        rows = connection.execute(
            """SELECT response FROM item_body JOIN item ON item.id = item_id WHERE dataset_id = ?""", (dataset.id,)
        ).fetchall()
        assert dataset.n_items == len(rows)
        return [row[0] for row in rows]


def test_every_row_goes_through_its_stages_in_order_and_ends_as_an_item(workspace: Workspace) -> None:
    work = Counting(workspace)
    job = run_here(workspace, queue_job(workspace, selection="id:1-30"), work)
    assert (job.state, job.n_ok, job.total) == (JobState.DONE, 90, 90)
    assert items_made(workspace) == ["first second "] * 30
    assert len(work.done) == len(set(work.done)) == 90


def test_a_row_that_stops_between_two_stages_goes_on_from_there(workspace: Workspace) -> None:
    def pause(stage: str, item: int) -> None:
        if stage == "second" and item >= 10:
            raise PauseRequested("The budget is used up.")

    first, second = Counting(workspace, pause), Counting(workspace)
    job_id = queue_job(workspace, selection="id:1-30")
    job = run_here(workspace, job_id, first)
    assert (job.state, job.note) == (JobState.PAUSED, "The budget is used up.")
    assert 0 < len(items_made(workspace)) < 30
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    assert run_here(workspace, job_id, second).n_ok == 90
    assert items_made(workspace) == ["first second "] * 30
    assert sum(stage == "first" for stage, _ in first.done + second.done) == 30, "no stage is done twice"


def test_a_stage_that_fails_fails_the_later_ones_and_a_retry_does_them_and_no_others(workspace: Workspace) -> None:
    def fail(stage: str, item: int) -> RowError | None:
        return RowError(item, ErrorClass.SERVER, "no luck") if stage == "second" and item == 5 else None  # type: ignore[arg-type]

    job_id = queue_job(workspace, selection="id:1-10")
    assert run_here(workspace, job_id, Counting(workspace, fail)).n_failed == 2
    assert len(items_made(workspace)) == 9
    with closing(workspace.open()) as connection:
        found = outputs_of(connection, job_id, 5)
        assert found[Unit("third")].message == "a step before it failed: no luck"
        assert retry_failed(connection, job_id, "server") == 2
    again = Counting(workspace)
    assert run_here(workspace, job_id, again).n_ok == 30
    assert again.done == [("second", 5), ("third", 5)]


def test_an_unexpected_error_is_one_of_the_row(workspace: Workspace) -> None:
    def burst(stage: str, item: int) -> None:
        if item == 3:
            raise ZeroDivisionError("frindle")

    job = run_here(workspace, queue_job(workspace, selection="id:1-10"), Counting(workspace, burst))
    assert (job.state, job.n_failed, job.n_ok) == (JobState.DONE, 3, 27)


def test_an_error_of_the_whole_job_ends_it(workspace: Workspace) -> None:
    def end(stage: str, item: int) -> None:
        raise JobError("The blorptanium has run out.")

    job = run_here(workspace, queue_job(workspace, selection="id:1-10"), Counting(workspace, end))
    assert job.state is JobState.FAILED and "blorptanium" in job.note


def test_a_name_that_another_source_has_ends_the_job_with_a_sentence(workspace: Workspace) -> None:
    job_id = queue_job(workspace, selection="id:1-2")
    with closing(workspace.open()) as connection:
        connection.execute("UPDATE dataset SET name = 'made'")
    job = run_here(workspace, job_id, Counting(workspace))
    assert job.state is JobState.FAILED and "another source" in job.note


@pytest.mark.parametrize(
    "terms", [("full", "none", "none"), ("labels-only", None, "labels-only"), ("full", None, None)]
)
def test_what_is_made_has_the_strictest_terms_of_its_sources(workspace: Workspace, terms) -> None:
    one, other, strictest = terms
    with closing(workspace.open()) as connection:
        _second_dataset(connection, one, other)
        job_id = queue_job(workspace, selection="id:1-100")
        with transaction(connection):
            made = begin_made(connection, "made", job_id, "counting")
        assert made.provenance.redistribution == strictest
        assert made.provenance.licence == "CC-BY-4.0 AND MIT"


def _second_dataset(connection: sqlite3.Connection, one: str | None, other: str | None) -> None:
    connection.execute("UPDATE dataset SET redistribution = ?, licence = 'MIT'", (one,))
    connection.execute(
        """INSERT INTO dataset(name, adapter, adapter_version, source, redistribution, licence, state, created)
           VALUES ('second', 'generic', '1', 's', ?, 'CC-BY-4.0', 'ready', 0)""",
        (other,),
    )
    connection.execute("UPDATE item SET dataset_id = 2 WHERE id > 50")
