"""Can a judge's confidence be made honest? Fit the temperature on human labels and put it in force, or take it back."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.judge.card_data import job_cards
from refusal_tui.labels.calibration import Calibration
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job
from refusal_tui.store.labels import rebuild_labels
from refusal_tui.store.settings import calibrations, drop_calibration, set_calibration


@dataclass(frozen=True, slots=True)
class Applied:
    """A calibration that came into force, and how many labels were derived with it."""

    calibration: Calibration
    labels: int


def apply_temperature(
    connection: sqlite3.Connection, job: Job, *, gold: str | None = None, judge: str | None = None
) -> list[Applied]:
    """Fit the temperature of every judge of a labelling job (or of one) and derive its labels with it, those of other
    jobs and of later ones as well. An earlier temperature of that judge is replaced: the fit is always on what it said.

    Raises InputError where too few human labels with probabilities are there to fit anything.
    """
    wanted = None if judge is None else judge.removeprefix("judge:")
    cards = [card for card in job_cards(connection, job, gold=gold) if wanted in (None, card.judge)]
    if wanted is not None and not cards:
        raise InputError(f"{judge!r} has judged nothing in job {job.id}.", f"Look: refusal-tui judge-card {job.id}")
    found = [
        Calibration(
            f"judge:{card.judge}", card.scaling.temperature, card.scaling.ece, card.scaling.raw_ece, card.scaling.rows,
            card.gold or "", job.id,
        )
        for card in cards
        if card.scaling is not None
    ]  # fmt: skip
    if not found:
        raise InputError(
            "There are not enough human labels on rows that a judge gave with a probability (at least 20 in each half "
            "of the prompts).",
            f"Label rows of job {job.id} by hand, and let the judge answer where log-probabilities are told.",
        )
    applied = []
    for calibration in found:
        with transaction(connection):
            set_calibration(connection, calibration)
            applied.append(Applied(calibration, rebuild_labels(connection, calibration.annotator)))
    return applied


def remove_temperature(connection: sqlite3.Connection, judge: str) -> int:
    """Derive a judge's labels as it said them again; returns how many. Raises InputError where none is in force."""
    annotator = f"judge:{judge.removeprefix('judge:')}"
    with transaction(connection):
        if not drop_calibration(connection, annotator):
            there = ", ".join(name.removeprefix("judge:") for name in calibrations(connection)) or "none"
            raise InputError(f"No temperature is in force for {judge!r}.", f"In force: {there}.")
        return rebuild_labels(connection, annotator)
