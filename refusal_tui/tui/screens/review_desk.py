"""The desk under the review card: cards come from the queue before they are needed, and the one on top is drawn."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from refusal_tui.errors import RefusalTuiError
from refusal_tui.labels.constitution import DEFAULT
from refusal_tui.review.annotator import annotator_named
from refusal_tui.review.questions import sheet
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.review_answers import OwnProgress, answered_positions, own_progress
from refusal_tui.store.review_cards import Card, fetch_cards
from refusal_tui.store.review_queues import View, get_queue
from refusal_tui.store.review_work import Place, claim, release
from refusal_tui.store.settings import constitution_in_force
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.review_card_view import (
    judges_panel,
    nothing_left,
    prompt_of,
    question_of,
    response_of,
    status_of,
)
from refusal_tui.tui.state.review_card import AHEAD, Desk
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.text_view import TextView

SIDE_BY_SIDE = 100  # columns
FIRST = 3  # cards fetched before the first is drawn; the others come in a thread
_PROMPT_SHARE = 0.35  # of the height, when a long prompt stands above the response
_SHORT_PROMPT = 4  # lines, with the heading


class DeskScreen(WorkScreen):
    """One annotator at `queue` (the user's name where none is given)."""

    AREA: ClassVar[str] = "Review"
    NAME: ClassVar[str] = "Card"

    def __init__(self, queue: str, annotator: str | None = None) -> None:
        super().__init__()
        self._queue_name = queue
        self._annotator = annotator_named(annotator)
        self._desk: Desk | None = None
        self._fetching = False
        self._laid_out = False
        self._commits = 0
        self._evidence: list[tuple[str, int]] = []  # (view, offset)
        self._at = -1
        self._prompt_height: str | int | None = None
        self._drawn: tuple[int, bool] | None = None  # which card's texts are on the screen, and whether veiled

    def compose_body(self) -> ComposeResult:
        with Container(id="texts"):
            yield TextView(id="prompt")
            yield TextView(id="response")
        yield Remark(id="judges")
        yield Remark(id="question")
        yield Remark(id="status")

    def on_mount(self) -> None:
        self.query_one("#response").focus()
        connection = self.work.connection
        try:
            queue = get_queue(connection, self._queue_name)
        except RefusalTuiError as error:
            self.work.notify_error(error)
            self.call_later(self.action_back)
            return
        settings = queue.settings
        asked = sheet(settings.questions, settings.profile, constitution_in_force(connection) or DEFAULT)
        progress = own_progress(connection, queue, self._annotator)
        trail = answered_positions(connection, queue, self._annotator)
        self._desk = Desk(queue, self._annotator, asked, progress, trail)
        self._take(FIRST)
        self._prefetch()

    def on_unmount(self) -> None:
        if self._desk is not None:
            # A workspace that is locked or gone just now: the leases run out by themselves.
            with suppress(RefusalTuiError), closing(self.work.workspace.open()) as connection, transaction(connection):
                release(connection, self._desk.queue, self._annotator)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= SIDE_BY_SIDE, "-side")
        self.call_after_refresh(self._show, keep_place=self._laid_out)
        self._laid_out = True

    def crumbs(self) -> str:
        desk = self._desk
        card = f" › card {desk.card.item.position}" if desk and desk.card else ""
        return f"Review › {self._queue_name}{card} › {self._annotator.removeprefix('human:')}"

    @property
    def desk(self) -> Desk:
        assert self._desk is not None  # every key waits for on_mount
        return self._desk

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._desk is not None or action in ("escape", "back")

    # --- cards from the queue ----------------------------------------------------------------------------------------

    def _take(self, count: int) -> None:
        """The next cards at once: at the beginning, and where keys were faster than the thread."""
        desk = self.desk
        with closing(self.work.workspace.open()) as connection:
            positions = claim(connection, desk.queue, desk.annotator, count, holding=desk.in_hand)
            cards = fetch_cards(connection, desk.queue, desk.annotator, positions)
        desk.arrived(cards, desk.progress, self.work.clock())

    def _prefetch(self) -> None:
        if not self._fetching and self.desk.runs_low:
            self._fetching = True
            self._fetch(AHEAD - len(self.desk.ahead), self.desk.in_hand, self._commits)

    @work(thread=True, exit_on_error=False, group="ahead")
    def _fetch(self, count: int, holding: set[int], commits: int) -> None:
        desk, workspace = self.desk, self.work.workspace
        try:
            with closing(workspace.open()) as connection:
                positions = claim(connection, desk.queue, desk.annotator, count, holding=holding)
                cards = fetch_cards(connection, desk.queue, desk.annotator, positions)
                progress = own_progress(connection, desk.queue, desk.annotator)
                checkpoint(connection, workspace.database)
        except RefusalTuiError as error:
            self.call_later(self._fetched, [], None, error)
            return
        self.call_later(self._fetched, cards, progress if commits == self._commits else None, None)

    def _fetched(self, cards: list[Card], progress: OwnProgress | None, error: RefusalTuiError | None) -> None:
        self._fetching = False
        if error is not None:
            self.work.notify_error(error)
            return
        if self.desk.arrived(cards, progress or self.desk.progress, self.work.clock()):
            self._show()

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _show(self, *, keep_place: bool = False) -> None:
        """Draw the desk; nothing is sent for what is the same."""
        desk = self._desk
        if desk is None or not self.is_attached:
            return
        prompt, response = self.query_one("#prompt", TextView), self.query_one("#response", TextView)
        card, view = desk.card, desk.view
        prompt.display = card is not None and view is not View.RESPONSE
        response.display = card is None or view is not View.PROMPT
        drawn = (card.item.position, desk.veiled) if card is not None else None
        if drawn is None or drawn != self._drawn:  # a text may be a megabyte
            self._draw_texts(card, keep_place)
            self._drawn = drawn
        self._fit(prompt)
        self._say("#judges", self.panel())
        self._say("#question", question_of(desk, self.size.width - 2) if card is not None else paint.NOTHING)
        self._say_status()
        self.query_one("HeaderLine").refresh()
        if not keep_place:
            self._at = -1
            self._open_at_evidence(response)

    def _say_status(self) -> None:
        self._say("#status", status_of(self.desk, self.work.clock(), self.size.width))

    def panel(self) -> Content:
        """What stands between the texts and the question."""
        return judges_panel(self.desk)

    def _draw_texts(self, card: Card | None, keep_place: bool) -> None:
        self._evidence = []
        if card is None:
            self.query_one("#response", TextView).show(nothing_left(self.desk))
            return
        for name, painted in (("prompt", prompt_of), ("response", response_of)):
            content, starts = painted(card, self.desk)
            self.query_one(f"#{name}", TextView).show(content, keep_place=keep_place)
            self._evidence += [(name, start) for start in starts]

    def _say(self, where: str, content: Content) -> None:
        line = self.query_one(where, Remark)
        line.display = bool(content.plain) or where == "#status"
        line.say(content)

    def _fit(self, prompt: TextView) -> None:
        """Stacked, the prompt has one of two heights: the response mostly starts on the same line, which is easy on the
        eye, and the screen need not be laid out anew for every card."""
        if self.has_class("-side") or self.desk.view is View.PROMPT:
            height: str | int = "1fr"
        else:
            short = prompt.line_count <= _SHORT_PROMPT
            height = (_SHORT_PROMPT if short else max(int(self.size.height * _PROMPT_SHARE), _SHORT_PROMPT)) + 1
        if height != self._prompt_height:
            self._prompt_height = height
            prompt.styles.height = height

    def _open_at_evidence(self, response: TextView) -> None:
        first = next((start for name, start in self._evidence if name == "response"), None)
        if first is not None and not response.shows(first):
            response.go_to(first)

    def _place(self) -> Place | None:
        card = self.desk.card
        return Place(self.desk.queue, card.item.position, self.desk.annotator) if card is not None else None

    def _card_at(self, position: int) -> Card | None:
        cards = fetch_cards(self.work.connection, self.desk.queue, self.desk.annotator, [position])
        return cards[0] if cards else None
