"""What is audited? The columns of a selection as arrays: where rows come from, how long and how labelled they are.

A row's label of a head is what was settled, else the latest of a person, else the latest of a judge; consensus that was
computed from people's votes is no person. About 60 bytes per row and 7 per label.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.store.encoding import select_in
from refusal_tui.store.gold import is_computed, settled_sql

NOBODY = -1
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Codes:
    """A column of names: `names[codes[i]]` is row i's, -1 is none."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]

    def values(self) -> list[str | None]:
        return [self.names[code] if code >= 0 else None for code in self.codes.tolist()]

    def counts(self) -> dict[str, int]:
        """Rows of each name, the most frequent first; rows without one are left out."""
        numbers = np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))
        pairs = zip(self.names, numbers.tolist(), strict=True)
        return dict(sorted(((n, c) for n, c in pairs if c), key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True, slots=True)
class HeadColumn:
    """The labels of one head; `probability` is NaN where the annotator gave none, `human` tells who labelled."""

    label: Codes
    probability: NDArray[np.float32]
    human: NDArray[np.bool_]
    annotators: dict[str, int]  # labels of each, whether or not they are a row's own


@dataclass(frozen=True, slots=True)
class Table:
    """N rows, by item id. `prompt` is the id of the shared prompt; `response_chars` is -1 without a response."""

    ids: NDArray[np.int64]
    prompt: NDArray[np.int64]
    source: Codes
    model: Codes
    split: Codes
    prompt_chars: NDArray[np.int64]
    response_chars: NDArray[np.int64]
    heads: dict[str, HeadColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def label(self, head: str = REFUSAL3) -> Codes:
        """The labels of a head, all -1 where nobody has labelled it."""
        column = self.heads.get(head)
        return column.label if column is not None else Codes((), np.full(len(self), NOBODY, np.int32))

    def ids_where(self, mask: NDArray[np.bool_], most: int = 5000) -> tuple[int, ...]:
        return tuple(self.ids[np.flatnonzero(mask)[:most]].tolist())


def coded(values: Iterable[str | None]) -> Codes:
    """Names in the order of the alphabet."""
    values = list(values)
    names = sorted({value for value in values if value is not None})
    number = {name: place for place, name in enumerate(names)}
    return Codes(tuple(names), np.array([NOBODY if v is None else number[v] for v in values], np.int32))


def load_table(
    connection: sqlite3.Connection, item_ids: Sequence[int], watch: Callable[[int, int], None] | None = None
) -> Table:
    """Everything but texts. `watch` is called with rows done and rows in all, and may raise to stop."""
    wanted = sorted(set(item_ids))
    names = dict(connection.execute("SELECT id, name FROM dataset").fetchall())
    columns: list[list[object]] = [[] for _ in range(7)]
    collected = _Labels()
    for begin in range(0, len(wanted), _CHUNK):
        chunk = wanted[begin : begin + _CHUNK]
        for row in sorted(
            map(tuple, select_in(
                connection,
                """SELECT id, prompt_id, dataset_id, model, split, prompt_chars, coalesce(response_chars, -1)
                   FROM item WHERE id IN ({})""", chunk))
        , key=lambda row: row[0]):  # fmt: skip
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        collected.add(connection, chunk)
        if watch is not None:
            watch(begin + len(chunk), len(wanted))
    ids, prompts, sources, models, splits, asked, answered = columns
    numbers = np.array(ids, np.int64)
    return Table(
        numbers,
        np.array(prompts, np.int64),
        coded(names[source] for source in sources),
        coded(models),  # type: ignore[arg-type]
        coded(splits),  # type: ignore[arg-type]
        np.array(asked, np.int64),
        np.array(answered, np.int64),
        collected.done(connection, numbers),
    )


class _Labels:
    """The labels that count, gathered head by head."""

    def __init__(self) -> None:
        self._best: dict[str, dict[int, tuple[bool, int, int, float]]] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._annotators: dict[str, dict[str, int]] = {}

    def add(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        columns = "item_id, head, value, probability, annotator, verdict_id"
        rows = select_in(connection, f"SELECT {columns} FROM label WHERE item_id IN ({{}})", ids)
        for item_id, head, value, probability, annotator, verdict in map(tuple, rows):
            counts = self._annotators.setdefault(head, {})
            counts[annotator] = counts.get(annotator, 0) + 1
            human = annotator.startswith("human:") and not is_computed(annotator)
            best = self._best.setdefault(head, {})
            known = best.get(item_id)
            if known is None or (known[0], known[1]) < (human, verdict):
                code = self._code(head, value)
                best[item_id] = (human, verdict, code, np.nan if probability is None else probability)

    def _code(self, head: str, value: str) -> int:
        names = self._names.setdefault(head, {})
        return names.setdefault(value, len(names))

    def done(self, connection: sqlite3.Connection, ids: NDArray[np.int64]) -> dict[str, HeadColumn]:
        return {head: self._column(connection, head, ids) for head in sorted(self._best)}

    def _column(self, connection: sqlite3.Connection, head: str, ids: NDArray[np.int64]) -> HeadColumn:
        best = self._best.pop(head)
        settled = settled_sql(head, connection)
        for row in connection.execute(*settled) if settled is not None else ():
            if row["item_id"] in best and row["value"] is not None:
                best[row["item_id"]] = (True, 0, self._code(head, row["value"]), np.nan)
        places = np.searchsorted(ids, np.fromiter(best, np.int64, len(best)))
        codes, probability = np.full(len(ids), NOBODY, np.int32), np.full(len(ids), np.nan, np.float32)
        human = np.zeros(len(ids), bool)
        names = self._names[head]
        order = {code: place for place, (_, code) in enumerate(sorted(names.items()))}
        for place, (is_human, _, code, chance) in zip(places.tolist(), best.values(), strict=True):
            codes[place], probability[place], human[place] = order[code], chance, is_human
        return HeadColumn(Codes(tuple(sorted(names)), codes), probability, human, self._annotators[head])
