"""Review card: one row at a time, one key per answer; the answer is on the disk before the next card is drawn."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.questions import ANSWER_KEYS
from refusal_tui.store.review_answers import own_progress
from refusal_tui.store.review_work import Said, TakenError, decide, mark_shown, require_unchanged
from refusal_tui.store.review_work import skip as skip_card
from refusal_tui.store.review_work import undo as undo_last
from refusal_tui.tui.screens.review_card_keys import CardKeys
from refusal_tui.tui.screens.review_desk import FIRST


class ReviewCardScreen(CardKeys):
    """The cards of `queue` for one annotator."""

    CSS_PATH = "review_card.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"answer('{key}')", show=False, id=f"card.answer_{key}") for key in ANSWER_KEYS),
        Binding(
            "0",
            "how_to_answer",
            "Label: the keys beside them",
            show=False,
            key_display="h s o …",
            id="card.how_to_answer",
        ),
        Binding("enter", "enter", "Done, of several labels", show=False, id="card.enter"),
        Binding("backspace", "step_back", "The question before", show=False, id="card.step_back"),
        Binding("space", "skip", "skip", tooltip="Skip: leave it to others", id="card.skip"),
        Binding("u", "undo", "undo", tooltip="Take the last answer back", id="card.undo"),
    ]

    # --- answering ---------------------------------------------------------------------------------------------------

    def action_answer(self, key: str) -> None:
        desk = self.desk
        if desk.card is None or self._must_be_read():
            return
        if desk.press(key):
            self._commit()
        else:
            self._show(keep_place=True)

    def action_how_to_answer(self) -> None:
        self.work.say("Press the key that stands beside a label: the answer is kept and the next card comes")

    def action_enter(self) -> None:
        if self._must_be_read():
            return
        if self.desk.card is not None and self.desk.enter():
            self._commit()
        else:
            self._show(keep_place=True)

    def _must_be_read(self) -> bool:
        """A label of a text that nobody has looked at is none."""
        unread = self.desk.card is not None and not self.desk.read
        if unread:
            self.work.say("The text is hidden: z shows it, then answer")
        return unread

    def action_step_back(self) -> None:
        if self.desk.step_back():
            self._show(keep_place=True)

    def action_skip(self) -> None:
        if self.desk.card is not None:
            self._commit(skipped=True)

    def _commit(self, *, skipped: bool = False) -> None:
        """One durable write, then the next card: what is drawn next proves that this answer is kept."""
        desk, now = self.desk, self.work.clock()
        if (place := self._place()) is None:
            return
        try:
            with self.work.write() as connection:
                require_unchanged(connection, place, desk.label_before)
                if skipped:
                    skip_card(connection, place, seconds=desk.seconds(now))
                else:
                    said = Said(desk.answers(), desk.sheet.question_set, desk.sheet.version)
                    decide(connection, place, said, seconds=desk.seconds(now), seen_judge=desk.judges_seen)
                    if desk.may_show_judges():
                        mark_shown(connection, place)
        except TakenError as error:
            self.work.notify_error(error)
            desk.start_over(now)
        except RefusalTuiError as error:  # nothing was written: the card stays, the key can be pressed again
            self.work.notify_error(error)
            desk.show(desk.card, now)
        else:
            self._commits += 1
            desk.answered(now, skipped=skipped)
        if desk.card is None:
            self._take(FIRST)
        self._show()
        self.call_after_refresh(self._prefetch)  # the next card is painted first

    # --- the way back ------------------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        desk = self.desk
        try:
            with self.work.write() as connection:
                position = undo_last(connection, desk.queue, desk.annotator)
        except RefusalTuiError as error:
            self.work.notify_error(error)
            return
        card = self._card_at(position) if position is not None else None
        if card is None:
            self.work.say("There is no answer of yours left to take back")
            return
        desk.taken_back(card, self.work.clock())
        desk.progress = own_progress(self.work.connection, desk.queue, desk.annotator)
        self._show()

    def action_look_back(self) -> None:
        position = self.desk.back_to()
        card = self._card_at(position) if position is not None else None
        if card is None:
            self.work.say("This is where you began")
            return
        self.desk.look_back(card, self.work.clock())
        if self.desk.revealed:
            self._mark_shown()
        self._show()

    def action_look_forward(self) -> None:
        desk = self.desk
        if desk.looking_at is not None:
            self.action_escape()

    def action_escape(self) -> None:
        """From an earlier card to the one that waits; from there to the queues."""
        desk = self._desk
        if desk is not None and desk.looking_at is not None:
            desk.next(self.work.clock())
            self._show()
        else:
            super().action_escape()
