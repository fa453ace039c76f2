"""Pictures of a run: cosines of candidates, projections of prompts, AUROC by layer, dose-response, who agrees."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.direction.pictures import (
    Picture,
    agreement_table,
    auroc_picture,
    cosines_picture,
    dose_picture,
    histograms_picture,
    pictures,
    positions_picture,
    write_pictures,
)
from refusal_tui.direction.select import Cell
from refusal_tui.errors import RefusalTuiError
from refusal_tui.tui import paint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.recount import Recount
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.direction_keep import keep, picture_folder, tell_written
from refusal_tui.tui.screens.direction_pages import page_lines, tabs
from refusal_tui.tui.state.direction_pictures import PAGES, Page, PicturesState, Read, read_run
from refusal_tui.tui.widgets.remark import Remark

_PADDING = 4
_AROUND = 5  # lines that are not the page


class DirectionPicturesScreen(WorkScreen):
    """Of run `job_id`; the arrows move over its layers and positions, beginning with `cell`."""

    AREA = "Results"
    NAME = "Pictures"
    CSS_PATH = "direction_pictures.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "move(0, 1)", "layer", key_display="←→", tooltip="Next layer", id="pictures.right"),
        Binding("left,h", "move(0, -1)", "Previous layer", show=False, id="pictures.left"),
        Binding("down,j", "move(1, 0)", "position", key_display="↑↓", tooltip="Next position", id="pictures.down"),
        Binding("up,k", "move(-1, 0)", "Position before", show=False, id="pictures.up"),
        Binding("home", "move(0, -10000)", "First layer", show=False, id="pictures.home"),
        Binding("end,G", "move(0, 10000)", "Last layer", show=False, id="pictures.end"),
        Binding("tab", "turn(1)", "next", tooltip="The next picture", id="pictures.turn"),
        Binding("shift+tab", "turn(-1)", "The picture before", show=False, id="pictures.back"),
        Binding("t", "tokens", "tokens", tooltip="Projection of every token of a text", id="pictures.tokens"),
        Binding("a", "answers", "answers", tooltip="Answers of the three arms", show=False, id="pictures.answers"),
        Binding("e", "write", "write", tooltip="Write this picture as SVG and CSV", id="pictures.write"),
        Binding("E", "write_all", "write all", tooltip="Write every picture as SVG and CSV", id="pictures.all"),
        Binding("u", "again", "read again", tooltip="Read the run again", show=False, id="pictures.again"),
        *(
            Binding(str(n), f"choose({n - 1})", f"Show {page.value}", show=False, id=f"pictures.{n}")
            for n, page in enumerate(PAGES, 1)
        ),
    ]

    def __init__(self, job_id: int, cell: Cell | None = None) -> None:
        super().__init__()
        self.state = PicturesState(cell=cell)
        self._job_id = job_id
        self._lookup = Lookup(self)
        self._recount = Recount(self, self._lookup, _look_up, self._read, self._failed)

    def crumbs(self) -> str:
        return f"Job {self._job_id} › Direction › Pictures"

    def compose_body(self) -> ComposeResult:
        yield Remark(id="pictures-tabs")
        yield Remark(id="pictures-page")

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """Somebody may have labelled answers."""
        self._recount.follow(self._wanted)

    def action_again(self) -> None:
        """In a thread: intervals of the agreement take a moment."""
        self._recount.ask(self._wanted)

    @property
    def _wanted(self) -> tuple[Path, int]:
        return self.work.workspace.job_folder(self._job_id), self._job_id

    def _read(self, read: Read) -> None:
        self.state.read, self.state.error = read, None
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        width, height = self.size.width - _PADDING, self.size.height - _AROUND
        self.query_one("#pictures-tabs", Remark).say(tabs(self.state))
        self.query_one("#pictures-page", Remark).say(paint.lines(*page_lines(self.state, width, height)))

    # --- keys --------------------------------------------------------------------------------------------------------

    def action_move(self, down: int, right: int) -> None:
        self.state.move(down, right)
        self._show()

    def action_turn(self, step: int) -> None:
        self.state.turn(step)
        self._show()

    def action_choose(self, number: int) -> None:
        self.state.page = PAGES[number]
        self._show()

    def action_tokens(self) -> None:
        at = self.state.at()
        self.work.push("direction_tokens", job_id=self._job_id, layer=None if at is None else at.layer)

    def action_answers(self) -> None:
        if self.state.read is not None and self.state.read.dataset:
            self.work.push("direction_answers", dataset=self.state.read.dataset, job_id=self._job_id)
        else:
            self.work.say("This run has no answers (yet): they are asked for with --answers NAME")

    def action_write(self) -> None:
        keep(self.work, self._job_id, _pictures_of(self.state))

    def action_write_all(self) -> None:
        """In a thread: a large model's tokens are millions of figures."""
        read, at, folder = self.state.read, self.state.at(), picture_folder(self.work, self._job_id)
        if read is None or at is None:
            self.work.say("There is nothing to write yet")
            return
        self.work.say("Writing all pictures…")
        self._lookup.start(
            "write", lambda _: write_pictures(folder, pictures(read.run, at)), partial(tell_written, self.work),
            self.work.notify_error,
        )  # fmt: skip


def _look_up(wanted: tuple[Path, int], connection: sqlite3.Connection) -> Read:
    return read_run(*wanted, connection)


def _pictures_of(state: PicturesState) -> list[Picture]:
    """What the page shows."""
    read, at = state.read, state.at()
    if read is None or at is None:
        return []
    report, geometry = read.report, read.geometry
    match state.page:
        case Page.COSINES if geometry is not None:
            return [cosines_picture(report, geometry, at), positions_picture(report, geometry, at)]
        case Page.HISTOGRAM if geometry is not None:
            return [histograms_picture(geometry, at)]
        case Page.AUROC if report.auroc is not None:
            return [auroc_picture(report)]
        case Page.DOSE if report.evidence is not None:
            return [dose_picture(report)]
        case Page.LABELS if read.agreement:
            return [agreement_table(read.agreement)]
    return []
