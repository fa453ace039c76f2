"""How does a screen have something done that no face may load? In a process of its own, which ends with the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence


async def run_command(command: Sequence[str], tell: Callable[[str], None] = lambda line: None) -> tuple[int, str, str]:
    """(exit code, standard output, standard error). `tell` gets every line of standard error as it comes.

    Cancelling it, as leaving a screen does to its workers, kills the process.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None and process.stderr is not None
    told: list[str] = []

    async def listen(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            told.append(line.decode("utf-8", "replace").rstrip("\n"))
            tell(told[-1])

    try:
        output, _ = await asyncio.gather(process.stdout.read(), listen(process.stderr))
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return code, output.decode("utf-8", "replace"), "\n".join(told)
