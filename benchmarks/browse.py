"""How does Browse feel over 100,000 and 1,000,000 rows? The real program on an 80x24 terminal, beside a DataTable.

A time runs from the key until the last byte of the screen that follows; `key to paint` figures are over many presses.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, number, percentile
from benchmarks.screen import megabytes, press, press_until, start, until, workbench
from benchmarks.startup import BARE
from benchmarks.workspaces import synthetic
from refusal_tui.store.browse import SORTS
from refusal_tui.tui.state.browse import SORT_WORDS
from tests.support.pty_harness import PtyProgram

SIZES = (100_000, 1_000_000)
PEER_ROWS = 100_000
PRESSES = 120
PEER_PRESSES = 40
KEY_BUDGET_MS = 50.0
MEMORY_BUDGET_MB = 120.0
PAGE_DOWN = "\x1b[6~"
KEY_QUIET = 0.06  # between two keys; a repaint comes in one burst
WORD = "quaz*"  # a common beginning; `rare` words are found sooner


@dataclass(frozen=True, slots=True)
class Keys:
    """Milliseconds from key to paint."""

    p50: float
    p95: float

    @classmethod
    def of(cls, times: list[float]) -> Keys:
        return cls(median(times), percentile(times, 0.95))


@dataclass(frozen=True, slots=True)
class Session:
    """One visit to Browse; times in ms, memory in MB. `sorts` by name."""

    first_rows: float
    label_filter: float
    word_filter: float
    sorts: dict[str, float]
    jump: float
    end: float
    down: Keys
    page: Keys
    down_with_text: Keys
    memory: float


def run(*, quick: bool = False) -> list[Figure]:
    sizes = (2_000, 10_000) if quick else SIZES
    presses = 20 if quick else PRESSES
    floor = python_start()
    peer = visit_peer(2_000 if quick else PEER_ROWS, floor, 10 if quick else PEER_PRESSES)
    figures: list[Figure] = []
    for rows in sizes:
        figures += _figures(rows, visit(rows, floor, presses), peer)
    return [*figures, *_peer_figures(peer)]


def python_start() -> float:
    """What a terminal and Python take by themselves; left out of first paints."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        with start(BARE) as program:
            while not program.output:
                program.pump(0.001)
            times.append((time.perf_counter() - begun) * 1000)
    return median(times)


def visit(rows: int, floor: float, presses: int) -> Session:
    root = synthetic(rows).root
    all_rows = rf"{rows:,} rows"
    of_rows = rf"[\d,]+ of {rows:,} rows"
    _warm(root)
    begun = time.perf_counter()
    with start(workbench(root, "browse")) as program:
        first_rows = until(program, begun, all_rows) - floor
        filters = []
        for text in ("label:hard", WORD):
            press(program, "/")
            press(program, text)
            filters.append(press_until(program, "\r", of_rows))
            press(program, "/")
            press(program, "\x15")  # ctrl+u clears the line
            press_until(program, "\r", rf"(?<!of ){all_rows}")
        sorts = {}
        for name in list(SORTS)[1:]:
            sorts[name] = press_until(program, "o", rf"by {SORT_WORDS[name]} ↑")
        press_until(program, "o", rf"{all_rows}\s")  # round to the first order
        jumps = [_jump(program, int(rows * share)) for share in (0.5, 0.9, 0.1, 0.7, 0.3)]
        press(program, "g")
        press(program, "g")
        ends = []
        for _ in range(3):
            ends.append(press(program, "G").ms)
            press(program, "\x1b[H")
        down = Keys.of(_presses(program, "j", presses))
        page = Keys.of(_presses(program, PAGE_DOWN, presses))
        press(program, "p")
        down_with_text = Keys.of(_presses(program, "j", presses))
        memory = megabytes(program)
    return Session(
        first_rows, *filters, sorts=sorts, jump=median(jumps), end=median(ends), down=down, page=page,
        down_with_text=down_with_text, memory=memory,
    )  # fmt: skip


def _warm(root: Path) -> None:
    """The files are in the page cache, as after an import; a cold disk is another benchmark."""
    for path in root.glob("refusal.db*"):
        with path.open("rb") as file, suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
            while file.read(1 << 24):
                pass


def _jump(program: PtyProgram, row: int) -> float:
    press(program, ":")
    press(program, str(row))
    return press(program, "\r").ms


def _presses(program: PtyProgram, key: str, presses: int) -> list[float]:
    times = [press(program, key, KEY_QUIET).ms for _ in range(presses)]
    painted = [ms for ms in times if ms]
    if len(painted) < presses:
        raise AssertionError(f"{presses - len(painted)} of {presses} presses of {key!r} painted nothing")
    return painted


@dataclass(frozen=True, slots=True)
class Peer:
    rows: int
    first_rows: float
    down: Keys
    page: Keys
    memory: float


def visit_peer(rows: int, floor: float, presses: int) -> Peer:
    """A DataTable of the same rows in an app of its own (benchmarks/peer_table.py)."""
    root = synthetic(rows).root
    _warm(root)
    command = [*BARE[:1], "-m", "benchmarks.peer_table", str(root)]
    begun = time.perf_counter()
    with start(command) as program:
        first_rows = until(program, begun, rf"{rows} rows added") - floor
        press(program, "\x1b[B", quiet=2.0)  # what it still has to measure
        down = Keys.of(_presses(program, "\x1b[B", presses))
        page = Keys.of(_presses(program, PAGE_DOWN, presses))
        return Peer(rows, first_rows, down, page, megabytes(program))


def _figures(rows: int, session: Session, peer: Peer) -> list[Figure]:
    shown = f"{rows:,} rows"
    beside = f"DataTable, {peer.rows:,} rows:"
    slowest = max(session.sorts, key=lambda name: session.sorts[name])

    def compared(what: str, value: float, other: float, unit: str = "ms", budget: float | None = None) -> Figure:
        target, met = ("", None) if budget is None else (f"< {budget:.0f} {unit}", value < budget)
        against = f"{beside} {number(other)} {unit}"
        return Figure(f"{shown}: {what}", value, unit, against, value / other, target, met)

    def plain(what: str, value: float) -> Figure:
        return Figure(f"{shown}: {what}", value, "ms")

    return [
        compared("start to rows painted, beyond Python's start", session.first_rows, peer.first_rows),
        plain("filter `label:hard`", session.label_filter),
        plain(f"filter `{WORD}` (a word in the text)", session.word_filter),
        plain("sort, median of all orders", median(session.sorts.values())),
        plain(f"sort, slowest order ({SORT_WORDS[slowest]})", session.sorts[slowest]),
        plain("jump to a row by number", session.jump),
        plain("jump to the end", session.end),
        compared("key to paint, cursor down, p50", session.down.p50, peer.down.p50),
        compared("key to paint, cursor down, p95", session.down.p95, peer.down.p95, budget=KEY_BUDGET_MS),
        compared("key to paint, page down, p50", session.page.p50, peer.page.p50),
        compared("key to paint, page down, p95", session.page.p95, peer.page.p95, budget=KEY_BUDGET_MS),
        Figure(f"{shown}: key to paint, cursor down with the text open, p95", session.down_with_text.p95, "ms", "",
               None, f"< {KEY_BUDGET_MS:.0f} ms", session.down_with_text.p95 < KEY_BUDGET_MS),
        compared("resident memory after all of this", session.memory, peer.memory, "MB", MEMORY_BUDGET_MB),
    ]  # fmt: skip


def _peer_figures(peer: Peer) -> list[Figure]:
    name = f"textual DataTable, {peer.rows:,} rows"
    return [
        Figure(f"{name}: start to rows added, beyond Python's start", peer.first_rows, "ms"),
        Figure(f"{name}: key to paint, cursor down, p50 / p95 = {peer.down.p50:.0f} /", peer.down.p95, "ms"),
    ]
