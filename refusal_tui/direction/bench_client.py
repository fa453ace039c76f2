"""How does a command have a model answer, without loading it? It starts a bench (`bench.py`), asks, and listens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from refusal_tui.direction.bench_wire import Ask, Heard, bench_command, ended_early, heard
from refusal_tui.direction.select import Cell


def asked(folder: Path, asks: Sequence[Ask], log: Path, cell: Cell | None = None) -> Iterator[Heard]:
    """What the bench says of the run in `folder`: that it is ready, then the answers to one question after the other.

    The process ends with this iterator. Raises the error that the bench tells, or what its sudden end means; `log` has
    what the libraries print.
    """
    with log.open("ab") as errors, subprocess.Popen(
        bench_command(folder, cell), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        waiting = list(asks)
        try:
            for line in process.stdout:
                said = heard(line)
                if said.error is not None:
                    raise said.error
                yield said
                if said.ready is not None or said.ended:
                    if not waiting:
                        return
                    process.stdin.write(waiting.pop(0).line())
                    process.stdin.flush()
            raise ended_early(process.wait(), log)
        finally:
            if process.poll() is None:
                process.kill()  # nothing of it is to be kept; waiting for a long answer would be of no use
