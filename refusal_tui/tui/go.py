"""Where to? One line over the footer: a letter leads to a screen, or to an end of the list."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from refusal_tui.tui import paint

# letter -> (screen, word)
PLACES = {
    "h": ("home", "Home"),
    "d": ("datasets", "Datasets"),
    "b": ("browse", "Browse"),
    "j": ("jobs", "Jobs"),
    "n": ("new_job", "New job"),
    "i": ("import", "Import"),
}
TOP = "top"


class GoOverlay(ModalScreen[str | None]):
    """Answers with the name of a screen, TOP, or None for any other key."""

    DEFAULT_CLASSES = "overlay"
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = []

    def compose(self) -> ComposeResult:
        pairs = [(letter, word) for letter, (_, word) in PLACES.items()]
        yield Static(paint.words(("Go to  ", paint.STRONG), paint.keys(*pairs, ("g", "top"))), classes="line")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key == "g":
            self.dismiss(TOP)
        elif event.key in PLACES:
            self.dismiss(PLACES[event.key][0])
        else:
            self.dismiss(None)
