"""Which calls and attributes show text? The list that the one-door check (one_door.py) works with.

A new widget or method that shows a string gets its line here. Measured on Textual 8.2.8: all of them, those that parse
no markup too, pass ESC and C1 characters to the terminal as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["markup", "plain", "constant"]


@dataclass(frozen=True)
class Sink:
    """Which arguments of a call are shown. `positions=None`: all of them. `pairs`: the first item of each tuple."""

    positions: tuple[int, ...] | None
    keywords: tuple[str, ...] = ()
    kind: Kind = "markup"
    pairs: bool = False


CALLS: dict[str, Sink] = {
    # widgets that parse markup
    "Static": Sink((0,), ("content", "tooltip")),
    "Label": Sink((0,), ("content", "tooltip")),
    "Button": Sink((0,), ("label", "tooltip")),
    "Checkbox": Sink((0,), ("label", "tooltip")),
    "RadioButton": Sink((0,), ("label", "tooltip")),
    "RadioSet": Sink(None),
    "Collapsible": Sink((), ("title",)),
    "Tab": Sink((0,), ("label",)),
    "Tabs": Sink(None),
    "TabPane": Sink((0,), ("title",)),
    "TabbedContent": Sink(None),
    "Option": Sink((0,), ("prompt",)),
    "OptionList": Sink(None),
    "Selection": Sink((0,), ("prompt",)),
    "SelectionList": Sink(None, pairs=True),
    "Select": Sink((0,), ("options", "prompt", "tooltip"), pairs=True),
    "Tree": Sink((0,), ("label",)),
    "Placeholder": Sink((0,), ("label",)),
    "Link": Sink((0,), ("text", "tooltip")),
    "Hit": Sink((1,), ("match_display", "text", "help")),
    "DiscoveryHit": Sink((0,), ("display", "text", "help")),
    "SystemCommand": Sink((0, 1), ("title", "help")),
    # their methods
    "notify": Sink((0,), ("message", "title")),
    "exit": Sink((2,), ("message",)),
    "update": Sink((0,), ("content",)),
    "add_row": Sink(None, ("label",)),
    "add_rows": Sink((0,), ("rows",)),
    "add_column": Sink((0,), ("label",)),
    "add_columns": Sink(None),
    "update_cell": Sink((2,), ("value",)),
    "update_cell_at": Sink((1,), ("value",)),
    "add_option": Sink((0,)),
    "add_options": Sink((0,)),
    "replace_option_prompt": Sink((1,), ("prompt",)),
    "replace_option_prompt_at_index": Sink((1,), ("prompt",)),
    "set_options": Sink((0,), pairs=True),
    "set_label": Sink((0,), ("label",)),
    "add_leaf": Sink((0,), ("label",)),
    "add_tab": Sink((0,)),
    # what shows a string as it is: markup is harmless there, a control character is not
    "Text": Sink((0,), ("text",), "plain"),
    "Content": Sink((0,), ("text",), "plain"),
    "styled": Sink((0,), ("text",), "plain"),
    "assemble": Sink(None, (), "plain", pairs=True),
    "Segment": Sink((0,), ("text",), "plain"),
    "Digits": Sink((0,), ("value",), "plain"),
    "Input": Sink((0,), ("value", "placeholder"), "plain"),
    "TextArea": Sink((0,), ("text", "placeholder"), "plain"),
    "load_text": Sink((0,), ("text",), "plain"),
    "write_line": Sink((0,), ("line",), "plain"),
    "write_lines": Sink((0,), ("lines",), "plain"),
    # Markdown alters what it shows (<<SYS>> becomes <>): never for data
    "Markdown": Sink((0,), ("markdown",), "constant"),
    "MarkdownViewer": Sink((0,), ("markdown",), "constant"),
}
ATTRIBUTES: dict[str, Kind] = {
    "border_title": "markup",
    "border_subtitle": "markup",
    "tooltip": "markup",
    "label": "markup",
    "prompt": "markup",
    "title": "plain",
    "sub_title": "plain",
    "placeholder": "plain",
}
BANNED_CALLS = {"from_markup", "from_ansi"}  # `render` and `escape` of the modules below go with their imports
BANNED_IMPORTS = {"rich.markup", "textual.markup"}
