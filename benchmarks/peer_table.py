"""The peer of Browse: a small Textual app with the library's own `DataTable` over the same rows and columns.

python -m benchmarks.peer_table WORKSPACE          (run by benchmarks/browse.py in a pseudo-terminal)
"""

from __future__ import annotations

import sys
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from refusal_tui.store.browse import fetch_previews, select_ids
from refusal_tui.store.workspace import Workspace


class PeerApp(App[None]):
    """All rows are added as one does with a DataTable; the last line says when they are there."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "DataTable { height: 1fr } #status { height: 1 }"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")
        yield Static("adding…", id="status")

    def on_mount(self) -> None:
        self.call_after_refresh(self._add)

    def _add(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("id", "judge", "gold", "prompt", "response")
        connection = Workspace(self._root).open(read_only=True)
        ids = select_ids(connection)
        for start in range(0, len(ids), 1000):
            table.add_rows(
                (row.item_id, row.judge or "", row.gold or "", row.prompt[:60], (row.response or "")[:80])
                for row in fetch_previews(connection, ids[start : start + 1000])
            )
        connection.close()
        self.call_after_refresh(self.query_one("#status", Static).update, f"{len(ids)} rows added")


class BlankApp(App[None]):
    """The least that a Textual app can be: the limit of every start-up."""

    def compose(self) -> ComposeResult:
        yield Static("blank")


if __name__ == "__main__":
    (PeerApp(Path(sys.argv[1])) if sys.argv[1:] else BlankApp()).run()
