"""A stopwatch for programs on a real pseudo-terminal: when was it painted, how many bytes were sent?

Times are those of the last byte that arrived, seen to 1 ms; a screen has settled when nothing was sent for a while.
What a terminal emulator then needs to draw it is not counted.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.pty_harness import PtyProgram

SIZE = (80, 24)
LAST_LINE = b"\x1b[24;1H"  # the cursor goes to the last line: a whole screen has been sent
# As over SSH: 256 colours (COLORTERM is not sent), the theme and colours of the program's own choice.
ENVIRON = {"COLORTERM": "", "TEXTUAL_THEME": "", "REFUSAL_WORKSPACE": ""}
QUIET_SECONDS = 0.1
_TICK = 0.001
_PATIENCE = 2.0  # a key that has painted nothing by then paints nothing
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Paint:
    """What followed a key: `ms` until the last byte of it (0.0: nothing followed), and its bytes."""

    ms: float
    sent: int


def workbench(root: Path, *arguments: str) -> list[str]:
    """The installed program on a workspace."""
    return [sys.executable, str(Path(sys.executable).with_name("refusal-tui")), "-w", str(root), *arguments]


def start(command: list[str]) -> PtyProgram:
    return PtyProgram(command, size=SIZE, environ=ENVIRON)


def settle(program: PtyProgram, begun: float, quiet: float = QUIET_SECONDS, patience: float = 0.0) -> Paint:
    """Read until nothing has come for `quiet` seconds; times count from `begun` (time.perf_counter).

    `patience`: how long the first byte may take, when that is longer.
    """
    last, sent = begun, 0
    while (now := time.perf_counter()) - last < (quiet if sent else max(quiet, patience)):
        if count := program.pump(_TICK):
            sent += count
            last = time.perf_counter()
        elif now - begun > _TIMEOUT:
            raise AssertionError(f"the screen never settled; it wrote:\n{program.text[-2000:]}")
    return Paint((last - begun) * 1000 if sent else 0.0, sent)


def press(program: PtyProgram, keys: str, quiet: float = QUIET_SECONDS) -> Paint:
    """Press something that shows, and read until the screen has settled."""
    begun = time.perf_counter()
    program.send(keys)
    return settle(program, begun, quiet, _PATIENCE)


def press_until(program: PtyProgram, keys: str, pattern: str) -> float:
    """Milliseconds from the key until the screen that shows `pattern` (a regular expression) has settled."""
    seen = len(program.output)
    begun = time.perf_counter()
    program.send(keys)
    return until(program, begun, pattern, seen)


def until(program: PtyProgram, begun: float, pattern: str, seen: int = 0) -> float:
    """Milliseconds until what was written after `seen` bytes shows `pattern` and has settled."""
    wanted = re.compile(pattern)
    while not wanted.search(_plain(program.output[seen:])):
        if program.pump(_TICK) == 0 and time.perf_counter() - begun > _TIMEOUT:
            raise AssertionError(f"{pattern!r} never came; it wrote:\n{program.text[-2000:]}")
    found = (time.perf_counter() - begun) * 1000
    rest = settle(program, begun)
    return rest.ms if rest.sent else found


def first_screen(command: list[str]) -> float:
    """Milliseconds from starting a program until it has sent a whole screen."""
    begun = time.perf_counter()
    with start(command) as program:
        while LAST_LINE not in program.output:
            if program.pump(_TICK) == 0 and time.perf_counter() - begun > _TIMEOUT:
                raise AssertionError(f"nothing was drawn; it wrote:\n{program.text[-2000:]}")
        return (time.perf_counter() - begun) * 1000


def megabytes(program: PtyProgram) -> float:
    """Resident memory of the program now."""
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(program.process.pid)], check=True, capture_output=True, text=True
    )
    return int(shown.stdout) / 1024


_ESCAPES = re.compile(rb"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")


def _plain(output: bytes | bytearray) -> str:
    return _ESCAPES.sub(b"", bytes(output)).decode("utf-8", "replace")
