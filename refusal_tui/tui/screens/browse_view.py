"""How is a row of Browse drawn? Its columns, the text under the table, and what stands there when there are no rows."""

from __future__ import annotations

import sqlite3

from textual.content import Content

from refusal_tui.store.browse import Preview, read_dossier
from refusal_tui.tui import paint
from refusal_tui.tui.screens.dossier_view import text_of
from refusal_tui.tui.state.browse import BrowseState
from refusal_tui.tui.widgets.window_table import Column

COLUMNS: list[Column[Preview]] = [
    Column("id", 7, lambda row, width: paint.number(row.item_id, width, paint.MUTED), right=True),
    Column("judge", paint.LABEL_WIDTH, lambda row, width: paint.label(row.judge)),
    Column("conf", 4, lambda row, width: paint.probability(row.confidence), from_width=100),
    Column("gold", paint.LABEL_WIDTH, lambda row, width: paint.label(row.gold)),
    Column("model", 14, lambda row, width: paint.line(row.model, width), from_width=110),
    Column("dataset", 12, lambda row, width: paint.line(row.dataset, width), from_width=118),
    Column("category", 14, lambda row, width: paint.line(row.category, width), from_width=136),
    Column("prompt", 0, lambda row, width: paint.line(row.prompt, width), share=4),
    Column("response", 0, lambda row, width: paint.line(row.response, width), share=5),
]
# sort -> title of the column that carries the arrow
SORTED_COLUMN = {
    "id": "id", "judge": "judge", "gold": "gold", "confidence": "conf", "model": "model", "dataset": "dataset",
    "category": "category", "length": "response", "prompt_length": "prompt",
}  # fmt: skip
ARROWS = {False: "↑", True: "↓"}


def detail(connection: sqlite3.Connection, item_id: int | None) -> Content:
    """Prompt and response in full, with the evidence of the latest verdict of a judge."""
    dossier = read_dossier(connection, item_id) if item_id is not None else None
    if dossier is None:
        return paint.words(("no row", paint.MUTED))
    return text_of(dossier)[0]


def empty(state: BrowseState) -> Content:
    """What to press when there are no rows."""
    if state.error is not None:
        return paint.words(("This filter cannot be used: press / to mend it.", paint.MUTED))
    if state.total == 0:
        return paint.lines(
            paint.words(("There are no rows in this workspace yet.", paint.STRONG)),
            paint.words("Press ", ("g i", paint.KEY), " to import a dataset."),
        )
    return paint.lines(
        paint.words((f"None of the {state.total:,} rows passes this filter.", paint.STRONG)),
        paint.words("Press ", ("/", paint.KEY), " to change it."),
    )
