"""Do those who read the answers agree with what the projection says? Per judge and person of the workspace.

Two figures of a text are held against its label (refused: hard or soft). `prompt`: where the prompt lies on the
selected candidate, against the answer of the unchanged model. `answer`: the mean of an answer's tokens at the selected
layer, against the answers of all three arms. An AUROC needs no threshold; kappa does, and the best one is found on the
same rows, so it flatters: beside it stands the kappa with the threshold of all other prompts (leave one prompt out).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.readings import Reading, Readings
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.stats.agreement import cohen_kappa
from refusal_tui.stats.bootstrap import row_bootstrap
from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.ranking import auroc
from refusal_tui.store.browse import select_ids
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import labels_by_annotator

NOTE = (
    "prompt: where the prompt lies, against the answer of the unchanged model. answer: the mean of an answer's tokens, "
    "against the answers of all arms.\nkappa is at the best threshold, which these rows have chosen; left out: each "
    "prompt by the threshold of the others."
)
_REFUSED = ("hard", "soft")
Figures = NDArray[np.float64]
_Key = tuple[str, str, str]  # harmful or harmless, key of the prompt, arm


@dataclass(frozen=True, slots=True)
class Agreement:
    """`of` is prompt or answer. auroc: with its 95 % interval, whole prompts resampled. threshold: a projection above
    it says refused. kappa: at that threshold; kappa_left_out: each prompt judged by the threshold of the others. NaN
    where all rows have one label."""

    annotator: str
    of: str
    rows: int
    refused: int
    auroc: Interval
    threshold: float
    kappa: float
    kappa_left_out: float


def projection_agreement(
    connection: sqlite3.Connection, dataset: str, job_id: int, readings: Readings
) -> list[Agreement]:
    """People first, then judges, each with both figures; empty where nobody has labelled the answers."""
    items = _items(connection, dataset, job_id)
    read = {_key(reading): reading for reading in readings.readings}
    labelled: dict[str, list[tuple[Reading, bool]]] = defaultdict(list)
    for item_id, annotator, value, _ in labels_by_annotator(connection, list(items), REFUSAL3):
        reading = read.get(items[item_id])
        if reading is not None:
            labelled[annotator].append((reading, value in _REFUSED))
    found = []
    for annotator in sorted(labelled, key=lambda name: (name[:6] != "human:", name)):
        rows = labelled[annotator]
        found.append(_agreement(annotator, "prompt", [row for row in rows if row[0].arm == Arm.BASELINE]))
        found.append(_agreement(annotator, "answer", [row for row in rows if row[0].at_answer is not None]))
    return [one for one in found if one.rows]


def _items(connection: sqlite3.Connection, dataset: str, job_id: int) -> Mapping[int, _Key]:
    """The rows of a run's answers, and what each is the answer to."""
    return {
        row.item_id: (row.category or "", str(row.meta.get("source")), str(row.meta["arm"]))
        for row in fetch_rows(connection, select_ids(connection, f'dataset:"{dataset}"'))
        if row.meta.get("arm") in ARMS and row.meta.get("job") == job_id
    }


def _key(reading: Reading) -> _Key:
    return reading.part.partition("_")[0], reading.key, reading.arm


def _agreement(annotator: str, of: str, rows: Sequence[tuple[Reading, bool]]) -> Agreement:
    values = np.array([one.at_prompt if of == "prompt" else one.at_answer for one, _ in rows], np.float64)
    refused = np.array([label for _, label in rows], bool)
    prompts = [(one.part, one.key) for one, _ in rows]
    area = row_bootstrap({"auroc": auroc(values, refused)}, prompts)["auroc"]
    threshold, kappa = best_threshold(values, refused)
    left_out = _left_out(values, refused, prompts) if kappa == kappa else kappa
    return Agreement(annotator, of, len(rows), int(refused.sum()), area, threshold, kappa, left_out)


def best_threshold(values: Figures, refused: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold with the highest kappa, half-way between two values, and that kappa; NaN where it is not defined.

    >>> best_threshold(np.array([0.0, 1.0, 3.0, 4.0]), np.array([False, False, True, True]))
    (2.0, 1.0)
    """
    order = np.argsort(values, kind="stable")
    ranked, hits = values[order], refused[order]
    below = np.flatnonzero(ranked[1:] > ranked[:-1]) + 1  # how many rows lie below a threshold
    if not len(below) or hits.all() or not hits.any():
        return float("nan"), float("nan")
    missed = np.cumsum(hits)[below - 1]
    passed = below - missed
    matrices = np.stack([passed, len(hits) - hits.sum() - passed, missed, hits.sum() - missed], axis=-1)
    kappas = cohen_kappa(matrices.reshape(-1, 2, 2))
    best = int(np.argmax(kappas))
    return float((ranked[below[best] - 1] + ranked[below[best]]) / 2), float(kappas[best])


def _left_out(values: Figures, refused: NDArray[np.bool_], prompts: Sequence[tuple[str, str]]) -> float:
    """Rows of one prompt (its three arms) are left out together. A NaN threshold says that nothing is refused."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, prompt in enumerate(prompts):
        places[prompt].append(place)
    said = np.zeros(len(values), bool)
    others = np.ones(len(values), bool)
    for own in places.values():
        others[own] = False
        said[own] = values[own] > best_threshold(values[others], refused[others])[0]
        others[own] = True
    matrix = np.bincount(2 * refused + said, minlength=4).reshape(2, 2)
    return float(cohen_kappa(matrix))
