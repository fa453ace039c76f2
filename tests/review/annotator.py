"""A scripted annotator: the real program on a terminal of its own, one key per card."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.labels.rows import ItemId
from refusal_tui.store.connect import transaction
from refusal_tui.store.review_answers import decisions
from refusal_tui.store.review_queues import QueueItem, QueueSettings, create_queue, get_queue
from refusal_tui.store.workspace import Workspace
from tests.support.pty_harness import PtyProgram, workbench
from tests.support.workspaces import make_workspace

QUEUE = "all"
KEYS = {"h": "hard", "s": "soft", "o": "none"}
_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass
class Work:
    """What a run of the annotator has measured: seconds from key to the last byte seen, and bytes sent, per label."""

    keys: dict[int, str] = field(default_factory=dict)  # card -> the key that was pressed
    seconds: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


def queue_of(folder: Path, rows: int, cards: int) -> Workspace:
    """A workspace with `rows` rows, and a queue of the first `cards` of them in their order."""
    workspace = make_workspace(folder, rows, words=40)
    with closing(workspace.open()) as connection, transaction(connection):
        items = [QueueItem(n, ItemId(n), "random", cards / rows) for n in range(1, cards + 1)]
        create_queue(connection, QUEUE, QueueSettings("", rows), items)
    return workspace


def open_card(workspace: Workspace, who: str = "ada") -> PtyProgram:
    """The program with a card of the queue on its screen."""
    program = PtyProgram(workbench(workspace.root, "review", "open", QUEUE, "--annotator", who))
    program.wait_for(" skip  ")
    return program


def label(program: PtyProgram, work: Work, card: int, key: str, last: bool = False) -> None:
    """Press the key on `card` and wait until the next one is painted."""
    start, sent = time.perf_counter(), len(program.output)
    program.send(key)
    wanted = b"Nothing is left for you" if last else f"card {card + 1} ".encode()
    while wanted not in _ESCAPES.sub(b"", bytes(program.output[sent:])):
        if not program.pump(0.002) and time.perf_counter() - start > 30:
            raise AssertionError(f"card {card + 1} never came; it wrote:\n{program.text[-2000:]}")
    work.seconds.append(time.perf_counter() - start)
    while program.pump(0.004):  # the rest of the paint
        pass
    work.sent.append(len(program.output) - sent)
    work.keys[card] = key


def stored(workspace: Workspace) -> dict[int, str]:
    """Card -> the label that stands."""
    with closing(workspace.open(read_only=True)) as connection:
        found = decisions(connection, get_queue(connection, QUEUE))
        return {d.item.position: str(d.verdict.answers["refusal3"].value) for d in found if d.verdict is not None}
