"""Which colours? Two themes of our own beside Textual's.

`refusal-dark` uses colours of the 256-colour palette only: ssh does not pass COLORTERM on, so that a remote terminal
gets 256 colours, and whatever lies between them would be rounded. `refusal-16` leaves every colour to the terminal.
"""

from __future__ import annotations

from textual.theme import Theme

# In comments: the number in the 256-colour palette.
DARK = Theme(
    name="refusal-dark",
    primary="#5fafd7",  # 74
    secondary="#87afd7",  # 110
    accent="#5fafd7",  # 74
    warning="#d7af5f",  # 179
    error="#ff8787",  # 210
    success="#87d787",  # 114
    foreground="#d0d0d0",  # 252
    background="#121212",  # 233
    surface="#1c1c1c",  # 234
    panel="#262626",  # 235
    dark=True,
    variables={
        "text": "#d0d0d0",
        "text-muted": "#949494",  # 246
        "text-disabled": "#767676",  # 243
        "text-accent": "#5fafd7",
        "text-primary": "#5fafd7",
        "text-warning": "#d7af5f",
        "text-error": "#ff8787",
        "text-success": "#87d787",
        "block-cursor-foreground": "#eeeeee",  # 255
        "block-cursor-background": "#005f87",  # 24
        "block-cursor-text-style": "none",
        "block-cursor-blurred-foreground": "#d0d0d0",
        "block-cursor-blurred-background": "#303030",  # 236
        "block-cursor-blurred-text-style": "none",
        "border": "#5f87af",  # 67
        "border-blurred": "#444444",  # 238
        "scrollbar": "#585858",  # 240
        "scrollbar-background": "#1c1c1c",
        "scrollbar-hover": "#767676",
        "scrollbar-active": "#767676",
        "scrollbar-background-hover": "#1c1c1c",
        "scrollbar-background-active": "#1c1c1c",
        "input-cursor-background": "#d0d0d0",
        "input-cursor-foreground": "#121212",
        "input-selection-background": "#005f87",
    },
)

SIXTEEN = Theme(
    name="refusal-16",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_blue",
    accent="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-foreground": "ansi_default",
        "block-cursor-blurred-background": "ansi_default",
        "block-cursor-blurred-text-style": "bold",
        "border": "ansi_cyan",
        "border-blurred": "ansi_white",
        "scrollbar": "ansi_white",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
    },
)

OURS = (DARK, SIXTEEN)
CYCLE = ("refusal-dark", "refusal-16", "textual-light", "textual-dark", "nord", "gruvbox", "tokyo-night")


def choose(color_system: str | None) -> str:
    """The theme for a terminal: one with 16 colours (or none) keeps its own."""
    return SIXTEEN.name if color_system in (None, "standard") else DARK.name


def following(name: str) -> str:
    """The theme that `T` comes to next."""
    return CYCLE[(CYCLE.index(name) + 1) % len(CYCLE)] if name in CYCLE else CYCLE[0]
