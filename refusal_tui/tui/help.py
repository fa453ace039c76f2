"""Which keys are there? All of this screen, from its BINDINGS."""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from refusal_tui.tui import paint
from refusal_tui.tui.actions import LISTS, Action, actions_of
from refusal_tui.tui.go import PLACES
from refusal_tui.tui.steady import Overlay
from refusal_tui.tui.widgets.text_view import TextView

_COLUMN = 36  # two of them stand in 80 cells
_KEYS = 7


class HelpOverlay(Overlay[None]):
    """Two columns of keys: this screen's, and those that are the same everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", "Close", id="help.close")
    ]

    def __init__(self, screen: Screen[Any], title: str) -> None:
        super().__init__()
        self._groups = actions_of(screen)
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(paint.words(("Keys  ", paint.STRONG), paint.line(self._title, 50, paint.MUTED)))
            yield TextView(id="help-text")
            yield Static(paint.keys(("esc", "close"), ("↓ ↑", "scroll")))

    def on_mount(self) -> None:
        here = {name: actions for name, actions in self._groups.items() if name not in (LISTS, "Everywhere")}
        left = [line for name, actions in here.items() for line in [*_section(name, actions), paint.NOTHING]]
        right = _section(LISTS, self._groups.get(LISTS, []))
        right += [paint.NOTHING, *_section("Everywhere", self._groups.get("Everywhere", []))]
        right += [paint.NOTHING, paint.heading("g, then"), *_places()]
        self.query_one(TextView).show(_side_by_side(left, right))


def _section(title: str, actions: list[Action]) -> list[Content]:
    return [paint.heading(title), *(line for action in actions for line in _entry(action.keys, action.what))]


def _places() -> list[Content]:
    places = [(letter, word) for letter, (_, word) in PLACES.items()]
    return [line for letter, word in [*places, ("g", "Top of the list")] for line in _entry(letter, word)]


def _entry(keys: str, what: str) -> list[Content]:
    """A sentence that is wider than its column goes on below itself: what a key does is never cut."""
    width = _COLUMN - _KEYS - 1
    parts = textwrap.wrap(what, width)
    return [
        paint.words((f"{'' if number else keys:<{_KEYS}} ", paint.KEY), paint.line(part, width))
        for number, part in enumerate(parts)
    ]


def _side_by_side(left: list[Content], right: list[Content]) -> Content:
    rows = []
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else paint.NOTHING
        other = right[index] if index < len(right) else paint.NOTHING
        rows.append(paint.words(one, " " * max(_COLUMN + 1 - one.cell_length, 1), other))
    return paint.lines(*rows)
