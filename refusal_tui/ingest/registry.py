"""Which adapters are there? Names only; a module is imported when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module

from refusal_tui.errors import UsageError
from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.items import Record

# One line per dataset, in the order in which equal matches are decided: our own records go first.
ADAPTERS = {
    "workbench": "workbench",
    "hh-rlhf": "hh_rlhf",
    "oasst1": "oasst1",
    "wildguardmix": "wildguardmix",
    "sorry-bench": "sorry_bench",
    "do-not-answer": "do_not_answer",
    "jailbreakbench": "jailbreakbench",
    "or-bench": "or_bench",
    "xstest": "xstest",
    "harmfulqa": "harmfulqa",
    "alpaca": "alpaca",
    "dolly": "dolly",
    "flan": "flan",
    "ultrachat": "ultrachat",
    "generic": "generic",
}


def get_adapter(name: str) -> Adapter:
    """The adapter called `name`. Raises UsageError with the nearest name for an unknown one."""
    module = ADAPTERS.get(name)
    if module is None:
        near = difflib.get_close_matches(name, ADAPTERS, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"There is no adapter {name!r}.", f"{hint}Known: {', '.join(ADAPTERS)}.")
    adapter: Adapter = import_module(f"refusal_tui.ingest.adapters.{module}").ADAPTER
    return adapter


def all_adapters() -> list[Adapter]:
    return [get_adapter(name) for name in ADAPTERS]


def detect(records: Iterable[Record]) -> Adapter | None:
    """The adapter whose columns the first rows have; of several the one with the most columns. None: use generic."""
    best: tuple[int, Adapter] | None = None
    seen = list(records)
    for adapter in all_adapters():
        shapes = [shape for record in seen if (shape := adapter.shape_of(record)) is not None]
        # A stray row may look like something else: most of the head has to fit.
        if shapes and 2 * len(shapes) > len(seen):
            columns = max(len(shape.columns) for shape in shapes)
            if best is None or columns > best[0]:
                best = (columns, adapter)
    return best[1] if best else None
