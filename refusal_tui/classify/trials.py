"""Which models does a run train? The one it keeps, and those that say how much its figures would change.

`final` is kept: one split, one seed. With `--folds K` every row but the test rows is once held out (`fold`) from a
model that never saw it; `--repeats R` deals the folds R times. Without folds, repeats are other seeds of head, order
and dropout on the same split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.classify.data import Example
from refusal_tui.classify.splits import FOLD, TEST, TRAIN, VALIDATION, Split, make_folds

FINAL = "final"
_LETTERS = {TRAIN: "t", VALIDATION: "v", TEST: "x", FOLD: "f"}
_PARTS = {letter: part for part, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Trial:
    """One model to train. `fold`: which one is held out, from 1; None: none is. `repeat` counts from 1."""

    name: str
    seed: int
    split: Split
    repeat: int = 1
    fold: int | None = None

    @property
    def measured_on(self) -> str:
        """The part whose rows tell how good the model is."""
        return TEST if self.fold is None else FOLD

    def as_json(self) -> dict[str, Any]:
        """`parts` has a letter per row, in the order of the rows: t(rain), v(alidation), x (test), f(old)."""
        parts = "".join(_LETTERS[part] for part in self.split.part)
        return {"name": self.name, "seed": self.seed, "repeat": self.repeat, "fold": self.fold, "parts": parts}

    @classmethod
    def of_json(cls, data: Mapping[str, Any], group: Sequence[str]) -> Trial:
        split = Split(tuple(_PARTS[letter] for letter in data["parts"]), tuple(group))
        return cls(data["name"], data["seed"], split, data["repeat"], data["fold"])


def trials_of(examples: Sequence[Example], split: Split, *, folds: int, repeats: int, seed: int) -> tuple[Trial, ...]:
    """`final` last: what comes after training needs its weights. Raises InputError where a fold would have no row of a
    class."""
    final = Trial(FINAL, seed, split)
    if not folds:
        return (*(Trial(f"seed-{seed + n}", seed + n, split, n + 1) for n in range(1, repeats)), final)
    trials = []
    for repeat in range(repeats):
        for number, fold in enumerate(make_folds(examples, split, folds, seed + _APART * repeat), 1):
            trials.append(Trial(f"repeat-{repeat + 1}-fold-{number}", seed + repeat, fold, repeat + 1, number))
    return (*trials, final)


_APART = 1_000  # between the seeds of two deals, which use one more for each fold
