"""Dossier: one row in full, with everything that is known of it and in which order it was learnt."""

from __future__ import annotations

import sqlite3
from array import array
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from refusal_tui.store.browse import read_dossier
from refusal_tui.tui import paint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.dossier_view import facts_of, text_of
from refusal_tui.tui.state.dossier import DossierState
from refusal_tui.tui.widgets.text_view import TextView

if TYPE_CHECKING:
    from refusal_tui.judge.attribution import Why


class DossierScreen(WorkScreen):
    """The row at `index` of `ids`; `[` and `]` go through them. Tells the screen below where the reader stopped."""

    AREA = "Data"
    NAME = "Dossier"
    CSS_PATH = "dossier.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "row(1)", "next row", tooltip="Next row", id="dossier.next"),
        Binding("left_square_bracket", "row(-1)", "previous", tooltip="Row before", id="dossier.previous"),
        Binding("n", "evidence(1)", "evidence", tooltip="Next piece of evidence", id="dossier.evidence"),
        Binding("N", "evidence(-1)", "Evidence before", show=False, id="dossier.evidence_before"),
        Binding("w", "why", "why", tooltip="Why the linear judge says so: every word's share", id="dossier.why"),
        Binding("d", "facts", "labels", tooltip="To labels, verdicts, jobs", id="dossier.facts"),
        Binding("y", "copy_response", "copy", tooltip="Copy the response", id="dossier.copy_response"),
        Binding("Y", "copy_prompt", "Copy the prompt", show=False, id="dossier.copy_prompt"),
        Binding("tab", "other_part", "Between text and labels", show=False, id="dossier.other_part"),
    ]

    def __init__(self, ids: array[int], index: int = 0) -> None:
        super().__init__()
        self.state = DossierState(ids, index)
        self._evidence: list[int] = []  # offsets in the text view
        self._at = -1
        self._facts_at = 0
        self._lookup = Lookup(self)

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="dossier"):
            yield TextView(id="text")
            yield TextView(id="facts")

    def on_mount(self) -> None:
        self.query_one("#text").focus()
        self._read()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self._show(keep_place=True)

    def crumbs(self) -> str:
        dossier = self.state.dossier
        name = f" › #{dossier.row.item_id} {dossier.row.dataset}/{dossier.row.key}" if dossier else ""
        return f"Data › Dossier › {self.state.place()}{name}"

    def result(self) -> int:
        return self.state.index

    @property
    def _wide(self) -> bool:
        return self.app.size.width >= 120

    def _read(self) -> None:
        item_id = self.state.item_id
        self.state.dossier = read_dossier(self.work.connection, item_id) if item_id is not None else None
        self._at = -1
        self.state.why = None
        self._show()
        self.query_one("HeaderLine").refresh()
        self._ask_why()

    def _show(self, *, keep_place: bool = False) -> None:
        """Side by side where there is room, else the labels below the text."""
        dossier = self.state.dossier
        text, facts = self.query_one("#text", TextView), self.query_one("#facts", TextView)
        facts.display = self._wide
        if dossier is None:
            self._evidence = []
            text.show(paint.words(("This row is gone.", paint.STRONG), "  Press ", ("esc", paint.KEY), " to go back."))
            facts.show(paint.NOTHING)
            return
        content, self._evidence = text_of(dossier, self.state.why)
        known = facts_of(dossier)
        self._facts_at = len(content.plain) + 2
        text.show(content if self._wide else paint.lines(content, "", known), keep_place=keep_place)
        facts.show(known if self._wide else paint.NOTHING, keep_place=keep_place)

    def store_changed(self) -> None:
        item_id = self.state.item_id
        dossier = read_dossier(self.work.connection, item_id) if item_id is not None else None
        if dossier != self.state.dossier:
            self.state.dossier = dossier
            self._show(keep_place=True)

    def action_row(self, rows: int) -> None:
        if self.state.step(rows):
            self._read()

    def action_evidence(self, step: int) -> None:
        if not self._evidence:
            self.work.say("No judge has given evidence for this row")
            return
        self._at = (self._at + step) % len(self._evidence) if self._at >= 0 else (0 if step > 0 else -1)
        self._at %= len(self._evidence)
        self.query_one("#text", TextView).go_to(self._evidence[self._at])

    def action_why(self) -> None:
        """To the shares of the score and back to the evidence; they stay on from row to row."""
        self.state.wants_why = not self.state.wants_why
        self.state.why = None
        if self.state.wants_why and not self._has_response:
            self.work.say("This row has no response to judge")
        self._show(keep_place=True)
        self._ask_why()

    @property
    def _has_response(self) -> bool:
        dossier = self.state.dossier
        return bool(dossier and dossier.row.response and dossier.row.response.strip())

    def _ask_why(self) -> None:
        """In a thread: the weights are loaded with the first question."""
        self._lookup.stop_all()
        dossier = self.state.dossier
        if not (self.state.wants_why and self._has_response and dossier and dossier.row.response):
            return
        ask = partial(_why, dossier.row.prompt, dossier.row.response)
        self._lookup.start("why", ask, self._told_why, self.work.notify_error)

    def _told_why(self, why: Why) -> None:
        if self.state.wants_why:
            self.state.why = why
            self._show(keep_place=True)

    def action_facts(self) -> None:
        if self._wide:
            self.query_one("#facts").focus()
        else:
            self.query_one("#text", TextView).go_to(self._facts_at)

    def action_other_part(self) -> None:
        text, facts = self.query_one("#text"), self.query_one("#facts")
        (facts if self._wide and text.has_focus else text).focus()

    def action_copy_response(self) -> None:
        self._copy("response")

    def action_copy_prompt(self) -> None:
        self._copy("prompt")

    def _copy(self, what: str) -> None:
        text = getattr(self.state.dossier.row, what) if self.state.dossier else None
        if text is None:
            self.work.say(f"This row has no {what}")
        else:
            self.work.copy(text, what)


def _why(prompt: str, response: str, _: sqlite3.Connection) -> Why:
    from refusal_tui.judge.attribution import why

    return why(prompt, response)
