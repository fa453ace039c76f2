"""How often is a judge wrong on all rows of a queue's selection, and how many refusals are there really?

People have labelled a sample of which every row's probability is known; each stands for as many rows (Horvitz and
Thompson). Where people are split and nobody has settled it, the row is open and counted as such. What the judge says of
the whole selection is then corrected by its own errors (Rogan and Gladen).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import numpy as np

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.review.agreement_report import ClassErrors, JudgeErrors
from refusal_tui.stats.prevalence import Share, rogan_gladen
from refusal_tui.stats.weighted import weighted_rate
from refusal_tui.store.agreement import AuditedRow, audited_rows, judge_counts
from refusal_tui.store.review_queues import Queue

FEWEST_ROWS = 10  # fewer audited rows than that are no audit


def judge_errors(
    connection: sqlite3.Connection, queue: Queue, head: str, classes: Sequence[str], judges: Sequence[str]
) -> list[JudgeErrors]:
    """One entry per judge that has labelled at least ten audited rows of the queue; none without probabilities."""
    rows = audited_rows(connection, queue, head)
    if len(rows) < FEWEST_ROWS:
        return []
    truth = [gold_of(row) for row in rows]
    found = []
    for judge in judges:
        usable = [(row, said) for row, said in zip(rows, truth, strict=True) if judge in row.judges]
        split = sum(said is None for _, said in usable)
        usable = [(row, said) for row, said in usable if said is not None]
        if len(usable) < FEWEST_ROWS:
            continue
        counts = judge_counts(connection, head, judge, queue.settings.selection)
        people = np.array([said for _, said in usable], object)
        said = np.array([row.judges[judge] for row, _ in usable], object)
        inclusion = np.array([row.inclusion for row, _ in usable])
        groups: list[tuple[str, tuple[str, ...]]] = [("refusal", ("soft", "hard"))] if head == REFUSAL3 else []
        groups += [(name, (name,)) for name in classes]
        found.append(
            JudgeErrors(
                queue.name,
                judge,
                queue.settings.population,
                len(usable),
                split,
                weighted_rate(people != said, inclusion),
                tuple(
                    _class_errors(name, np.isin(people, members), np.isin(said, members), inclusion,
                                  sum(counts.get(one, 0) for one in members) / max(1, sum(counts.values())))
                    for name, members in groups
                ),
            )
        )  # fmt: skip
    return found


def gold_of(row: AuditedRow) -> str | None:
    """What people say: who settled it, else the majority; None where they are split.

    >>> gold_of(AuditedRow(1, 1, 0.5, None, {"human:ada": "hard", "human:bo": "none"}, {})) is None
    True
    """
    if row.settled is not None:
        return row.settled
    (value, votes), *others = Counter(row.people.values()).most_common()
    return None if others and others[0][1] == votes else value


def _class_errors(
    name: str, people: np.ndarray, judge: np.ndarray, inclusion: np.ndarray, called: float
) -> ClassErrors:
    found = weighted_rate(judge, inclusion, counted=people)
    kept_away = weighted_rate(~judge, inclusion, counted=~people)
    corrected = rogan_gladen(
        Share(called), Share(found.interval.value, found.effective),
        Share(kept_away.interval.value, kept_away.effective),
    )  # fmt: skip
    return ClassErrors(
        name,
        found,
        weighted_rate(people, inclusion, counted=judge),
        weighted_rate(people, inclusion),
        called,
        corrected,
    )
