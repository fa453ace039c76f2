"""How much worse is a classifier on texts that say the same in another form? From stored predictions alone.

`perturbations.jsonl` has the logits of every test row that a perturbation changes; those of the row itself are among
the predictions. Differences are paired: both figures are of the same rows, intervals from the same draws.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refusal_tui.classify.evaluate import DRAWS
from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import Predicted, Predictions
from refusal_tui.classify.splits import TEST
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.stats.agreement import accuracy, macro_f1
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions
from refusal_tui.stats.rates import cluster_sums, clustered_rate


class Perturbed(NamedTuple):
    """What a classifier says of a changed row; `logits` of all classes of all heads."""

    kind: str
    item_id: int
    logits: tuple[float, ...]


def write_perturbed(path: Path, rows: Iterable[Perturbed]) -> None:
    write_atomically(path, "".join(f"{json.dumps(row._asdict())}\n" for row in rows).encode())


def read_perturbed(path: Path) -> list[Perturbed]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Perturbed(line["kind"], line["item_id"], tuple(line["logits"])) for line in lines]


def robustness(
    predictions: Predictions, changed: Sequence[Perturbed], span: slice, draws: int = DRAWS
) -> dict[str, Any]:
    """For every kind: how many rows it changes, the figures of these rows before and after, their differences, and how
    often the answer changes (`flips`). `span`: where the head's classes stand among the logits."""
    rows = {row.item_id: row for row in predictions.of(TEST)}
    of_kind: dict[str, list[tuple[Predicted, str]]] = defaultdict(list)
    for one in changed:
        if one.item_id in rows:
            said = predictions.classes[int(np.argmax(one.logits[span]))]
            of_kind[one.kind].append((rows[one.item_id], said))
    return {kind: _figures(predictions.classes, pairs, draws) for kind, pairs in of_kind.items()}


def _figures(classes: Sequence[str], pairs: Sequence[tuple[Predicted, str]], draws: int) -> dict[str, Any]:
    labels, groups = [row.label for row, _ in pairs], [row.group for row, _ in pairs]
    before = [classes[int(np.argmax(row.logits))] for row, _ in pairs]
    after = [said for _, said in pairs]
    by_group: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for group, one, other in zip(groups, before, after, strict=True):
        by_group[group][0] += one != other
        by_group[group][1] += 1
    found = paired_figures(labels, before, after, groups, classes, draws)
    flips = clustered_rate(cluster_sums((hits, count) for hits, count in by_group.values()))
    return {"rows": len(pairs), "groups": len(by_group), **found, "flips": plain(flips)}


def paired_figures(
    labels: Sequence[str],
    one: Sequence[str],
    other: Sequence[str],
    groups: Sequence[str],
    classes: Sequence[str],
    draws: int,
) -> dict[str, Mapping[str, float | None]]:
    """Accuracy and macro-F1 of two sets of answers to the same rows, and other minus one (`accuracy_change`, …)."""
    # Two matrices in one: the bootstrap draws whole clusters, so both are always of the same rows.
    first = cluster_confusions(labels, one, groups, classes)
    second = cluster_confusions(labels, other, groups, classes)
    k = len(classes)
    both = np.zeros((len(first), 2 * k, 2 * k), np.int64)
    both[:, :k, :k], both[:, k:, k:] = first, second
    statistics = {}
    for name, figure in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        statistics[f"{name}_before"] = lambda m, figure=figure: figure(m[..., :k, :k])
        statistics[f"{name}_after"] = lambda m, figure=figure: figure(m[..., k:, k:])
        statistics[f"{name}_change"] = lambda m, figure=figure: figure(m[..., k:, k:]) - figure(m[..., :k, :k])
    return {name: plain(interval) for name, interval in cluster_bootstrap(statistics, both, draws).items()}
