"""The table that draws only what is seen."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.window_table import PAGE_ROWS, PAGES_KEPT, Column, WindowTable, lay_out

ROWS = 100_000


class Fetches:
    """A source of rows that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.word = "row"

    def __call__(self, ids: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(list(ids))
        return {i: f"{self.word} {i}" for i in ids if i != 13}


class TableApp(App[None]):
    CSS = "WindowTable { height: 1fr; overflow-x: hidden; } TableHead { height: 1; }"

    def __init__(self, fetch: Fetches) -> None:
        super().__init__()
        columns = [Column[str]("number", 0, lambda row, width: paint.line(row, width))]
        empty = paint.lines("nothing here", "press i")
        self.table: WindowTable[str] = WindowTable(columns, fetch, empty=empty)

    def compose(self) -> ComposeResult:
        yield self.table.head
        yield self.table


@asynccontextmanager
async def table_of(count: int):
    fetch = Fetches()
    app = TableApp(fetch)
    async with app.run_test(size=(40, 21)) as pilot:
        app.table.focus()
        app.table.show(array("q", range(1, count + 1)))
        await pilot.pause()
        yield pilot, app.table, fetch


def drawn(table: WindowTable[str], y: int) -> str:
    return table.render_line(y).text.rstrip()


async def test_only_the_page_on_the_screen_is_fetched() -> None:
    async with table_of(ROWS) as (_, table, fetch):
        assert [len(ids) for ids in fetch.asked] == [PAGE_ROWS]
        assert drawn(table, 0).split() == ["›", "row", "1"]


async def test_a_jump_to_the_end_fetches_the_last_page_and_not_those_between() -> None:
    async with table_of(ROWS) as (pilot, table, fetch):
        await pilot.press("G")
        await pilot.pause()
        assert {i // PAGE_ROWS for ids in fetch.asked[1:] for i in ids} <= {ROWS // PAGE_ROWS, ROWS // PAGE_ROWS - 1}
        assert table.cursor == ROWS - 1
        assert drawn(table, table.size.height - 1).split() == ["›", "row", str(ROWS)]


async def test_few_pages_are_kept_however_far_one_scrolls() -> None:
    async with table_of(ROWS) as (_, table, _fetch):
        for page in range(3 * PAGES_KEPT):
            table.row(page * PAGE_ROWS)
        assert len(table._pages) == PAGES_KEPT


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (["j"], 1), (["down", "down", "k"], 1), (["up"], 0), (["pagedown"], 19), (["pagedown", "pageup"], 0),
        (["ctrl+d"], 9), (["ctrl+d", "ctrl+u"], 0), (["end"], ROWS - 1), (["G", "home"], 0),
    ],
)  # fmt: skip
async def test_keys_move_the_cursor(keys: list[str], row: int) -> None:
    async with table_of(ROWS) as (pilot, table, _):
        await pilot.press(*keys)
        assert table.cursor == row


async def test_moving_the_cursor_repaints_two_lines_and_not_the_table() -> None:
    async with table_of(ROWS) as (pilot, table, _):
        await pilot.press("j")
        await pilot.pause()
        dirty: list[Region] = []
        table.refresh = lambda *regions, **_: dirty.extend(regions) or table  # type: ignore[assignment]
        table.action_move(1)
        assert [(region.y, region.height) for region in dirty] == [(1, 1), (2, 1)]


async def test_a_row_that_is_gone_says_so() -> None:
    async with table_of(ROWS) as (_, table, _fetch):
        assert "gone" in drawn(table, 12)


async def test_no_rows_show_what_to_press() -> None:
    async with table_of(0) as (pilot, table, fetch):
        assert [drawn(table, y).strip() for y in (1, 2)] == ["nothing here", "press i"]
        await pilot.press("j", "G", "enter", "pageup")
        assert (table.cursor, table.cursor_id, fetch.asked) == (0, None, [])


async def test_an_update_repaints_the_rows_that_changed_and_says_whether_any_did() -> None:
    async with table_of(50) as (_, table, fetch):
        assert not table.update_rows()
        fetch.word = "new"
        assert table.update_rows()
        assert drawn(table, 0).split() == ["›", "new", "1"]


async def test_fewer_rows_pull_the_cursor_back() -> None:
    async with table_of(50) as (pilot, table, _):
        await pilot.press("G")
        table.show(array("q", [1, 2, 3]), cursor=table.cursor)
        assert table.cursor == 2


def test_columns_share_what_fixed_ones_leave() -> None:
    def cell(row, width):
        return paint.NOTHING

    columns = [
        Column("a", 10, cell),
        Column("b", 0, cell),
        Column("c", 0, cell, share=2),
        Column("d", 5, cell, from_width=90),
    ]
    assert [(c.title, w) for c, w in lay_out(columns, 80)] == [("a", 10), ("b", 22), ("c", 44)]
    assert [(c.title, w) for c, w in lay_out(columns, 100)] == [("a", 10), ("b", 26), ("c", 54), ("d", 5)]


def test_a_window_too_narrow_for_a_column_leaves_it_out() -> None:
    columns = [Column("a", 10, lambda row, width: paint.NOTHING), Column("b", 0, lambda row, width: paint.NOTHING)]
    assert [c.title for c, _ in lay_out(columns, 12)] == ["a"]
