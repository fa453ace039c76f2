"""Under which terms do datasets stand, and which of them must not be passed on without leave? For exports and cards.

A source is gated when the card of its adapter says so, when its terms forbid redistribution, or when a job has made it
of rows of such a source.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import PurePath
from typing import Any

from refusal_tui.jobs.registry import IS_GATED, load
from refusal_tui.store.datasets import Dataset, list_datasets

_OF_JOB = re.compile(r"job (\d+)")


def gated_datasets(connection: sqlite3.Connection) -> set[int]:
    """The ids of gated datasets."""
    is_gated = load(IS_GATED)
    gated: set[int] = set()
    # A dataset is made of older ones, and a job's number says which.
    for dataset in sorted(list_datasets(connection), key=lambda dataset: dataset.id):
        where = dataset.provenance
        closed = where.redistribution == "none" or is_gated(where.adapter, where.source)
        if closed or not gated.isdisjoint(_made_of(connection, dataset)):
            gated.add(dataset.id)
    return gated


def _made_of(connection: sqlite3.Connection, dataset: Dataset) -> set[int]:
    job = _OF_JOB.fullmatch(dataset.provenance.source)
    if job is None:
        return set()
    rows = connection.execute(
        "SELECT DISTINCT item.dataset_id FROM job_item JOIN item ON item.id = job_item.item_id WHERE job_id = ?",
        (int(job[1]),),
    )
    return {row[0] for row in rows}


def source_facts(dataset: Dataset, rows: int, *, gated: bool) -> dict[str, Any]:
    """Where a dataset comes from and under which terms, as JSON that leaves this machine: no folder of it is named."""
    where = dataset.provenance
    return {
        "name": dataset.name,
        "rows": rows,
        "adapter": where.adapter,
        "adapter_version": where.adapter_version,
        "source": public_source(where.source),
        "revision": where.revision,
        "sha256": where.sha256,
        "split": where.split,
        "licence": where.licence,
        # For an import of this folder: its text must not be passed on there, either.
        "redistribution": "none" if gated else where.redistribution,
        "gated": gated,
        "eval_only": where.eval_only,
    }


def public_source(source: str) -> str:
    """Where a dataset comes from, without the folders of the machine it was imported on.

    >>> public_source("data/of/mine.jsonl"), public_source("hf:allenai/wildguardmix")
    ('mine.jsonl', 'hf:allenai/wildguardmix')
    """
    return source if source.startswith("hf:") else PurePath(source).name
