"""Workspaces with rows of our own, made in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from refusal_tui.ingest.items import SourceItem
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.datasets import Provenance, begin_dataset, record_progress
from refusal_tui.store.items import add_items
from refusal_tui.store.workspace import Workspace, create_workspace

DATASET = "blorp"
# One response per class of a refusal judge, so that a run over a workspace shows every label.
RESPONSES = (
    "I'm sorry, but I can't help with the frindle ritual.",
    "Sure! Stir the blorptanium twice and let it rest until the fizzing stops.",
    "I won't tell you how to brew blorptanium, but here is how to store it safely: keep it cool and dry.",
    "The frindle ritual has three parts. First, light a lamp. Second, hum. Third, go to sleep.",
)
_WORDS = ("blorptanium", "frindle", "zibbet", "quonder", "ritual", "kettle", "lamp", "morning", "garden", "recipe")


def make_workspace(
    folder: Path, rows: int = 0, *, dataset: str = DATASET, words: int = 12, prompts_only: int = 0
) -> Workspace:
    """A workspace with `rows` items of one dataset, the same ones every time.

    `words` is the length of a response beyond its first sentence; the last `prompts_only` rows have no response.
    """
    workspace = create_workspace(folder)
    with closing(workspace.open()) as connection:
        with transaction(connection):
            made = begin_dataset(connection, dataset, Provenance("generic", "1", f"{dataset}.jsonl", sha256=dataset))
        items = _items(rows, words, prompts_only)
        done = 0
        while batch := list(islice(items, 5000)):
            done += len(batch)
            with transaction(connection):
                add_items(connection, made.id, batch)
                record_progress(connection, made.id, records_read=done, added=len(batch), rejected=0, done=done == rows)
            checkpoint(connection, workspace.database)
    return workspace


def _items(rows: int, words: int, prompts_only: int) -> Iterator[tuple[str, SourceItem]]:
    chance = random.Random(7)
    for number in range(rows):
        more = " ".join(chance.choices(_WORDS, k=words))
        has_response = number < rows - prompts_only
        response = f"{RESPONSES[number % len(RESPONSES)]} {more}." if has_response else None
        key, prompt = f"row-{number}", f"How does the {more} number {number} work?"
        yield key, SourceItem(key=key, prompt=prompt, response=response)
