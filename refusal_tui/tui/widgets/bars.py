"""The first and the last line of every screen: where am I, what runs, what can I press?"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.widget import Widget

from refusal_tui.text.safe import cell_width
from refusal_tui.tui import paint
from refusal_tui.tui.actions import Action, actions_of_node

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp
    from refusal_tui.tui.screen import WorkScreen


class HeaderLine(Widget):
    """`Data › Browse   workspace          running jobs`."""

    ALLOW_SELECT = False
    _drawn = ("", "")

    def _told(self) -> tuple[str, str]:
        """Where the user is, and what runs."""
        return cast("WorkScreen", self.screen).crumbs(), cast("RefusalApp", self.app).jobs_line

    def catch_up(self) -> None:
        """Only the screen on top hears what runs; one that comes back, or shows another run, may name the old one."""
        if self._drawn != self._told():
            self.refresh()

    def render(self) -> Content:
        width = self.size.width - 2
        app = cast("RefusalApp", self.app)
        crumbs, jobs = self._drawn = self._told()
        where = paint.line(crumbs, max(width - cell_width(jobs) - 4, 10), paint.STRONG)
        free = width - where.cell_length - cell_width(jobs) - 4
        name = paint.line(app.workspace.root.name, free, paint.MUTED) if free > 4 else paint.NOTHING
        gap = max(width - where.cell_length - 2 - name.cell_length - cell_width(jobs), 1)
        return paint.words(" ", where, "  ", name, " " * gap, (jobs, paint.ACCENT))


class FooterLine(Widget):
    """The keys that matter here; `?` shows all of them."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._update())
        self._shown: list[tuple[str, str]] = []

    def _update(self) -> None:
        if self._pairs() != self._shown:
            self.refresh()

    def _pairs(self) -> list[tuple[str, str]]:
        focused = self.screen.focused
        own: list[Action] = [a for a in actions_of_node(focused) if a.in_footer] if focused is not None else []
        typing = focused is not None and focused.check_consume_key("x", "x")
        own += [  # while typing, letters are text
            a
            for a in actions_of_node(self.screen)
            if a.in_footer and not (typing and all(len(key) == 1 or key == "space" for key in a.keys.split()))
        ]
        rest = [] if typing else [("?", "keys"), ("^p", "all")]
        return [(a.keys.split()[0], a.short) for a in own] + rest

    def render(self) -> Content:
        pairs = self._shown = self._pairs()
        width = self.size.width - 2
        while len(pairs) > 3 and sum(len(k) + len(w) + 3 for k, w in pairs) - 2 > width:
            pairs = [*pairs[:-3], *pairs[-2:]]  # the last two lead to all the others
        return paint.words(" ", paint.keys(*pairs))
