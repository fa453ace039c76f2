"""Does a job that asks a language model stay small? Peak memory of a labelling job by its number of rows.

Every row is a real request to a loopback server without latency, so that a million of them are asked in half an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.llm import AIOHTTP, LABEL, ROOT, Measured, queue, serving, workspace_with
from benchmarks.report import Figure

SIZES = (10_000, 1_000_000)
FLAT_MEGABYTES = 20


def run(*, quick: bool = False) -> list[Figure]:
    sizes: Sequence[int] = (200, 1_000) if quick else SIZES
    used, rates = {}, {}
    for rows in sizes:
        found = _labelled(rows)
        used[rows], rates[rows] = found["megabytes"], rows / found["seconds"]
    least, most = min(sizes), max(sizes)
    return [
        Figure(f"peak memory of a labelling job, {most:,} rows asked", used[most], "MB",
               f"{least:,} rows {used[least]:.0f} MB", used[most] / used[least], f"flat within {FLAT_MEGABYTES} MB",
               used[most] - used[least] < FLAT_MEGABYTES),
        Figure(f"its rate over {most:,} rows, server without latency", rates[most], "rows/s",
               f"{least:,} rows {rates[least]:,.0f}", rates[most] / rates[least]),
    ]  # fmt: skip


def _labelled(rows: int) -> Measured:
    with serving(latency=0.0) as server:
        workspace = workspace_with([server], rows)
        command = [sys.executable, "-m", "benchmarks.llm_ours", workspace.root, str(queue(workspace, LABEL)), AIOHTTP]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
        found: Measured = json.loads(done.stdout.splitlines()[-1])
        assert (server.requests(), found["answers"]) == (rows, rows)
    return found
