"""The field in which rows are chosen, with how many they are beside it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.content import Content
from textual.message import Message
from textual.worker import get_current_worker

from refusal_tui.tui import paint
from refusal_tui.tui.state.new_job import SelectionCheck, check_selection
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.spec_form import FieldRow

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp


class RowsField(FieldRow):
    """Posts `Changed` at once with an empty check, and again when the rows are counted."""

    class Changed(Message):
        def __init__(self, selection: str, check: SelectionCheck) -> None:
            super().__init__()
            self.selection = selection
            self.check = check

    def __init__(self, selection: str, id: str) -> None:
        self.line = LineInput(selection, placeholder="all rows (or a filter)", id=id)
        super().__init__("rows", self.line)

    def on_mount(self) -> None:
        self._say(self.line.value.strip(), SelectionCheck())

    @on(LineInput.Changed)
    def _typed(self, event: LineInput.Changed) -> None:
        event.stop()
        self._say(event.value.strip(), SelectionCheck())

    def _say(self, selection: str, check: SelectionCheck) -> None:
        self.remark.say(_remark(check))
        self.post_message(self.Changed(selection, check))
        if check == SelectionCheck():
            self._count(selection)

    @work(thread=True, exclusive=True, exit_on_error=False, group="selection")
    def _count(self, selection: str) -> None:
        worker = get_current_worker()
        with closing(cast("RefusalApp", self.app).workspace.open(read_only=True)) as connection:
            found = check_selection(connection, selection)
        if not worker.is_cancelled:
            self.call_later(self._say, selection, found)


def _remark(check: SelectionCheck) -> Content:
    if check.problem:
        return paint.words(("! ", paint.BAD), paint.line(check.problem, 200, paint.BAD))
    return paint.words((check.says, paint.STRONG if check.usable else paint.WARN))
