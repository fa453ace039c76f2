"""What Browse decides, without an app."""

from __future__ import annotations

from array import array

import pytest

from refusal_tui.errors import InputError
from refusal_tui.store.browse import SORTS, Facet
from refusal_tui.store.query import parse
from refusal_tui.tui.state.browse import SORT_WORDS, BrowseState, complete, completions, with_facet
from refusal_tui.tui.state.marks import Marks


def loaded(ids: list[int], filter: str = "", total: int = 100) -> BrowseState:
    state = BrowseState()
    state.loaded(state.want_filter(filter), array("q", ids), total, keep=None)
    return state


def test_marked_rows_become_compressed_ranges() -> None:
    marks = Marks()
    marks.add([9, 1, 2, 3, 5])
    assert marks.expression() == "id:1-3,5,9"


def test_toggling_twice_leaves_no_mark() -> None:
    marks = Marks()
    marks.toggle(4)
    marks.toggle(4)
    assert (4 in marks, len(marks), marks.expression()) == (False, 0, "")


def test_a_million_marks_are_one_range() -> None:
    marks = Marks()
    marks.add(array("q", range(1, 1_000_001)))
    assert (len(marks), marks.expression()) == (1_000_000, "id:1-1000000")


def test_the_selection_is_the_filter_until_rows_are_marked() -> None:
    state = loaded([5, 6, 7], "gold:hard")
    assert state.selection() == "gold:hard"
    state.marks.toggle(6)
    assert state.selection() == "id:6"


def test_the_selection_is_the_filter_that_is_shown_and_not_one_that_failed() -> None:
    state = loaded([5], "gold:hard")
    state.want_filter("nonsense:1")
    state.failed(InputError("no"))
    assert state.selection() == "gold:hard"


def test_a_range_marks_the_rows_between_its_ends_in_the_order_of_the_screen() -> None:
    state = loaded([30, 10, 20, 40])
    state.anchor = 2
    assert [state.is_marked(i, item, cursor=1) for i, item in enumerate(state.ids)] == [False, True, True, False]
    state.end_range(1)
    assert state.marks.expression() == "id:10,20"


def test_marks_outlive_a_new_filter() -> None:
    state = loaded([1, 2])
    state.marks.toggle(2)
    state.loaded(state.want_filter("x"), array("q", [7]), 100, keep=None)
    assert state.selection() == "id:2"


def test_the_cursor_stays_on_its_item_when_the_order_changes() -> None:
    state = loaded([1, 2, 3])
    assert state.loaded(state.want_reverse(), array("q", [3, 2, 1]), 3, keep=3) == 0
    assert state.loaded(state.want_filter("x"), array("q", [1, 2]), 3, keep=3) == 0


def test_a_failed_filter_keeps_the_rows_and_their_order() -> None:
    state = loaded([1, 2], "judge:hard")
    state.want_next_sort()
    state.want_filter("bad(")
    state.failed(InputError("no"))
    assert list(state.ids) == [1, 2]
    assert (state.wanted.filter, state.wanted.sort) == ("bad(", "id")
    assert not state.busy


def test_sorting_goes_round_all_orders_of_the_store() -> None:
    state = loaded([1])
    seen = [state.want_next_sort().sort for _ in SORTS]
    assert sorted(seen) == sorted(SORTS)
    assert set(SORT_WORDS) == set(SORTS)


@pytest.mark.parametrize(
    ("set_up", "status"),
    [
        (lambda s: None, "2 of 100 rows"),
        (lambda s: s.want_filter("x"), "filtering…"),
        (lambda s: s.marks.toggle(1), "2 of 100 rows · 1 marked"),
        (lambda s: setattr(s, "anchor", 0), "2 of 100 rows · range: v ends it"),
    ],
)
def test_the_status_says_what_is_shown(set_up, status: str) -> None:
    state = loaded([1, 2])
    set_up(state)
    assert state.status() == status


def test_the_status_names_another_order() -> None:
    state = loaded([1, 2])
    state.loaded(state.want_next_sort(), state.ids, 2, keep=None)
    state.loaded(state.want_reverse(), state.ids, 2, keep=None)
    assert state.status() == "2 rows · by key ↓"


@pytest.mark.parametrize(
    ("answer", "index"), [("1", 0), ("3", 2), ("#20", 1), (" # 20".replace(" ", ""), 1), ("1,000", 999)]
)
def test_a_jump_takes_a_row_number_or_an_item(answer: str, index: int) -> None:
    assert loaded([10, 20, 30]).position(answer) == index


@pytest.mark.parametrize("answer", ["x", "#99", "-1", "#"])
def test_a_jump_to_nowhere_says_what_to_give(answer: str) -> None:
    with pytest.raises(InputError):
        loaded([10, 20, 30]).position(answer)


@pytest.mark.parametrize(
    "value", ["plain", "two words", 'quo"ted', "com,ma", "st*r", "", "tab\there", "line\nbreak", "[b]"]
)
def test_the_term_of_a_facet_means_its_value_again(value: str) -> None:
    (term,) = parse(Facet("model", value, 1).term)
    assert (term.field, term.values) == ("model", (value,))


def test_a_facet_is_added_once_and_turned_round() -> None:
    facet = Facet("model", "two words", 1)
    once = with_facet("judge:hard", facet)
    assert once == 'judge:hard model:"two words"'
    assert with_facet(once, facet) == once
    assert with_facet(once, facet, exclude=True) == 'judge:hard -model:"two words"'


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("gol", ["gold:"]),
        ("sorry -ju", ["-judge:"]),
        ("judge:h", ["judge:hard"]),
        ("dataset:fr", ["dataset:frindle-qa"]),
        ("@e", ["@easy"]),
        ("len", ["length>"]),
        ("nothing_like_it", []),
    ],
)
def test_completions_follow_what_is_typed(text: str, choices: list[str]) -> None:
    assert completions(text, ["frindle-qa", "vault"], ["easy", "odd"]) == choices


def test_a_completion_replaces_the_part_being_typed_alone() -> None:
    assert complete('"a phrase" ju', "judge:") == '"a phrase" judge:'
