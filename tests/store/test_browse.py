"""What does a screen or an export need to show items?"""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.store.browse import (
    FACETS,
    PREVIEW_CHARACTERS,
    SORTS,
    Facet,
    count_items,
    facets,
    fetch_previews,
    label_counts,
    read_dossier,
    select_ids,
)
from refusal_tui.store.connect import transaction
from refusal_tui.store.outcomes import commit_group
from refusal_tui.store.query import compile_filter, parse
from tests.store.building import NewRow, add, claimed, done, failed, judge, says


@pytest.fixture(autouse=True)
def rows(connection: sqlite3.Connection) -> None:
    add(
        connection,
        NewRow("ccc", "1", "m2", "test", "weapons"),
        NewRow("a", "333", "m1", "train", "weapons"),
        NewRow("bb", None, None, None, None),
        dataset="zeta",
    )
    add(connection, NewRow("dddd", "22", "m1", "test", "art"), dataset="alpha")
    judge(connection, says(1, "soft", probability=0.2), says(2, "hard", probability=0.9), says(4, "none"))
    judge(connection, says(1, "hard", "human:hannah"), says(2, "hard", "human:hannah"))


# --- ids -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "ascending", "descending"),
    [
        ("id", [1, 2, 3, 4], [4, 3, 2, 1]),
        ("key", [1, 2, 3, 4], [4, 3, 2, 1]),
        ("dataset", [1, 2, 3, 4], [4, 1, 2, 3]),
        ("model", [3, 2, 4, 1], [1, 2, 4, 3]),
        ("category", [3, 4, 1, 2], [1, 2, 4, 3]),
        ("length", [3, 1, 4, 2], [2, 4, 1, 3]),
        ("prompt_length", [2, 3, 1, 4], [4, 1, 3, 2]),
        ("judge", [3, 2, 4, 1], [1, 4, 2, 3]),
        ("gold", [3, 4, 1, 2], [1, 2, 3, 4]),
        ("confidence", [3, 4, 1, 2], [2, 1, 3, 4]),
    ],
)
def test_rows_are_sorted_and_equal_ones_stay_in_the_order_of_their_ids(
    connection: sqlite3.Connection, sort: str, ascending: list[int], descending: list[int]
) -> None:
    assert list(select_ids(connection, sort=sort)) == ascending
    assert list(select_ids(connection, sort=sort, descending=True)) == descending


def test_every_sort_is_tested() -> None:
    marks = test_rows_are_sorted_and_equal_ones_stay_in_the_order_of_their_ids.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(SORTS)


def test_rows_sort_by_the_label_of_the_judge_that_spoke_last(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard", "judge:other"))
    judge(connection, says(2, "soft", "judge:other"))
    assert list(select_ids(connection, "has:judge", "judge")) == [1, 4, 2]


def test_a_sort_that_does_not_exist_names_those_that_do(connection: sqlite3.Connection) -> None:
    with pytest.raises(InputError, match="cannot be sorted by 'colour'") as error:
        select_ids(connection, sort="colour")
    assert "length" in error.value.next_step


def test_a_selection_is_counted_without_being_fetched(connection: sqlite3.Connection) -> None:
    assert (count_items(connection), count_items(connection, "label:hard"), count_items(connection, "zz")) == (4, 2, 0)


# --- previews ------------------------------------------------------------------------------------------------------


def test_a_preview_shows_the_latest_label_of_each_side(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "none", "judge:other", 0.7))
    (shown,) = fetch_previews(connection, [1])
    assert (shown.judge, shown.confidence, shown.gold) == ("none", 0.7, "hard")
    assert (shown.dataset, shown.model, shown.category, shown.prompt, shown.response) == (
        "zeta", "m2", "weapons", "ccc", "1",
    )  # fmt: skip


def test_previews_come_in_the_order_asked_for_and_missing_rows_are_left_out(connection: sqlite3.Connection) -> None:
    assert [p.item_id for p in fetch_previews(connection, [4, 99, 1])] == [4, 1]
    assert fetch_previews(connection, []) == []


def test_a_row_without_response_or_label_shows_none_of_them(connection: sqlite3.Connection) -> None:
    (shown,) = fetch_previews(connection, [3])
    assert (shown.response, shown.judge, shown.confidence, shown.gold) == (None, None, None, None)


@pytest.mark.parametrize("text", ["漢" * 5000, "👩‍🚀" * 5000, "x" * 5000, "é" * PREVIEW_CHARACTERS])
def test_a_long_text_is_cut_at_whole_characters(connection: sqlite3.Connection, text: str) -> None:
    (item_id,) = add(connection, NewRow(text, text))
    (shown,) = fetch_previews(connection, [item_id])
    assert shown.prompt == shown.response == text[:PREVIEW_CHARACTERS]


def test_a_nul_does_not_end_a_preview(connection: sqlite3.Connection) -> None:
    (item_id,) = add(connection, NewRow("before\0after", "\0secret"))
    (shown,) = fetch_previews(connection, [item_id])
    assert (shown.prompt, shown.response) == ("before\0after", "\0secret")


# --- facets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("judge", {"soft": 1, "hard": 1, "none": 1}),
        ("gold", {"hard": 2}),
        ("dataset", {"zeta": 3, "alpha": 1}),
        ("model", {"m1": 2, "m2": 1}),
        ("split", {"test": 2, "train": 1}),
        ("category", {"weapons": 2, "art": 1}),
    ],
)
def test_a_facet_counts_the_rows_of_each_value(
    connection: sqlite3.Connection, field: str, expected: dict[str, int]
) -> None:
    assert {f.value: f.count for f in facets(connection, field)} == expected


@pytest.mark.parametrize("field", FACETS)
def test_the_term_of_a_facet_keeps_as_many_rows_as_it_counts(connection: sqlite3.Connection, field: str) -> None:
    for text in ("", "split:test", "-gold:hard"):
        for facet in facets(connection, field, text):
            assert count_items(connection, f"{text} {facet.term}") == facet.count


def test_the_most_frequent_value_comes_first(connection: sqlite3.Connection) -> None:
    assert [f.value for f in facets(connection, "category", limit=1)] == ["weapons"]


def test_a_row_with_two_judges_of_one_mind_counts_once(connection: sqlite3.Connection) -> None:
    judge(connection, says(2, "hard", "judge:other"))
    assert {f.value: f.count for f in facets(connection, "judge")}["hard"] == 1


def test_a_facet_that_does_not_exist_names_those_that_do(connection: sqlite3.Connection) -> None:
    with pytest.raises(InputError, match="no facet 'colour'"):
        facets(connection, "colour")


@settings(deadline=None, max_examples=200)
@given(value=st.text(st.characters(codec="utf-8")))
def test_any_value_can_be_filtered_for(empty_memory: sqlite3.Connection, value: str) -> None:
    (term,) = parse(Facet("model", value, 1).term)
    assert (term.field, term.values, term.negated) == ("model", (value,), False)
    assert "GLOB" not in compile_filter(empty_memory, Facet("model", value, 1).term).sql


def test_labelled_rows_are_counted_per_dataset(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard", "judge:other"))
    counted = {i: (c.judge, c.gold) for i, c in label_counts(connection).items()}
    assert counted == {1: (2, 2), 2: (1, 0)}


# --- the dossier ---------------------------------------------------------------------------------------------------


def test_a_dossier_holds_everything_about_a_row(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [1])
    commit_group(connection, job, [done(0, 1, "none")], cursor=1)
    dossier = read_dossier(connection, 1)
    assert dossier is not None
    assert (dossier.row.prompt, dossier.split, dossier.category) == ("ccc", "test", "weapons")
    assert {(label.annotator, label.value) for label in dossier.labels} == {
        ("judge:lexical", "none"), ("human:hannah", "hard"),
    }  # fmt: skip
    assert [(v.verdict.annotator, v.superseded, v.job_id) for v in dossier.verdicts] == [
        ("judge:lexical", True, None), ("human:hannah", False, None), ("judge:lexical", False, job.id),
    ]  # fmt: skip
    assert [(o.job_id, o.kind, o.state) for o in dossier.outcomes] == [(job.id, "label", "ok")]


def test_a_dossier_shows_why_a_row_failed(connection: sqlite3.Connection) -> None:
    commit_group(connection, claimed(connection, [3]), [failed(0, 3)], cursor=1)
    dossier = read_dossier(connection, 3)
    assert dossier is not None
    assert [(o.state, o.error_class, o.error) for o in dossier.outcomes] == [("failed", "server", "server trouble")]


def test_a_row_that_does_not_exist_has_no_dossier(connection: sqlite3.Connection) -> None:
    assert read_dossier(connection, 99) is None


def test_a_reader_sees_no_half_of_a_write(workspace: object, connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute("DELETE FROM label")
        other = workspace.open(read_only=True)  # type: ignore[attr-defined]
        assert count_items(other, "has:label") == 3
        other.close()
