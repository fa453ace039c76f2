"""Who judges for a job that is not a labelling job? A judge that the engine hands over, found by its name.

Capabilities never import one another: the judge comes through the registry, and this is what it can do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from refusal_tui.errors import InputError
from refusal_tui.jobs.registry import (
    CHECK_CLASSIFIER,
    CLASSIFIER_JUDGE,
    HANDED_JUDGE,
    HASHED_BUCKETS,
    HASHED_FEATURES,
    HASHED_HEAD,
    HASHED_SHARES,
    load,
)
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Judge, RowError, Verdict
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from refusal_tui.jobs.asking import Models

# They work from the text alone: no end point, no cost.
OFFLINE_JUDGES = ("linear", "lexical")
DEFAULT_JUDGE: Literal["linear"] = "linear"  # who judges where nobody is named: the better one on human labels
# The judge of a labelling job that is one of the workspace's own classifiers.
CLASSIFIER = "classifier"


class HandedJudge(Protocol):
    """One judge of one job. What it asks is in the job's ledger under the key that it is given."""

    annotator: str

    async def judge(self, row: Row, key: RowKey) -> Verdict | RowError:
        """The row may be one that is not in the store (a rewritten prompt with its answer)."""

    def refuses(self, verdict: Verdict) -> bool | None:
        """Whether the verdict says that the response refuses; None: it does not say."""

    def says(self, verdict: Verdict, head: str) -> bool | None:
        """What the verdict says of a yes/no head (`prompt_harmful`, `response_harmful`); None: it was not asked."""

    def names(self, verdict: Verdict, head: str) -> tuple[str, ...]:
        """What the verdict names of a head with several labels (`head_c_a`: kinds of harm)."""

    def read(self, row: Row, text: str) -> Verdict | RowError:
        """What a kept answer of this judge about `row` says, read once more. Asks nobody."""


def handed_judge(name: str, endpoint: str | None, models: Models, workspace: Workspace) -> HandedJudge:
    """The judge `name`: offline, or asking `endpoint`, one of `models`."""
    judge: HandedJudge = load(HANDED_JUDGE)(name, endpoint, models, workspace)
    return judge


def offline_judge(name: str, workspace: Workspace) -> HandedJudge:
    """One of OFFLINE_JUDGES, for a job that asks no model."""
    judge: HandedJudge = load(HANDED_JUDGE)(name, None, None, workspace)
    return judge


def classifier_judge(workspace: Workspace, name: str) -> Judge:
    """The classifier `name` of the workspace as a judge. Raises InputError where it does not exist."""
    judge: Judge = load(CLASSIFIER_JUDGE)(workspace, name)
    return judge


def check_classifier(connection: sqlite3.Connection, name: str) -> None:
    """Raises InputError, naming what there is, for a classifier that does not exist."""
    load(CHECK_CLASSIFIER)(connection, name)


class HashedFeatures(Protocol):
    """Texts as the offline judge sees them: `dense` (texts, features), and n-gram `buckets` of text `owners`, each with
    its `worth` (three arrays of one length)."""

    dense: Any
    owners: Any
    buckets: Any
    worth: Any


class LinearShares(Protocol):
    """A linear score shared out: score = base + tokens + features + absent (`judge/attribution.py`)."""

    score: float
    base: float
    tokens: Sequence[Any]
    features: Mapping[str, float]
    absent: float


def hashed_features(pairs: Sequence[tuple[str, str]]) -> HashedFeatures:
    """The features of (prompt, response) pairs; the prompt only serves to skip an echo of it."""
    found: HashedFeatures = load(HASHED_FEATURES)(pairs)
    return found


def hashed_buckets() -> int:
    """How many different n-grams `hashed_features` tells apart."""
    return int(load(HASHED_BUCKETS))


def linear_shares(
    prompt: str, response: str, ngrams: Any, dense: Any, bias: float, mean_ngrams: Any, mean_dense: Any
) -> LinearShares:
    """The score of one text under weights for `hashed_features`, compared with the mean text."""
    head = load(HASHED_HEAD)(ngrams, dense, bias, 1.0, 0.0)
    found: LinearShares = load(HASHED_SHARES)(prompt, response, head, mean_ngrams, mean_dense)
    return found


def check_judge(name: str) -> None:
    """Raises InputError, naming what there is, for a judge that does not exist."""
    from refusal_tui.labels.question_sets import question_set

    if name in OFFLINE_JUDGES:
        return
    try:
        question_set(name)
    except InputError as error:
        raise InputError(
            str(error), f"{error.next_step} Offline judges: {', '.join(OFFLINE_JUDGES)}.".strip()
        ) from None
