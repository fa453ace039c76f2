"""How does a screen talk to a process that holds a model? Lines to its standard input, lines from its standard output.

The process ends with the screen: `end()` kills it, and when the workbench is killed its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path


class Conversation:
    """One process. `hear` gets its lines, `ended` its exit code when it ends by itself, `failed` a defect of ours.

    A task and not a worker: whoever waits for the workers of a screen would wait for the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        hear: Callable[[str], None],
        ended: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._command, self._log = command, log
        self._hear, self._ended, self._failed = hear, ended, failed
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: list[str] = []  # said before the process was there
        self._task = asyncio.create_task(self._run())

    def say(self, line: str) -> None:
        """A whole line; kept until the process is there, lost when it is gone."""
        if self._process is None:
            self._waiting.append(line)
        else:
            self._write(line)

    def end(self) -> None:
        """Nothing of it is to be kept: the process is killed."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            code = await self._listen()
            self._ended(code)
        except Exception as error:
            self._failed(error)

    async def _listen(self) -> int:
        with self._log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                limit=1 << 26,
            )  # fmt: skip
        self._process = process
        assert process.stdout is not None
        try:
            for waiting in self._waiting:
                self._write(waiting)
            async for line in process.stdout:
                self._hear(line.decode("utf-8", "replace"))
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _write(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has just ended: `ended` tells
            self._process.stdin.write(line.encode())
