"""How does an import run? Rows, quarantine and position are committed together, so that it can stop anywhere.

An interrupted import goes on after the last committed row; importing the same source twice adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from refusal_tui.errors import InputError, JobError
from refusal_tui.ingest.items import Record, Rejected, Source, SourceItem, excerpt
from refusal_tui.ingest.plan import ImportPlan
from refusal_tui.ingest.readers import data_files
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.ingest.stdin import is_spooled
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.labels.rows import ItemId, render_messages
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.artifacts import sha256_of
from refusal_tui.store.connect import checkpoint
from refusal_tui.store.datasets import (
    Dataset,
    Provenance,
    add_quarantine,
    begin_dataset,
    find_dataset,
    forget_if_empty,
    record_progress,
)
from refusal_tui.store.items import Added, add_items
from refusal_tui.store.labels import add_verdicts

# Rows per transaction: large enough for FTS5, short enough that an annotator's commit is not kept waiting.
BATCH_ROWS = 500
BATCH_CHARACTERS = 8 * 1024 * 1024  # and less of huge rows, three batches of which are in memory at a time
QUARANTINE_KEPT = 10_000  # of a file that is wrong altogether, the first rows tell enough
_SHOWN_KEY = 80


class ImportJob:
    """A ComputeJob: source -> items, with the labels that the source holds."""

    def __init__(self, spec: ImportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        note = self._import(context)
        if is_spooled(self._spec.source, context.workspace.artifacts):
            Path(self._spec.source).unlink(missing_ok=True)
        return note

    def _import(self, context: ComputeContext) -> str:
        context.report(0, None, "reading the source", now=True)
        plan = self._spec.plan()
        name = self._spec.name or plan.name
        plan = _as_begun(context, plan, name)
        provenance = self._provenance(plan, context)
        with context.commit() as connection:
            forget_if_empty(connection, name, provenance)
            dataset = begin_dataset(connection, name, provenance)
        if dataset.state == "ready":
            return f"{dataset.name}: {dataset.n_items:,} rows were imported before; nothing to add"
        for warning in plan.warnings:
            context.event("warning", "plan", warning)
        try:
            items, rejected = self._copy(context, plan, dataset)
        except OSError as error:
            raise InputError(
                f"{self._spec.source} cannot be read to its end: {error.strerror or error}.",
                f"When it can be read again: refusal-tui jobs resume {context.job.id}",
            ) from error
        bad = f", {rejected:,} quarantined" if rejected else ""
        return f"{dataset.name}: {items:,} row{'s' if items != 1 else ''} imported{bad}"

    def _provenance(self, plan: ImportPlan, context: ComputeContext) -> Provenance:
        options: dict[str, object] = dict(plan.options)
        if self._spec.limit is not None:
            options["limit"] = self._spec.limit
        source = self._spec.source
        return Provenance(
            adapter=plan.adapter.name,
            adapter_version=plan.adapter.version,
            source="standard input" if is_spooled(source, context.workspace.artifacts) else source,
            revision=plan.revision,
            sha256=None if source.startswith("hf:") else source_sha256(Path(source)),
            split=self._spec.split,
            licence=plan.licence,
            redistribution=plan.redistribution,
            eval_only=plan.eval_only,
            options=options,
        )

    def _copy(self, context: ComputeContext, plan: ImportPlan, dataset: Dataset) -> tuple[int, int]:
        """Store everything from the dataset's position on; returns (items, rejected rows) of the whole dataset."""
        before = dataset.records_read
        count, rejected = dataset.n_items, dataset.n_rejected
        # Where rows need the rows before them, all are read again, and what was stored before is left out.
        with closing(plan.open(skip=before if plan.adapter.stands_alone else 0)) as source:
            rows = _Rows(source, self._spec.limit)
            for batch in _batches(plan.items(rows), rows, before):
                with context.commit() as connection:
                    added = add_items(connection, dataset.id, batch.items)
                    bad = batch.bad + _repeated(batch, added)
                    kept = bad[: max(0, QUARANTINE_KEPT - rejected)]
                    add_quarantine(connection, dataset.id, [(r.line, r.reason, excerpt(r.excerpt)) for r in kept])
                    add_verdicts(connection, _verdicts(batch.items, added.ids), job_id=context.job.id)
                    record_progress(
                        connection, dataset.id, records_read=batch.position, added=added.count,
                        rejected=len(bad), since=before,
                    )  # fmt: skip
                before = batch.position
                count += added.count
                rejected += len(bad)
                checkpoint(context.connection, context.workspace.database)
                context.report(*self._progress(source), f"{count:,} rows")
        if count == 0:
            # Left unfinished: the same source says so again, and another one may have the name.
            raise JobError(
                f"None of the {rejected:,} rows read could be used."
                if rejected
                else "The source holds no row to import.",
                f"See why with: refusal-tui datasets --quarantine {dataset.name}" if rejected else "Look at the file.",
            )
        with context.commit() as connection:
            record_progress(
                connection, dataset.id, records_read=source.position, added=0, rejected=0, done=True, since=before
            )
        done, total = self._progress(source)
        context.report(done if total is None else total, total, f"{count:,} rows", now=True)
        return count, rejected

    def _progress(self, source: Source) -> tuple[int, int | None]:
        """How much is read, and of how much: rows under a limit, else bytes."""
        if self._spec.limit is not None:
            return source.position, self._spec.limit
        return source.progress.bytes_read, source.bytes_total


def _as_begun(context: ComputeContext, plan: ImportPlan, name: str) -> ImportPlan:
    """An interrupted import of a Hub dataset goes on with the revision that it began with, also after a new push."""
    known = find_dataset(context.connection, name)
    if plan.revision is None or known is None or known.state == "ready" or known.provenance.source != plan.source:
        return plan
    return replace(plan, revision=known.provenance.revision)


class _Rows:
    """The rows of a source up to the limit, and which one was handed out last."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source = source
        self._limit = limit
        self.line = 0

    @property
    def position(self) -> int:
        return self._source.position

    def __iter__(self) -> Iterator[Record | Rejected]:
        if self._limit is not None and self._source.position >= self._limit:
            return
        for row in self._source:
            self.line = row.line
            yield row
            if self._source.position == self._limit:
                return


@dataclass(slots=True)
class _Batch:
    """What one transaction stores. `position`: so many rows of the source are wholly stored with it."""

    items: list[tuple[str, SourceItem]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)  # of the items
    bad: list[Rejected] = field(default_factory=list)
    position: int = 0
    characters: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) + len(self.bad) >= BATCH_ROWS or self.characters >= BATCH_CHARACTERS


def _batches(stream: Iterator[SourceItem | Rejected], rows: _Rows, stored: int) -> Iterator[_Batch]:
    """Batches of whole rows of the source; what comes from its first `stored` rows is left out."""
    batch = _Batch()
    row, nth = -1, 0
    for item in stream:
        nth = nth + 1 if rows.position == row else 0
        row = rows.position
        if row <= stored:
            continue
        if nth == 0 and batch.is_full:
            batch.position = row - 1
            yield batch
            batch = _Batch()
        if isinstance(item, Rejected):
            batch.bad.append(item)
            continue
        batch.items.append((_key(item, row, nth), item))
        batch.lines.append(rows.line)
        batch.characters += _size(item)
    if rows.position > stored:
        batch.position = rows.position
        yield batch


def _key(item: SourceItem, row: int, nth: int) -> str:
    """The source's own id, or the place in the source: the same text may occur twice, legally.

    A place is an identity because a dataset is bound to one source by its sha256 or revision.
    """
    if item.key is not None:
        return item.key
    return f"row-{row}.{nth}" if nth else f"row-{row}"


def _size(item: SourceItem) -> int:
    """About how many characters the item holds in memory."""
    prompt, size = item.prompt, len(item.response or "")
    if isinstance(prompt, str):
        size += len(prompt)
    else:
        for turn in prompt:  # loops: generators cost an import twice as much here
            size += len(turn.content)
    for value in item.meta.values():
        if isinstance(value, str):
            size += len(value)
    return size


def _repeated(batch: _Batch, added: Added) -> list[Rejected]:
    """The items whose key was there before: a dataset has one item for each key."""
    bad = []
    conflicts = set(added.conflicts)
    for index, item_id in enumerate(added.ids):
        if item_id is None:
            key, item = batch.items[index]
            content = "other" if index in conflicts else "the same"
            text = item.prompt if isinstance(item.prompt, str) else render_messages(item.prompt)
            reason = f"the key {key[:_SHOWN_KEY]!r} is there already, with {content} text"
            bad.append(Rejected(batch.lines[index], reason, text))
    return bad


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


def source_sha256(path: Path) -> str:
    """Of the file, or of the names and checksums of a folder's data files."""
    if path.is_file():
        return sha256_of(path)
    listing = "".join(f"{file.relative_to(path)}\0{sha256_of(file)}\n" for file in data_files(path))
    return hashlib.sha256(listing.encode()).hexdigest()
