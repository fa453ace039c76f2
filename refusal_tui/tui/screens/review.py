"""Review: the queues of rows that wait for people, and how far each is."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.annotator import annotator_named
from refusal_tui.store.review_queues import Purpose, delete_queue, get_queue
from refusal_tui.tui import paint
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.confirm import Confirm
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.figures import bar, count
from refusal_tui.tui.state.review import QueueLine, queue_lines
from refusal_tui.tui.widgets.line_list import Line, LineList
from refusal_tui.tui.widgets.remark import Remark

_NAME, _ASKS, _BAR = 16, 12, 8


class ReviewScreen(WorkScreen):
    """Enter labels the queue under the cursor; `queue` is opened at once."""

    AREA = "Review"
    NAME = "Queues"
    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "label", "label", tooltip="Label the rows of this queue", id="review.label"),
        Binding("n", "new", "new queue", tooltip="Draw a new queue", id="review.new"),
        Binding("m", "disagreements", "settle", tooltip="Disagreements, by value", id="review.disagreements"),
        Binding("a", "annotator", "who labels", tooltip="Label under another name", id="review.annotator"),
        Binding("x", "delete", "forget", tooltip="Forget a queue; its labels stay", id="review.delete"),
    ]

    def __init__(self, annotator: str | None = None, queue: str | None = None) -> None:
        super().__init__()
        self._annotator = annotator_named(annotator)
        self._open = queue
        self._lines: list[QueueLine] | None = None  # not read yet
        self._lookup = Lookup(self)
        self._reading = self._again = False

    def compose_body(self) -> ComposeResult:
        yield Remark(id="review-head")
        yield LineList(id="review-list")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        if self._open is not None:
            self._show_card(self._open)
        self._load_what_follows()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    @work(thread=True, exit_on_error=False, group="imports")
    def _load_what_follows(self) -> None:
        """The card and the form import a good deal: while the list is read."""
        import refusal_tui.tui.screens.review_card
        import refusal_tui.tui.screens.review_new  # noqa: F401

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def crumbs(self) -> str:
        return f"Review › Queues › {self._annotator.removeprefix('human:')}"

    def store_changed(self) -> None:
        """Read in a thread: counting a queue of 10,000 cards takes longer than a key may."""
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        ask = partial(queue_lines, annotator=self._annotator)
        self._lookup.start("queues", ask, self._read, self._failed)

    def _read(self, lines: list[QueueLine]) -> None:
        self._lines = lines
        self._reading = False
        self._show()
        if self._again:
            self.store_changed()

    def _failed(self, error: RefusalTuiError) -> None:
        self._reading = False
        self.work.notify_error(error)

    def _show(self) -> None:
        if not self.is_attached or self._lines is None:
            return
        lines = self.query_one(LineList)
        width = lines.line_width or self.size.width - 3
        titles = f"  {'queue':<{_NAME}} {'asks':<{_ASKS}} {'rows done'}"
        self.query_one("#review-head", Remark).say(paint.words((titles, paint.MUTED)) if self._lines else paint.NOTHING)
        lines.set_lines([_queue(line, width) for line in self._lines] or _first_queue())

    def _chosen(self) -> str | None:
        return self.query_one(LineList).key

    @on(LineList.Opened)
    def action_label(self) -> None:
        if (name := self._chosen()) is not None:
            self._show_card(name)

    def _show_card(self, name: str) -> None:
        """A queue that settles disagreements has a card of its own. Raises InputError where there is no such queue."""
        try:
            settles = get_queue(self.work.connection, name).settings.purpose is Purpose.ADJUDICATE
        except RefusalTuiError as error:
            self.work.notify_error(error)
            return
        self.work.push("adjudicate_card" if settles else "review_card", queue=name, annotator=self._annotator)

    def action_disagreements(self) -> None:
        self.work.push("adjudicate", annotator=self._annotator)

    def action_new(self) -> None:
        self.work.push("review_new", annotator=self._annotator)

    def action_annotator(self) -> None:
        def named(name: str | None) -> None:
            if name:
                try:
                    self._annotator = annotator_named(name)
                except RefusalTuiError as error:
                    self.work.notify_error(error)
                self.query_one("HeaderLine").refresh()
                self.store_changed()

        self.app.push_screen(Ask("Who labels?", self._annotator.removeprefix("human:")), named)

    def action_delete(self) -> None:
        name = self._chosen()
        if name is None:
            return

        def confirmed(yes: bool | None) -> None:
            if not yes:
                return
            try:
                with self.work.write() as connection:
                    delete_queue(connection, get_queue(connection, name).id)
            except RefusalTuiError as error:
                self.work.notify_error(error)
            self.store_changed()

        question = paint.words("Forget the queue ", paint.line(name, 30, paint.STRONG), "? Its labels stay.")
        self.app.push_screen(Confirm(question, "x"), confirmed)


def _queue(line: QueueLine, width: int) -> Line:
    p = line.progress
    asks = "settles" if line.settles else p.queue.settings.questions
    figures = f"{count(p.done)}/{count(p.cards)}"
    shown = paint.words(
        paint.line(line.name, _NAME, paint.STRONG).pad_right(max(0, _NAME - min(len(line.name), _NAME))), " ",
        paint.line(asks, _ASKS, paint.MUTED).pad_right(max(0, _ASKS - min(len(asks), _ASKS))), " ",
        (bar(line.share, _BAR), paint.ACCENT), f" {figures:<12}",
    )  # fmt: skip
    return Line(paint.words(shown, paint.line(line.says, max(width - shown.cell_length, 0), paint.MUTED)), line.name)


def _first_queue() -> list[Line]:
    return [
        Line(),
        Line(paint.words(("No queue yet.", paint.STRONG), "  A queue is a fixed list of rows that people label.")),
        Line(),
        Line(paint.words(("n", paint.KEY), "  draws one: 100 rows, half of them at random, unless you say otherwise;")),
        Line(paint.words("   ", ("ctrl+s", paint.KEY), " then makes it and shows the first card.")),
    ]
