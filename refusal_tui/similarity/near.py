"""Which texts belong together? Clusters of exact and near duplicates by MinHash LSH, each link checked exactly.

MinHash (Broder 1997) with 120 permutations in 20 bands of 6 (Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, section 3.4): a pair with a Jaccard index of .8 shares a band with probability .998, one with .5 with .27.
rensa sketches; a candidate counts only when the exact Jaccard index of the shingles reaches the threshold. A text is
compared with the representatives of a bucket, at most eight, so that the work grows with the texts and not with their
square. Clusters are kept, nothing is deleted. Links chain: the first and the last text of a cluster may be less alike
than the threshold, which is why every member carries its similarity to the representative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_tui.similarity.shingles import Shingles, jaccard, joined, shingles_of

BANDS, BAND_ROWS = 20, 6
_REPRESENTATIVES = 8  # of one bucket: what is like none of them is not compared further in this bucket
_SEED = 42

Watch = Callable[[str, int, int], None]  # step, done, total: called now and then; may raise to stop


@dataclass(frozen=True, slots=True)
class Sketches:
    """`shingles` of N texts and their N by BANDS band keys (uint64); texts without words have shingles of length 0."""

    shingles: Shingles
    bands: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.shingles)


@dataclass(frozen=True, slots=True)
class Clusters:
    """`root[i]`: the representative of text i, the first text of its cluster (itself where it is alone).
    `similarity[i]`: the exact Jaccard index to it, 1.0 for the representative itself."""

    root: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def members(self) -> dict[int, list[int]]:
        """Representative -> all texts of its cluster, for clusters of two and more, the largest first."""
        sizes = np.bincount(self.root, minlength=len(self.root))
        several = np.flatnonzero(sizes[self.root] > 1)
        found: dict[int, list[int]] = {}
        for index in several.tolist():
            found.setdefault(int(self.root[index]), []).append(index)
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))


class Sketcher:
    """Takes texts in portions, a few thousand at a time, and holds their shingles and band keys."""

    def __init__(self) -> None:
        self._parts: list[Shingles] = []
        self._bands: list[NDArray[np.uint64]] = []

    def add(self, texts: Sequence[str]) -> None:
        from rensa import RMinHash

        part = shingles_of(texts)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            part.values.astype(np.uint64), part.starts.astype(np.uint64), BANDS * BAND_ROWS, _SEED
        )
        digests = np.asarray(matrix.to_rows(), np.uint64).reshape(len(texts), BANDS, BAND_ROWS)
        keys = np.zeros((len(texts), BANDS), np.uint64)
        for row in range(BAND_ROWS):
            keys = (keys ^ digests[:, :, row]) * np.uint64(0x100000001B3) + np.uint64(row)
            keys ^= keys >> np.uint64(31)
        self._parts.append(part)
        self._bands.append(keys)

    def done(self) -> Sketches:
        """The sketches of all texts, in the order in which they came. The sketcher is empty afterwards."""
        bands = np.concatenate([np.zeros((0, BANDS), np.uint64), *self._bands])
        self._bands.clear()
        return Sketches(joined(self._parts), bands)


def sketch(batches: Iterable[Sequence[str]]) -> Sketches:
    """Shingles and band keys of all texts of the batches, in order."""
    sketcher = Sketcher()
    for texts in batches:
        sketcher.add(texts)
    return sketcher.done()


def cluster(sketches: Sketches, threshold: float, watch: Watch | None = None) -> Clusters:
    """Clusters of texts linked by a Jaccard index of `threshold` and more, checked exactly."""
    shingles = sketches.shingles
    root = np.arange(len(sketches), dtype=np.int64)

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = int(root[index])
        return index

    for band in range(BANDS):
        if watch is not None:
            watch("looking for near duplicates", band, BANDS)
        for bucket in _buckets(sketches, band):
            leaders: list[tuple[int, int]] = []  # a text of the bucket, its root when it came in
            for index in bucket:
                mine = find(index)
                if any(find(known) == mine for _, known in leaders):
                    continue
                like = next((r for t, r in leaders if _alike(shingles, index, t, threshold)), None)
                if like is not None:
                    other = find(like)
                    root[max(mine, other)] = min(mine, other)
                elif len(leaders) < _REPRESENTATIVES:
                    leaders.append((index, mine))
    final = np.array([find(i) for i in range(len(root))], np.int64)
    similarity = np.ones(len(root))
    for index in np.flatnonzero(final != np.arange(len(root))).tolist():
        similarity[index] = jaccard(shingles.of(index), shingles.of(int(final[index])))
    return Clusters(final, similarity)


def near_duplicates(texts: Sequence[str], threshold: float = 0.8) -> Clusters:
    """The clusters of some texts.

    >>> near_duplicates(["a frindle lamp", "A frindle lamp!", "a zibbet"]).root.tolist()
    [0, 0, 2]
    """
    return cluster(sketch([texts]), threshold)


def nearest(of: Sketches, among: Sketches, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each text of `of` the most similar one of `among` that LSH finds (-1: none reaches the threshold), with the
    exact Jaccard index: is this test row in the training set?"""
    best, found = np.full(len(of), -1, np.int64), np.zeros(len(of))
    for band in range(BANDS):
        order = np.argsort(among.bands[:, band], kind="stable")
        keys = among.bands[order, band]
        low = np.searchsorted(keys, of.bands[:, band], "left")
        high = np.searchsorted(keys, of.bands[:, band], "right")
        for index in np.flatnonzero(high > low).tolist():
            if found[index] == 1.0 or not len(of.shingles.of(index)):
                continue
            for other in order[low[index] : min(high[index], low[index] + _REPRESENTATIVES)].tolist():
                value = jaccard(of.shingles.of(index), among.shingles.of(other))
                if value >= threshold and value > found[index]:
                    best[index], found[index] = other, value
    return best, found


def _alike(shingles: Shingles, one: int, other: int, threshold: float) -> bool:
    a, b = shingles.of(one), shingles.of(other)
    # The index cannot exceed the ratio of the sizes.
    if min(len(a), len(b)) < threshold * max(len(a), len(b)):
        return False
    return jaccard(a, b) >= threshold


def _buckets(sketches: Sketches, band: int) -> Iterator[list[int]]:
    """The texts that share their key in a band, in ascending order; texts without words are in no bucket."""
    with_words = np.flatnonzero(np.diff(sketches.shingles.starts) > 0)
    keys = sketches.bands[with_words, band]
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    for begin, end in zip(edges[:-1][np.diff(edges) > 1].tolist(), edges[1:][np.diff(edges) > 1].tolist(), strict=True):
        yield with_words[order[begin:end]].tolist()
