"""A classifier without an encoder: the offline judge's hashed n-grams and findings under a linear model of one's own.

Trained in seconds, scored with numpy alone, explained exactly. Of prompt and response each has weights of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Examples, Text
from refusal_tui.classify.logistic import Affine, Fit, fit
from refusal_tui.classify.loop import Trained, Watch
from refusal_tui.classify.scorer import digest_of
from refusal_tui.classify.splits import TRAIN, VALIDATION
from refusal_tui.classify.targets import Targets
from refusal_tui.classify.trials import Trial
from refusal_tui.errors import InputError, JobError
from refusal_tui.jobs.judging import HashedFeatures, hashed_buckets, hashed_features

WEIGHTS = "model.safetensors"
_AT_ONCE = 2_000  # texts


@dataclass(frozen=True, slots=True)
class Side:
    """Weights for the prompt or for the response: `ngrams` (classes, buckets), `dense` (classes, features), and the
    means of the training rows' features, which an explanation compares a text with."""

    ngrams: NDArray[np.float32]
    dense: NDArray[np.float32]
    mean_ngrams: NDArray[np.float32]
    mean_dense: NDArray[np.float32]

    def logits(self, of: HashedFeatures) -> NDArray[np.float64]:
        rows = len(of.dense)
        found = np.asarray(of.dense @ self.dense.T, np.float64)
        for number, weights in enumerate(self.ngrams):
            found[:, number] += np.bincount(of.owners, weights[of.buckets] * of.worth, minlength=rows)
        return found


def sides_of(text: Text) -> tuple[str, ...]:
    """What of a row is read."""
    return ("prompt", "response") if text == "pair" else (text,)


def pairs_of(side: str, prompts: Sequence[str], responses: Sequence[str]) -> list[tuple[str, str]]:
    """What `hashed_features` takes: of a prompt there is no echo to skip."""
    return list(zip(prompts, responses)) if side == "response" else [("", prompt) for prompt in prompts]


class LinearScorer:
    """A Scorer."""

    def __init__(self, sides: dict[str, Side], bias: NDArray[np.float32]) -> None:
        self.sides = sides
        self.bias = bias

    def logits(
        self, prompts: Sequence[str], responses: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        found = [np.zeros((0, len(self.bias)), np.float32)]
        for start in range(0, len(prompts), _AT_ONCE):
            check()
            some = slice(start, start + _AT_ONCE)
            total = self.bias.astype(np.float64)
            for name, side in self.sides.items():
                total = total + side.logits(hashed_features(pairs_of(name, prompts[some], responses[some])))
            found.append(total.astype(np.float32))
        return np.concatenate(found)

    def write(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        save_file(self._arrays(), folder / WEIGHTS)

    @classmethod
    def read(cls, folder: Path) -> LinearScorer:
        """Raises InputError for a file that is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(folder / WEIGHTS)
            names = [name.removesuffix(".ngrams") for name in arrays if name.endswith(".ngrams")]
            sides = {name: Side(*(arrays[f"{name}.{part}"] for part in Side.__slots__)) for name in sorted(names)}
            return cls(sides, arrays["bias"])
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"The weights in {folder} cannot be read: {error}", "Use the folder as it was written."
            ) from error

    @property
    def version(self) -> str:
        return digest_of(self._arrays())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {"bias": self.bias}
        for name, side in self.sides.items():
            for part in Side.__slots__:
                arrays[f"{name}.{part}"] = np.ascontiguousarray(getattr(side, part))
        return arrays


class LinearLearner:
    """A Learner: all features once, then a regression per trial. It reads of a text what the offline judge reads."""

    max_tokens = 0
    cut = 0
    device = "cpu"
    torch_device = None

    def __init__(self, examples: Examples, targets: Targets, text: Text, weighing: str) -> None:
        self._targets, self._weighing = targets, weighing
        rows = examples.examples
        self._sides = sides_of(text)
        self._found = {
            side: hashed_features(pairs_of(side, [e.prompt for e in rows], [e.response for e in rows]))
            for side in self._sides
        }
        self._buckets = hashed_buckets()
        self._matrix = self._as_matrix(len(rows))
        self._affine: Affine | None = None
        self._trained_on: list[int] = []

    def _as_matrix(self, rows: int) -> Any:
        from scipy import sparse

        parts = []
        for of in self._found.values():
            parts.append(sparse.csr_matrix((of.worth, (of.owners, of.buckets)), shape=(rows, self._buckets)))
            parts.append(sparse.csr_matrix(of.dense))
        return sparse.hstack(parts).tocsr()

    def train(self, trial: Trial, folder: Path, watch: Watch, check: Callable[[], None]) -> Trained:
        train, validation = trial.split.rows(TRAIN), trial.split.rows(VALIDATION)
        # Features that no training row has would get the weight 0 in any case.
        seen = np.flatnonzero(self._matrix[train].getnnz(axis=0))
        targets = self._targets
        found, trained = fit(
            Fit(self._matrix[train][:, seen], targets.labels[train], targets.weights[train],
                targets.class_weights(train, self._weighing)),
            self._matrix[validation][:, seen], targets.labels[validation], watch, check=check,
        )  # fmt: skip
        weights = np.zeros((len(found.bias), self._matrix.shape[1]), np.float32)
        weights[:, seen] = found.weights
        self._affine, self._trained_on = Affine(weights, found.bias), train
        return trained

    def logits_of(self, rows: Sequence[int], check: Callable[[], None]) -> NDArray[np.float32]:
        return self._ready().logits(self._matrix[list(rows)])

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"features": self._matrix.shape[1]}

    @property
    def scorer(self) -> LinearScorer:
        affine, sides, start = self._ready(), {}, 0
        means = np.asarray(self._matrix[self._trained_on].mean(axis=0), np.float32).ravel()
        for name, of in self._found.items():
            middle, end = start + self._buckets, start + self._buckets + of.dense.shape[1]
            grams, dense = slice(start, middle), slice(middle, end)
            sides[name] = Side(affine.weights[:, grams], affine.weights[:, dense], means[grams], means[dense])
            start = end
        return LinearScorer(sides, affine.bias)

    def _ready(self) -> Affine:
        if self._affine is None:
            raise JobError("Nothing has been trained yet.", "Start the run anew.")
        return self._affine
