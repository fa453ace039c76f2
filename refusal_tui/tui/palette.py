"""Every action by name: those of this screen (also the hidden ones) and those that are the same everywhere."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import Screen
from textual.widgets import Static

from refusal_tui.tui import paint
from refusal_tui.tui.actions import Action, actions_of
from refusal_tui.tui.steady import Overlay
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.window_table import Column, WindowTable


def search(actions: Sequence[Action], query: str) -> list[int]:
    """The indexes of the actions that match, best first; all of them for an empty query."""
    if not query.strip():
        return list(range(len(actions)))
    matcher = Matcher(query)
    scores = [(matcher.match(action.what), -index) for index, action in enumerate(actions)]
    return [-index for score, index in sorted(scores, reverse=True) if score > 0]


class Palette(Overlay[Action | None]):
    """Answers with the chosen action."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "dismiss(None)", "Close", id="palette.close"),
        Binding("down", "move(1)", "Next", show=False, id="palette.next"),
        Binding("up", "move(-1)", "Previous", show=False, id="palette.previous"),
        Binding("pagedown", "move(10)", "Ten on", show=False, id="palette.ten_on"),
        Binding("pageup", "move(-10)", "Ten back", show=False, id="palette.ten_back"),
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        # keys of an editor work only while one types in it
        groups = {name: found for name, found in actions_of(screen).items() if name != "While filtering"}
        self._actions = [action for actions in groups.values() for action in actions]
        self._group = {id(action): name for name, actions in groups.items() for action in actions}

    def compose(self) -> ComposeResult:
        columns = [
            Column("action", 0, lambda action, width: paint.line(action.what, width)),
            Column("where", 15, self._where),
            Column("key", 10, lambda action, width: paint.line(action.keys, width, paint.KEY)),
        ]
        with Vertical(classes="box"):
            with Horizontal(classes="prompt"):
                yield Static(paint.words(("› ", paint.KEY)), classes="question")
                yield LineInput(placeholder="What do you want to do?")
            yield WindowTable(columns, self._fetch, empty=paint.words(("No action has such a name.", paint.MUTED)))
            yield Static(paint.keys(("enter", "do it"), ("↓ ↑", "choose"), ("esc", "close")))

    def _where(self, action: Action, width: int) -> Content:
        return paint.line(self._group[id(action)], width, paint.MUTED)

    def _fetch(self, ids: Sequence[int]) -> Mapping[int, Action]:
        return {index: self._actions[index] for index in ids}

    def on_mount(self) -> None:
        self.query_one(WindowTable).can_focus = False
        self._show("")

    @on(LineInput.Changed)
    def changed(self, event: LineInput.Changed) -> None:
        self._show(event.value)

    def _show(self, query: str) -> None:
        self.query_one(WindowTable).show(array("q", search(self._actions, query)))

    @on(LineInput.Submitted)
    def choose(self) -> None:
        self.dismiss(self.query_one(WindowTable).cursor_row)

    def action_move(self, rows: int) -> None:
        self.query_one(WindowTable).action_move(rows)
