"""Which rows are trained on, which choose the model, and which are only measured?

What belongs together, and how groups are dealt out: `similarity/splits.py`. `shared_formulas` says how many test rows
have a short answer, word for word, that was trained on: those tie no rows together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refusal_tui.classify.data import Example
from refusal_tui.errors import InputError
from refusal_tui.similarity import splits
from refusal_tui.similarity.splits import TEST as TEST
from refusal_tui.similarity.splits import TRAIN as TRAIN
from refusal_tui.similarity.splits import VALIDATION as VALIDATION
from refusal_tui.similarity.splits import deal, shuffled

FOLD = "fold"  # rows that a model of the cross-validation is measured on
WITHIN_FOLD: Mapping[str, float] = {TRAIN: 0.85, VALIDATION: 0.15}  # of the other folds' rows
SHARES: Mapping[str, float] = {TRAIN: 0.7, VALIDATION: 0.15, TEST: 0.15}


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
    split = _dealt(examples, groups_of(examples), seed, shares)
    largest = Counter(split.group).most_common(1)[0][1]
    for part in shares:
        missing = _missing(examples, split.rows(part))
        if missing:
            raise InputError(
                f"No row of class {missing[0]!r} is left for the {part} part: rows with alike texts stay together, and "
                f"the largest such group holds {largest:,} of {len(examples):,} rows.",
                "Add rows of that class under other prompts, or try another --seed.",
            )
    return split


def make_folds(examples: Sequence[Example], split: Split, folds: int, seed: int) -> tuple[Split, ...]:
    """`folds` ways to look at all rows but the test rows: each of them is of the part `fold` once.

    A fold's model is trained on the other folds' rows, but for those that choose its epoch (`validation`); the test
    rows stay test rows. Raises InputError where a class is missing in a fold.
    """
    names = {str(number): 1 / folds for number in range(folds)}
    fold_of = _within(examples, split, [i for i, part in enumerate(split.part) if part != TEST], seed, names)
    found = []
    for number, name in enumerate(names):
        others = [i for i, part in enumerate(fold_of) if part in names and part != name]
        parts = _within(examples, split, others, seed + number + 1, WITHIN_FOLD)
        this = Split(
            tuple(TEST if was == TEST else FOLD if fold == name else part
                  for was, fold, part in zip(split.part, fold_of, parts, strict=True)),
            split.group,
        )  # fmt: skip
        for part in (*WITHIN_FOLD, FOLD):
            missing = _missing(examples, this.rows(part))
            if missing:
                raise InputError(
                    f"With {folds} folds no row of class {missing[0]!r} is left for the {part} rows of fold "
                    f"{number + 1}.",
                    "Take fewer folds, or add rows of that class under other prompts.",
                )
        found.append(this)
    return tuple(found)


def _within(
    examples: Sequence[Example], split: Split, rows: Sequence[int], seed: int, shares: Mapping[str, float]
) -> list[str]:
    """The part of each of `rows`; "" for all others."""
    parts = [""] * len(examples)
    dealt = _dealt([examples[i] for i in rows], [split.group[i] for i in rows], seed, shares)
    for index, part in zip(rows, dealt.part, strict=True):
        parts[index] = part
    return parts


def _dealt(examples: Sequence[Example], names: Sequence[str], seed: int, shares: Mapping[str, float]) -> Split:
    """Groups, by name, to parts. A row that is learnt for two heads counts as of one class: the pair."""
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    order = {name: shuffled(seed, name) for name in number}
    strata = [tuple(said.label if said else "" for said in example.said) for example in examples]
    classes = {stratum: place for place, stratum in enumerate(sorted(set(strata)))}
    dealt = deal(
        np.array([number[name] for name in names], np.int64),
        np.array([order[name] for name in names], np.uint64),
        np.array([classes[stratum] for stratum in strata], np.int64),
        list(shares.values()),
    )
    parts = list(shares)
    return Split(tuple(parts[part] for part in dealt.tolist()), tuple(names))


def _missing(examples: Sequence[Example], rows: Iterable[int]) -> list[str]:
    """Classes that some example has and none of `rows`."""
    there = {label for index in rows for label in _labels(examples[index])}
    return sorted(name for _, name in {label for example in examples for label in _labels(example)} - there)


def _labels(example: Example) -> list[tuple[int, str]]:
    return [(head, said.label) for head, said in enumerate(example.said) if said is not None]


def groups_of(examples: Sequence[Example]) -> list[str]:
    """For every example the smallest row hash of its group: the group's name."""
    group = splits.groups_of(
        [[example.prompt for example in examples]], np.arange(len(examples)), [[e.response for e in examples]]
    )
    smallest: dict[int, str] = {}
    for first, example in zip(group.tolist(), examples, strict=True):
        smallest[first] = min(smallest.get(first, example.hash), example.hash)
    return [smallest[first] for first in group.tolist()]


def shared_formulas(examples: Sequence[Example], split: Split) -> int:
    """Test rows whose answer, word for word, is also that of a training row."""
    trained = {examples[index].response for index in split.rows(TRAIN)}
    return sum(examples[index].response in trained for index in split.rows(TEST))
