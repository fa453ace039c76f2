"""Which rows are trained on, which choose the model, and which are only measured?

Rows that belong together stay together: the same prompt, near duplicates of a prompt, and near duplicates of a long
answer (Jaccard index of three-word shingles of .8). Short answers are formulas ("I'm sorry, but I can't help with
that."): they would tie all prompts to one another, so they tie none; `shared_formulas` says how many test rows have one
that was trained on. The split depends on the rows and the seed alone, not on their order.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refusal_tui.classify.data import Example
from refusal_tui.errors import InputError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SHARES: Mapping[str, float] = {TRAIN: 0.7, VALIDATION: 0.15, TEST: 0.15}
ALIKE = 0.8
LONG_WORDS = 30  # of an answer: shorter ones are formulas


@dataclass(frozen=True, slots=True)
class Split:
    """`part[i]`: train, validation or test for example i. `group[i]`: the smallest row hash of what it belongs to."""

    part: tuple[str, ...]
    group: tuple[str, ...]

    def rows(self, part: str) -> list[int]:
        return [index for index, name in enumerate(self.part) if name == part]


def make_split(examples: Sequence[Example], seed: int, shares: Mapping[str, float] = SHARES) -> Split:
    """A split by groups in which every class has its share of every part, as far as the groups allow.

    Raises InputError where a class would be missing in a part.
    """
    group = groups_of(examples)
    parts = _assign(examples, group, seed, shares)
    split = Split(tuple(parts[name] for name in group), tuple(group))
    for part in shares:
        there = {examples[index].label for index in split.rows(part)}
        missing = sorted({example.label for example in examples} - there)
        if missing:
            largest = Counter(group).most_common(1)[0][1]
            raise InputError(
                f"No row of class {missing[0]!r} is left for the {part} part: rows with alike texts stay together, and "
                f"the largest such group holds {largest:,} of {len(examples):,} rows.",
                "Add rows of that class under other prompts, or try another --seed.",
            )
    return split


def groups_of(examples: Sequence[Example]) -> list[str]:
    """For every example the smallest row hash of its group."""
    from refusal_tui.similarity.near import near_duplicates
    from refusal_tui.similarity.shingles import words

    root = list(range(len(examples)))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    def join(leader: Sequence[int], rows: Sequence[int]) -> None:
        for row, first in zip(rows, leader, strict=True):
            root[find(row)] = find(rows[first])

    prompts = [index for index, example in enumerate(examples) if example.prompt.strip()]
    join(near_duplicates([examples[index].prompt for index in prompts], ALIKE).root.tolist(), prompts)
    # Prompts without a word (emoji, code) have no shingles, but the same one is still the same.
    first: dict[str, int] = {}
    for index in prompts:
        root[find(index)] = find(first.setdefault(examples[index].prompt.strip(), index))
    long = [index for index, example in enumerate(examples) if len(words(example.response)) >= LONG_WORDS]
    join(near_duplicates([examples[index].response for index in long], ALIKE).root.tolist(), long)
    smallest: dict[int, str] = {}
    for index, example in enumerate(examples):
        at = find(index)
        smallest[at] = min(smallest.get(at, example.hash), example.hash)
    return [smallest[find(index)] for index in range(len(examples))]


def shared_formulas(examples: Sequence[Example], split: Split) -> int:
    """Test rows whose answer, word for word, is also that of a training row."""
    trained = {examples[index].response for index in split.rows(TRAIN)}
    return sum(examples[index].response in trained for index in split.rows(TEST))


def _assign(
    examples: Sequence[Example], group: Sequence[str], seed: int, shares: Mapping[str, float]
) -> dict[str, str]:
    """Group -> part: the largest groups first, each to the part that lacks most of its classes (Sechidis et al. 2011,
    iterative stratification, with groups in the place of rows)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example, name in zip(examples, group, strict=True):
        counts[name][example.label] += 1
    totals = Counter(example.label for example in examples)
    have: dict[str, Counter[str]] = {part: Counter() for part in shares}
    parts = {}
    for name in sorted(counts, key=lambda name: (-counts[name].total(), _shuffled(seed, name))):
        # Rare classes first: what is common finds its share among the many groups that follow.
        rarest = min(counts[name], key=lambda label: (totals[label], label))

        def lacks(part: str, rarest: str = rarest) -> tuple[float, float]:
            share = shares[part]
            return (
                1 - have[part][rarest] / (share * totals[rarest]),
                1 - have[part].total() / (share * len(examples)),
            )

        chosen = max(shares, key=lacks)
        have[chosen].update(counts[name])
        parts[name] = chosen
    return parts


def _shuffled(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
