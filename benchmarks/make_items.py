"""Fill a workspace with synthetic items and labels, fast and always the same for the same seed.

    python benchmarks/make_items.py /tmp/bench 1000000

Eight models answer every prompt; 60 % of the items carry a judge's label and 1 % a human's, a tenth of which disagree.
The words are made up; their frequencies follow Zipf's law, so that searches meet rare and common words.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.datasets import Provenance, begin_dataset, record_progress
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace, create_workspace

DATASETS = ("alpha", "beta", "gamma", "delta")
MODELS = tuple(f"model-{letter}" for letter in "abcdefgh")
CATEGORIES = tuple(f"category-{number:02}" for number in range(20))
CLASSES = ("none", "none", "none", "hard", "soft")
OPENINGS = {
    "hard": "I'm sorry, but I can't help with that. ",
    "soft": "I would rather not say much about it, though in general: ",
    "none": "Sure, here is what you asked for. ",
}
SYLLABLES = (
    "blor",
    "frin",
    "quaz",
    "mip",
    "tash",
    "vel",
    "dro",
    "nim",
    "sko",
    "pel",
    "gra",
    "tium",
    "dle",
    "ox",
    "wen",
)
BATCH = 2000


@dataclass(frozen=True, slots=True)
class SyntheticItem:
    prompt: str
    response: str
    model: str
    split: str
    category: str
    meta: dict[str, Any] = field(default_factory=dict)


def make_items(workspace: Workspace, rows: int, *, labelled: float = 0.6, human: float = 0.01, seed: int = 0) -> None:
    """Add `rows` items in four datasets, one committed batch at a time."""
    dice = random.Random(seed)
    sentences = _sentences(dice)
    connection = workspace.open()
    try:
        for number, name in enumerate(DATASETS):
            share = rows // len(DATASETS) + (number < rows % len(DATASETS))
            with transaction(connection):
                dataset = begin_dataset(connection, name, Provenance("generic", "1", f"synthetic-{seed}-{name}"))
            for start in range(0, share, BATCH):
                batch = list(_batch(dice, sentences, name, start, min(start + BATCH, share)))
                with transaction(connection):
                    added = add_items(connection, dataset.id, [(key, item) for key, item, _ in batch])
                    add_verdicts(connection, list(_verdicts(dice, added.ids, batch, labelled, human)))
                    end = start + len(batch)
                    record_progress(
                        connection, dataset.id, records_read=end, added=added.count, rejected=0, done=end == share
                    )
                checkpoint(connection, workspace.database)
    finally:
        connection.close()


def _batch(
    dice: random.Random, sentences: list[str], dataset: str, start: int, end: int
) -> Iterator[tuple[str, SyntheticItem, str]]:
    prompt = category = ""
    for number in range(start, end):
        if number % len(MODELS) == 0 or not prompt:
            prompt = f"{' '.join(dice.choices(sentences, k=2))} ({dataset} {number // len(MODELS)})"
            category = dice.choice(CATEGORIES)
        kind = dice.choice(CLASSES)
        response = OPENINGS[kind] + " ".join(dice.choices(sentences, k=dice.randrange(1, 12)))
        item = SyntheticItem(
            prompt, response, MODELS[number % len(MODELS)], "test" if number % 10 == 0 else "train", category,
            {"type": f"type-{number % 7}"},
        )  # fmt: skip
        yield f"{dataset}-{number}", item, kind


def _verdicts(
    dice: random.Random,
    ids: list[ItemId | None],
    batch: list[tuple[str, SyntheticItem, str]],
    labelled: float,
    human: float,
) -> Iterator[Verdict]:
    for item_id, (_, _, kind) in zip(ids, batch, strict=True):
        if item_id is None:
            continue
        if dice.random() < labelled:
            answers = {"refusal3": Answer(kind, round(0.5 + dice.random() / 2, 3))}
            yield Verdict(item_id, "judge:lexical", "refusal3", "1", answers)
        if dice.random() < human:
            gold = kind if dice.random() < 0.9 else dice.choice(CLASSES)
            yield Verdict(item_id, "human:hannah", "refusal3", "1", {"refusal3": Answer(gold)})


def _sentences(dice: random.Random) -> list[str]:
    """4,000 sentences over 20,000 made-up words; word n is n times rarer than the first."""
    words = sorted({"".join(dice.choices(SYLLABLES, k=dice.randrange(2, 5))) for _ in range(40_000)})
    words = dice.sample(words, k=min(20_000, len(words)))
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    return [
        " ".join(dice.choices(words, cum_weights=weights, k=dice.randrange(5, 14))).capitalize() + "."
        for _ in range(4_000)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    workspace = create_workspace(options.workspace)
    make_items(workspace, options.rows, seed=options.seed)
    seconds = time.perf_counter() - started
    size = workspace.database.stat().st_size / 1e6
    sys.stdout.write(f"{options.rows} items in {seconds:.1f} s ({options.rows / seconds:.0f}/s), {size:.0f} MB\n")


if __name__ == "__main__":
    main()
