"""Which actions does a screen have? Read from BINDINGS, so that footer, help and command palette cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen

_NAMES = {
    "escape": "esc", "pagedown": "PgDn", "pageup": "PgUp", "home": "Home", "end": "End", "down": "↓", "up": "↑",
    "left": "←", "right": "→", "enter": "enter", "space": "space", "tab": "tab", "delete": "del",
}  # fmt: skip


@dataclass(frozen=True)
class Action:
    """Something a key does: `node` is the screen, widget or app that owns it."""

    keys: str
    what: str
    action: str
    node: DOMNode
    binding: Binding

    @property
    def in_footer(self) -> bool:
        return self.binding.show


def key_name(key: str) -> str:
    """How a key is written on the screen.

    >>> key_name("question_mark"), key_name("ctrl+p"), key_name("f8")
    ('?', 'ctrl+p', 'F8')
    """
    if key in _NAMES:
        return _NAMES[key]
    if key.startswith("ctrl+"):
        return key
    if key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return key_to_character(key) or key


def actions_of_node(node: DOMNode) -> Iterator[Action]:
    """The described bindings that a screen, widget or app of ours declares, in the order of the source."""
    seen: set[str] = set()
    for cls in type(node).__mro__:
        if not cls.__module__.startswith("refusal_tui."):
            continue
        for binding in cls.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.description and binding.action not in seen:
                seen.add(binding.action)
                keys = " ".join(key_name(key.strip()) for key in binding.key.split(","))
                yield Action(binding.key_display or keys, binding.description, binding.action, node, binding)


def actions_of(screen: Screen[object]) -> dict[str, list[Action]]:
    """Everything that can be done here, by group: this screen, its lists and texts, everywhere."""
    groups: dict[str, list[Action]] = {"This screen": list(actions_of_node(screen))}
    moving: list[Action] = []
    seen: set[type] = set()
    for widget in screen.query("*"):
        if type(widget) not in seen and type(widget).__module__.startswith("refusal_tui."):
            seen.add(type(widget))
            known = {action.what for action in moving}
            moving += [action for action in actions_of_node(widget) if action.what not in known]
    groups["Lists and texts"] = moving
    groups["Everywhere"] = list(actions_of_node(screen.app))
    return {name: actions for name, actions in groups.items() if actions}
