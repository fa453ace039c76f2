"""How well do people and judges agree? One report per head: everybody together, every pair, everybody with themselves.

The same report is what `refusal-tui agreement` prints and what the Agreement screen shows. Pairs are split by source,
by the model that answered, and into labels given blind and labels given after a judge's had been seen.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.review.agreement_errors import judge_errors
from refusal_tui.review.agreement_figures import (
    class_figures,
    classes_of,
    group_figures,
    pair_confusions,
    pair_figures,
)
from refusal_tui.review.agreement_report import Alone, Asked, Figures, HeadAgreement, Pair, Part
from refusal_tui.store.agreement import (
    LabelledRow,
    RepeatedRow,
    check_annotators,
    labelled_rows,
    labellings,
    queues_of_purpose,
    repeated_rows,
)
from refusal_tui.store.gold import is_computed
from refusal_tui.store.id_ranges import id_filter
from refusal_tui.store.review_queues import Purpose, Queue, get_queue

_MOST_IDS = 5000  # of a filter that names its rows


def agreement(connection: sqlite3.Connection, asked: Asked) -> list[HeadAgreement]:
    """One report per head on which at least two have labelled the same rows, or on which something is known of one.

    Pairs of judges are left out while people have labelled the head, unless they are named. Raises InputError for a bad
    filter, an unknown queue or an annotator without a label.
    """
    queue = None if asked.queue is None else get_queue(connection, asked.queue)
    named = check_annotators(connection, asked.annotators)
    heads: dict[str, list[str]] = {}
    for one in labellings(connection):
        peoples_consensus = _is_human(one.annotator) and is_computed(one.annotator)  # no opinion of its own
        if asked.head in (None, one.head) and (one.annotator in named if named else not peoples_consensus):
            heads.setdefault(one.head, []).append(one.annotator)
    found = []
    for head in sorted(heads, key=_head_order):
        report = _head(connection, asked, head, heads[head], queue, judges_too=bool(named))
        if report.pairs or report.alone or report.errors:
            found.append(report)
    return found


def _head_order(head: str) -> tuple[int, str]:
    known = (REFUSAL3, *BOOLEAN_HEADS)
    return (known.index(head) if head in known else len(known), head)


def _head(
    connection: sqlite3.Connection,
    asked: Asked,
    head: str,
    annotators: Sequence[str],
    queue: Queue | None,
    *,
    judges_too: bool,
) -> HeadAgreement:
    people = [a for a in annotators if _is_human(a)]
    of_people = bool(people) and not judges_too
    rows = labelled_rows(connection, head, annotators, asked.selection, queue, of_people=of_people)
    repeats = repeated_rows(connection, head, people, queue)
    classes = classes_of(head, [row[5] for row in rows] + [v for r in repeats for v in (r.first, r.second)])
    table = _Table(head, classes, rows, asked.selection, queue)
    people = [a for a in table.annotators if _is_human(a)]  # who have rows in common with somebody
    pairs = [
        pair
        for one, other in combinations(sorted(table.annotators, key=_people_first), 2)
        if (judges_too or not people or _is_human(one) or _is_human(other))
        and (pair := table.pair(one, other)) is not None
    ]
    pairs.sort(key=lambda pair: (not _is_human(pair.one)) + (not _is_human(pair.other)))  # two people first
    queues = [queue] if queue is not None else queues_of_purpose(connection, Purpose.ANNOTATE)
    judges = [a for a in annotators if not _is_human(a)]
    return HeadAgreement(
        head,
        classes,
        tuple(sorted(table.annotators, key=_people_first)),
        table.group(people),
        table.group(table.annotators) if len(people) < len(table.annotators) else None,
        tuple(pairs),
        tuple(_alone(head, classes, annotator, repeats) for annotator in dict.fromkeys(r.annotator for r in repeats)),
        tuple(error for q in queues for error in judge_errors(connection, q, head, classes, judges)),
    )


class _Table:
    """The labels of one head as columns: `codes` of shape (rows, annotators), -1 where there is no label."""

    def __init__(
        self, head: str, classes: tuple[str, ...], rows: Sequence[LabelledRow], selection: str, queue: Queue | None
    ) -> None:
        self.head, self.classes = head, classes
        self._selection = selection.strip()
        columns = list(zip(*rows, strict=True)) or [()] * 8
        item_ids, prompts, sources, models, annotators, values, assisted, earlier = columns
        self._as_filtered = queue is None and not any(earlier)
        self.annotators = sorted(set(annotators))
        column = {name: number for number, name in enumerate(self.annotators)}
        position = {name: number for number, name in enumerate(classes)}
        self.items, first, line = np.unique(np.array(item_ids, np.int64), return_index=True, return_inverse=True)
        at = line, np.array([column[name] for name in annotators], np.int64)
        self.codes = np.full((len(self.items), len(self.annotators)), -1, np.int64)
        self.codes[at] = [position[value] for value in values]
        self.assisted = np.zeros(self.codes.shape, bool)
        self.assisted[at] = assisted
        self.prompts = np.array(prompts, np.int64)[first]
        self.sources = np.array(sources, object)[first]
        self.models = np.array(models, object)[first]

    def group(self, annotators: Sequence[str]) -> Figures | None:
        """Of rows that at least two of them have labelled; of two there is the pair."""
        if len(annotators) < 3:
            return None
        codes = self.codes[:, [self.annotators.index(a) for a in annotators]]
        usable = (codes >= 0).sum(axis=1) > 1
        return group_figures(self.head, self.classes, codes[usable], self.prompts[usable]) if usable.any() else None

    def pair(self, one: str, other: str) -> Pair | None:
        x, y = self.annotators.index(one), self.annotators.index(other)
        both = (self.codes[:, x] >= 0) & (self.codes[:, y] >= 0)
        if not both.any():
            return None
        a, b = self.codes[both, x], self.codes[both, y]
        k = len(self.classes)
        confusions = pair_confusions(a, b, self.prompts[both], k)
        matrix = confusions.sum(axis=0)
        assisted = (self.assisted[:, x] | self.assisted[:, y])[both]
        cuts = [("source", value, self.sources[both] == value) for value in _values(self.sources[both])]
        cuts += [("model", value, self.models[both] == value) for value in _values(self.models[both])]
        if assisted.any():
            cuts += [("labels", "blind", ~assisted), ("labels", "assisted", assisted)]
        parts = [
            Part(by, value, pair_figures(self.head, self.classes, self._confusions(a, b, both, some)))
            for by, value, some in cuts
            if 0 < some.sum() < len(some) or by == "labels"
        ]
        filters = tuple(
            tuple(self._filter(one, other, self.items[both][(a == i) & (b == j)].tolist(), (i, j)) for j in range(k))
            for i in range(k)
        )
        return Pair(
            one,
            other,
            pair_figures(self.head, self.classes, confusions),
            class_figures(self.head, self.classes, confusions),
            tuple(tuple(int(n) for n in line) for line in matrix),
            filters,
            self._numbered(self.items[both][a != b].tolist()),
            tuple(parts),
        )

    def _confusions(
        self, a: NDArray[np.int64], b: NDArray[np.int64], both: NDArray[np.bool_], some: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        return pair_confusions(a[some], b[some], self.prompts[both][some], len(self.classes))

    def _filter(self, one: str, other: str, items: Sequence[int], cell: tuple[int, int]) -> str | None:
        """The rows of a cell: by the labels where these say exactly which rows they are, else by their numbers."""
        if not items:
            return None
        terms = [label_term(self.head, who, self.classes[c]) for who, c in zip((one, other), cell, strict=True)]
        if self._as_filtered and None not in terms:
            return " ".join(str(term) for term in [self._selection, *terms] if term)
        return self._numbered(items)

    def _numbered(self, items: Sequence[int]) -> str | None:
        return (id_filter(items) or None) if len(items) <= _MOST_IDS else None


def _alone(head: str, classes: tuple[str, ...], annotator: str, repeats: Sequence[RepeatedRow]) -> Alone:
    own = [r for r in repeats if r.annotator == annotator]
    place = {name: number for number, name in enumerate(classes)}
    first = np.array([place[r.first] for r in own], np.int64)
    second = np.array([place[r.second] for r in own], np.int64)
    confusions = pair_confusions(first, second, np.array([r.prompt_id for r in own], np.int64), len(classes))
    matrix = tuple(tuple(int(n) for n in line) for line in confusions.sum(axis=0))
    return Alone(annotator, pair_figures(head, classes, confusions), matrix)


def label_term(head: str, annotator: str, value: str) -> str | None:
    """In the language of `store/query.py`, which knows three-class and yes-or-no heads and plain names."""
    side, _, name = annotator.partition(":")
    if not re.fullmatch(r"[\w\-/][\w.\-/]*", name) or head not in (REFUSAL3, *BOOLEAN_HEADS):
        return None
    field = "gold" if side == "human" else "judge"
    return f"{field}.{name}:{value}" if head == REFUSAL3 else f"{field}.{head}.{name}:{value}"


def _values(column: NDArray[np.object_]) -> list[str | None]:
    found: list[str | None] = sorted({value for value in column.tolist() if value is not None})
    return found


def _is_human(annotator: str) -> bool:
    return annotator.startswith("human:")


def _people_first(annotator: str) -> tuple[bool, str]:
    return (not _is_human(annotator), annotator)
