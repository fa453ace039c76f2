"""What do many annotators say, when not everybody has labelled every row? Matrices of pairs, one per prompt.

Ratings are an array of shape (rows, annotators) that holds positions of classes, and -1 where an annotator has not
labelled the row. A row with fewer than two labels says nothing about agreement and is left out everywhere. (Gwet's own
formula lets such rows speak for how frequent the classes are; here every figure is of the same rows.)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError

MISSING = -1


def class_counts(ratings: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """How many annotators gave a row each class, shape (rows, classes).

    Raises InputError for a position that is no class.
    """
    r = np.asarray(ratings, np.int64)
    if r.ndim != 2 or (r.size and (r.min() < MISSING or r.max() >= classes)):
        raise InputError(
            f"Ratings must be positions of {classes} classes, or {MISSING} for none, in rows by annotators.",
            "Map every label to the position of its class.",
        )
    return np.asarray((r[:, :, None] == np.arange(classes)).sum(axis=1), np.int64)


def coincidences(counts: NDArray[np.int64], clusters: Sequence[Hashable] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Krippendorff's coincidence matrix of every cluster, shape (clusters, k, k), from `class_counts`.

    A row with m labels counts m times, each label being met by the other m - 1. `clusters` names each row's cluster.
    """
    return _by_cluster(counts, clusters, each_row_once=False)


def row_pairs(counts: NDArray[np.int64], clusters: Sequence[Hashable] | NDArray[np.integer]) -> NDArray[np.float64]:
    """The pairs of annotators of every cluster, shape (clusters, k, k): every row counts once, however many they are.

    This is what `percent_agreement`, `fleiss_kappa` and `gwet_ac1` take.
    """
    return _by_cluster(counts, clusters, each_row_once=True)


def _by_cluster(
    counts: NDArray[np.int64], clusters: Sequence[Hashable] | NDArray[np.integer], *, each_row_once: bool
) -> NDArray[np.float64]:
    if len(clusters) != len(counts):
        raise InputError(
            f"{len(clusters)} cluster names do not pair with {len(counts)} rows.", "Name the cluster of every row."
        )
    n = np.asarray(counts, np.float64)
    k = n.shape[1]
    labels = n.sum(axis=1)
    usable = labels > 1
    n, labels = n[usable], labels[usable]
    pairs = n[:, :, None] * n[:, None, :]
    pairs[:, np.arange(k), np.arange(k)] -= n
    pairs /= ((labels - 1) * (labels if each_row_once else 1))[:, None, None]
    cluster = cluster_numbers([name for name, used in zip(clusters, usable, strict=True) if used])
    found = np.zeros((int(cluster.max(initial=-1)) + 1, k, k))
    np.add.at(found, cluster, pairs)
    return found


def cluster_numbers(names: Sequence[Hashable] | NDArray[np.integer]) -> NDArray[np.int64]:
    """0, 1, … for the clusters in the order in which they first occur, shape (rows,)."""
    number: dict[Hashable, int] = {}
    return np.fromiter((number.setdefault(name, len(number)) for name in names), np.int64, len(names))
