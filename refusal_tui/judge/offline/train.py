"""How is the shipped linear judge made? `make train-offline-judge` runs this; MODEL_CARD.md says what came.

Learns from the seeded corpus of `corpus.py` and from two MIT-licensed human-labelled files (chatgpt-refusals: Reuter &
Schulze 2023; OpenAI's RBR gold data). XSTest and Do-Not-Answer rows are never read here. Needs scikit-learn and scipy.
The same inputs and library versions give the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.judge.linear import WEIGHTS, Head, Model, Vectors, vectors
from refusal_tui.judge.ngrams import BUCKETS
from refusal_tui.judge.offline.corpus import corpus

NONE, HARD, SOFT = 0, 1, 2
# What a human's label means in XSTest's terms: a redirection is a refusal there. Rows without a counterpart stay out.
CHATGPT_REFUSALS = {
    "complied": NONE, "rejected": HARD, "redirected": HARD, "contradicted": HARD, "counseling": HARD,
    "disclaimed": SOFT,
}  # fmt: skip
RBR = {"full": NONE, "none": HARD, "partial": SOFT}

# RBR's texts are synthetic, mostly safe completions: in full weight they teach to call every careful answer a refusal.
WEIGHT = {"chatgpt_refusals": 1.0, "rbr_gold": 0.15, "corpus": 0.6}
CORPUS_SIZE, CORPUS_SEED = 6_000, 0
STRENGTH = 0.5  # inverse regularisation: the lexical judge's sums stay in charge
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Data:
    """Texts with labels. `groups`: texts of one prompt are in one fold; `source` is a key of WEIGHT."""

    pairs: list[tuple[str, str]]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    source: NDArray[np.str_]

    @property
    def weights(self) -> NDArray[np.float64]:
        return np.array([WEIGHT[name] for name in self.source])

    @property
    def human(self) -> NDArray[np.bool_]:
        return np.asarray(self.source != "corpus")


def read_data(folder: Path) -> Data:
    """The human labels under `folder` and the corpus."""
    rows: list[tuple[tuple[str, str], int, int, str]] = []
    for name, field, meaning in (("chatgpt_refusals", "label_raw", CHATGPT_REFUSALS), ("rbr_gold", "compliance", RBR)):
        for record in _records(folder / f"{name}.jsonl"):
            label = meaning.get(record[field])
            if label is not None and (record["response"] or "").strip():
                rows.append(((record["prompt"], record["response"]), label, _group(record["prompt"]), name))
    for number, sample in enumerate(corpus(CORPUS_SIZE, CORPUS_SEED)):
        label = {"none": NONE, "hard": HARD, "soft": SOFT}[sample.label.value]
        rows.append((("", sample.response), label, number, "corpus"))
    pairs, labels, groups, source = zip(*rows, strict=True)
    return Data(list(pairs), np.array(labels), np.array(groups), np.array(source))


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _group(prompt: str) -> int:
    return int.from_bytes(hashlib.sha256(prompt.casefold().encode()).digest()[:4], "big")


def fit(data: Data, of: Vectors) -> Model:
    """Fit both heads, then calibrate each on its scores out of fold, on the human labels alone."""
    refuses = data.labels != NONE
    everything = np.ones(len(data.labels), bool)
    refusal = _calibrated(data, of, everything, refuses)
    soft = _calibrated(data, of, refuses, data.labels == SOFT)
    # Soft is said where the balanced regression prefers it (score 0), however rare it is in the calibration rows.
    soft_at = 1.0 / (1.0 + math.exp(-soft.shift))
    human = data.human
    worth = np.bincount(of.buckets, of.worth * human[of.owners], minlength=BUCKETS) / human.sum()
    return Model(refusal, soft, soft_at, worth.astype(np.float32), of.dense[human].mean(axis=0))


def _calibrated(data: Data, of: Vectors, rows: NDArray[np.bool_], positive: NDArray[np.bool_]) -> Head:
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        held_out = data.groups % FOLDS == fold
        head = _regression(data, of, rows & ~held_out, positive)
        scores[held_out] = head.scores(of)[held_out]
    human = rows & data.human
    slope, shift = _line(scores[human], positive[human], data.weights[human])
    head = _regression(data, of, rows, positive)
    return Head(head.ngrams, head.dense, head.bias, slope, shift)


def _regression(data: Data, of: Vectors, rows: NDArray[np.bool_], positive: NDArray[np.bool_]) -> Head:
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    ngrams = sparse.csr_matrix((of.worth, (of.owners, of.buckets)), shape=(len(rows), BUCKETS))
    table = sparse.hstack([ngrams, sparse.csr_matrix(of.dense)]).tocsr()
    model = LogisticRegression(C=STRENGTH, max_iter=5_000, class_weight="balanced", random_state=0)
    model.fit(table[rows], positive[rows], sample_weight=data.weights[rows])
    weights = model.coef_[0]
    return Head(
        weights[:BUCKETS].astype(np.float32), weights[BUCKETS:].astype(np.float32),
        float(model.intercept_[0]), 1.0, 0.0,
    )  # fmt: skip


def _line(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Platt's line through held-out scores: slope and shift."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(scores[:, None], positive, sample_weight=weights)
    return float(model.coef_[0][0]), float(model.intercept_[0])


def save(model: Model, path: Path) -> None:
    """Half precision for the n-grams: a quarter of the size, the same labels."""
    from safetensors.numpy import save_file

    arrays: dict[str, NDArray[Any]] = {
        "soft_at": np.array([model.soft_at], np.float32),
        "mean.ngrams": model.mean_ngrams.astype(np.float16),
        "mean.dense": model.mean_dense,
    }
    for name, head in (("refusal", model.refusal), ("soft", model.soft)):
        arrays[f"{name}.ngrams"] = head.ngrams.astype(np.float16)
        arrays[f"{name}.dense"] = head.dense
        arrays[f"{name}.line"] = np.array([head.bias, head.slope, head.shift], np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path)
    path.chmod(0o644)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the offline judge.")
    parser.add_argument("folder", type=Path, help="holds chatgpt_refusals.jsonl and rbr_gold.jsonl")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    data = read_data(options.folder)
    model = fit(data, vectors(data.pairs))
    save(model, options.out)
    print(f"{len(data.pairs)} texts ({int(data.human.sum())} human-labelled) -> {options.out}")


if __name__ == "__main__":
    main()
