"""How long until somebody sees something? Commands beyond Python's own start, and the app's first whole screen."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.report import Figure
from benchmarks.screen import first_screen, megabytes, settle, start, workbench
from benchmarks.workspaces import synthetic

ROWS = 100_000
COMMAND_REPEATS = 21
SCREEN_REPEATS = 9
# Python's own start in the same terminal: it writes what `first_screen` waits for, and waits as an app does.
BARE = [sys.executable, "-c", "import sys, time; print('\\x1b[24;1H', flush=True); time.sleep(60)"]
BLANK = [sys.executable, "-m", "benchmarks.peer_table"]


def wall_ms(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def commands(repeats: int) -> list[Figure]:
    """Taken in turns, so that a noisy minute hits all of them."""
    program = str(Path(sys.executable).with_name("refusal-tui"))
    asked = {
        "pass": [sys.executable, "-c", "pass"],
        "--help": [sys.executable, program, "--help"],
        "--version": [sys.executable, program, "--version"],
    }
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(repeats):
        for name, command in asked.items():
            times[name].append(wall_ms(command))
    bare = median(times["pass"])
    figures = []
    for name in ("--help", "--version"):
        beyond = median(times[name]) - bare
        against = f"`python -c pass` {bare:.0f} ms"
        figures.append(
            Figure(f"{name}, beyond Python's start", beyond, "ms", against, beyond / bare, "< 80 ms", beyond < 80)
        )
    return figures


def screens(rows: int, repeats: int) -> list[Figure]:
    root = synthetic(rows).root
    asked = {"bare": BARE, "blank": BLANK, "home": workbench(root), "browse": workbench(root, "browse")}
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(repeats):
        for name, command in asked.items():
            times[name].append(first_screen(command))
    floor = median(times["bare"])
    beyond = {name: median(values) - floor for name, values in times.items()}
    blank = f"a blank Textual app {beyond['blank']:.0f} ms"
    with start(workbench(root)) as program:
        settle(program, time.perf_counter(), quiet=3.0)
        resident = megabytes(program)
    with start(BLANK) as program:
        settle(program, time.perf_counter(), quiet=1.0)
        peer = megabytes(program)
    return [
        Figure(f"Home to first paint, {rows:,} rows, beyond Python's start", beyond["home"], "ms", blank,
               beyond["home"] / beyond["blank"], "< 350 ms", beyond["home"] < 350),
        Figure("`refusal-tui browse` to first paint, the same", beyond["browse"], "ms", blank,
               beyond["browse"] / beyond["blank"], "< 350 ms", beyond["browse"] < 350),
        Figure("resident memory, Home", resident, "MB", f"a blank Textual app {peer:.0f} MB", resident / peer,
               "< 120 MB", resident < 120),
    ]  # fmt: skip


def run(*, quick: bool = False) -> list[Figure]:
    return commands(5 if quick else COMMAND_REPEATS) + screens(2_000 if quick else ROWS, 3 if quick else SCREEN_REPEATS)
