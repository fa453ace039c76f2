"""What is kept of what a classifier says? Logits, labels and where a row comes from: every figure follows from these.

One line with the classes, then one per row. A float32 logit is written so that it reads back the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.jobs.compute import write_atomically


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a classifier says of one row. `logits` in the order of the classes; `label` is what people or judges say.

    `part`: validation, test, or fold (rows that a model of the cross-validation has not seen). `beside`: the row's
    label of the other head of the pair refusal and jailbreak, where there is one.
    """

    item_id: int
    hash: str
    part: str
    group: str
    label: str
    by: str
    dataset: str
    model: str | None
    logits: tuple[float, ...]
    category: str | None = None
    prompt_chars: int = 0
    response_chars: int = 0
    beside: str | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    classes: tuple[str, ...]
    rows: tuple[Predicted, ...]

    def of(self, part: str) -> list[Predicted]:
        return [row for row in self.rows if row.part == part]


def write_predictions(path: Path, predictions: Predictions) -> None:
    lines = [json.dumps({"classes": predictions.classes}), *(json.dumps(asdict(row)) for row in predictions.rows)]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_predictions(path: Path) -> Predictions:
    first, *lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return Predictions(
        tuple(json.loads(first)["classes"]), tuple(Predicted(**{**row, "logits": tuple(row["logits"])}) for row in rows)
    )


def logits_of(rows: Sequence[Predicted], classes: int) -> NDArray[np.float64]:
    """Shape (rows, classes)."""
    return np.array([row.logits for row in rows], np.float64).reshape(len(rows), classes)


def codes_of(rows: Sequence[Predicted], classes: Sequence[str]) -> NDArray[np.int64]:
    """The number of every row's label, shape (rows,)."""
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number[row.label] for row in rows], np.int64)


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)


def log_likelihoods(logits: NDArray[Any], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the right classes, shape (rows,)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(found[np.arange(len(codes)), codes], np.float64)
