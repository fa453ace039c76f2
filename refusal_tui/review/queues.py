"""How is a queue made? Read what is known of the rows, draw some of them, store the cards with their probabilities."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from refusal_tui.errors import InputError
from refusal_tui.review.label_errors import CLASSES, class_probabilities, self_confidence
from refusal_tui.review.questions import sheet
from refusal_tui.review.sampling import Aim, Population, draw_cards
from refusal_tui.store.connect import transaction
from refusal_tui.store.review_facts import RowFacts, row_facts
from refusal_tui.store.review_queues import Queue, QueueItem, QueueSettings, create_queue, list_queues

if TYPE_CHECKING:
    from refusal_tui.review.spec import QueueSpec

BANDS = ((0.6, "under 0.6"), (0.8, "0.6 to 0.8"), (0.95, "0.8 to 0.95"), (2.0, "over 0.95"))
UNLABELLED = "unlabelled"


def new_queue(connection: sqlite3.Connection, selection: str, spec: QueueSpec) -> Queue:
    """Draw a queue from a selection and store it. Takes a few seconds for a million rows; writes at the end.

    Raises InputError for a bad filter or no rows, ConflictError for a name that is taken.
    """
    needs_response = sheet(spec.questions).needs_response
    facts = row_facts(connection, selection, with_response=needs_response)
    if not facts:
        what = " with a response" if needs_response else ""
        raise InputError(f"The selection holds no rows{what}.", "Choose another filter, or generate responses first.")
    cards = draw_cards(population_of(facts), spec.plan)
    settings = QueueSettings(
        selection=selection,
        population=len(facts),
        questions=spec.questions,
        profile=spec.profile,
        view=spec.view,
        blind=spec.blind,
        highlight=spec.highlight,
        blur=spec.blur,
        seed=spec.seed,
        design=spec.model_dump(mode="json", exclude={"name"}),
    )
    items = [  # people count cards from one
        QueueItem(
            at, facts[card.row].item_id, card.stratum, card.inclusion, card.wanted,
            None if card.repeat_of is None else card.repeat_of + 1,
        )
        for at, card in enumerate(cards, 1)
    ]  # fmt: skip
    with transaction(connection):
        return create_queue(connection, spec.name or free_name(connection), settings, items)


def free_name(connection: sqlite3.Connection) -> str:
    """review-1, review-2, …: the first number that no queue has had."""
    numbers = [int(n[1]) for queue in list_queues(connection) if (n := re.fullmatch(r"review-(\d+)", queue.name))]
    return f"review-{max(numbers, default=0) + 1}"


def population_of(facts: Sequence[RowFacts]) -> Population:
    """The rows as the draws see them: the latest judge's class and band of probability, dataset, model, whether anybody
    disagrees, and how well the label that stands (a person's, else the latest judge's) fits what the judges think."""
    groups = {
        Aim.OUTCOME: [row.judges[-1][0] if row.judges else UNLABELLED for row in facts],
        Aim.CONFIDENCE: [_band(row.judges[-1][1]) if row.judges else UNLABELLED for row in facts],
        Aim.SOURCE: [row.dataset for row in facts],
        Aim.MODEL: [row.model or "(not named)" for row in facts],
    }
    standing = [row.people[-1] if row.people else row.judges[-1][0] if row.judges else None for row in facts]
    probabilities = class_probabilities({i: row.judges for i, row in enumerate(facts) if row.judges}, len(facts))
    given = np.array([-1 if value is None else CLASSES.index(value) for value in standing])
    return Population(
        {aim: np.array(names, dtype=object) for aim, names in groups.items()},
        np.array([len({*(value for value, _ in row.judges), *row.people}) > 1 for row in facts]),
        self_confidence(given, probabilities),
    )


def _band(probability: float | None) -> str:
    if probability is None:
        return "unknown"
    return next(name for limit, name in BANDS if probability < limit)
