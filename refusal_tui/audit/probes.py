"""What can a small model read from the texts? The source of a row (it should not), and its label (a suspect if not).

TF-IDF of word 1- and 2-grams and logistic regression by stochastic gradient descent, five folds that no prompt cluster
crosses; at most `MOST_ROWS` rows, drawn with the audit's seed. scikit-learn loads here, in the worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.confident import suspects
from refusal_tui.audit.report import Finding, Level, Statistic
from refusal_tui.stats.intervals import wilson

MOST_ROWS = 20_000
LEAST_OF_CLASS = 15
READABLE = 0.9  # area under the curve from which a source counts as readable from the text
TIED = 0.35  # Cramer's V from which a label counts as tied to the source
_FOLDS = 5
_CHARACTERS = 4000
_SUSPECT_ALARM = 0.15


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that are read: `items` (ids), `features` (a sparse matrix, one row each, from `features_of`; None: no
    word occurs twice), prompt clusters, source and label numbers (-1: none)."""

    items: NDArray[np.int64]
    features: Any
    groups: NDArray[np.int64]
    source: NDArray[np.int32]
    label: NDArray[np.int32]


def features_of(texts: Sequence[str]) -> Any:
    """TF-IDF rows of the texts as a sparse matrix; None where no word occurs twice."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, max_features=40_000, sublinear_tf=True, strip_accents="unicode", dtype=np.float32
    )
    try:
        return words.fit_transform([text[:_CHARACTERS] for text in texts])
    except ValueError:
        return None


def source_probe(sample: Sample, seed: int) -> float | None:
    """How well the source is told from the text: the area under the curve, one source against the rest, averaged.

    None where there are fewer than two sources of `LEAST_OF_CLASS` rows. .5: not at all, 1: always.
    """
    found = _out_of_fold(sample, sample.source, seed)
    if found is None:
        return None
    rows, classes, probabilities = found
    areas = [_area(probabilities[:, place], sample.source[rows] == code) for place, code in enumerate(classes)]
    return float(np.mean(areas))


def source_finding(area: float, association: float) -> Finding | None:
    """An alarm where the source can be read from the text and a label is tied to it; that alone it can be read, is not
    worth one: most sources differ in style."""
    if area < READABLE or association < TIED:
        return None
    return Finding(
        "source-probe",
        Level.ALARM,
        "A small model tells the source of a row from its text, and the label is tied to the source: what looks like "
        "recognising refusals may be recognising the source.",
        Statistic("area under the curve of the source probe", area),
        advice="Measure on a source that was not trained on, and on each source alone.",
        command="refusal-tui results --by dataset",
    )


def suspected_labels(sample: Sample, names: Sequence[str], seed: int) -> tuple[Finding | None, int]:
    """Labels that a model of the texts doubts, as one finding, the worst first, and how many rows it has seen."""
    found = _out_of_fold(sample, sample.label, seed)
    if found is None:
        return None, 0
    rows, classes, probabilities = found
    number = {code: place for place, code in enumerate(classes)}
    given = np.array([number[code] for code in sample.label[rows].tolist()], np.intp)
    worst = suspects(given, probabilities)
    if not len(worst):
        return None, len(rows)
    share = wilson(len(worst), len(rows))
    return Finding(
        "suspected-labels",
        Level.ALARM if share.low > _SUSPECT_ALARM else Level.NOTE,
        f"{len(worst):,} of {len(rows):,} labels do not fit what a model of the texts expects ({', '.join(names)}).",
        Statistic("share of suspected labels", share.value, share.low, share.high),
        rows=len(worst),
        item_ids=tuple(sample.items[rows[worst]].tolist()),
        advice="Let people label these rows anew; nothing is changed by itself.",
        command="refusal-tui review new {filter} --aims none",
    ), len(rows)


def _out_of_fold(
    sample: Sample, target: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.intp], list[int], NDArray[np.float64]] | None:
    """Rows, classes, and their probabilities from models that have seen neither the row nor its prompt cluster."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    counts = np.bincount(target[target >= 0]) if (target >= 0).any() else np.zeros(0, np.int64)
    classes = np.flatnonzero(counts >= LEAST_OF_CLASS).tolist()
    rows = np.flatnonzero(np.isin(target, classes))
    if sample.features is None or len(classes) < 2 or len(np.unique(sample.groups[rows])) < 2 * _FOLDS:
        return None
    features = sample.features[rows]
    probabilities = np.full((len(rows), len(classes)), 1 / len(classes))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    wanted = target[rows]
    for train, test in folds.split(features, wanted, sample.groups[rows]):
        if len(np.unique(wanted[train])) < 2:
            continue
        model = SGDClassifier(
            loss="log_loss", alpha=2e-5, max_iter=15, tol=None, class_weight="balanced", random_state=seed
        )
        model.fit(features[train], wanted[train])
        places = [classes.index(code) for code in model.classes_.tolist()]
        probabilities[np.ix_(test, places)] = model.predict_proba(features[test])
    return rows, classes, probabilities


def _area(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The probability that a positive row scores above a negative one (ties count half)."""
    order = np.argsort(score, kind="stable")
    _, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    ranks = np.empty(len(score))
    ranks[order] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n = int(positive.sum())
    others = len(score) - n
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * others)) if n and others else 0.5
