"""How are the rows of the filter spread over labels, datasets, models? Enter keeps a value, - leaves it out."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from refusal_tui.store.browse import Facet
from refusal_tui.tui import paint
from refusal_tui.tui.widgets.window_table import Column, WindowTable


class FacetPanel(Vertical):
    """Counts by value; posts `Chosen`."""

    KEYS_TITLE = "Facets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "keep", "keep these", tooltip="Keep the rows with this value", id="facets.keep"),
        Binding("minus", "exclude", "leave out", tooltip="Leave the rows with this value out", id="facets.exclude"),
    ]

    class Chosen(Message):
        def __init__(self, facet: Facet, *, exclude: bool) -> None:
            super().__init__()
            self.facet = facet
            self.exclude = exclude

    def __init__(self) -> None:
        super().__init__()
        self._facets: list[Facet] = []
        columns = [
            Column("", 8, self._field),
            Column("", 0, _value),
            Column("", 7, lambda facet, width: paint.short_number(facet.count, width, paint.MUTED), right=True),
        ]
        self.table: WindowTable[Facet] = WindowTable(columns, self._fetch, id="facets")

    def compose(self) -> ComposeResult:
        yield Static(paint.words((" Facets", paint.STRONG), ("  of these rows", paint.MUTED)), id="facet-title")
        yield self.table

    def wait(self) -> None:
        """The counts are being looked up."""
        self._facets = []
        self.table.show_empty(paint.words(("counting…", paint.MUTED)))
        self.table.show(array("q"))

    def show(self, facets: list[Facet]) -> None:
        if facets != self._facets:
            kept = min(self.table.cursor, max(len(facets) - 1, 0))
            self._facets = facets
            self.table.show_empty(paint.words(("nothing to count", paint.MUTED)))
            self.table.show(array("q", range(len(facets))), cursor=kept)

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, Facet]:
        return {index: self._facets[index] for index in ids}

    def _field(self, facet: Facet, width: int) -> Content:
        index = self._facets.index(facet)
        first = index == 0 or self._facets[index - 1].field != facet.field
        return paint.line(facet.field if first else "", width, paint.MUTED)

    @on(WindowTable.Opened)
    def keep(self, event: WindowTable.Opened) -> None:
        event.stop()
        self.action_keep()

    def action_keep(self) -> None:
        self._choose(exclude=False)

    def action_exclude(self) -> None:
        self._choose(exclude=True)

    def _choose(self, *, exclude: bool) -> None:
        facet = self.table.cursor_row
        if facet is not None:
            self.post_message(self.Chosen(facet, exclude=exclude))


def _value(facet: Facet, width: int) -> Content:
    if facet.field in ("judge", "gold"):
        return paint.label(facet.value)
    return paint.line(facet.value, width)
