"""How well do people and judges agree on the audited rows? The figures of `stats/`, on what `store/agreement.py` reads.

Per pair: percent and Cohen's kappa with 95 % intervals clustered by prompt (`refusal-tui agreement` shows more).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.table import Codes, Table, coded
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.stats.agreement import accuracy, cohen_kappa
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions
from refusal_tui.stats.intervals import Interval
from refusal_tui.store.agreement import labelled_rows
from refusal_tui.store.gold import is_computed

_LEAST_SHARED = 10
_DRAWS = 300
_MOST_ANNOTATORS = 8
Said = Mapping[int, tuple[int, str]]  # item -> its prompt and the label


def agreement(
    connection: sqlite3.Connection, table: Table, selection: str
) -> tuple[list[dict[str, Any]], Codes, Codes]:
    """The pairs, and for `doctor.judge_against_people` what judges and people say of each row (latest of each side)."""
    found: list[dict[str, Any]] = []
    judge, people = [dict[int, str]() for _ in range(2)]
    for head in (REFUSAL3, *BOOLEAN_HEADS):
        column = table.heads.get(head)
        names = [name for name in column.annotators if not is_computed(name)] if column is not None else []
        names = sorted(names, key=lambda name: (not name.startswith("human:"), name))[:_MOST_ANNOTATORS]
        if len(names) < 2:
            continue
        said: dict[str, dict[int, tuple[int, str]]] = {name: {} for name in names}
        for item, prompt, _, _, annotator, value, *_ in labelled_rows(connection, head, names, selection):
            said[annotator][item] = prompt, value
            if head == REFUSAL3:
                (people if annotator.startswith("human:") else judge)[item] = value
        for one, other in combinations(names, 2):
            pair = _pair(head, one, other, said[one], said[other])
            if pair is not None:
                found.append(pair)
    places = table.ids.tolist()
    values = coded([*(judge.get(i) for i in places), *(people.get(i) for i in places)])
    judged, by_people = values.codes[: len(places)], values.codes[len(places) :]
    return found, Codes(values.names, judged), Codes(values.names, by_people)


def _pair(head: str, one: str, other: str, left: Said, right: Said) -> dict[str, Any] | None:
    shared = sorted(left.keys() & right.keys())
    if len(shared) < _LEAST_SHARED:
        return None
    a, b = [left[item][1] for item in shared], [right[item][1] for item in shared]
    confusions = cluster_confusions(a, b, [left[item][0] for item in shared], sorted({*a, *b}))
    intervals = cluster_bootstrap({"percent": accuracy, "kappa": cohen_kappa}, confusions, draws=_DRAWS)
    return {
        "head": head,
        "one": one,
        "other": other,
        "between": "people" if other.startswith("human:") else "judge and person" if "human:" in one else "judges",
        "rows": len(shared),
        "disagreements": sum(x != y for x, y in zip(a, b, strict=True)),
        **{name: _bounds(interval) for name, interval in intervals.items()},
    }


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else round(value, 4) for name, value in interval._asdict().items()}


def differing(judge: Codes, people: Codes) -> NDArray[np.bool_]:
    """Rows on which the latest judge and the latest person differ."""
    differs: NDArray[np.bool_] = (judge.codes >= 0) & (people.codes >= 0) & (judge.codes != people.codes)
    return differs
