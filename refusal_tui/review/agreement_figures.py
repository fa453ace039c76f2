"""Which numbers say how well labels agree? All of them for one set of rows, with intervals over prompts.

Two annotators have Cohen's kappa, more have Fleiss'; Krippendorff's alpha and Gwet's AC1 serve both. Classes in order
(none, soft, hard) have their ordinal relatives beside them, labels of which a row may have several have alpha with the
MASI distance (Passonneau, LREC 2006). Numpy is imported here, so a face imports this module in the function that needs
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.taxonomy import HEADS, split_labels
from refusal_tui.review.agreement_report import ClassFigures, Figures
from refusal_tui.stats.agreement import cohen_kappa, f1, linear_weights, merge_classes
from refusal_tui.stats.bootstrap import Statistic, cluster_bootstrap
from refusal_tui.stats.chance import (
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    ordinal_alpha,
    pair_matrix,
    percent_agreement,
)
from refusal_tui.stats.intervals import Interval, wilson
from refusal_tui.stats.raters import class_counts, cluster_numbers, coincidences, row_pairs

DRAWS = 1000
FEWEST_PROMPTS = 10  # fewer cannot be resampled in enough ways for the bounds to mean anything


def classes_of(head: str, values: Sequence[str]) -> tuple[str, ...]:
    """The classes of a head in their order; of other heads the values that occur.

    Classes that nobody has used are left out but for three-class refusals and yes or no, since AC1 counts them.

    >>> classes_of("refusal3", ["hard"]), classes_of("prompt_harmful", [])
    (('none', 'soft', 'hard'), ('no', 'yes'))
    """
    if head == REFUSAL3:
        return ("none", "soft", "hard")
    seen = set(values)
    if head in BOOLEAN_HEADS or seen <= {"yes", "no"}:
        return ("no", "yes")
    order = {label: place for place, label in enumerate(HEADS[head].labels)} if head in HEADS else {}
    return tuple(sorted(seen, key=lambda value: (order.get(value, len(order)), _number(value), value)))


def is_ordered(head: str, classes: Sequence[str]) -> bool:
    """Whether the classes are steps of one scale: partly refused lies between answered and refused."""
    return head == REFUSAL3 or (len(classes) > 2 and all(_number(name) != float("inf") for name in classes))


def is_several(head: str) -> bool:
    """Whether a row may have any number of the head's labels."""
    return head in HEADS and HEADS[head].several


def pair_confusions(
    one: NDArray[np.int64], other: NDArray[np.int64], prompts: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """One confusion matrix per prompt, shape (prompts, k, k), from positions of classes."""
    cluster = cluster_numbers(prompts.tolist())
    cells = cluster * (k * k) + one * k + other
    n = int(cluster.max(initial=-1)) + 1
    return np.bincount(cells, minlength=n * k * k).reshape(n, k, k)


def pair_figures(head: str, classes: Sequence[str], confusions: NDArray[np.int64]) -> Figures:
    """Agreement of two annotators, from `pair_confusions`."""
    k = len(classes)
    statistics: dict[str, Statistic] = {
        "percent": lambda m: percent_agreement(m),
        "kappa": cohen_kappa,
        "alpha": lambda m: krippendorff_alpha(pair_matrix(m)),
        "ac1": lambda m: gwet_ac1(pair_matrix(m)),
    }
    if is_several(head):
        statistics["alpha"] = lambda m: krippendorff_alpha(pair_matrix(m), masi_distances(classes))
    elif is_ordered(head, classes):
        weights = linear_weights(k)
        statistics["weighted_kappa"] = lambda m: cohen_kappa(m, weights)
        statistics["ordinal_alpha"] = lambda m: ordinal_alpha(pair_matrix(m))
        statistics["ac2"] = lambda m: gwet_ac1(pair_matrix(m), weights)
    rows = int(confusions.sum())
    return Figures(rows, len(confusions), _intervals(statistics, confusions))


def group_figures(head: str, classes: Sequence[str], ratings: NDArray[np.int64], prompts: NDArray[np.int64]) -> Figures:
    """Agreement of any number of annotators, `ratings` of shape (rows, annotators) with -1 for a missing label."""
    counts = class_counts(ratings, len(classes))
    clusters = prompts.tolist()
    pairs, met = row_pairs(counts, clusters), coincidences(counts, clusters)
    distances = masi_distances(classes) if is_several(head) else None
    of_pairs: dict[str, Statistic] = {"percent": percent_agreement, "kappa": fleiss_kappa, "ac1": gwet_ac1}
    of_values: dict[str, Statistic] = {"alpha": partial(krippendorff_alpha, distances=distances)}
    if is_ordered(head, classes) and distances is None:
        of_pairs["ac2"] = partial(gwet_ac1, weights=linear_weights(len(classes)))
        of_values["ordinal_alpha"] = ordinal_alpha
    rows = int((counts.sum(axis=1) > 1).sum())
    return Figures(rows, len(pairs), _intervals(of_pairs, pairs) | _intervals(of_values, met))


def class_figures(head: str, classes: Sequence[str], confusions: NDArray[np.int64]) -> tuple[ClassFigures, ...]:
    """Each class against the rest; of a several-of head each of its labels."""
    found = []
    for name, group in _groups(head, classes):
        rest = [c for c in range(len(classes)) if c not in group]
        merged = merge_classes(confusions, [group, rest])
        total = merged.sum(axis=0)
        figures = _intervals({"shared": lambda m: _of_class(f1(m)[..., 0], m), "kappa": cohen_kappa}, merged)
        found.append(
            ClassFigures(name, int(total[0].sum()), int(total[:, 0].sum()), int(total[0, 0]), figures["shared"],
                         figures["kappa"])
        )  # fmt: skip
    return tuple(found)


def masi_distances(classes: Sequence[str]) -> NDArray[np.float64]:
    """How far sets of labels lie apart: 1 - Jaccard x (1 equal, 2/3 one holds the other, 1/3 overlapping, 0 apart).

    >>> masi_distances(["fraud", "weapons,fraud", "none"]).round(3).tolist()
    [[0.0, 0.667, 1.0], [0.667, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    sets = [frozenset(split_labels(name)) for name in classes]
    return np.array([[1 - _masi(one, other) for other in sets] for one in sets])


def _masi(one: frozenset[str], other: frozenset[str]) -> float:
    if one == other:
        return 1.0
    common = len(one & other)
    if not common:
        return 0.0
    return common / len(one | other) * (2 / 3 if one <= other or other <= one else 1 / 3)


def _groups(head: str, classes: Sequence[str]) -> list[tuple[str, list[int]]]:
    if not is_several(head):
        return [(name, [place]) for place, name in enumerate(classes)]
    labels = dict.fromkeys(label for name in classes for label in split_labels(name))
    return [(label, [p for p, name in enumerate(classes) if label in split_labels(name)]) for label in labels]


def _of_class(shared: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """nan where neither side has given the class: nothing is shared, and nothing is apart."""
    given = np.asarray(matrix)[..., 0, :].sum(axis=-1) + np.asarray(matrix)[..., :, 0].sum(axis=-1)
    return np.where(given > 0, shared, np.nan)


def _intervals(statistics: Mapping[str, Statistic], matrices: NDArray[Any]) -> dict[str, Interval]:
    """The figures with their bounds, which are nan where too few prompts tell: under ten, or all draws alike."""
    if len(matrices) < FEWEST_PROMPTS:
        total = matrices.sum(axis=0, dtype=np.float64)
        return {name: _no_bounds(float(statistic(total))) for name, statistic in statistics.items()}
    found = cluster_bootstrap(statistics, matrices, draws=DRAWS)
    total = matrices.sum(axis=0, dtype=np.float64)
    if np.trace(total) >= total.sum() * (1 - 1e-12):
        # Nobody disagreed: resampling shows no spread. As many prompts without one leave room for some nevertheless.
        room = _with_disagreement(total, 1 - wilson(len(matrices), len(matrices)).low)
        lows = {name: float(statistic(room)) for name, statistic in statistics.items()}
        return {name: Interval(i.value, lows[name], i.value) for name, i in found.items()}
    return {name: i if i.low < i.high else _no_bounds(i.value) for name, i in found.items()}


def _no_bounds(value: float) -> Interval:
    return Interval(value, float("nan"), float("nan"))


def _with_disagreement(total: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The matrix with `share` of its rows moved off the diagonal, as its classes are frequent."""
    seen = np.diagonal(total)
    apart = np.outer(seen, seen)
    np.fill_diagonal(apart, 0)
    if not apart.any():  # a single class was seen: the other side could have said anything else
        apart = np.where(np.eye(len(total)) > 0, 0.0, seen[:, None] + seen[None, :])
    if not apart.any():
        return total
    return np.asarray((1 - share) * total + share * total.sum() * apart / apart.sum())


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("inf")
