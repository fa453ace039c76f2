"""What can be done with rows in Browse: mark, save, start a job, export, copy."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.browse import Preview
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.query import save_selection
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.browse import BrowseState
from refusal_tui.tui.widgets.filter_bar import FilterBar
from refusal_tui.tui.widgets.window_table import WindowTable


class SelectionScreen(WorkScreen):
    """A screen with a table of items: its marked rows, or all rows of its filter, are the selection."""

    state: BrowseState
    table: WindowTable[Preview]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", tooltip="Mark the row", id="browse.mark"),
        Binding("s", "save", "save", tooltip="Save the selection", id="browse.save"),
        Binding("J", "job", "job", tooltip="Start a job on the selection", id="browse.job"),
        Binding("e", "export('export')", "export", tooltip="Export the selection", id="browse.export"),
        Binding("E", "export('export-final')", "Export a final dataset", show=False, id="browse.final"),
        Binding("R", "review", "Label the selection by hand: a new review queue", show=False, id="browse.review"),
        Binding("v", "range", "Mark a range: begin, end", show=False, id="browse.range"),
        Binding("asterisk", "mark_all", "Mark all rows of the filter", show=False, id="browse.mark_all"),
        Binding("u", "unmark", "Clear all marks", show=False, id="browse.unmark"),
        Binding("y", "copy_response", "Copy the response", show=False, id="browse.copy_response"),
        Binding("Y", "copy_prompt", "Copy the prompt", show=False, id="browse.copy_prompt"),
    ]

    def show_status(self) -> None:
        """Say how many rows there are, in which order, and how many are marked."""
        self.query_one(FilterBar).show_status(self.state.status())

    def _marked(self) -> None:
        self.table.refresh()
        self.show_status()

    def action_mark(self) -> None:
        if self.state.anchor is not None:
            self.action_range()
        elif self.table.cursor_id is not None:
            self.state.marks.toggle(self.table.cursor_id)
            self.table.refresh_line(self.table.cursor)
            self.table.action_move(1)
            self.show_status()

    def action_range(self) -> None:
        if self.state.anchor is None:
            self.state.anchor = self.table.cursor
        else:
            self.state.end_range(self.table.cursor)
        self._marked()

    def action_mark_all(self) -> None:
        self.state.marks.add(self.state.ids)
        self._marked()

    def action_unmark(self) -> None:
        self.state.marks.clear()
        self._marked()

    def action_save(self) -> None:
        self.work.push_screen(Ask(f"Save {self.state.describe_selection()} as"), self._save)

    def _save(self, name: str | None) -> None:
        if not name:
            return
        try:
            with self.work.write() as connection:
                save_selection(connection, name.removeprefix("@"), self.state.selection())
        except RefusalTuiError as error:
            self.work.notify_error(error)
        else:
            self.work.say(f"Saved as @{name.removeprefix('@')}: use it in filters and on the command line")

    def action_job(self) -> None:
        self.work.push("new_job", selection=self.state.selection(), kind=None)

    def action_review(self) -> None:
        self.work.push("review_new", selection=self.state.selection())

    def action_export(self, kind: str) -> None:
        self.work.push("new_job", selection=self.state.selection(), kind=kind)

    def action_copy_response(self) -> None:
        self._copy("response")

    def action_copy_prompt(self) -> None:
        self._copy("prompt")

    def _copy(self, what: str) -> None:
        rows = fetch_rows(self.work.connection, self.table.ids[self.table.cursor : self.table.cursor + 1])
        text = getattr(rows[0], what) if rows else None
        if text is None:
            self.work.say(f"This row has no {what}")
        else:
            self.work.copy(text, what)
