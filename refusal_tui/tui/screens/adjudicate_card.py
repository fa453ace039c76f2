"""Adjudication card: a row on which annotators differ, who said what, and one key for whose label holds.

It is the review card with another panel: cards, keys and the commit are the same.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from refusal_tui.review.adjudication import answer_of, candidates
from refusal_tui.store.adjudication import Voice, voices_of
from refusal_tui.tui.screens.adjudicate_view import candidates_panel
from refusal_tui.tui.screens.review_card import ReviewCardScreen


class AdjudicateCardScreen(ReviewCardScreen):
    """The cards of `queue`, a queue of disagreements."""

    AREA = "Review"
    NAME = "Settle"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "answer('1')", "who is right", tooltip="Whose label holds: its number", key_display="1…9",
                id="adjudicate.pick"),
        Binding("m", "note", "note", tooltip="Write why", id="card.note"),
        Binding("r", "judges", "names", tooltip="Hide who said what, or show it", id="card.judges"),
    ]  # fmt: skip

    def __init__(self, queue: str, annotator: str | None = None) -> None:
        super().__init__(queue, annotator)
        self._voices: tuple[Voice, ...] = ()
        self._voices_of: int | None = None

    def panel(self) -> Content:
        card = self.desk.card
        if card is None:
            return Content()
        if card.item.item_id != self._voices_of:
            self._voices = voices_of(self.work.connection, card.item.item_id, self.desk.asked.name)
            self._voices_of = card.item.item_id
        return candidates_panel(self._voices, self.size.width - 2) if self.desk.revealed else Content()

    def action_answer(self, key: str) -> None:
        """A number picks the candidate that has it; a letter gives a label of one's own."""
        if not key.isdigit() or self.desk.card is None:
            super().action_answer(key)
            return
        listed = candidates(self._voices)
        if not self.desk.revealed:
            self.work.say("The names are hidden: r shows them, letters give a label")
        elif int(key) > len(listed):
            self.work.say(f"There is no candidate {key}")
        else:
            asked = self.desk.asked
            value = answer_of(asked, listed[int(key) - 1].value).value
            if value is not None:
                self.desk.given[asked.name] = value
                self._commit()
