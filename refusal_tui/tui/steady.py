"""Keys may come faster than screens open and close: over a slow link a burst arrives at once.

Textual hands every key to the screen that was on top when the key was read. By the time it is handled another screen
may be on top, or this one may be half taken down. So a screen does only what it is asked while it is on top
(`acts_now`, which the app consults), and hears nothing more once it is being removed (`Steady`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.dom import DOMNode, NoScreen
from textual.message import Message
from textual.messages import Prune
from textual.screen import ModalScreen

T = TypeVar("T")


class Steady(DOMNode):
    """Mixed into every screen: handlers never run on children that are gone, and closing twice closes one screen."""

    async def _dispatch_message(self, message: Message) -> None:
        # is_attached is False as soon as the app is ending, too: a screen that opens now gets no children
        gone = self._pruning or self._closing or not self.is_attached
        if gone and not isinstance(message, events.Unmount | events.Callback | Prune):
            return
        await super()._dispatch_message(message)

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Textual would close whatever screen is on top."""
        on_top: object = self.app.screen
        if on_top is not self:
            return AwaitComplete()
        closed: AwaitComplete = super().dismiss(result)  # type: ignore[misc]
        return closed


class Overlay(Steady, ModalScreen[T]):
    """The base of everything that lies over a screen."""


def acts_now(app: App[Any], node: DOMNode | None) -> bool:
    """Whether an action that `node` was asked for may still be done: it belongs to the screen on top, or to the app."""
    if not app.screen.is_attached:  # the app is ending
        return False
    if node is None or node is app:
        return True
    try:
        return node.screen is app.screen
    except NoScreen:
        return False
