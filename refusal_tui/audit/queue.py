"""How does the audit's sample become a review queue? As it was drawn, with the probabilities it was drawn with.

The queue's rows are those of `human_review_samples.json` that have a response, so that what people answer, here or
outside, is weighted alike (`agreement --queue` uses the stored probabilities).
"""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

from refusal_tui.audit.report import SAMPLES, Report, report_folder
from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.store.review_queues import Queue, QueueItem, QueueSettings, create_queue


def queue_name(job: int) -> str:
    return f"audit-{job}"


def queue_of_sample(connection: sqlite3.Connection, root: Path, report: Report, name: str = "") -> Queue:
    """Make the queue; the caller holds the transaction.

    Raises InputError where the sample's file is gone, ConflictError for a name that is taken.
    """
    path = report_folder(root, report.job) / SAMPLES
    try:
        samples: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The sample of audit {report.job} cannot be read: {error.strerror or error}.",
            f"Audit the rows again: refusal-tui run audit {report.selection}".strip(),
        ) from error
    samples = [one for one in samples if one["response"] is not None]  # whether it refuses is what people are asked
    seed = int(report.settings.get("seed", 0))
    random.Random(f"{seed}/{report.job}").shuffle(samples)  # strata mixed: people tire
    items = [
        QueueItem(place, ItemId(one["item_id"]), one["stratum"], float(one["inclusion_probability"]))
        for place, one in enumerate(samples, 1)
    ]
    settings = QueueSettings(
        selection=report.selection,
        population=report.sections["review_samples"]["population"],
        seed=seed,
        design={"drawn_by": f"audit {report.job}", "strata": "outcome, confidence, source, agreement"},
    )
    return create_queue(connection, name or queue_name(report.job), settings, items)
