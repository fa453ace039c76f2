"""The real program in a pseudo-terminal: what it writes, what it does on a signal, how it ends. Standard library."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

ENTER_ALTERNATE_SCREEN = b"\x1b[?1049h"
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"

_ESCAPES = re.compile(rb"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|[P^_][^\x1b]*\x1b\\|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")
# The terminal becomes the child's controlling one, so that closing it sends SIGHUP as a cut link does.
_ADOPT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class PtyProgram:
    """A program on a terminal of its own; leaving the `with` block ends it.

    >>> with PtyProgram([sys.executable, "-c", "print(input() * 2)"]) as program:
    ...     program.send("ab\\r")
    ...     program.wait_for("abab")
    ...     program.wait()
    0
    """

    def __init__(
        self, command: Sequence[str], *, size: tuple[int, int] = (80, 24), environ: Mapping[str, str] | None = None
    ) -> None:
        self._terminal, slave = os.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ADOPT, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **(environ or {})},
        )
        os.close(slave)
        self.output = bytearray()
        self._closed = False

    def __enter__(self) -> PtyProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    @property
    def text(self) -> str:
        """Everything written so far, without escape sequences."""
        return _ESCAPES.sub(b"", bytes(self.output)).decode("utf-8", "replace")

    def send(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def pump(self, seconds: float) -> int:
        """Take what is written during `seconds`, or until the program ends; returns the number of bytes."""
        start, deadline = len(self.output), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._terminal], [], [], left)
            if not ready:
                break
            try:
                block = os.read(self._terminal, 65536)
            except OSError:  # the program has closed its side
                block = b""
            if not block:
                break
            self.output += block
        return len(self.output) - start

    def wait_until(self, predicate: Callable[[], object], timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout:g} s; the program wrote:\n{self.text[-3000:]}")
            ended = self.process.poll()
            if not self.pump(0.05) and ended is not None:
                raise AssertionError(f"the program ended ({ended}); it wrote:\n{self.text[-3000:]}")

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Until the program has written `text` (escape sequences left out)."""
        self.wait_until(lambda: text in self.text, timeout)

    def wait_for_silence(self, seconds: float, timeout: float = 30.0) -> None:
        """Until nothing was written for so long."""
        self.wait_until(lambda: self.pump(seconds) == 0, timeout)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as a cut link or a closed window does."""
        if not self._closed:
            self._closed = True
            os.close(self._terminal)

    def wait_unread(self, timeout: float = 30.0) -> int:
        """The exit code, while nobody reads what the program writes: a frozen link."""
        return self.process.wait(timeout)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code (negative: killed by that signal)."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {timeout:g} s; it wrote:\n{self.text[-3000:]}")
            if self._closed:
                time.sleep(0.01)
            else:
                self.pump(0.05)
        if not self._closed:
            self.pump(0.05)
        return self.process.returncode


def workbench(root: object, *arguments: str) -> list[str]:
    """The command that opens the workbench on a workspace."""
    return [sys.executable, "-m", "refusal_tui", "--workspace", str(root), *arguments]
