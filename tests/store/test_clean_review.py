"""People's decisions about cleaned rows: kept, superseded, taken back, and what a row is after them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.export.records import records
from refusal_tui.store.clean_review import (
    Choice,
    Queue,
    decide,
    in_force,
    progress,
    review_queue,
    reviewed_rows,
    standing,
    undo,
)
from refusal_tui.store.cleaned import made_by
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.cleaned import ANSWER, cleaned_job

ADA, BEN = "human:ada", "human:ben"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


@pytest.fixture
def job(workspace: Workspace) -> tuple[int, list[int]]:
    return cleaned_job(workspace)


@pytest.fixture
def store(workspace: Workspace, job) -> Iterator[sqlite3.Connection]:
    with closing(workspace.open()) as connection:
        yield connection


def say(store: sqlite3.Connection, job: int, row: int, choice: Choice, text: str | None = None, who: str = ADA) -> None:
    with transaction(store):
        decide(store, job, row, who, choice, text)


def take_back(store: sqlite3.Connection, job: int, who: str = ADA) -> int | None:
    with transaction(store):
        taken = undo(store, job, who)
    return taken.item_id if taken else None


def counts(store: sqlite3.Connection, row: int) -> Choice | None:
    found = in_force(standing(store, [row]).get(row, {}).values())
    return found.choice if found else None


def after(store: sqlite3.Connection, row: int):
    (found,) = reviewed_rows(store, fetch_rows(store, [row]))
    return found


# --- queues ----------------------------------------------------------------------------------------------------------


def test_each_queue_holds_its_rows_and_untouched_ones_are_in_none(store, job) -> None:
    number, (rewritten, answered, untouched, refused, doubtful) = job
    found = {queue: list(review_queue(store, number, queue, ADA)) for queue in Queue}
    assert found[Queue.UNDECIDED] == found[Queue.TOUCHED] == [rewritten, answered, refused, doubtful]
    assert found[Queue.CHANGED] == [rewritten, answered, refused, doubtful]
    assert found[Queue.REFUSED_AGAIN] == [refused] and found[Queue.DOUBTFUL] == [doubtful]
    assert all(untouched not in ids for ids in found.values())


def test_what_anybody_has_decided_is_not_undecided_and_a_skip_hides_a_row_from_its_person_alone(store, job) -> None:
    number, (one, two, *_) = job
    say(store, number, one, Choice.ACCEPT)
    say(store, number, two, Choice.SKIP)
    assert one not in review_queue(store, number, Queue.UNDECIDED, BEN)
    assert two not in review_queue(store, number, Queue.UNDECIDED, ADA)
    assert two in review_queue(store, number, Queue.UNDECIDED, BEN)
    assert list(review_queue(store, number, Queue.SKIPPED, ADA)) == [two]
    assert list(review_queue(store, number, Queue.SKIPPED, BEN)) == []


def test_progress_counts_the_decision_in_force_of_every_row(store, job) -> None:
    number, (one, two, _, three, _four) = job
    say(store, number, one, Choice.REJECT)
    say(store, number, one, Choice.ACCEPT)
    say(store, number, two, Choice.EDIT, "What do tame zorblings eat?")
    say(store, number, three, Choice.SKIP)
    done = progress(store, number, ADA)
    assert (done.rows, done.accepted, done.edited, done.rejected, done.skipped) == (4, 1, 1, 0, 1)
    assert done.decided == 2


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_last_decision_of_every_person_is_kept_and_the_latest_of_all_counts(store, job) -> None:
    number, (row, *_) = job
    say(store, number, row, Choice.ACCEPT, who=ADA)
    say(store, number, row, Choice.REJECT, who=ADA)
    say(store, number, row, Choice.ACCEPT, who=BEN)
    assert {who: one.choice for who, one in standing(store, [row])[row].items()} == {
        ADA: Choice.REJECT,
        BEN: Choice.ACCEPT,
    }
    assert counts(store, row) is Choice.ACCEPT


def test_undo_goes_back_as_far_as_one_has_decided_and_brings_the_earlier_decision_back(store, job) -> None:
    number, (one, two, *_) = job
    say(store, number, one, Choice.ACCEPT)
    say(store, number, two, Choice.ACCEPT)
    say(store, number, one, Choice.REJECT)
    assert take_back(store, number) == one and counts(store, one) is Choice.ACCEPT
    assert take_back(store, number) == two and counts(store, two) is None
    assert take_back(store, number) == one and counts(store, one) is None
    assert take_back(store, number) is None


def test_nobody_takes_back_what_another_person_has_decided(store, job) -> None:
    number, (row, *_) = job
    say(store, number, row, Choice.ACCEPT, who=ADA)
    assert take_back(store, number, BEN) is None and counts(store, row) is Choice.ACCEPT


def test_history_cannot_be_edited(store, job) -> None:
    number, (row, *_) = job
    say(store, number, row, Choice.ACCEPT)
    with pytest.raises(sqlite3.Error, match="never edited"):
        store.execute("UPDATE clean_decision SET decision = 'reject'")


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_edit_needs_words(store, job, text) -> None:
    number, (row, *_) = job
    with pytest.raises(InputError, match="new wording"):
        decide(store, number, row, ADA, Choice.EDIT, text)


def test_a_row_of_another_job_is_not_decided_on(store, job) -> None:
    number, _ = job
    with pytest.raises(InputError, match="was not made by"):
        decide(store, number, 1, ADA, Choice.ACCEPT)  # an item of the source


# --- what becomes of the rows ----------------------------------------------------------------------------------------


def test_an_accepted_doubtful_row_is_kept_and_a_rejected_one_dropped_with_who_and_what_the_job_said(store, job) -> None:
    number, (kept, _, _, _, doubtful) = job
    say(store, number, doubtful, Choice.ACCEPT)
    say(store, number, kept, Choice.REJECT)
    meta = after(store, doubtful).meta
    assert (meta["decision"], meta["reason"], meta["reviewed_by"]) == ("keep", "accepted", ADA)
    assert (meta["decision_of_job"], meta["reason_of_job"]) == ("review", "safety_not_judged")
    assert after(store, kept).meta["decision"] == "drop"
    assert [row.item_id for row in made_by(store, number, "keep")].count(doubtful) == 1
    assert kept not in [row.item_id for row in made_by(store, number, "keep")]


def test_an_edit_waits_for_a_new_answer_and_the_models_wording_stays(store, job) -> None:
    number, (row, *_) = job
    say(store, number, row, Choice.EDIT, "Who first smelted blorptanium?")
    edited = after(store, row)
    assert (edited.prompt, edited.response) == ("Who first smelted blorptanium?", None)
    assert edited.meta["answer_again"] is True and edited.meta["old_response"] == ANSWER
    assert edited.meta["rewritten_by_model"] == "What is the history of smelting blorptanium?"
    assert fetch_rows(store, [row])[0].prompt == "What is the history of smelting blorptanium?"


def test_an_accepted_edit_keeps_its_answer(store, job) -> None:
    number, (row, *_) = job
    say(store, number, row, Choice.EDIT, "What is the history of blorptanium smelting?")
    say(store, number, row, Choice.ACCEPT, "What is the history of blorptanium smelting?")
    edited = after(store, row)
    assert (edited.prompt, edited.response) == ("What is the history of blorptanium smelting?", ANSWER)
    assert "answer_again" not in edited.meta


def test_an_export_leaves_rejected_rows_out_and_gives_edited_ones_as_edited(store, job) -> None:
    number, (edited, rejected, untouched, *_) = job
    say(store, number, edited, Choice.EDIT, "Who first smelted blorptanium?")
    say(store, number, rejected, Choice.REJECT)
    found = list(records(store, [edited, rejected, untouched]))
    assert [(r["prompt"], r["response"]) for r in found] == [
        ("Who first smelted blorptanium?", None),
        ("What do frindles drink?", "Mostly dew."),
    ]
    assert found[0]["meta"]["answer_again"] is True
