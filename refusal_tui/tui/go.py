"""Where to? A line or two over the footer: a letter leads to a screen, or to an end of the list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from refusal_tui.tui import paint
from refusal_tui.tui.steady import Overlay

# letter -> (screen, word)
PLACES = {
    "h": ("home", "Home"),
    "d": ("datasets", "Datasets"),
    "b": ("browse", "Browse"),
    "j": ("jobs", "Jobs"),
    "n": ("new_job", "New job"),
    "i": ("import", "Import"),
    "p": ("pipeline", "Pipeline"),
    "r": ("results", "Results"),
    "v": ("review", "Review"),
    "a": ("agreement", "Agreement"),
    "c": ("judge_card", "Judge card"),
    "f": ("direction", "Direction"),
    "u": ("audit", "Audit"),
    "t": ("training", "Training"),
    "o": ("robustness", "Robustness"),
    "s": ("settings", "Settings"),
}
_GO = "Go "


class GoOverlay(Overlay[None]):
    """`go` is called with the name of a screen, `top` when the list below shall go to its top."""

    DEFAULT_CLASSES = "overlay"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(letter, f"place('{name}')", word, id=f"go.{name}") for letter, (name, word) in PLACES.items()),
        Binding("g", "top", "Top of the list", id="go.top"),
    ]

    def __init__(self, go: Callable[[str], None], top: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._go, self._top = go, top

    def compose(self) -> ComposeResult:
        pairs = [*((letter, word) for letter, (_, word) in PLACES.items()), ("g", "top")]
        rows: list[list[tuple[str, str]]] = [[]]
        for pair in pairs:
            if paint.keys(*rows[-1], pair).cell_length > self.app.size.width - 2 - len(_GO):
                rows.append([])
            rows[-1].append(pair)
        shown = [paint.words((_GO if n == 0 else " " * len(_GO), paint.STRONG), paint.keys(*row))
                 for n, row in enumerate(rows)]  # fmt: skip
        yield Static(paint.lines(*shown), classes="line places")

    def action_place(self, name: str) -> None:
        self.dismiss()
        self._go(name)

    async def action_top(self) -> None:
        self.dismiss()
        await self._top()

    def on_key(self) -> None:
        """Any other key closes it."""
        if self.is_current:
            self.dismiss()
