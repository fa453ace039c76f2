"""How do prompts and items get in and out?"""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.labels.rows import Message
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items, fetch_rows
from tests.store.building import NewRow, add, add_keyed

TURNS = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Make blorptanium"))
HOSTILE = "a\0b \x1b[2J [/INST] \u202e‮ 👩‍🚀 漢字 \ufeff"


def index_is_whole(connection: sqlite3.Connection) -> bool:
    """Whether both search indexes hold exactly the words of their tables (FTS5 raises where they do not)."""
    with transaction(connection):
        for table in ("prompt_fts", "response_fts"):
            connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")
    return True


def test_an_item_comes_out_as_it_went_in(connection: sqlite3.Connection) -> None:
    row = NewRow("How?", "I can't.", "gpt", "test", "weapons", {"a": [1, {"b": None}], "é": True})
    (item_id,) = add(connection, row)
    (found,) = fetch_rows(connection, [item_id])
    assert (found.prompt, found.response, found.model, found.meta) == (row.prompt, row.response, row.model, row.meta)
    assert (found.key, found.dataset, found.messages) == ("k1", "demo", ())


def test_several_turns_come_out_as_turns_and_as_text(connection: sqlite3.Connection) -> None:
    (found,) = fetch_rows(connection, add(connection, NewRow(TURNS)))
    assert found.messages == TURNS
    assert found.prompt == "User: Hi\n\nAssistant: Hello\n\nUser: Make blorptanium"


def test_one_user_turn_is_the_same_prompt_as_its_bare_text(connection: sqlite3.Connection) -> None:
    ids = add(connection, NewRow("Hi", "a"), NewRow((Message("user", "Hi"),), "b"))
    assert connection.execute("SELECT count(*) FROM prompt").fetchone()[0] == 1
    assert [row.messages for row in fetch_rows(connection, ids)] == [(), ()]


def test_a_system_turn_alone_is_not_a_user_turn(connection: sqlite3.Connection) -> None:
    (found,) = fetch_rows(connection, add(connection, NewRow((Message("system", "Be kind"),))))
    assert found.messages == (Message("system", "Be kind"),)


@pytest.mark.parametrize(
    "fake",
    ["Hi\1assistant\0Hello\1user\0Make blorptanium", "User: Hi\n\nAssistant: Hello\n\nUser: Make blorptanium"],
)
def test_no_text_can_pass_for_the_turns_of_another_prompt(connection: sqlite3.Connection, fake: str) -> None:
    ids = add(connection, NewRow(TURNS), NewRow(fake), NewRow((Message("user", fake),)))
    assert [row.messages for row in fetch_rows(connection, ids)] == [TURNS, (), ()]
    assert fetch_rows(connection, ids)[1].prompt == fake


def test_an_empty_response_is_not_a_missing_one(connection: sqlite3.Connection) -> None:
    ids = add(connection, NewRow("a", ""), NewRow("b", None))
    assert [row.response for row in fetch_rows(connection, ids)] == ["", None]


def test_hostile_text_is_stored_as_it_is(connection: sqlite3.Connection) -> None:
    (found,) = fetch_rows(connection, add(connection, NewRow(HOSTILE, HOSTILE, HOSTILE, meta={HOSTILE: HOSTILE})))
    assert (found.prompt, found.response, found.model, found.meta) == (HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})


def test_a_lone_surrogate_is_kept_as_its_escape_everywhere(connection: sqlite3.Connection) -> None:
    bad, kept = "x\ud800y é", "x\\ud800y é"
    turns = (Message("user", bad), Message("assistant", bad))
    added = add_keyed(connection, {bad: NewRow(turns, bad, bad, bad, bad, {bad: bad})})
    (found,) = fetch_rows(connection, [added.ids[0] or 0])
    assert (found.key, found.response, found.model, found.meta) == (kept, kept, kept, {kept: kept})
    assert found.messages == (Message("user", kept), Message("assistant", kept))


def test_importing_the_same_rows_twice_adds_nothing(connection: sqlite3.Connection) -> None:
    rows = {f"k{n}": NewRow(f"row {n}", HOSTILE + "\ud800", meta={"n": n}) for n in range(20)} | {"\udfff": NewRow()}
    assert add_keyed(connection, rows).count == 21
    again = add_keyed(connection, rows)
    assert (again.count, again.conflicts, again.ids) == (0, [], [None] * 21)


def test_another_content_under_a_known_key_is_reported_and_not_stored(connection: sqlite3.Connection) -> None:
    add_keyed(connection, {"a": NewRow("one", "x"), "b": NewRow("two", "x")})
    again = add_keyed(connection, {"a": NewRow("one", "x"), "b": NewRow("two", "CHANGED"), "c": NewRow("three")})
    assert (again.count, again.conflicts) == (1, [1])
    assert [row.response for row in fetch_rows(connection, select_ids(connection))] == ["x", "x", None]


def test_a_key_twice_in_one_batch_is_one_row(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        into = begin_dataset(connection, "demo", Provenance("generic", "1", "x"))
        added = add_items(connection, into.id, [("a", NewRow("1")), ("a", NewRow("1")), ("a", NewRow("2"))])
    assert (added.count, added.conflicts) == (1, [2])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NewRow("p", None), NewRow("p", "")),
        (NewRow("p", "a\0b"), NewRow("p", "a", "b")),
        (NewRow("p", "r", "m"), NewRow("p", "r", "n")),
        (NewRow("p", "=r"), NewRow("p", "r")),
    ],
)
def test_rows_that_say_something_else_conflict(connection: sqlite3.Connection, one: NewRow, other: NewRow) -> None:
    add_keyed(connection, {"a": one})
    assert add_keyed(connection, {"a": other}).conflicts == [0]


def test_the_same_key_in_two_datasets_is_two_rows(connection: sqlite3.Connection) -> None:
    assert add_keyed(connection, {"a": NewRow()}, "one").count == 1
    assert add_keyed(connection, {"a": NewRow("other")}, "two").count == 1


def test_the_same_prompt_may_occur_many_times_and_is_stored_once(connection: sqlite3.Connection) -> None:
    ids = add(connection, *(NewRow("the same", f"answer {n}") for n in range(5)))
    assert len(ids) == 5
    assert connection.execute("SELECT count(*) FROM prompt").fetchone()[0] == 1


def test_lengths_count_characters_beyond_a_nul_and_on_the_second_sight_of_a_prompt(
    connection: sqlite3.Connection,
) -> None:
    add(connection, NewRow("ab\0cd", "é\0漢字"))
    add(connection, NewRow("ab\0cd", "other"))
    lengths = [tuple(row) for row in connection.execute("SELECT prompt_chars, response_chars FROM item ORDER BY id")]
    assert lengths == [(5, 4), (5, 5)]


def test_rows_come_in_the_order_asked_for_and_missing_ones_are_left_out(connection: sqlite3.Connection) -> None:
    first, second, third = add(connection, NewRow("a"), NewRow("b"), NewRow("c"))
    assert [row.item_id for row in fetch_rows(connection, [third, 99, first, second])] == [third, first, second]


def test_more_rows_than_sqlite_takes_variables(connection: sqlite3.Connection) -> None:
    ids = add(connection, *(NewRow(f"row {n}") for n in range(2500)))
    assert len(fetch_rows(connection, ids)) == 2500


def test_the_search_index_is_whole_after_conflicts_repeats_and_empty_texts(connection: sqlite3.Connection) -> None:
    rows = {"a": NewRow("one", "x"), "b": NewRow("two", ""), "c": NewRow("three", None, meta={"a": 1}), "d": NewRow("")}
    add_keyed(connection, rows)
    add_keyed(connection, rows | {"b": NewRow("two", "conflict"), "e": NewRow("one", "same prompt")})
    assert index_is_whole(connection)


def test_the_search_index_is_whole_after_a_rollback(connection: sqlite3.Connection) -> None:
    add(connection, NewRow("one", "kept words"))
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.execute("INSERT INTO prompt(id, hash, text) VALUES (2, x'00', 'gone words')")
        connection.execute("INSERT INTO prompt_fts(rowid, text) VALUES (2, 'gone words')")
        connection.execute("INSERT INTO item_body(item_id, response) VALUES (99, 'of no item')")
    add(connection, NewRow("two", "more words"))
    assert index_is_whole(connection)
    assert len(select_ids(connection, "words")) == 2


texts = st.text(st.characters(codec=None), max_size=30)  # every code point, lone surrogates too
turns = st.lists(st.builds(Message, st.sampled_from(["system", "user"]), texts), min_size=1, max_size=3)
rows = st.builds(
    NewRow,
    prompt=texts | turns.map(tuple),
    response=st.none() | texts,
    model=st.none() | texts,
    meta=st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3),
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(batch=st.dictionaries(texts, rows, max_size=6))
def test_any_text_is_stored_found_again_and_known_again(
    empty_memory: sqlite3.Connection, batch: dict[str, NewRow]
) -> None:
    connection = empty_memory
    connection.execute("BEGIN")
    try:
        into = begin_dataset(connection, "demo", Provenance("generic", "1", "x"))
        added = add_items(connection, into.id, list(batch.items()))
        ids = [i for i in added.ids if i is not None]
        assert len(fetch_rows(connection, ids)) == added.count
        assert add_items(connection, into.id, list(batch.items())).count == 0
        for table in ("prompt_fts", "response_fts"):
            connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")
    finally:
        connection.execute("ROLLBACK")
