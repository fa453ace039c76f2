"""What happens to results that cannot be written? They wait, then they are spilled, then the next run commits them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.jobs import writer
from refusal_tui.jobs.spill import Spilled, spill, spill_path, unspill
from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Answer, ErrorClass, Profile, RowError, Span, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, requeue_job
from refusal_tui.store.ledger import (
    Attempt,
    RowKey,
    add_attempts_once,
    attempt_from_json,
    attempt_to_json,
    attempts_of,
)
from refusal_tui.store.outcomes import Finished, Made, MadeItem, Output
from refusal_tui.store.workspace import Workspace
from tests.support.ledger import check_books, errors, outcomes
from tests.support.rowjobs import Scripted, queue_job, run_here, verdict
from tests.support.workspaces import make_workspace

# --- the side file ---------------------------------------------------------------------------------------------------

any_text = st.text(alphabet=st.characters())  # control characters, line separators and lone surrogates included
probabilities = st.none() | st.floats(0, 1)
item_ids = st.integers(1, 10**9).map(ItemId)
answers = st.dictionaries(any_text, st.builds(Answer, st.none() | st.booleans() | any_text, probabilities), max_size=3)
spans = st.builds(Span, st.sampled_from(["prompt", "response"]), st.integers(0, 99), st.integers(0, 99), any_text)
verdicts = st.builds(
    Verdict, item_ids, any_text, any_text, any_text, answers, st.lists(spans, max_size=3).map(tuple),
    st.none() | any_text, st.none() | any_text, st.booleans(), st.sampled_from(Profile),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
outputs = st.builds(Output, item_ids, st.dictionaries(any_text, json_values, max_size=3))
turns = st.lists(st.builds(Message, any_text, any_text), min_size=1, max_size=3).map(tuple)
made_items = st.builds(
    MadeItem, any_text | turns, st.none() | any_text, st.none() | any_text, st.none() | any_text, st.none() | any_text,
    st.dictionaries(any_text, json_values, max_size=2),
)  # fmt: skip
made = st.builds(
    Made, item_ids, st.integers(1, 99), any_text, made_items, st.dictionaries(any_text, json_values, max_size=2)
)
row_errors = st.builds(RowError, item_ids, st.sampled_from(ErrorClass), any_text, st.none() | any_text)
finished = st.builds(
    Finished,
    st.integers(0, 10**6),
    verdicts | outputs | made | row_errors,
    st.integers(1, 5),
    any_text,
    st.integers(0, 9),
)


@given(st.lists(st.lists(finished, max_size=4), max_size=4))
def test_spilled_results_come_back_exactly(groups: list[list[Finished]]) -> None:
    path = Path(f"/tmp/spill-{os.getpid()}.jsonl")
    path.unlink(missing_ok=True)
    try:
        for group in groups:
            spill(path, group)
        assert unspill(path).finished == [one for group in groups for one in group]
    finally:
        path.unlink(missing_ok=True)


def result(number: int) -> Finished:
    return Finished(number, RowError(ItemId(number), ErrorClass.PARSE, "no JSON", raw="\x1b[31m\u2028 blorp"))


@pytest.mark.parametrize("torn_at", [1, 20, 60, -1])
def test_a_line_torn_by_a_crash_costs_that_row_alone(tmp_path: Path, torn_at: int) -> None:
    path = tmp_path / "spill.jsonl"
    spill(path, [result(1)])
    whole = path.read_bytes()
    spill(path, [result(2)])
    path.write_bytes(path.read_bytes()[: len(whole) + 1 + torn_at] if torn_at > 0 else path.read_bytes()[: torn_at - 1])
    spill(path, [result(3)])
    assert unspill(path).finished == [result(1), result(3)]


def test_no_side_file_means_no_rows(tmp_path: Path) -> None:
    assert unspill(tmp_path / "nothing.jsonl") == Spilled()


keys = st.builds(RowKey, st.integers(1, 99), st.integers(-9, 10**9), any_text, st.integers(0, 9))
attempts = st.builds(
    Attempt, keys, st.integers(1, 20), any_text, any_text, any_text, st.floats(0, 2e9), st.floats(0, 2e9),
    st.none() | st.integers(100, 599), st.none() | st.sampled_from(ErrorClass), st.none() | st.floats(0, 99),
    st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.none() | st.floats(0, 9),
    st.none() | st.binary(min_size=32, max_size=32), st.none() | any_text,
)  # fmt: skip


@given(attempts)
def test_an_attempt_that_is_spilled_comes_back_exactly(attempt: Attempt) -> None:
    assert attempt_from_json(json.loads(json.dumps(attempt_to_json(attempt)))) == attempt


def test_attempts_that_are_restored_twice_are_in_the_ledger_once(workspace: Workspace) -> None:
    """As after a kill between their commit and the end of the side file."""
    tries = [Attempt(RowKey(7, 1), n, "local", "http://127.0.0.1/v1", "blorp", n, n + 0.5, 200) for n in (1, 2)]
    with closing(workspace.open()) as connection:
        for _ in range(2):
            with transaction(connection):
                add_attempts_once(connection, tries)
        assert attempts_of(connection, 7, 1) == tries


# --- a disk that is full ---------------------------------------------------------------------------------------------


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "STORAGE_PATIENCE_SECONDS", 0.0)


def test_rows_that_do_not_fit_are_spilled_and_committed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, little_patience: None
) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=1000)
    job_id = queue_job(workspace)
    full = _LimitPages(monkeypatch, pages_more=12)
    first = Scripted()
    job = run_here(workspace, job_id, first)
    assert job.state is JobState.FAILED
    assert job.note.startswith("The disk is full or failing") and "resume the job" in job.note
    kept = unspill(spill_path(workspace, job_id)).finished
    assert kept and len(kept) + job.n_ok == len(first.asked), "whatever was asked for is durable somewhere"
    check_books(workspace, job_id)
    full.undo()
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    second = Scripted()
    job = run_here(workspace, job_id, second)
    assert (job.state, job.n_ok) == (JobState.DONE, 1000)
    assert not first.asked.keys() & second.asked.keys(), "no row is done twice"
    assert not spill_path(workspace, job_id).exists()
    check_books(workspace, job_id)


def test_spilled_rows_that_have_their_outcome_already_are_left_alone(workspace: Workspace) -> None:
    """As after a kill between their commit and the end of the side file."""
    job_id = queue_job(workspace, pilot=50)
    run_here(workspace, job_id, Scripted())
    spill(spill_path(workspace, job_id), [result(number) for number in range(1, 61)])
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    job = run_here(workspace, job_id, Scripted())
    assert (job.state, job.n_ok, job.n_unparsable) == (JobState.DONE, 90, 10)
    check_books(workspace, job_id)


def test_a_disk_with_room_again_in_time_only_delays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=300)
    full = _LimitPages(monkeypatch, pages_more=4)
    monkeypatch.setattr(writer, "_RETRY_SECONDS", 0.01)
    full.lift_after = 3
    job = run_here(workspace, queue_job(workspace), Scripted())
    assert full.refused >= 3
    assert (job.state, job.n_ok) == (JobState.DONE, 300)
    check_books(workspace, job.id)


class _LimitPages:
    """Limits the writer's own connection to the pages that the database has now, and a few more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pages_more: int) -> None:
        self.refused = 0
        self.lift_after: int | None = None
        self._store_group = writer.store_group
        self._patch = monkeypatch
        self._pages_more = pages_more
        monkeypatch.setattr(writer, "store_group", self._limited)
        self._limited_to: int | None = None

    def undo(self) -> None:
        self._patch.setattr(writer, "store_group", self._store_group)

    def _limited(self, connection: sqlite3.Connection, *values: object, **named: object) -> object:
        if self._limited_to is None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            self._limited_to = pages + self._pages_more
        connection.execute(f"PRAGMA max_page_count={self._limited_to}")
        try:
            return self._store_group(connection, *values, **named)  # type: ignore[arg-type]
        except Exception:
            self.refused += 1
            if self.refused == self.lift_after:
                self._limited_to = 10**6
            raise


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for little."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_loses_nothing_that_was_stored(tiny_disk: Path, little_patience: None) -> None:
    workspace = make_workspace(tiny_disk / "ws", rows=300)
    job_id = queue_job(workspace)

    def fill(asked: int) -> None:
        if 100 <= asked < 110:
            with suppress(OSError), (tiny_disk / "filler").open("ab") as file:
                while file.write(b"x" * 4096):
                    file.flush()

    try:
        run_here(workspace, job_id, Scripted(after_batch=fill))
    except Exception as error:  # when even the job's end cannot be recorded, the supervisor does it later
        assert "full" in str(error)
    (tiny_disk / "filler").unlink()
    before = outcomes(workspace, job_id)
    assert 0 < len(before) < 300, "the disk was full before the end"
    with closing(workspace.open()) as connection:
        connection.execute("UPDATE job SET state = 'interrupted' WHERE state = 'running'")
        requeue_job(connection, job_id)
    job = run_here(workspace, job_id, Scripted())
    assert (job.state, job.n_ok) == (JobState.DONE, 300)
    assert before.items() <= outcomes(workspace, job_id).items()
    check_books(workspace, job_id)


# --- a database that is locked ---------------------------------------------------------------------------------------


def test_a_database_that_somebody_else_has_locked_only_delays(workspace: Workspace) -> None:
    """Another connection holds the writer's lock until the engine has asked for everything it may without a commit."""
    job_id = queue_job(workspace)
    holder = workspace.open()
    locked = threading.Event()

    def lock(asked: int) -> None:
        if not locked.is_set():
            holder.execute("BEGIN IMMEDIATE")
            locked.set()
            threading.Timer(0.7, holder.execute, ("COMMIT",)).start()

    job = run_here(workspace, job_id, Scripted(after_batch=lock))
    assert (job.state, job.n_ok) == (JobState.DONE, 100)
    check_books(workspace, job_id)
    holder.close()


def test_a_lock_that_lasts_too_long_fails_the_job_and_keeps_its_rows(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, little_patience: None
) -> None:
    job_id = queue_job(workspace)
    first = Scripted()

    def locked(*values: object, **named: object) -> None:
        with closing(workspace.open()) as one, closing(workspace.open()) as other:
            one.execute("PRAGMA busy_timeout=0")
            other.execute("BEGIN IMMEDIATE")
            try:
                store_group(one, *values[1:], **named)  # type: ignore[arg-type]
            finally:
                other.execute("ROLLBACK")

    store_group = writer.store_group
    with monkeypatch.context() as patch:
        patch.setattr(writer, "store_group", locked)
        job = run_here(workspace, job_id, first)
    assert job.state is JobState.FAILED and "locked by another process" in job.note
    assert len(unspill(spill_path(workspace, job_id)).finished) == len(first.asked)
    with closing(workspace.open()) as connection:
        requeue_job(connection, job_id)
    assert run_here(workspace, job_id, Scripted()).n_ok == 100
    check_books(workspace, job_id)


# --- results that the store cannot hold ------------------------------------------------------------------------------


def test_a_result_that_cannot_be_stored_is_an_error_of_its_row_alone(workspace: Workspace) -> None:
    work = Scripted(lambda row, tries: Output(row.item_id, {"bad": object()}) if row.item_id == 9 else verdict(row))
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.state, job.n_ok) == (JobState.DONE, 99)
    (error_class, text) = errors(workspace, job.id)[9]
    assert error_class == "internal" and "cannot be stored" in text and "not JSON serializable" in text
    check_books(workspace, job.id)


def test_lone_surrogates_in_answers_are_stored_as_escapes(workspace: Workspace) -> None:
    work = Scripted(lambda row, tries: RowError(row.item_id, ErrorClass.PARSE, "\ud800", raw="\udfff blorp\x00")
                    if row.item_id == 9 else verdict(row))  # fmt: skip
    job = run_here(workspace, queue_job(workspace), work)
    assert (job.n_ok, job.n_unparsable) == (99, 1)
    assert errors(workspace, job.id)[9] == ("parse", "\\ud800")


def test_a_log_folder_that_is_gone_is_made_again_when_rows_must_be_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, little_patience: None
) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=300)
    _LimitPages(monkeypatch, pages_more=2)
    job_id = queue_job(workspace)
    shutil.rmtree(workspace.logs)
    run_here(workspace, job_id, Scripted())
    assert unspill(spill_path(workspace, job_id)).finished
    assert workspace.logs.stat().st_mode & 0o777 == 0o700
