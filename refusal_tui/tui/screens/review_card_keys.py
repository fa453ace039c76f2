"""What can be done with a card beside answering: evidence, judges, flag, note, blur, view, guidelines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.review_work import flag, mark_shown, note
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.screens.review_desk import DeskScreen
from refusal_tui.tui.screens.review_guidelines import ReviewGuidelines
from refusal_tui.tui.state.review_card import VIEWS
from refusal_tui.tui.widgets.text_view import TextView


class CardKeys(DeskScreen):
    """The keys that leave the card where it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "guidelines", "guide", tooltip="Guidelines", id="card.guidelines"),
        Binding("r", "judges", "judges", tooltip="Show judges; it is stored", id="card.judges"),
        Binding("n", "evidence(1)", "marks", tooltip="Next piece of evidence", id="card.evidence"),
        Binding("N", "evidence(-1)", "Evidence before", show=False, id="card.evidence_before"),
        Binding("f", "flag", "flag", tooltip="Flag the row, or unflag it", id="card.flag"),
        Binding("m", "note", "note", tooltip="Write a note", id="card.note"),
        Binding("b,left", "look_back", "back", tooltip="Card before; answer anew", id="card.back"),
        Binding("right", "look_forward", "Forward again", show=False, id="card.forward"),
        Binding("v", "view", "Prompt, response, or both", show=False, id="card.view"),
        Binding("z", "lift", "Show blurred text", show=False, id="card.lift"),
        Binding("Z", "blur", "Blur text, or never", show=False, id="card.blur"),
        Binding("tab", "other_text", "Between prompt and response", show=False, id="card.other_text"),
    ]

    def action_evidence(self, step: int) -> None:
        if not self._evidence:
            self.work.say("There is no evidence to jump to on this card")
            return
        self._at = (self._at + step) % len(self._evidence) if self._at >= 0 or step > 0 else len(self._evidence) - 1
        name, offset = self._evidence[self._at]
        view = self.query_one(f"#{name}", TextView)
        if view.display:
            view.go_to(offset)
            view.focus()
        self.desk.mark = (self._at + 1, len(self._evidence))
        self._say_status()

    def action_judges(self) -> None:
        """Show the judges' labels, which is stored; press again to hide them."""
        desk = self.desk
        if desk.card is None:
            return
        desk.revealed = not desk.revealed
        if desk.judges_seen:
            self._mark_shown()
        self._show(keep_place=True)

    def _mark_shown(self) -> None:
        if (place := self._place()) is not None:
            self._write(lambda connection: mark_shown(connection, place))

    def action_flag(self) -> None:
        card, place = self.desk.card, self._place()
        if card is None or place is None:
            return
        on = card.own is None or not card.own.flagged
        if self._write(lambda connection: flag(connection, place, on)):
            self._read_again()

    def action_note(self) -> None:
        card, place = self.desk.card, self._place()
        if card is None or place is None:
            return
        before = (card.own.note if card.own else None) or ""

        def noted(text: str | None) -> None:
            if text is not None and self._write(lambda connection: note(connection, place, text)):
                self._read_again()

        self.app.push_screen(Ask("Note", before), noted)

    def _read_again(self) -> None:
        """The same card with its flag and note as they are stored now; what was answered so far stays."""
        desk = self.desk
        if desk.card is not None and (card := self._card_at(desk.card.item.position)) is not None:
            desk.card = card
            self._show(keep_place=True)

    def _write(self, change: Callable[[sqlite3.Connection], None]) -> bool:
        try:
            with self.work.write() as connection:
                change(connection)
        except RefusalTuiError as error:
            self.work.notify_error(error)
            return False
        return True

    def action_view(self) -> None:
        self.desk.view = VIEWS[(VIEWS.index(self.desk.view) + 1) % len(VIEWS)]
        self._show(keep_place=True)

    def action_lift(self) -> None:
        self.desk.lift()
        self._show()

    def action_blur(self) -> None:
        self.desk.turn_blur()
        self.work.say("Text is blurred until z is pressed" if self.desk.blur else "Text is shown at once")
        self._show()

    def action_other_text(self) -> None:
        prompt, response = self.query_one("#prompt"), self.query_one("#response")
        (response if prompt.has_focus or not prompt.display else prompt).focus()

    def action_guidelines(self) -> None:
        self.app.push_screen(ReviewGuidelines(self.desk.queue.name))
