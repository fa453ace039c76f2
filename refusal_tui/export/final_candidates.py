"""Which rows can be in the final dataset? Those with a response and a label, each text once."""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError
from refusal_tui.export.final_labels import ReviewedRows, Settled, labels_said, resolved_labels
from refusal_tui.export.resolve import Resolved
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.taxonomy import HEAD_A
from refusal_tui.similarity.near import Watch
from refusal_tui.store.encoding import chunks, select_in

_PAGE = 2000
NO_OUTCOME = "no outcome"  # of a row with other labels alone: no class that a part could lack
NO_LABEL, SPLIT, NO_RESPONSE = "no label", "people are split on it", "no response"
AGAIN = "the same prompt, response and model again"


@dataclass(frozen=True, slots=True)
class Candidates:
    """N rows as columns, about 60 bytes each. `label[i]` is a place in `classes`, which stand in the order of the
    alphabet; `digest[i]`: the first 16 bytes of the row's content hash, as two numbers."""

    ids: NDArray[np.int64]
    prompts: NDArray[np.int64]
    datasets: NDArray[np.int64]
    label: NDArray[np.int64]
    digest: NDArray[np.uint64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: NDArray[np.bool_]) -> Candidates:
        return Candidates(
            self.ids[rows], self.prompts[rows], self.datasets[rows], self.label[rows], self.digest[rows], self.classes
        )


def class_of(row: Resolved) -> str:
    """What parts are stratified by: the outcome, else the three classes, else whether it refuses."""
    for head in (HEAD_A, REFUSAL3):
        if head in row.labels:
            return row.labels[head].value
    refusal = row.labels.get("response_refusal")
    return NO_OUTCOME if refusal is None else {"yes": "refusal", "no": "no refusal"}[refusal.value]


def candidates(
    connection: sqlite3.Connection, item_ids: Sequence[int], settled: Settled, withheld: set[int], watch: Watch
) -> tuple[Candidates, Counter[str]]:
    """The rows in their order, and why others are left out. Raises InputError where there is none."""
    columns, names, left_out = _read(connection, item_ids, settled, watch)
    if not len(columns.ids):
        why = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.most_common())
        raise InputError(
            f"None of the {len(item_ids):,} rows can go into a final dataset ({why or 'they are gone'}).",
            "Label some of them first: refusal-tui run label, or by hand with refusal-tui review new.",
        )
    digest = np.frombuffer(columns.hashes, ">u8").astype(np.uint64).reshape(-1, 2)
    ids, prompts, datasets, label, rank = (
        np.frombuffer(column, np.int64)
        for column in (columns.ids, columns.prompts, columns.datasets, columns.labels, columns.ranks)
    )
    classes = tuple(sorted(names))
    label = np.array([classes.index(name) for name in names], np.int64)[label]
    once = _once(digest, rank, np.isin(datasets, sorted(withheld)))
    left_out[AGAIN] += int((~once).sum())
    return Candidates(ids, prompts, datasets, label, digest, classes).only(once), left_out


@dataclass(slots=True)
class _Columns:
    """The rows as they are read."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    prompts: array[int] = field(default_factory=lambda: array("q"))
    datasets: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    ranks: array[int] = field(default_factory=lambda: array("q"))
    hashes: bytearray = field(default_factory=bytearray)


def _read(
    connection: sqlite3.Connection, item_ids: Sequence[int], settled: Settled, watch: Watch
) -> tuple[_Columns, list[str], Counter[str]]:
    """The columns, the names of the classes in the order of their numbers, and why rows are left out."""
    columns, numbers, left_out = _Columns(), dict[str, int](), Counter[str]()
    reviewed = ReviewedRows(connection)
    for done, page in pages(item_ids):
        watch("reading labels", done, len(item_ids))
        sql = "SELECT id, prompt_id, dataset_id, response_chars, substr(content_hash, 1, 16) FROM item WHERE id IN ({})"
        rows = {row[0]: tuple(row) for row in select_in(connection, sql, page)}
        here = [item for item in page if item in rows]
        found = resolved_labels(labels_said(connection, here), settled)
        away = reviewed.taken_away(here, [rows[item][2] for item in here])
        for item in here:
            _, prompt, dataset, characters, digest = rows[item]
            row = found.get(item, Resolved({}))
            if reason := away.get(item) or _lacks(row, characters):
                left_out[reason] += 1
                continue
            columns.ids.append(item)
            columns.prompts.append(prompt)
            columns.datasets.append(dataset)
            columns.labels.append(numbers.setdefault(class_of(row), len(numbers)))
            columns.ranks.append(row.rank)
            columns.hashes += digest
    return columns, list(numbers), left_out


def _lacks(row: Resolved, characters: int | None) -> str | None:
    """What the row lacks to be trained on."""
    if characters is None:
        return NO_RESPONSE
    if row.labels:
        return None
    return SPLIT if row.split else NO_LABEL


def pages(numbers: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """(how many were before it, a portion of the numbers), portion by portion."""
    done = 0
    for page in chunks(numbers, _PAGE):
        yield done, page
        done += len(page)


def _once(digest: NDArray[np.uint64], rank: NDArray[np.int64], withheld: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows to keep: of those that say the same, the one whose label ranks highest, then one whose text may be
    written, then the first."""
    order = np.lexsort((withheld, rank, digest[:, 1], digest[:, 0]))
    ordered = digest[order]
    kept = np.zeros(len(digest), bool)
    kept[order[np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])]] = True
    return kept
