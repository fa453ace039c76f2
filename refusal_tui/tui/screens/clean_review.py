"""Clean review: is the rewrite right? One key per decision, each kept before the next card is shown."""

from __future__ import annotations

import sqlite3
from array import array
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.annotator import annotator_named
from refusal_tui.store.clean_review import Choice, Progress, Queue, decide, progress, review_queue, undo
from refusal_tui.tui import paint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens import clean_review_view as view
from refusal_tui.tui.state.clean_review import Card, CleanReviewState, read_cards
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.text_editor import TextEditor
from refusal_tui.tui.widgets.text_view import TextView

SIDE_BY_SIDE = 100  # cells


class CleanReviewScreen(WorkScreen):
    """The rows that cleaning job `job_id` has made. `person`: who decides (left out: as in every review)."""

    AREA = "Review"
    NAME = "Clean review"
    CSS_PATH = "clean_review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide('accept')", "accept", tooltip="Accept the rewrite and its answer", id="clean.accept"),
        Binding("e", "edit", "edit", tooltip="Edit the instruction; the model's stays", id="clean.edit"),
        Binding("r", "decide('reject')", "reject", tooltip="Reject: leave the row out", id="clean.reject"),
        Binding("s", "decide('skip')", "skip", tooltip="Skip: leave the row to others", id="clean.skip"),
        Binding("u", "undo", "undo", tooltip="Take your last decision back, and the one before", id="clean.undo"),
        Binding("f", "queue", "filter", tooltip="Other rows: changed, refused again, doubtful, …", id="clean.queue"),
        Binding("n,right_square_bracket", "step(1)", "next", tooltip="Next row", key_display="n", id="clean.next"),
        Binding("p,left_square_bracket", "step(-1)", "prev", tooltip="Row before", key_display="p", id="clean.prev"),
        Binding("y", "copy", "Copy the answer", show=False, id="clean.copy"),
        Binding("tab", "other_part", "To the next text", show=False, id="clean.other_part"),
    ]

    def __init__(self, job_id: int, person: str | None = None, queue: str = Queue.UNDECIDED) -> None:
        super().__init__()
        self.state = CleanReviewState(job_id, annotator_named(person), Queue(queue))
        self._lookup = Lookup(self)

    def crumbs(self) -> str:
        return f"Review › Clean review › job {self.state.job_id}"

    def compose_body(self) -> ComposeResult:
        yield Remark(id="clean-head")
        with Horizontal(id="clean-pair"):
            yield TextView(id="clean-original")
            yield TextView(id="clean-rewrite")
        yield TextView(id="clean-text")
        yield Remark(id="clean-progress")

    def on_mount(self) -> None:
        self.query_one("#clean-text").focus()
        self._open(self.state.queue)

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self._show(keep_place=True)

    @property
    def _wide(self) -> bool:
        return self.app.size.width >= SIDE_BY_SIDE

    # --- reading -----------------------------------------------------------------------------------------------------

    def _open(self, queue: Queue) -> None:
        self.state.queue = queue
        ask = partial(_queue, self.state.job_id, queue, self.state.annotator)
        self._lookup.start("queue", ask, self._opened, self.work.notify_error)

    def _opened(self, found: tuple[Queue, array[int]]) -> None:
        queue, ids = found
        if queue is self.state.queue:
            self.state.opened(ids)
            self.state.progress = None  # a running job makes more rows
            self._arrive()
            self._count()

    def _arrive(self) -> None:
        """Show the card at hand, which is there already unless one has jumped, and read those that follow."""
        item_id = self.state.item_id
        if item_id is not None and item_id not in self.state.cards:
            self.state.put(read_cards(self.work.connection, [item_id]))
        self._show()
        if self.state.missing:
            self._lookup.start("cards", partial(_cards, self.state.missing), self.state.put, self.work.notify_error)

    def _count(self) -> None:
        rows = self.state.progress.rows if self.state.progress is not None else None
        ask = partial(_progress, self.state.job_id, self.state.annotator, rows)
        self._lookup.start("progress", ask, self._counted, self.work.notify_error)

    def _counted(self, found: Progress) -> None:
        self.state.progress = found
        self._show(keep_place=True)

    def store_changed(self) -> None:
        """Somebody else may have decided: the cards at hand are few."""
        if self.state.ids is not None:
            self.state.put(read_cards(self.work.connection, list(self.state.cards)))
            self._show(keep_place=True)
            self._count()

    def _show(self, *, keep_place: bool = False) -> None:
        if not self.whole:
            return
        card, wide = self.state.card, self._wide
        self.query_one("#clean-head", Remark).say(view.head(self.state))
        self.query_one("#clean-progress", Remark).say(view.progress(self.state))
        self.query_one("#clean-pair").display = wide and card is not None
        text = self.query_one("#clean-text", TextView)
        if card is None:
            text.show(view.nothing(self.state))
        elif wide:
            self.query_one("#clean-original", TextView).show(view.original(card), keep_place=keep_place)
            self.query_one("#clean-rewrite", TextView).show(view.rewrite(card), keep_place=keep_place)
            text.show(view.answer(card), keep_place=keep_place)
        else:
            text.show(view.whole(card), keep_place=keep_place)

    # --- keys --------------------------------------------------------------------------------------------------------

    def action_decide(self, word: str) -> None:
        choice = Choice(word)
        self._keep(choice, self.state.accepts() if choice is Choice.ACCEPT else None)

    def _keep(self, choice: Choice, rewritten: str | None = None) -> None:
        """Durable first, then the next card."""
        item_id = self.state.item_id
        if item_id is None:
            self.work.say("There is no row to decide on; f shows other rows")
            return
        try:
            with self.work.write() as connection:
                decide(connection, self.state.job_id, item_id, self.state.annotator, choice, rewritten)
        except RefusalTuiError as error:
            self.work.notify_error(error)
            return
        self._read_again(item_id)
        if not self.state.step(1):
            self.work.say("This was the last row here; f shows other rows")
        self._arrive()
        self._count()

    def _read_again(self, item_id: int) -> None:
        self.state.put(read_cards(self.work.connection, [item_id]))

    def action_undo(self) -> None:
        try:
            with self.work.write() as connection:
                taken = undo(connection, self.state.job_id, self.state.annotator)
        except RefusalTuiError as error:
            self.work.notify_error(error)
            return
        if taken is None:
            self.work.say("You have nothing to take back in this job")
            return
        if not self.state.go_to(taken.item_id):
            self.work.say(f"Row {taken.item_id}: {taken.choice.value} is taken back")
        self._read_again(taken.item_id)
        self._arrive()
        self._count()

    def action_step(self, rows: int) -> None:
        if self.state.step(rows):
            self._arrive()

    def action_queue(self) -> None:
        self._open(self.state.next_queue())

    def action_edit(self) -> None:
        """The wording that stands, in an editor above the answer."""
        card = self.state.card
        if card is None or self.query(TextEditor):
            return
        self.mount(Static(paint.heading("Your wording"), id="clean-edit-head"), TextEditor(card.wording),
                   before="#clean-progress")  # fmt: skip
        self.query_one(TextEditor).focus()

    @on(TextEditor.Ended)
    async def edited(self, event: TextEditor.Ended) -> None:
        await self.query("TextEditor, #clean-edit-head").remove()
        self.query_one("#clean-text").focus()
        card = self.state.card
        if event.text is None or card is None or event.text == card.wording:
            return
        if event.text == card.row.prompt:  # back to the model's own words
            self._keep(Choice.ACCEPT)
        else:
            self._keep(Choice.EDIT, event.text)

    def action_copy(self) -> None:
        response = self.state.card.row.response if self.state.card else None
        if response is None:
            self.work.say("There is no answer to copy")
        else:
            self.work.copy(response, "answer")

    def action_other_part(self) -> None:
        parts = [part for part in self.query(TextView) if part.display and part.region]
        at = next((n for n, part in enumerate(parts) if part.has_focus), -1)
        if parts:
            parts[(at + 1) % len(parts)].focus()


def _queue(job_id: int, queue: Queue, who: str, connection: sqlite3.Connection) -> tuple[Queue, array[int]]:
    return queue, review_queue(connection, job_id, queue, who)


def _cards(ids: list[int], connection: sqlite3.Connection) -> dict[int, Card]:
    return read_cards(connection, ids)


def _progress(job_id: int, who: str, rows: int | None, connection: sqlite3.Connection) -> Progress:
    return progress(connection, job_id, who, rows)
