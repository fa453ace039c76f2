"""Which rows are trained on, which choose the model, and which are only measured?

Rows that belong together stay together: the same prompt, near duplicates of a prompt (without the jailbreak template
around it), and near duplicates of a long answer. Short answers are formulas ("I'm sorry, but I can't help with
that."): they would tie all prompts to one another, so they tie none. The parts depend on the rows and the seed, not on
the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from refusal_tui.similarity.near import Sketcher, Watch, cluster
from refusal_tui.similarity.shingles import words
from refusal_tui.similarity.wrappers import unwrapped

TRAIN, VALIDATION, TEST = "train", "validation", "test"
ALIKE = 0.8  # Jaccard index of three-word shingles
LONG_WORDS = 30  # of an answer: shorter ones are formulas
FREE = -1  # of a row: no part is prescribed


def groups_of(
    prompts: Iterable[Sequence[str]],
    prompt_of: NDArray[np.int64],
    responses: Iterable[Sequence[str]],
    threshold: float = ALIKE,
    watch: Watch | None = None,
) -> NDArray[np.int64]:
    """For each of N rows the first row of its group.

    `prompts`: the texts of the prompts, in portions; `prompt_of[i]`: which of them row i has. `responses`: the texts of
    the rows in order, in portions. A blank text ties nothing. Held at once are the shingles of the prompts, then those
    of the long answers (about 300 bytes each), never the texts.
    """
    groups = _Groups(len(prompt_of))
    leader, blank = _prompt_leaders(prompts, threshold, watch)
    first: dict[int, int] = {}
    for row, prompt in enumerate(prompt_of.tolist()):
        if not blank[prompt]:
            groups.join(first.setdefault(int(leader[prompt]), row), row)
    sketcher, long = Sketcher(), []
    done = 0
    for texts in responses:
        kept = [place for place, text in enumerate(texts) if len(text) >= LONG_WORDS and _is_long(text)]
        long += [done + place for place in kept]
        sketcher.add([texts[place] for place in kept])
        done += len(texts)
    for place, root in enumerate(cluster(sketcher.done(), threshold, watch).root.tolist()):
        groups.join(long[root], long[place])
    return groups.firsts()


def _is_long(text: str) -> bool:
    return len(words(text)) >= LONG_WORDS


def _prompt_leaders(
    prompts: Iterable[Sequence[str]], threshold: float, watch: Watch | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For every prompt the first one that it is like, and whether it is blank."""
    sketcher = Sketcher()
    blank: list[bool] = []
    same: dict[str, int] = {}  # prompts without a word (emoji, code) have no shingles, but the same one is the same
    wordless: dict[int, int] = {}
    for texts in prompts:
        for text in texts:
            bare = text.strip()
            if bare and not words(bare):
                wordless[len(blank)] = same.setdefault(bare, len(blank))
            blank.append(not bare)
        sketcher.add([unwrapped(text) for text in texts])
    leader = cluster(sketcher.done(), threshold, watch).root
    for place, one in wordless.items():
        leader[place] = one
    return leader, np.array(blank, bool)


class _Groups:
    """Rows that are joined; a group is known by its first row."""

    def __init__(self, rows: int) -> None:
        self._root = list(range(rows))

    def _find(self, row: int) -> int:
        root = self._root
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    def join(self, one: int, other: int) -> None:
        a, b = self._find(one), self._find(other)
        self._root[max(a, b)] = min(a, b)

    def firsts(self) -> NDArray[np.int64]:
        return np.fromiter(map(self._find, range(len(self._root))), np.int64, len(self._root))


def shuffled(seed: int, name: str) -> int:
    """A number of 64 bits for a group: the order in which groups of one size are dealt out."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")


def deal(
    group: NDArray[np.int64],
    order: NDArray[np.uint64],
    label: NDArray[np.int64],
    shares: Sequence[float],
    prescribed: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """The part of each of N rows, 0 to len(shares) - 1: every class has its share of every part, as far as the groups
    allow.

    `group[i]`: row i's group; `order[i]`: the shuffled number of that group; `label[i]`: its class, 0 and up, in the
    order in which rarities that are equal are decided; `prescribed[i]`: a part that row i must be in, or FREE. Of
    several that a group's rows prescribe the last one holds. The largest groups come first, each goes to the part that
    lacks most of its classes (iterative stratification, Sechidis et al. 2011, with groups in the place of rows).
    """
    parts = np.zeros(len(group), np.int64)
    if not len(group):
        return parts
    wanted = np.full(len(group), FREE, np.int64) if prescribed is None else prescribed
    totals = np.bincount(label).tolist()
    have = [[0] * len(totals) for _ in shares]
    filled = [0] * len(shares)
    rarity = sorted(range(len(totals)), key=lambda name: (totals[name], name))
    rank = [0] * len(totals)
    for place, name in enumerate(rarity):
        rank[name] = place

    def lacks(part: int, name: int) -> tuple[float, float]:
        share = shares[part]
        return 1 - have[part][name] / (share * totals[name]), 1 - filled[part] / (share * len(group))

    for rows, part in _in_order(group, order, wanted):
        labels = label[rows].tolist()
        if part == FREE:
            # Rare classes first: what is common finds its share among the many groups that follow.
            rarest = min(labels, key=rank.__getitem__)
            lacking = [lacks(place, rarest) for place in range(len(shares))]
            part = lacking.index(max(lacking))
        parts[rows] = part
        filled[part] += len(labels)
        for name in labels:
            have[part][name] += 1
    return parts


def _in_order(
    group: NDArray[np.int64], order: NDArray[np.uint64], wanted: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """(rows, prescribed part) of each group: first those whose part is prescribed, then from the largest."""
    by_group = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.concatenate([[True], np.diff(group[by_group]) != 0]))
    sizes = np.diff(np.concatenate([begins, [len(group)]]))
    part = np.maximum.reduceat(wanted[by_group], begins)
    for place in np.lexsort((order[by_group[begins]], -sizes, part == FREE)).tolist():
        yield by_group[begins[place] : begins[place] + sizes[place]], int(part[place])


def thin_classes(
    group: NDArray[np.int64], label: NDArray[np.int64], prescribed: NDArray[np.int64], parts: int
) -> NDArray[np.bool_]:
    """Which classes have groups to deal out, but fewer than there are parts, so that a part goes without them."""
    bound = np.zeros(int(group.max(initial=0)) + 1, bool)
    bound[group[prescribed != FREE]] = True
    free = ~bound[group]
    pairs = np.unique(np.stack([label[free], group[free]]), axis=1)
    groups = np.bincount(pairs[0], minlength=int(label.max(initial=-1)) + 1)
    return (groups > 0) & (groups < parts)


def shares_of(validation: float, test: float) -> Mapping[str, float]:
    """The parts that have a share, training first.

    >>> shares_of(0.1, 0)
    {'train': 0.9, 'validation': 0.1}
    """
    shares = {TRAIN: 1 - validation - test, VALIDATION: validation, TEST: test}
    return {name: share for name, share in shares.items() if share > 0}
