"""Datasets: what is imported, where it comes from, and what else the workbench knows how to import."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content

from refusal_tui.store.browse import LabelCounts, label_counts
from refusal_tui.store.datasets import list_datasets
from refusal_tui.tui import paint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.datasets import STATES, DatasetLine, about, lines
from refusal_tui.tui.widgets.text_view import TextView
from refusal_tui.tui.widgets.window_table import Column, WindowTable

_STATE_STYLES = {"ready": paint.GOOD, "importing": paint.WARN, "known": paint.MUTED}


def _labelled(line: DatasetLine, width: int, who: str) -> Content:
    count = getattr(line.labelled, who) if line.labelled is not None else None
    return paint.number(count, width) if line.dataset is not None else paint.NOTHING


COLUMNS: list[Column[DatasetLine]] = [
    Column("", 8, lambda line, width: paint.words((STATES[line.state], _STATE_STYLES[line.state]))),
    Column("dataset", 0, lambda line, width: paint.line(line.name, width), share=3),
    Column("rows", 9, lambda line, width: _rows(line, width), right=True),
    Column("judged", 9, lambda line, width: _labelled(line, width, "judge"), right=True),
    Column("gold", 9, lambda line, width: _labelled(line, width, "gold"), right=True),
    Column("bad", 6, lambda line, width: _rejected(line, width), right=True),
    Column("licence", 0, lambda line, width: paint.line(line.licence, width, paint.MUTED), share=2),
]


def _rows(line: DatasetLine, width: int) -> Content:
    if line.rows is not None:
        return paint.number(line.rows, width)
    size = re.match(r"[\d,]+", line.entry.size) if line.entry is not None else None
    return paint.line(size[0].rjust(width) if size else "", width, paint.MUTED)


def _rejected(line: DatasetLine, width: int) -> Content:
    return paint.number(line.rejected, width, paint.WARN) if line.rejected else paint.NOTHING


class DatasetsScreen(WorkScreen):
    """Enter browses an imported dataset, or imports a known one."""

    AREA = "Data"
    NAME = "Datasets"
    CSS_PATH = "datasets.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "browse", tooltip="Browse this dataset, or import it", id="datasets.open"),
        Binding("i", "import", "import", tooltip="Import a dataset", id="datasets.import"),
        Binding("p", "about", "where from", tooltip="Show or hide where it comes from", id="datasets.about"),
        Binding("Q", "quarantine", "bad rows", tooltip="Records that could not be used", id="datasets.quarantine"),
        Binding("tab", "other_part", "Between the list and the text", show=False, id="datasets.other_part"),
        Binding("b", "browse_all", "browse all", tooltip="Browse all rows", id="datasets.browse_all"),
    ]

    def compose_body(self) -> ComposeResult:
        self._lines: list[DatasetLine] = []
        self._counts: dict[int, LabelCounts] = {}
        self._lookup = Lookup(self)
        self.table: WindowTable[DatasetLine] = WindowTable(COLUMNS, self._fetch, id="datasets")
        with Container(id="datasets-and-about"):
            with Vertical(id="list-part"):
                yield self.table.head
                yield self.table
            yield TextView(id="about")

    def on_mount(self) -> None:
        self.table.focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, DatasetLine]:
        return {index: self._lines[index] for index in ids if index < len(self._lines)}

    def _read(self) -> None:
        from refusal_tui.ingest.catalog import catalogue

        self._lines = lines(list_datasets(self.work.connection), catalogue(), self._counts)
        if len(self._lines) != len(self.table.ids):
            self.table.show(array("q", range(len(self._lines))), cursor=self.table.cursor)
        else:
            self.table.update_rows()
        self._show_about()

    def _count(self) -> None:
        """How many rows have labels: looked up beside, a million labels take a while."""
        self._lookup.start("labels", label_counts, self._counted, self.work.notify_error)

    def _counted(self, counts: dict[int, LabelCounts]) -> None:
        self._counts = counts
        self._read()

    def store_changed(self) -> None:
        self._read()
        self._count()

    def _show_about(self) -> None:
        line = self.table.cursor_row
        if line is None:
            return
        shown = [paint.field(name, value, 11) for name, value in about(line) if value is not None]
        self.query_one("#about", TextView).show(paint.lines(_title(line), *shown))

    @on(WindowTable.Moved)
    def moved(self) -> None:
        self._show_about()

    @on(WindowTable.Opened)
    def action_open(self) -> None:
        line = self.table.cursor_row
        if line is not None and line.dataset is not None:
            self.work.push("browse", filter=line.term)
        elif line is not None:
            self.action_import()

    def action_browse_all(self) -> None:
        self.work.push("browse")

    def action_import(self) -> None:
        line = self.table.cursor_row
        source = line.entry.source if line is not None and line.entry is not None else None
        self.work.push("import", source=source or "")

    def action_quarantine(self) -> None:
        line = self.table.cursor_row
        if line is None or line.dataset is None:
            self.work.say("Only imported datasets have rows")
        else:
            self.work.push("quarantine", dataset=line.dataset)

    def action_about(self) -> None:
        view = self.query_one("#about")
        view.display = not view.display
        self.table.focus()

    def action_other_part(self) -> None:
        view = self.query_one("#about")
        (view if self.table.has_focus and view.display else self.table).focus()

    def action_escape(self) -> None:
        if self.table.has_focus:
            super().action_escape()
        else:
            self.table.focus()


def _title(line: DatasetLine) -> Content:
    remark = paint.words(("  not imported: enter imports it", paint.MUTED)) if line.dataset is None else paint.NOTHING
    return paint.words(paint.line(line.name, 60, paint.HEADING), remark)
