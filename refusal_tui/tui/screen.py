"""What do all screens have in common? One line of header, one of footer, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.renderables.blank import Blank
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from refusal_tui.errors import RefusalTuiError
from refusal_tui.tui.steady import Steady
from refusal_tui.tui.widgets.bars import FooterLine, HeaderLine

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp


class WorkScreen(Steady, Screen[Any]):
    """The base of every full screen. A subclass says its `AREA` and `NAME` and gives `compose_body`."""

    AREA: ClassVar[str] = ""
    NAME: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "escape", "Back", show=False, id="screen.escape"),
        Binding("q", "back", "Back; quits the first screen", show=False, id="screen.back"),
    ]

    @property
    def work(self) -> RefusalApp:
        """The app, with its workspace, connection and helpers."""
        return cast("RefusalApp", self.app)

    def compose(self) -> ComposeResult:
        yield HeaderLine()
        yield from self.compose_body()
        yield FooterLine()

    def compose_body(self) -> ComposeResult:
        yield from ()

    def render(self) -> RenderableType:
        """A full screen hides those below it, also where the theme leaves the background to the terminal (16 colours):
        Textual would draw the whole stack, one through the other."""
        background = self.styles.background
        shown = self.app.render() if background.is_transparent else Blank(background)
        return cast("RenderableType", shown)

    @property
    def whole(self) -> bool:
        """Whether its widgets are there: not while it is taken down, when somebody may write at that moment."""
        return self.is_attached and bool(self.query("HeaderLine")) and bool(self.query("FooterLine"))

    def crumbs(self) -> str:
        """Where the user is, for the header; may hold data."""
        return f"{self.AREA} › {self.NAME}" if self.AREA else self.NAME

    def store_changed(self) -> None:
        """The store has new data (at most twice a second). Compare, then repaint only what differs."""

    def shows_job(self, job_id: int) -> bool:
        """Whether this screen is that job's own: its end needs no notice there."""
        return False

    def result(self) -> object:
        """What the screen below is told when this one closes."""
        return None

    def action_escape(self) -> None:
        """Escape goes back and never quits."""
        if len(self.app.screen_stack) > 1:
            self.action_back()

    def action_back(self) -> None:
        if len(self.app.screen_stack) > 1:
            self.dismiss(self.result())
        else:
            self.app.exit()

    def on_screen_resume(self) -> None:
        """Only the screen on top hears of changes, so it looks when it comes back."""
        self.name_what_is_shown()
        self.store_changed()

    def name_what_is_shown(self) -> None:
        """The header follows `crumbs`: a screen calls this where it may show something else than before."""
        for header in self.query(HeaderLine):
            header.catch_up()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Nothing is swallowed: a worker's error is a notice, or a crash with a log if it is a defect of ours."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            if isinstance(event.worker.error, RefusalTuiError):
                self.work.notify_error(event.worker.error)
            elif isinstance(event.worker.error, Exception):
                self.work.crash(event.worker.error)
