"""How fast is labelling by hand? One person at the keys of the real program, on a queue of 10,000 in 100,000 rows."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, percentile
from benchmarks.screen import press, settle, start, workbench
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.review_queues import Queue, QueueItem, QueueSettings, create_queue
from refusal_tui.store.review_work import Place, Said, claim, decide
from refusal_tui.store.workspace import Workspace
from tests.store.building import says
from tests.support.workspaces import make_workspace

ROWS, CARDS, LABELS = 100_000, 10_000, 300
QUIET = 0.02  # a card is painted when nothing has come for so long
KEYS = "hso"
LIMITS = "issue 4, section 5"


def run(*, quick: bool = False) -> list[Figure]:
    rows, cards, labels = (2_000, 500, 30) if quick else (ROWS, CARDS, LABELS)
    folder = Path(tempfile.mkdtemp(prefix="bench-review-"))
    try:
        workspace, queue = _queue(folder / "w", rows, cards)
        return [*_store(workspace, queue, labels), *_screen(workspace, queue, labels)]
    finally:
        shutil.rmtree(folder)


def _queue(folder: Path, rows: int, cards: int) -> tuple[Workspace, Queue]:
    """Rows that a judge has labelled, and a queue of some of them in a random order."""
    workspace = make_workspace(folder, rows, words=80)
    order = random.Random(3).sample(range(1, rows + 1), cards)
    with closing(workspace.open()) as connection:
        for first in range(1, rows + 1, 10_000):
            with transaction(connection):
                last = min(first + 10_000, rows + 1)
                add_verdicts(connection, [says(n, ("hard", "soft", "none")[n % 3], probability=0.9)
                                          for n in range(first, last)])  # fmt: skip
            checkpoint(connection, workspace.database)
        with transaction(connection):
            items = [QueueItem(at, ItemId(n), "random", cards / rows) for at, n in enumerate(order, 1)]
            queue = create_queue(connection, "bench", QueueSettings("", rows), items)
        checkpoint(connection, workspace.database, force=True)
    return workspace, queue


def _store(workspace: Workspace, queue: Queue, labels: int) -> list[Figure]:
    """Claims and commits alone, without a screen."""
    commits, claims = [], []
    with closing(workspace.open()) as connection:
        while len(commits) < labels:
            begun = time.perf_counter()
            positions = claim(connection, queue, "human:store", 20)
            claims.append((time.perf_counter() - begun) * 1000)
            for position in positions:
                begun = time.perf_counter()
                with transaction(connection):
                    decide(connection, Place(queue, position, "human:store"), Said({"refusal3": Answer("hard")}))
                commits.append((time.perf_counter() - begun) * 1000)
    return [
        _figure("commit of a label (synchronous=FULL), p95", percentile(commits, 0.95), "ms", 10),
        Figure("commit of a label, median", median(commits), "ms"),
        Figure("claim of 20 cards, median", median(claims), "ms"),
    ]


def _screen(workspace: Workspace, queue: Queue, labels: int) -> list[Figure]:
    with start(workbench(workspace.root)) as program:
        settle(program, time.perf_counter(), quiet=2.0)
        press(program, "r", quiet=0.5)
        opened = press(program, "\r", quiet=0.15)
        chance = random.Random(4)
        paints = [press(program, chance.choice(KEYS), quiet=QUIET) for _ in range(labels)]
        undone = press(program, "u", quiet=0.1)
        program.send("\x11")
        program.wait()
    times, sent = [paint.ms for paint in paints], [float(paint.sent) for paint in paints]
    return [
        _figure("key to the next card painted, p95", percentile(times, 0.95), "ms", 50),
        Figure("key to the next card painted, median", median(times), "ms"),
        _figure("bytes sent per label, p95", percentile(sent, 0.95), "B", 10_000),
        Figure("bytes sent per label, median", median(sent), "B"),
        _figure("opening a queue of 10,000", opened.ms, "ms", 300),
        Figure("undo, until the card is back", undone.ms, "ms"),
    ]


def _figure(what: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(what, value, unit, LIMITS, value / limit, f"under {limit:,} {unit}", value < limit)
