"""What flows through an import: a source's row goes in, items and rejected rows come out.

These are named tuples, not dataclasses, because one is made per row and a frozen dataclass costs five times as much.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import Answer, Profile, Span

MAX_ROW_BYTES = 32 * 1024 * 1024  # a longer row is quarantined unread, so that memory stays flat
EXCERPT_CHARS = 500
SPLITS = ("train", "test", "validation", "val", "valid", "dev", "eval", "harmful", "benign")
NOTHING: Mapping[str, Any] = {}  # the shared default of `meta` and `header`; never written to


class Origin(NamedTuple):
    """Where in the source a row stands. One object serves all rows of a file.

    `name` is the file's path inside an imported folder ("" for a single file), `path` the whole path or `hf:` address
    (some sources say the model or the version only there), `split` what the file or Hub split is called, `header` the
    fields of a JSON object that stand before the list of rows, and `format` the file's (a CSV cell is always text).
    """

    name: str = ""
    path: str = ""
    split: str | None = None
    header: Mapping[str, Any] = NOTHING
    format: str = ""


class Record(NamedTuple):
    """One row as the source holds it. `line`: the line of a JSONL or CSV file, else the row's ordinal; from 1."""

    line: int
    data: dict[str, Any]
    origin: Origin = Origin()


class Rejected(NamedTuple):
    """A row that could not be used, for the quarantine. `excerpt` is its first 500 characters."""

    line: int
    reason: str
    excerpt: str


class SourceVerdict(NamedTuple):
    """A label that the source already holds. `raw` is the source's own word for it.

    `annotator` is `human:NAME` or `judge:NAME`. An Answer with value None stands for a label that the maps of the
    taxonomy leave open: null is not none. `version` is empty where the source names no version of its annotator.
    """

    annotator: str
    answers: Mapping[str, Answer]
    question_set: str
    raw: str | None = None
    rationale: str | None = None
    version: str = ""
    profile: Profile = Profile.XSTEST
    spans: tuple[Span, ...] = ()
    seen_judge: bool = False


class SourceItem(NamedTuple):
    """One item: a prompt with at most one response.

    `key` is the source's own id, unique in the dataset; None lets the job make one from source, split, ordinal and
    content. `prompt` is the text of a single user turn, or the turns. `response` None means prompt-only, "" an empty
    answer. `model` wrote the response. `category` is the source's own word, unmapped. `meta` is JSON-able and holds
    what else the row says; the two sides of a pair share `meta["pair"]`.
    """

    key: str | None
    prompt: str | tuple[Message, ...]
    response: str | None
    model: str | None = None
    split: str | None = None
    category: str | None = None
    meta: Mapping[str, Any] = NOTHING
    verdicts: tuple[SourceVerdict, ...] = ()


class BadRow(Exception):
    """This row cannot become an item; `str(error)` is the reason in words. The row goes to the quarantine."""


@dataclass
class Progress:
    """How many bytes of the source (as stored, so compressed ones) were read."""

    bytes_read: int = 0


@dataclass
class Source:
    """An opened source. Iterate it once for its rows.

    `position` counts the rows handed out, skipped ones included. A consumer that works lazily may store
    `position - 1` with its last item: reading again with `skip` of that number loses nothing, and repeats at most
    the items of one row. `bytes_total` is None where nobody knows it (the Hub).
    """

    rows: Iterator[Record | Rejected]
    format: str
    bytes_total: int | None = None
    revision: str | None = None
    progress: Progress = field(default_factory=Progress)
    position: int = 0

    def __iter__(self) -> Iterator[Record | Rejected]:
        for row in self.rows:
            self.position += 1
            yield row

    def close(self) -> None:
        """Close the files behind an iteration that was left early."""
        close = getattr(self.rows, "close", None)
        if close is not None:
            close()


Options = Mapping[str, str]
Convert = Callable[[Iterable[Record | Rejected], Options], Iterator[SourceItem | Rejected]]


def excerpt(value: object) -> str:
    """The beginning of a row, for people who look at the quarantine; what is no text is shown as its escape."""
    if isinstance(value, bytes):
        text = value[: 4 * EXCERPT_CHARS].decode("utf-8", "backslashreplace")
    else:
        text = value[:EXCERPT_CHARS] if isinstance(value, str) else _summary(value)
        text = text.encode("utf-8", "backslashreplace").decode()
    return text[:EXCERPT_CHARS]


def _summary(value: object) -> str:
    """A row as JSON text, with long cells cut first: the whole of a big row is never rendered."""
    if isinstance(value, dict):
        value = {name: cell[:EXCERPT_CHARS] if isinstance(cell, str) else cell for name, cell in value.items()}
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):
        return f"({type(value).__name__})"
