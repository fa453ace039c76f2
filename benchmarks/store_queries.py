"""How long do the questions take that the Browse screen asks of a workspace? Medians in milliseconds.

python benchmarks/store_queries.py /tmp/bench          (made by benchmarks/make_items.py)
"""

from __future__ import annotations

import argparse
import random
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from refusal_tui.store import browse
from refusal_tui.store.workspace import Workspace

FILTERS = (
    "", "dataset:alpha", "label:hard", "judge:hard", "gold:soft", "model:model-a", "-label:hard", "has:label",
    "is:disagreement", "confidence<0.6", "length>400", "sorry", "zzzz", "meta.type:type-3", "key:alpha-1*",
    "dataset:alpha label:hard -model:model-a sorry",
)  # fmt: skip


def median_ms(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def questions(connection: sqlite3.Connection) -> dict[str, Callable[[], object]]:
    """Name -> what a screen does."""
    ids = browse.select_ids(connection)
    dice = random.Random(0)

    def page() -> object:
        start = dice.randrange(max(1, len(ids) - 128))
        return browse.fetch_previews(connection, ids[start : start + 128])

    asked: dict[str, Callable[[], object]] = {}
    for text in FILTERS:
        asked[f"select {text or '(all)'}"] = lambda text=text: browse.select_ids(connection, text)
    for sort in browse.SORTS:
        asked[f"sort by {sort}"] = lambda sort=sort: browse.select_ids(connection, sort=sort, descending=True)
    for name in browse.FACETS:
        asked[f"facet {name}"] = lambda name=name: browse.facets(connection, name)
        asked[f"facet {name} of label:hard"] = lambda name=name: browse.facets(connection, name, "label:hard")
    asked["count (all)"] = lambda: browse.count_items(connection)
    asked["count label:hard"] = lambda: browse.count_items(connection, "label:hard")
    asked["previews of 128 rows"] = page
    asked["dossier"] = lambda: browse.read_dossier(connection, dice.choice(ids))
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    connection = Workspace(options.workspace).open()
    for name, action in questions(connection).items():
        sys.stdout.write(f"{name:60} {median_ms(action, options.repeats):9.1f} ms\n")
        sys.stdout.flush()
    connection.close()
    sys.stdout.write(f"{'peak memory':60} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.1f} MB\n")


if __name__ == "__main__":
    main()
