"""Many item ids in few characters: there and back, and as a filter that finds exactly them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.store.browse import select_ids
from refusal_tui.store.id_ranges import id_filter, id_ranges, ids_of
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add


@given(st.lists(st.integers(1, 60)))
def test_ids_come_back_as_they_were_each_once(numbers: list[int]) -> None:
    assert ids_of(id_ranges(numbers)) == sorted(set(numbers))


def test_a_dataset_that_was_imported_in_one_go_is_one_range() -> None:
    assert id_ranges(range(1, 1_000_001)) == "1-1000000"


def test_the_filter_finds_exactly_these_rows(tmp_path: Path) -> None:
    with closing(create_workspace(tmp_path / "ws").open()) as connection:
        ids = add(connection, *[NewRow(f"p{n}", "r") for n in range(9)])
        wanted = [ids[0], ids[1], ids[2], ids[5], ids[8]]
        assert select_ids(connection, id_filter(wanted)).tolist() == wanted


def test_no_rows_are_no_filter() -> None:
    assert id_filter([]) == ""
