"""What does the list of datasets say? Imported ones first, then those that the workbench knows how to import."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.store.browse import Facet, LabelCounts
from refusal_tui.store.datasets import Dataset

if TYPE_CHECKING:
    from refusal_tui.ingest.catalog import CatalogueEntry

STATES = {"ready": "● ready", "importing": "◐ import", "known": "○ known"}


@dataclass(frozen=True)
class DatasetLine:
    """One line: an imported dataset, or an entry of the catalogue."""

    name: str
    state: str  # ready | importing | known
    rows: int | None
    labelled: LabelCounts | None
    rejected: int
    licence: str | None
    dataset: Dataset | None = None
    entry: CatalogueEntry | None = None

    @property
    def term(self) -> str:
        """The filter that keeps this dataset alone."""
        return Facet("dataset", self.name, 0).term


def lines(
    datasets: list[Dataset], catalogue: list[CatalogueEntry], counts: dict[int, LabelCounts]
) -> list[DatasetLine]:
    """Imported datasets by name, then catalogue entries that have a source."""
    imported = [
        DatasetLine(
            d.name, d.state, d.n_items, counts.get(d.id), d.n_rejected, d.provenance.licence, dataset=d
        )
        for d in datasets
    ]  # fmt: skip
    known = [
        DatasetLine(entry.name, "known", None, None, 0, entry.licence, entry=entry)
        for entry in catalogue
        if entry.source is not None
    ]
    return imported + known


def about(line: DatasetLine) -> list[tuple[str, str | None]]:
    """Where it comes from and under which terms, as (name, value)."""
    if line.dataset is not None:
        return _about_imported(line.dataset)
    if line.entry is not None:
        return _about_known(line.entry)
    return []


def _about_imported(dataset: Dataset) -> list[tuple[str, str | None]]:
    where = dataset.provenance
    look = ": Q shows them" if dataset.n_rejected else ""
    options = ", ".join(f"{key}={value}" for key, value in (where.options or {}).items())
    return [
        ("source", where.source),
        ("revision", where.revision),
        ("split", where.split),
        ("sha256", where.sha256),
        ("adapter", f"{where.adapter} v{where.adapter_version}"),
        ("options", options or None),
        ("licence", _terms(where.licence, where.redistribution)),
        ("use", _use(eval_only=where.eval_only)),
        ("imported", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(dataset.created))),
        ("records", f"{dataset.records_read:,} read, {dataset.n_rejected:,} quarantined{look}"),
    ]


def _about_known(entry: CatalogueEntry) -> list[tuple[str, str | None]]:
    return [
        ("what", entry.title),
        ("source", entry.source),
        ("size", entry.size),
        ("splits", ", ".join(entry.splits) or None),
        ("access", "gated: accept its terms on the hub and log in first" if entry.gated else "open"),
        ("licence", _terms(entry.licence, entry.redistribution)),
        ("use", _use(eval_only=entry.eval_only)),
        ("cite", entry.citation),
        ("notes", entry.notes or None),
    ]


def _terms(licence: str | None, redistribution: str | None) -> str | None:
    words = {
        "full": "may be passed on",
        "labels-only": "labels may be passed on, texts not",
        "none": "not to be passed on",
    }
    return "; ".join(part for part in (licence, words.get(redistribution or "", redistribution)) if part) or None


def _use(*, eval_only: bool) -> str:
    return "evaluation only: never train on it" if eval_only else "training and evaluation"
