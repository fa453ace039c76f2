"""Mistake: a row that a classifier is wrong about, with the words that spoke for what it said, and those against it."""

from __future__ import annotations

from array import array
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.training_mistake_lines import facts_of, text_of
from refusal_tui.tui.state.training import TrainingState
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.text_view import TextView


class TrainingMistakeScreen(WorkScreen):
    """The mistake at `place` of the run that `state` shows; `n` and `N` go through them."""

    AREA = "Results"
    NAME = "Mistake"
    CSS_PATH = "training_mistake.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right_square_bracket", "step(1)", "next", tooltip="Next mistake", id="mistake.next"),
        Binding("N,left_square_bracket", "step(-1)", "before", tooltip="Mistake before", id="mistake.before"),
        Binding("enter", "dossier", "row", tooltip="The row's dossier: labels, verdicts, jobs", id="mistake.row"),
        Binding("v", "review", "review", tooltip="A review queue of all these mistakes", id="mistake.review"),
        Binding("y", "copy", "copy why", tooltip="Copy the command that explains this row", id="mistake.copy"),
    ]

    def __init__(self, state: TrainingState, place: int) -> None:
        super().__init__()
        self.state, self.place = state, place

    def crumbs(self) -> str:
        return f"Training › Mistake {self.place + 1} of {len(self._mistakes)}"

    @property
    def _mistakes(self) -> list[dict[str, object]]:
        return list(self.state.metrics["mistakes"]) if self.state.metrics is not None else []

    @property
    def _item_id(self) -> int:
        return int(str(self._mistakes[self.place]["item_id"]))

    def compose_body(self) -> ComposeResult:
        yield Remark(id="mistake-facts")
        yield TextView(id="mistake-text")

    def on_mount(self) -> None:
        self.query_one(TextView).focus()
        self._show()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        if not self.whole or self.place >= len(self._mistakes):
            return
        mistake, found = self._mistakes[self.place], self.state.explained(self._item_id)
        row = self.state.rows.get(self._item_id)
        self.query_one("#mistake-facts", Remark).say(facts_of(mistake, found, self.size.width - 4))
        self.query_one(TextView).show(text_of(row, found))
        self.query_one("HeaderLine").refresh()

    def action_step(self, step: int) -> None:
        if 0 <= self.place + step < len(self._mistakes):
            self.place += step
            self._show()
        else:
            self.work.say("This is the last one" if step > 0 else "This is the first one")

    def action_dossier(self) -> None:
        ids = array("q", (int(str(one["item_id"])) for one in self._mistakes))
        self.work.push("dossier", ids=ids, index=self.place)

    def action_review(self) -> None:
        self.work.push("review_new", selection=self.state.selection, values={"aims": "none"})

    def action_copy(self) -> None:
        command = f"refusal-tui classifiers explain {self.state.job_id} --row {self._item_id}"
        self.work.copy(command, "command")
