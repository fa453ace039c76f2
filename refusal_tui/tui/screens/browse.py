"""Browse: every row of the workspace behind one filter, which is also the selection that jobs and exports take."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from refusal_tui.errors import InputError, RefusalTuiError
from refusal_tui.store.browse import FACETS, Facet, Preview, count_items, facets, fetch_previews, select_ids
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.query import compile_filter, list_selections
from refusal_tui.tui import paint
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screens.browse_selection import SelectionScreen
from refusal_tui.tui.screens.browse_view import ARROWS, COLUMNS, SORTED_COLUMN, detail, empty
from refusal_tui.tui.state.browse import BrowseState, Query, with_facet
from refusal_tui.tui.widgets.facet_panel import FacetPanel
from refusal_tui.tui.widgets.filter_bar import FilterBar
from refusal_tui.tui.widgets.text_view import TextView
from refusal_tui.tui.widgets.window_table import WindowTable


class BrowseScreen(SelectionScreen):
    """Rows, their text, their labels. `filter` is what it starts with."""

    AREA = "Data"
    NAME = "Browse"
    CSS_PATH = "browse.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", tooltip="Edit the filter", id="browse.filter"),
        Binding("f", "facets", "facets", tooltip="Facets: counts by value", id="browse.facets"),
        Binding("p", "text", "text", tooltip="Show or hide the text", id="browse.text"),
        Binding("o", "sort", "Sort by the next column", show=False, id="browse.sort"),
        Binding("O", "reverse", "Reverse the order", show=False, id="browse.reverse"),
        Binding("colon", "jump", "Jump to a row, or to an #id", show=False, id="browse.jump"),
        Binding("tab", "next_part", "To the next part", show=False, id="browse.next_part"),
        Binding("right,l", "part(1)", "To the part at the right", show=False, id="browse.right"),
        Binding("left,h", "part(-1)", "To the part at the left", show=False, id="browse.left"),
        Binding("r", "reload", "Look again", show=False, id="browse.reload"),
    ]

    def __init__(self, filter: str = "") -> None:
        super().__init__()
        self.state = BrowseState(wanted=Query(filter))
        self._lookup = Lookup(self)

    def compose_body(self) -> ComposeResult:
        state = self.state
        self.table: WindowTable[Preview] = WindowTable(
            COLUMNS,
            self._fetch,
            empty=paint.words(("filtering…", paint.MUTED)),
            is_marked=lambda index, item_id: state.is_marked(index, item_id, self.table.cursor),
            id="rows",
        )
        yield FilterBar(state.wanted.filter)
        with Horizontal(id="parts"):
            yield FacetPanel()
            with Vertical(id="table-and-text"):
                with Vertical(id="table-part"):
                    yield self.table.head
                    yield self.table
                yield TextView(id="text")

    def on_mount(self) -> None:
        self.query_one(FacetPanel).display = False
        self.query_one("#text").display = False
        self.table.focus()
        self._ask()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, Preview]:
        return {preview.item_id: preview for preview in fetch_previews(self.work.connection, ids)}

    # --- asking the store ------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Look up the rows of the wanted query; a filter that cannot be used is told at once."""
        query = self.state.wanted
        try:
            compile_filter(self.work.connection, query.filter)
        except RefusalTuiError as error:
            self._failed(error)
            return
        self.state.error = None
        self._lookup.start("rows", partial(_rows, query), self._loaded, self._failed)
        self.show_status()

    def _loaded(self, answer: tuple[Query, array[int], int]) -> None:
        query, ids, total = answer
        if query != self.state.wanted:
            return
        cursor = self.state.loaded(query, ids, total, self.table.cursor_id)
        self.table.show_empty(empty(self.state))
        self.table.show(ids, cursor=cursor)
        self.table.head.show_sort(SORTED_COLUMN.get(query.sort, ""), ARROWS[query.descending])
        self.query_one(FilterBar).show_error(None)
        self.show_status()
        self._count()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.failed(error)
        self.table.show_empty(empty(self.state))
        self.query_one(FilterBar).show_error(error)
        self.show_status()

    def _count(self) -> None:
        """The facets of the rows on the screen, while their panel is open."""
        panel = self.query_one(FacetPanel)
        if panel.display and self.state.shown is not None:
            self._lookup.start("facets", partial(_facets, self.state.shown.filter), panel.show, self.work.notify_error)

    def store_changed(self) -> None:
        """A job labels the rows that are being looked at: only lines that differ are painted again."""
        if self.table.update_rows():
            self._show_text(keep_place=True)

    # --- what is shown ---------------------------------------------------------------------------------------------

    def _show_text(self, *, keep_place: bool = False) -> None:
        view = self.query_one("#text", TextView)
        if view.display:
            view.show(detail(self.work.connection, self.table.cursor_id), keep_place=keep_place)

    @on(WindowTable.Moved, "#rows")
    def moved(self) -> None:
        if self.state.anchor is not None:
            self.table.refresh()
        self._show_text()

    # --- filter, order, facets -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        connection = self.work.connection
        names = [dataset.name for dataset in list_datasets(connection)]
        self.query_one(FilterBar).edit(names, [selection.name for selection in list_selections(connection)])

    @on(FilterBar.Applied)
    def apply_filter(self, event: FilterBar.Applied) -> None:
        self.table.focus()
        self.state.want_filter(event.text)
        self._ask()

    @on(FilterBar.Closed)
    def leave_filter(self) -> None:
        self.table.focus()
        self.query_one(FilterBar).show_error(self.state.error)

    def action_sort(self) -> None:
        self.state.want_next_sort()
        self._ask()

    def action_reverse(self) -> None:
        self.state.want_reverse()
        self._ask()

    def action_reload(self) -> None:
        self.state.shown = None
        self._ask()

    def action_facets(self) -> None:
        panel = self.query_one(FacetPanel)
        panel.display = not panel.display
        (panel.table if panel.display else self.table).focus()
        if panel.display:
            panel.wait()
            self._count()

    @on(FacetPanel.Chosen)
    def choose_facet(self, event: FacetPanel.Chosen) -> None:
        text = with_facet(self.state.wanted.filter, event.facet, exclude=event.exclude)
        self.query_one(FilterBar).show_filter(text)
        self.state.want_filter(text)
        self._ask()

    # --- moving about ----------------------------------------------------------------------------------------------

    def action_text(self) -> None:
        view = self.query_one("#text")
        view.display = not view.display
        if not view.display:
            self.table.focus()
        self._show_text()

    def action_next_part(self) -> None:
        """Tab goes round the open parts; from the table alone it opens the text."""
        if not self.query_one("#text").display:
            self.action_text()
        self.action_part(1, around=True)

    def action_part(self, step: int, around: bool = False) -> None:
        parts = [self.query_one("#facets"), self.table, self.query_one("#text")]
        shown = [part for part in parts if part.display and part.parent.display]  # type: ignore[union-attr]
        at = next((i for i, part in enumerate(shown) if part.has_focus), 0) + step
        shown[at % len(shown) if around else min(max(at, 0), len(shown) - 1)].focus()

    def action_escape(self) -> None:
        if self.state.anchor is not None:
            self.state.anchor = None
            self._marked()
        elif not self.table.has_focus:
            self.table.focus()
        else:
            super().action_escape()

    def action_jump(self) -> None:
        self.work.push_screen(Ask(f"Row (1 to {len(self.state.ids):,}) or #id"), self._jump)

    def _jump(self, answer: str | None) -> None:
        if answer:
            try:
                self.table.move_to(self.state.position(answer))
            except InputError as error:
                self.work.notify_error(error)

    @on(WindowTable.Opened, "#rows")
    def open_row(self) -> None:
        self.work.push("dossier", self.table.move_to, ids=self.state.ids, index=self.table.cursor)


def _rows(query: Query, reader: sqlite3.Connection) -> tuple[Query, array[int], int]:
    ids = select_ids(reader, query.filter, query.sort, descending=query.descending)
    return query, ids, count_items(reader) if query.filter else len(ids)


def _facets(filter: str, reader: sqlite3.Connection) -> list[Facet]:
    return [facet for field in FACETS for facet in facets(reader, field, filter, 12)]
