"""The labels of examples as numbers, for every head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Examples
from refusal_tui.classify.plan import class_weights


@dataclass(frozen=True, slots=True)
class Targets:
    """`labels` (-1: none) and `weights`, shape (rows, heads); `classes` of every head."""

    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    classes: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> list[int]:
        return [len(names) for names in self.classes]

    def class_weights(self, rows: Sequence[int], how: str) -> list[list[float]]:
        """For each head, from the labels of `rows`."""
        found = []
        for head, size in enumerate(self.sizes):
            labels = self.labels[list(rows), head]
            found.append(class_weights(np.bincount(labels[labels >= 0], minlength=size).tolist(), how))  # type: ignore[arg-type]
        return found


def targets_of(examples: Examples) -> Targets:
    shape = (len(examples.examples), len(examples.heads))
    labels, weights = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
    for number, head in enumerate(examples.heads):
        place = {name: code for code, name in enumerate(head.classes)}
        for row, example in enumerate(examples.examples):
            said = example.said[number]
            if said is not None:
                labels[row, number], weights[row, number] = place[said.label], said.weight
    return Targets(labels, weights, tuple(head.classes for head in examples.heads))
