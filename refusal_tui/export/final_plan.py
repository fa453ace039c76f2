"""Which rows are in the final dataset, and in which part? Decided before a row is written, from ids, labels and hashes.

About 150 bytes a row are held; of texts only the shingles, while rows that belong together are looked for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError
from refusal_tui.export.final_candidates import NO_OUTCOME, Candidates, candidates, pages
from refusal_tui.export.final_labels import Settled
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.similarity.near import Watch
from refusal_tui.similarity.splits import FREE, TEST, TRAIN, deal, groups_of, shares_of, shuffled, thin_classes
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.encoding import select_in

NO_PLACE = "for evaluation only, or like such a row, and there is no test part"


@dataclass(frozen=True, slots=True)
class Plan:
    """N rows in the order in which they are written. `part[i]` is a place in `parts`, `cluster[i]` the item id of the
    first row of its group, `label[i]` a place in `classes`. `left_out`: why rows are not among them -> how many.
    `thin`: classes with fewer groups than parts. `held_out`: rows of sources that are for evaluation only, and what is
    like them."""

    ids: NDArray[np.int64]
    part: NDArray[np.int64]
    cluster: NDArray[np.int64]
    label: NDArray[np.int64]
    parts: tuple[str, ...]
    classes: tuple[str, ...]
    left_out: Mapping[str, int]
    thin: tuple[str, ...]
    held_out: int

    def __len__(self) -> int:
        return len(self.ids)


def make_plan(
    connection: sqlite3.Connection,
    item_ids: Sequence[int],
    spec: FinalExportSpec,
    settled: Settled,
    withheld: set[int],
    watch: Watch,
) -> Plan:
    """`withheld`: the datasets whose text is not written. `watch` hears of the steps, and may raise to stop.

    Raises InputError where there is nothing to write, or where the parts cannot be made.
    """
    rows, left_out = candidates(connection, item_ids, settled, withheld, watch)
    group = _groups(connection, rows, spec.similarity, watch)
    held_out = _held_out(connection, rows, group)
    shares = shares_of(spec.validation, spec.test)
    if TEST not in shares and held_out.any():
        left_out[NO_PLACE] = int(held_out.sum())
        rows, group, held_out = rows.only(~held_out), group[~held_out], held_out[~held_out]
        if not len(rows):
            raise InputError(
                "All rows are for evaluation only, and without a test part there is no place for them.",
                "Give the test part a share, such as --test 0.1, or choose other rows.",
            )
    elif held_out.all():
        shares = {TEST: 1.0}
    part, thin = _dealt(rows, group, held_out, shares, spec)
    _check(rows, group, part, list(shares), spec)
    _, firsts, inverse = np.unique(group, return_index=True, return_inverse=True)
    return Plan(
        rows.ids, part, rows.ids[firsts][inverse], rows.label, tuple(shares), rows.classes,
        {why: count for why, count in left_out.items() if count}, tuple(rows.classes[number] for number in thin),
        int(held_out.sum()),
    )  # fmt: skip


def _groups(connection: sqlite3.Connection, rows: Candidates, similarity: float, watch: Watch) -> NDArray[np.int64]:
    distinct, prompt_of = np.unique(rows.prompts, return_inverse=True)

    def texts(numbers: NDArray[np.int64], sql: str, step: str) -> Iterator[list[str]]:
        for done, page in pages(numbers.tolist()):
            watch(step, done, len(numbers))
            found = dict(map(tuple, select_in(connection, sql, page)))
            yield [found.get(number) or "" for number in page]

    return groups_of(
        texts(distinct, "SELECT id, text FROM prompt WHERE id IN ({})", "reading prompts"),
        prompt_of.astype(np.int64),
        texts(rows.ids, "SELECT item_id, response FROM item_body WHERE item_id IN ({})", "reading responses"),
        similarity,
        watch,
    )


def _held_out(connection: sqlite3.Connection, rows: Candidates, group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows for evaluation only, with what belongs to them."""
    closed = [dataset.id for dataset in list_datasets(connection) if dataset.provenance.eval_only]
    return np.isin(group, np.unique(group[np.isin(rows.datasets, closed)]))


def _dealt(
    rows: Candidates,
    group: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    shares: Mapping[str, float],
    spec: FinalExportSpec,
) -> tuple[NDArray[np.int64], list[int]]:
    """The part of each row, and the numbers of the classes that are too thin for all of them."""
    places = {name: place for place, name in enumerate(shares)}
    prescribed = np.full(len(rows), FREE, np.int64)
    if held_out.any():
        prescribed[held_out] = places[TEST]
    is_thin = thin_classes(group, rows.label, prescribed, len(shares))
    thin = np.flatnonzero(is_thin & (np.array(rows.classes) != NO_OUTCOME))
    if spec.thin == "train":
        prescribed[np.isin(rows.label, thin) & ~held_out] = places.get(TRAIN, FREE)
    order = _order(rows.digest, group, spec.seed)
    return deal(group, order, rows.label, list(shares.values()), prescribed), thin.tolist()


def _order(digest: NDArray[np.uint64], group: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """For every row the shuffled number of its group, whose name is the smallest row hash in it: that does not hang on
    the order of the rows."""
    by_group = np.lexsort((digest[:, 1], digest[:, 0], group))
    _, begins, inverse = np.unique(group[by_group], return_index=True, return_inverse=True)
    names = ("{:016x}{:016x}".format(*pair) for pair in digest[by_group[begins]].tolist())
    numbers = np.array([shuffled(seed, name) for name in names], np.uint64)
    order = np.empty(len(group), np.uint64)
    order[by_group] = numbers[inverse]
    return order


def _check(
    rows: Candidates, group: NDArray[np.int64], part: NDArray[np.int64], parts: Sequence[str], spec: FinalExportSpec
) -> None:
    """Raises InputError for a part without rows, and for one without a class where that is refused."""
    counts = np.zeros((len(parts), len(rows.classes)), np.int64)
    np.add.at(counts, (part, rows.label), 1)
    empty = [name for name, row in zip(parts, counts, strict=True) if not row.sum()]
    if empty:
        largest = int(np.bincount(group).max())
        raise InputError(
            f"No row is left for the {empty[0]} part: rows with alike texts stay together, classes in fewer than "
            f"{len(parts)} such groups are trained on, and the largest holds {largest:,} of {len(rows):,} rows.",
            "Label more rows, or make one part of them: --validation 0 --test 0",
        )
    missing = np.argwhere((counts == 0) & (counts.sum(axis=0) > 0) & (np.array(rows.classes) != NO_OUTCOME))
    if len(missing) and spec.thin == "refuse":
        place, number = missing[0].tolist()
        count = int(counts[:, number].sum())
        raise InputError(
            f"The class {rows.classes[number]!r} is too thin: it has {count:,} row{'s' * (count != 1)}, and none for "
            f"the {parts[place]} part.",
            "Label more rows of it, under other prompts, or let such classes be trained on alone: --thin train",
        )
