"""Judge card: how far can a labelling job's judge be trusted? Every line with rows behind it opens them."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.errors import RefusalTuiError
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.judge_card_lines import card_lines, summary
from refusal_tui.tui.state.judge_card import CardsRead, JudgeCardState, labelling_jobs, read_cards
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark


class JudgeCardScreen(WorkScreen):
    """The card of labelling job `job_id`, or of the latest one."""

    AREA = "Results"
    NAME = "Judge card"
    CSS_PATH = "judge_card.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_rows", "rows", tooltip="Browse the rows of this line", id="card.rows"),
        Binding("t", "judge", "judge", tooltip="The job's next judge", id="card.judge"),
        Binding("l", "gold", "whose labels", tooltip="Whose labels are right", id="card.gold"),
        Binding("right_square_bracket", "job(1)", "older job", tooltip="The labelling job before", id="card.older"),
        Binding("left_square_bracket", "job(-1)", "newer", tooltip="The labelling job after", id="card.newer"),
        Binding("u", "again", "count again", tooltip="Make the card again, with new labels", id="card.again"),
        Binding("y", "copy", "copy", tooltip="Copy the card as text", id="card.copy"),
    ]

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = JudgeCardState(job_id=job_id)
        self._lookup = Lookup(self)

    def compose_body(self) -> ComposeResult:
        yield Remark(id="card-summary")
        yield LineList(id="card-list")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """A card reads every verdict, so it is made when it is first shown; `u` makes it again."""
        self.state.jobs = labelling_jobs(self.work.connection)
        if self.state.job_id is None:
            self.state.job_id = self.state.next_job(0)
        if self.state.read is None and self.state.error is None:
            self._make()
        self._show()

    def _make(self) -> None:
        if self.state.job_id is not None:
            ask = partial(_read, self.state.job_id, self.state.gold)
            self._lookup.start("card", ask, self._made, self._failed)

    def _made(self, answer: tuple[int, str | None, CardsRead]) -> None:
        job_id, gold, found = answer
        if (job_id, gold) == (self.state.job_id, self.state.gold):
            self.state.read, self.state.error = found, None
            self.state.at = min(self.state.at, max(0, len(found.cards) - 1))
            self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        lines = self.query_one(LineList)
        lines.set_lines(card_lines(self.state, lines.line_width or self.size.width - 3))
        self.query_one("#card-summary", Remark).say(summary(self.state))

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineList.Opened)
    def action_open_rows(self) -> None:
        key = self.query_one(LineList).key
        if key is not None:
            self.work.push("browse", filter=key)

    def action_judge(self) -> None:
        if self.state.read is None or len(self.state.read.cards) < 2:
            self.work.say("This job has one judge")
            return
        self.state.at = (self.state.at + 1) % len(self.state.read.cards)
        self._show()

    def action_gold(self) -> None:
        wanted = self.state.next_gold()
        if wanted == self.state.gold:
            self.work.say("No person has labelled these rows")
            return
        self.state.gold = wanted
        self._make()

    def action_job(self, step: int) -> None:
        job_id = self.state.next_job(step)
        if job_id is None:
            self.work.say("There is no older labelling job" if step > 0 else "There is no newer labelling job")
            return
        self.state.job_id, self.state.gold, self.state.at = job_id, None, 0
        self.state.read = self.state.error = None
        self._make()
        self._show()

    def action_again(self) -> None:
        self.state.error = None
        self._make()

    def action_copy(self) -> None:
        card = self.state.card
        if card is None:
            self.work.say("There is no card to copy")
            return
        from refusal_tui.judge.card_text import render_card

        self.work.copy(render_card(card), "card")


def _read(job_id: int, gold: str | None, connection: sqlite3.Connection) -> tuple[int, str | None, CardsRead]:
    return job_id, gold, read_cards(connection, job_id, gold)
