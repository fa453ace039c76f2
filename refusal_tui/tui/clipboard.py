"""How does text reach the clipboard of a terminal at the other end of an SSH link? OSC 52, and a file in any case.

OSC 52 is never acknowledged, many terminals drop long ones, and tmux passes it on only if told to: so what was copied
also lies in `artifacts/clipboard.txt`.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

LIMIT = 74_994  # bytes of text: 100,000 bytes of escape sequence, which xterm and others accept


def osc52(text: str, *, tmux: bool) -> str | None:
    """The sequence that sets the clipboard, None when the text is too long for it.

    Inside tmux it is sent twice: bare (tmux takes it with `set-clipboard on`) and wrapped for the terminal outside
    (with `allow-passthrough on`).
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > LIMIT:
        return None
    bare = f"\x1b]52;c;{base64.b64encode(raw).decode('ascii')}\a"
    if not tmux:
        return bare
    doubled = bare.replace("\x1b", "\x1b\x1b")
    return f"{bare}\x1bPtmux;{doubled}\x1b\\"


def write_file(folder: Path, text: str) -> Path:
    """Keep the text, readable by its owner alone. Raises OSError when it cannot be written."""
    path = folder / "clipboard.txt"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)
    return path
