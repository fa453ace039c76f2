"""How does an import run? Rows, quarantine and position are committed together, so that it can stop anywhere.

An interrupted import goes on after the last committed row; importing the same source twice adds nothing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from refusal_tui.errors import JobError
from refusal_tui.ingest.items import Rejected, Source, SourceItem
from refusal_tui.ingest.plan import ImportPlan
from refusal_tui.ingest.prefetch import prefetched
from refusal_tui.ingest.readers import data_files
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.artifacts import sha256_of
from refusal_tui.store.connect import checkpoint
from refusal_tui.store.datasets import Dataset, Provenance, add_quarantine, begin_dataset, record_progress
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts

# Rows per transaction: large enough for FTS5, short enough that an annotator's commit is not kept waiting.
BATCH_ROWS = 500
QUARANTINE_KEPT = 10_000  # of a file that is wrong altogether, the first rows tell enough


class ImportJob:
    """A ComputeJob: source -> items, with the labels that the source holds."""

    def __init__(self, spec: ImportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        plan = self._spec.plan()
        provenance = self._provenance(plan, context)
        with context.commit() as connection:
            dataset = begin_dataset(connection, self._spec.name or plan.name, provenance)
        if dataset.state == "ready":
            return f"{dataset.name}: {dataset.n_items:,} rows were imported before; nothing to add"
        for warning in plan.warnings:
            context.event("warning", "plan", warning)
        added, rejected = self._copy(context, plan, dataset)
        if added == 0 and dataset.n_items == 0 and rejected:
            raise JobError(
                f"None of the {rejected:,} rows could be used.",
                f"See why with: refusal-tui datasets --quarantine {dataset.name}",
            )
        bad = f", {rejected:,} rows quarantined" if rejected else ""
        return f"{dataset.name}: {added:,} rows imported{bad}"

    def _provenance(self, plan: ImportPlan, context: ComputeContext) -> Provenance:
        context.report(0, None, "reading the source", now=True)
        options: dict[str, object] = dict(plan.options)
        if self._spec.limit is not None:
            options["limit"] = self._spec.limit
        return Provenance(
            adapter=plan.adapter.name,
            adapter_version=plan.adapter.version,
            source=self._spec.source,
            revision=plan.revision,
            sha256=None if self._spec.source.startswith("hf:") else _sha256(Path(self._spec.source)),
            split=self._spec.split,
            licence=plan.licence,
            redistribution=plan.redistribution,
            eval_only=plan.eval_only,
            options=options,
        )

    def _copy(self, context: ComputeContext, plan: ImportPlan, dataset: Dataset) -> tuple[int, int]:
        """Store everything from the dataset's position on; returns (added, rejected) of this run."""
        start = dataset.records_read if plan.adapter.stands_alone else 0
        added_in_all = rejected_in_all = 0
        with closing(plan.open(skip=start)) as source:
            rows = itertools.islice(source, None if self._spec.limit is None else max(0, self._spec.limit - start))
            stream = plan.items(rows)
            for batch, position in prefetched(_batches(stream, source, BATCH_ROWS)):
                items = [(key, item) for key, item in batch if isinstance(item, SourceItem)]
                bad = [(item.line, item.reason, item.excerpt) for _, item in batch if isinstance(item, Rejected)]
                with context.commit() as connection:
                    added = add_items(connection, dataset.id, items)
                    for index in added.conflicts:
                        key, item = items[index]
                        bad.append(
                            (position, f"the key {key!r} is there already, with other content", str(item.prompt))
                        )
                    if rejected_in_all < QUARANTINE_KEPT:
                        add_quarantine(connection, dataset.id, [(line, why, text[:500]) for line, why, text in bad])
                    add_verdicts(connection, _verdicts(items, added.ids), job_id=context.job.id)
                    record_progress(connection, dataset.id, records_read=position, added=added.count, rejected=len(bad))
                added_in_all += added.count
                rejected_in_all += len(bad)
                checkpoint(context.connection, context.workspace.database)
                context.report(source.progress.bytes_read, source.bytes_total, f"{added_in_all:,} rows")
            with context.commit() as connection:
                record_progress(connection, dataset.id, records_read=source.position, added=0, rejected=0, done=True)
        context.report(source.progress.bytes_read, source.bytes_total, f"{added_in_all:,} rows", now=True)
        return added_in_all, rejected_in_all


Keyed = tuple[str, SourceItem | Rejected]


def _batches(stream: Iterator[SourceItem | Rejected], source: Source, size: int) -> Iterator[tuple[list[Keyed], int]]:
    """Batches with their keys, and how many rows of the source are wholly in them."""
    batch: list[Keyed] = []
    row, nth = -1, 0
    for item in stream:
        nth = nth + 1 if source.position == row else 0
        row = source.position
        if len(batch) >= size and nth == 0:
            yield batch, row - 1
            batch = []
        batch.append((_key(item, row, nth), item))
    if batch:
        yield batch, source.position


def _key(item: SourceItem | Rejected, row: int, nth: int) -> str:
    """The source's own id, or the place in the source: the same text may occur twice, legally.

    A place is an identity because a dataset is bound to one source by its sha256 or revision.
    """
    if isinstance(item, Rejected):
        return ""
    if item.key is not None:
        return item.key
    return f"row-{row}.{nth}" if nth else f"row-{row}"


def _verdicts(items: Sequence[tuple[str, SourceItem]], ids: Sequence[ItemId | None]) -> list[Verdict]:
    """What the source itself says, as verdicts of the rows that were new."""
    return [
        Verdict(
            item_id=item_id,
            annotator=said.annotator,
            question_set=said.question_set,
            version=said.version,
            answers=said.answers,
            spans=said.spans,
            raw=said.raw,
            rationale=said.rationale,
            seen_judge=said.seen_judge,
            profile=said.profile,
        )
        for (_, item), item_id in zip(items, ids, strict=True)
        if item_id is not None
        for said in item.verdicts
    ]


def _sha256(path: Path) -> str:
    """Of the file, or of the names and checksums of a folder's data files."""
    if path.is_file():
        return sha256_of(path)
    listing = "".join(f"{file.relative_to(path)}\0{sha256_of(file)}\n" for file in data_files(path))
    return hashlib.sha256(listing.encode()).hexdigest()
