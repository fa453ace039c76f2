"""Quarantine: the records of a source that could not be used, with line and reason."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult

from refusal_tui.store.datasets import Dataset, QuarantinedRow, quarantined
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.widgets.text_view import TextView
from refusal_tui.tui.widgets.window_table import Column, WindowTable

SHOWN = 10_000

COLUMNS: list[Column[QuarantinedRow]] = [
    Column("line", 9, lambda row, width: paint.number(row.line, width), right=True),
    Column("reason", 0, lambda row, width: paint.line(row.reason, width), share=3),
    Column("begins with", 0, lambda row, width: paint.line(row.excerpt, width, paint.MUTED), share=2),
]


class QuarantineScreen(WorkScreen):
    """The bad rows of one dataset."""

    AREA = "Data"
    NAME = "Quarantine"
    CSS_PATH = "quarantine.tcss"

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset = dataset
        self._rows: list[QuarantinedRow] = []

    def crumbs(self) -> str:
        return f"Data › Datasets › {self._dataset.name} › bad rows"

    def compose_body(self) -> ComposeResult:
        empty = paint.lines(
            paint.words(("Every record of this source could be used.", paint.STRONG)),
            paint.words("Press ", ("esc", paint.KEY), " to go back."),
        )
        self.table: WindowTable[QuarantinedRow] = WindowTable(COLUMNS, self._fetch, empty=empty)
        yield self.table.head
        yield self.table
        yield TextView(id="excerpt")

    def on_mount(self) -> None:
        self.table.focus()
        self._rows = quarantined(self.work.connection, self._dataset.id, SHOWN)
        self.table.show(array("q", range(len(self._rows))))

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, QuarantinedRow]:
        return {index: self._rows[index] for index in ids}

    @on(WindowTable.Moved)
    def moved(self) -> None:
        row = self.table.cursor_row
        view = self.query_one("#excerpt", TextView)
        view.display = row is not None
        if row is not None:
            view.show(
                paint.lines(paint.heading(f"Line {row.line:,}"), paint.text(row.reason), "", paint.text(row.excerpt))
            )
