"""How is the result of a row made durable, exactly once, and which rows are still to do?"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.errors import StorageError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Wish, get_job, pause_job
from refusal_tui.store.labels import labels_of
from refusal_tui.store.outcomes import Finished, Output, commit_group, pending_rows
from tests.store.building import NewRow, add, claimed, done, failed, says


@pytest.fixture
def items(connection: sqlite3.Connection) -> list[int]:
    return list(add(connection, *(NewRow(f"row {n}", f"answer {n}") for n in range(10))))


def outcome(connection: sqlite3.Connection, item_id: int) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM outcome WHERE item_id = ?", (item_id,)).fetchone()
    assert isinstance(row, sqlite3.Row)
    return row


def counts(connection: sqlite3.Connection, job_id: int) -> tuple[int, int, int]:
    job = get_job(connection, job_id)
    return job.n_ok, job.n_failed, job.n_unparsable


def test_a_verdict_its_label_its_outcome_and_the_counts_come_together(
    connection: sqlite3.Connection, items: list[int]
) -> None:
    job = claimed(connection, items)
    assert commit_group(connection, job, [done(0, items[0], "soft")], cursor=1) == (1, None)
    assert [label.value for label in labels_of(connection, items[0])] == ["soft"]
    assert outcome(connection, items[0])["state"] == "ok"
    assert (counts(connection, job.id), get_job(connection, job.id).cursor) == ((1, 0, 0), 1)


def test_a_failed_row_keeps_its_error_and_attempts(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [replace(failed(0, items[0]), attempts=5)], cursor=1)
    row = outcome(connection, items[0])
    assert (row["state"], row["error_class"], row["error"], row["attempts"]) == (
        "failed",
        "server",
        "server trouble",
        5,
    )
    assert counts(connection, job.id) == (0, 1, 0)


def test_an_unparsable_row_keeps_its_raw_answer(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [failed(0, items[0], ErrorClass.PARSE, raw="I think \ud800…")], cursor=1)
    row = outcome(connection, items[0])
    assert (row["state"], row["raw"]) == ("unparsable", "I think \\ud800…")
    assert counts(connection, job.id) == (0, 0, 1)


def test_a_result_that_is_no_verdict_is_kept_as_json(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    value = {"text": "漢\ud800", "score": [1, None]}
    commit_group(connection, job, [Finished(0, Output(says(items[0], None).item_id, value))], cursor=1)
    assert json.loads(outcome(connection, items[0])["output"]) == {"text": "漢\\ud800", "score": [1, None]}


def test_a_row_that_has_its_outcome_is_left_alone_with_all_it_carries(
    connection: sqlite3.Connection, items: list[int]
) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [done(0, items[0], "hard")], cursor=1)
    assert commit_group(connection, job, [done(0, items[0], "none"), done(1, items[1])], cursor=2) == (1, None)
    assert [label.value for label in labels_of(connection, items[0])] == ["hard"]
    assert counts(connection, job.id) == (2, 0, 0)


def test_a_row_twice_in_one_group_counts_once(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    assert commit_group(connection, job, [done(0, items[0], "hard"), failed(0, items[0])], cursor=1) == (1, None)
    assert counts(connection, job.id) == (1, 0, 0)


def test_stages_and_samples_of_a_row_are_outcomes_of_their_own(
    connection: sqlite3.Connection, items: list[int]
) -> None:
    job = claimed(connection, items)
    one = done(0, items[0])
    group = [one, replace(one, k=1), replace(one, stage="rewrite"), replace(one, stage="rewrite", k=1)]
    assert commit_group(connection, job, group, cursor=1)[0] == 4


def test_a_commit_tells_what_is_wished(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    pause_job(connection, job.id)
    assert commit_group(connection, job, [done(0, items[0])], cursor=1) == (1, Wish.PAUSE)


def test_an_empty_group_still_beats_and_moves_the_cursor(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    assert commit_group(connection, job, [], cursor=4) == (0, None)
    assert get_job(connection, job.id).cursor == 4


def test_the_cursor_never_goes_back(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [done(0, items[0]), done(1, items[1])], cursor=2)
    commit_group(connection, job, [done(2, items[2])], cursor=1)
    assert get_job(connection, job.id).cursor == 2


def test_a_group_that_cannot_be_written_leaves_nothing_and_can_be_written_later(
    connection: sqlite3.Connection, items: list[int]
) -> None:
    job = claimed(connection, items)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    group = [failed(n, item, ErrorClass.PARSE, raw="x" * 50_000) for n, item in enumerate(items)]
    connection.execute(f"PRAGMA max_page_count={pages + 10}")
    with pytest.raises(StorageError):
        commit_group(connection, job, group, cursor=10)
    assert connection.execute("SELECT count(*) FROM outcome").fetchone()[0] == 0
    assert (counts(connection, job.id), get_job(connection, job.id).cursor) == ((0, 0, 0), 0)
    connection.execute("PRAGMA max_page_count=1000000")
    assert commit_group(connection, job, group, cursor=10)[0] == 10


# --- what is left to do --------------------------------------------------------------------------------------------


def left(connection: sqlite3.Connection, job_id: int, page: int = 3, after: int = 0) -> list[int]:
    """Every position that is still to do, read page by page as a worker does."""
    job = get_job(connection, job_id)
    positions: list[int] = []
    while True:
        rows, following = pending_rows(connection, job, after, page)
        if following == after:
            assert rows == []
            return positions
        assert after < following
        assert all(after <= row.position < following for row in rows)
        positions += [row.position for row in rows]
        after = following


def test_a_new_job_has_all_its_rows_to_do_in_order(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items[::-1])
    rows, following = pending_rows(connection, job, 0, 4)
    assert [(p.position, p.row.item_id) for p in rows] == list(enumerate(items[::-1]))[:4]
    assert following == 4
    assert left(connection, job.id) == list(range(10))


def test_a_row_to_do_comes_with_its_text(connection: sqlite3.Connection, items: list[int]) -> None:
    (first, *_), _ = pending_rows(connection, claimed(connection, items), 0, 1)
    assert (first.row.prompt, first.row.response) == ("row 0", "answer 0")


def test_failed_rows_are_not_to_do(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items)
    commit_group(connection, job, [done(3, items[3]), failed(5, items[5])], cursor=0)
    assert left(connection, job.id) == [0, 1, 2, 4, 6, 7, 8, 9]


def test_a_pilot_has_its_own_rows_to_do(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, items, row_limit=4)
    commit_group(connection, job, [done(1, items[1])], cursor=0)
    assert left(connection, job.id) == [0, 2, 3]


def test_rows_that_no_longer_exist_are_passed_over(connection: sqlite3.Connection, items: list[int]) -> None:
    job = claimed(connection, [*range(900, 920), *items])
    assert left(connection, job.id, page=4) == list(range(20, 30))


def test_outcomes_of_another_job_do_not_count(connection: sqlite3.Connection, items: list[int]) -> None:
    first = claimed(connection, items)
    commit_group(connection, first, [done(n, item) for n, item in enumerate(items)], cursor=10)
    assert left(connection, claimed(connection, items).id) == list(range(10))


def test_a_job_without_rows_has_nothing_to_do(connection: sqlite3.Connection) -> None:
    assert pending_rows(connection, claimed(connection, []), 0, 10) == ([], 0)


@settings(deadline=None, max_examples=60)
@given(pattern=st.lists(st.booleans(), min_size=1, max_size=40), page=st.integers(1, 7), after=st.integers(0, 10))
def test_whatever_is_done_the_rest_is_to_do_exactly_once(
    empty_memory: sqlite3.Connection, pattern: list[bool], page: int, after: int
) -> None:
    """`pattern` says which positions have an outcome."""
    connection = empty_memory
    ids = add(connection, *(NewRow(f"row {n}") for n in range(len(pattern))))
    job = claimed(connection, ids)
    try:
        group = [done(n, item) for n, item in enumerate(ids) if pattern[n]]
        commit_group(connection, job, group, cursor=0)
        expected = [n for n, is_done in enumerate(pattern) if not is_done and n >= after]
        assert left(connection, job.id, page, after) == expected
    finally:
        clear(connection)


def clear(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        for table in ("outcome", "job_item", "worker", "event", "job", "label", "verdict", "item_body", "item"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("INSERT INTO prompt_fts(prompt_fts) VALUES ('delete-all')")
        connection.execute("INSERT INTO response_fts(response_fts) VALUES ('delete-all')")
        connection.execute("DELETE FROM prompt")
        connection.execute("DELETE FROM dataset")
