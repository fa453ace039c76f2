"""Who judges for a job that is not a labelling job? A judge that the engine hands over, found by its name.

Capabilities never import one another: the judge comes through the registry, and this is what it can do.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol

from refusal_tui.errors import InputError
from refusal_tui.jobs.registry import CHECK_CLASSIFIER, CLASSIFIER_JUDGE, HANDED_JUDGE, load
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Judge, RowError, Verdict
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from refusal_tui.jobs.asking import Models

# They work from the text alone: no end point, no cost.
OFFLINE_JUDGES = ("lexical", "linear")
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


def classifier_judge(workspace: Workspace, name: str) -> Judge:
    """The classifier `name` of the workspace as a judge. Raises InputError where it does not exist."""
    judge: Judge = load(CLASSIFIER_JUDGE)(workspace, name)
    return judge


def check_classifier(connection: sqlite3.Connection, name: str) -> None:
    """Raises InputError, naming what there is, for a classifier that does not exist."""
    load(CHECK_CLASSIFIER)(connection, name)


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
