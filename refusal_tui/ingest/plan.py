"""What would an import of this source do? Which adapter and columns, what is odd, and how the first rows would look.

A plan reads the head of the source only, so that it can be shown before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from refusal_tui.errors import InputError, UsageError
from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.adapters.generic import check_mapping
from refusal_tui.ingest.columns import guess_mapping
from refusal_tui.ingest.drift import drift
from refusal_tui.ingest.hub import open_hub, parse_reference
from refusal_tui.ingest.items import Record, Rejected, Source, SourceItem
from refusal_tui.ingest.readers import open_source, sniff_format
from refusal_tui.ingest.registry import detect, get_adapter
from refusal_tui.ingest.tables import parquet_rows
from refusal_tui.ingest.terms import terms_of

_SHOWN_ROWS = 500  # looked at for columns and kinds
_HEAD_ROWS = 20_000  # read at most, for the estimate
_HEAD_BYTES = 1024 * 1024
PREVIEW_ITEMS = 5
_DATA_ENDING = re.compile(r"(\.(jsonl|ndjson|json|csv|tsv|parquet|arrow|gz|zst))+$", re.I)


@dataclass(frozen=True)
class ImportPlan:
    """How a source will be read. `options` holds the adapter's options, and for `generic` the mapping itself.

    `reasons` says in sentences why this adapter and these columns; `warnings` what is odd (drifted columns, unclear
    version). `name` is a suggestion for the dataset. `estimated_rows` counts rows of the source, not items; None where
    the head does not tell.
    """

    source: str
    adapter: Adapter
    format: str
    split: str | None
    options: Mapping[str, str]
    mapping: Mapping[str, str]
    name: str
    licence: str
    redistribution: str
    eval_only: bool
    revision: str | None
    estimated_rows: int | None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    preview: tuple[SourceItem, ...] = ()
    rejected: tuple[Rejected, ...] = field(default=())

    def open(self, skip: int = 0) -> Source:
        """Open the source behind its first `skip` rows; of a Hub dataset the very revision that was planned."""
        return _open(
            self.source, self.split, None if self.format in ("hub", "folder") else self.format, skip, self.revision
        )

    def items(self, rows: Iterable[Record | Rejected]) -> Iterator[SourceItem | Rejected]:
        """The items of these rows, one row read at a time. Rows of other splits are left out."""
        items = self.adapter.convert(rows, self.options)
        return items if self.split is None else _of_split(items, self.split)


def make_plan(
    source: str,
    adapter: str | None = None,
    mapping: Mapping[str, str] | None = None,
    split: str | None = None,
    options: Mapping[str, str] | None = None,
) -> ImportPlan:
    """Plan the import of a file, a folder or `hf:owner/name`.

    `adapter` None: recognised from the columns, else `generic`. `mapping` (ours -> the source's column) is for
    `generic` alone; without one the columns are guessed. Where the source names no splits, `split` says what all its
    rows are. Raises InputError for a source that cannot be read or holds nothing that can be used, UsageError for an
    unknown adapter, option or mapping, UnavailableError for a Hub dataset that cannot be had.
    """
    if mapping:
        check_mapping(mapping)
        if adapter not in (None, "generic"):
            raise UsageError(f"A mapping is for the adapter generic, not for {adapter}.", "Leave --as or --map out.")
        adapter = "generic"
    asked = get_adapter(adapter) if adapter else None
    fmt = _format(source)
    with closing(_open(source, split, None if fmt in ("hub", "folder") else fmt)) as opened:
        rows, estimate = _head(source, opened)
        revision = opened.revision
    records = [row for row in rows if isinstance(row, Record)]
    if not records:
        why = "".join(f": {row.reason}" for row in rows[:1] if isinstance(row, Rejected))
        raise InputError(
            f"{source} holds no row that can be read{why}.",
            "Look at the file, or say with another name what its format is.",
        )
    chosen, reasons = _choose(asked, records)
    settings = _checked_options(chosen, options or {})
    columns: Mapping[str, str] = {}
    if chosen.name == "generic":
        columns = mapping or {}
        if not columns:
            guess = guess_mapping([record.data for record in records])
            columns = guess.mapping
            reasons += guess.reasons
        settings = {**settings, **columns}
    warnings = drift(chosen, records)
    items = list(_of_split(chosen.convert(rows, settings), split) if split else chosen.convert(rows, settings))
    preview = [item for item in items if isinstance(item, SourceItem)]
    bad = [item for item in items if isinstance(item, Rejected)]
    if not preview:
        problems = [*warnings, *(entry.reason for entry in bad)]
        reason = f": {problems[0]}" if problems else f" (split {split})" if split else ""
        raise InputError(
            f"None of the first {len(rows)} rows of {source} could be read as {chosen.name}{reason}.",
            "Choose another adapter with --as, or say the columns: --as generic --map prompt=COLUMN,response=COLUMN",
        )
    if chosen.caution is not None and (caution := chosen.caution(preview)):
        warnings.append(caution)
    if settings.get("keys") == "plain" and len({record.data.get("dataset") for record in records}) > 1:
        warnings.append("the export holds several datasets, whose keys may clash; see the option keys=dataset")
    terms = terms_of(source, chosen, preview)
    if chosen.eval_only_splits and fmt in ("hub", "folder") and split is None:
        apart = ", ".join(chosen.eval_only_splits)
        warnings.append(f"the split {apart} is for evaluation only; import the splits apart with --split")
    return ImportPlan(
        source=source,
        adapter=chosen,
        format=fmt,
        split=split,
        options=settings,
        mapping=columns,
        name=suggest_name(source),
        licence=terms.licence,
        redistribution=terms.redistribution,
        eval_only=terms.eval_only,
        revision=revision,
        estimated_rows=estimate,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
        preview=tuple(preview[:PREVIEW_ITEMS]),
        rejected=tuple(bad[:PREVIEW_ITEMS]),
    )


def suggest_name(source: str) -> str:
    """A dataset name from the source's own.

    >>> suggest_name("hf:allenai/wildguardmix:wildguardtest"), suggest_name("/data/XSTest v2.csv.gz")
    ('wildguardmix-wildguardtest', 'xstest-v2')
    """
    if source.startswith("hf:"):
        reference = parse_reference(source)
        name = reference.repo.rpartition("/")[2]
        if reference.config and reference.config not in name:
            name += f"-{reference.config}"
    else:
        name = _DATA_ENDING.sub("", Path(source).name)
    return re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.") or "dataset"


def _format(source: str) -> str:
    """`hub`, `folder` or a file's format."""
    if source.startswith("hf:"):
        return "hub"
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source} does not exist.", "Check the path; a Hub dataset is written hf:owner/name.")
    try:
        return "folder" if path.is_dir() else sniff_format(path)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}.", "Check its permissions.") from error


def _open(source: str, split: str | None, fmt: str | None, skip: int = 0, revision: str | None = None) -> Source:
    if source.startswith("hf:"):
        reference = parse_reference(source)
        return open_hub(reference if revision is None else reference.at(revision), split, skip)
    return open_source(Path(source), fmt, skip, split)


def _head(source: str, opened: Source) -> tuple[list[Record | Rejected], int | None]:
    """The first rows, and how many rows there are in all: counted, or reckoned by their share of the bytes."""
    rows: list[Record | Rejected] = []
    read = rows_before = bytes_before = 0
    for row in islice(opened, _HEAD_ROWS):
        if opened.progress.bytes_read != read:
            # Files are read in pieces: only when the next piece is fetched are the rows of those before complete.
            rows_before, bytes_before, read = opened.position - 1, read, opened.progress.bytes_read
        if len(rows) < _SHOWN_ROWS:
            rows.append(row)
        if bytes_before > _HEAD_BYTES or (opened.bytes_total is None and len(rows) == _SHOWN_ROWS):
            break
    else:
        if opened.position < _HEAD_ROWS:
            return rows, opened.position
    if opened.format == "parquet":
        return rows, parquet_rows(Path(source))
    if not opened.bytes_total or not bytes_before:
        return rows, None
    return rows, max(opened.position, round(rows_before * opened.bytes_total / bytes_before))


def _choose(asked: Adapter | None, records: list[Record]) -> tuple[Adapter, list[str]]:
    """The adapter and why it is this one."""
    if asked is not None:
        return asked, [f"read as {asked.name}, as asked"]
    found = detect(records)
    if found is None:
        return get_adapter("generic"), ["no known dataset has these columns, so they are mapped one by one"]
    shape = next(shape for record in records if (shape := found.shape_of(record)))
    reason = f"read as {found.name} ({shape.name}), because it has the columns {', '.join(shape.columns)}"
    if found.hub_id:
        reason += f"; the licence is that of {found.hub_id}"
    return found, [reason]


def _checked_options(adapter: Adapter, options: Mapping[str, str]) -> dict[str, str]:
    """All options of the adapter with their values. Raises UsageError for an unknown option or value."""
    for name, value in options.items():
        if name not in adapter.options:
            known = ", ".join(f"{key}={'|'.join(values)}" for key, values in adapter.options.items()) or "none"
            raise UsageError(f"The adapter {adapter.name} has no option {name!r}.", f"Known: {known}.")
        if value not in adapter.options[name]:
            raise UsageError(
                f"The option {name} cannot be {value!r}.", f"Possible: {', '.join(adapter.options[name])}."
            )
    return {name: options.get(name, values[0]) for name, values in adapter.options.items()}


def _of_split(items: Iterator[SourceItem | Rejected], split: str) -> Iterator[SourceItem | Rejected]:
    for item in items:
        if isinstance(item, Rejected) or item.split == split:
            yield item
        elif item.split is None:
            yield item._replace(split=split)
