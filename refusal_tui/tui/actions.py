"""Which actions does a screen have? Read from BINDINGS, so that footer, help and command palette cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

LISTS = "Lists and texts"
_NAMES = {
    "escape": "esc", "pagedown": "PgDn", "pageup": "PgUp", "home": "Home", "end": "End", "down": "↓", "up": "↑",
    "left": "←", "right": "→", "slash": "/", "question_mark": "?", "asterisk": "*", "colon": ":", "minus": "-",
    "left_square_bracket": "[", "right_square_bracket": "]", "delete": "del", "backspace": "bksp",
}  # fmt: skip


@dataclass(frozen=True)
class Action:
    """Something a key does: `node` is the screen, widget or app that owns it; `short` is its word in the footer."""

    keys: str
    short: str
    what: str
    action: str
    node: DOMNode
    in_footer: bool


def key_name(key: str) -> str:
    """How a key is written on the screen.

    >>> key_name("question_mark"), key_name("ctrl+p"), key_name("f8")
    ('?', 'ctrl+p', 'F8')
    """
    if key in _NAMES:
        return _NAMES[key]
    return key.upper() if key[0] == "f" and key[1:].isdigit() else key


def actions_of_node(node: DOMNode) -> Iterator[Action]:
    """The described bindings that a screen, widget or app of ours declares, in the order of the source.

    A binding's `description` is its word in the footer, its `tooltip` the sentence in help and palette.
    """
    seen: set[str] = set()
    for cls in type(node).__mro__:
        if not cls.__module__.startswith("refusal_tui."):
            continue
        for binding in cls.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.description and binding.action not in seen:
                seen.add(binding.action)
                keys = binding.key_display or " ".join(key_name(key.strip()) for key in binding.key.split(","))
                what = binding.tooltip or binding.description
                yield Action(keys, binding.description, what, binding.action, node, binding.show)


def actions_of(screen: Screen[object]) -> dict[str, list[Action]]:
    """Everything that can be done here, by group. A widget names its group in KEYS_TITLE."""
    groups: dict[str, list[Action]] = {"This screen": list(actions_of_node(screen))}
    seen: set[type] = set()
    for widget in screen.query("*"):
        if type(widget) in seen or not type(widget).__module__.startswith("refusal_tui."):
            continue
        seen.add(type(widget))
        group = groups.setdefault(getattr(widget, "KEYS_TITLE", LISTS), [])
        known = {action.what for action in group}
        group += [action for action in actions_of_node(widget) if action.what not in known]
    groups["Everywhere"] = list(actions_of_node(screen.app))
    return {name: actions for name, actions in groups.items() if actions}
