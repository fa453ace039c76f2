"""What an adapter is, and the small helpers that all of them share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from refusal_tui.ingest.items import BadRow, Convert, Options, Record, Rejected, SourceItem, excerpt
from refusal_tui.ingest.plain import kind_of
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import Answer

Redistribution = Literal["full", "labels-only", "none"]


@dataclass(frozen=True)
class Shape:
    """One form in which a dataset is published: its columns and their kinds.

    Kinds: text, bool, int, number, list, object, any; several joined by "|"; a "?" at the end allows null.
    `others` False means that a row with further columns is some other dataset.
    """

    name: str
    columns: Mapping[str, str]
    others: bool = True


@dataclass(frozen=True)
class Adapter:
    """Everything the workbench knows about one dataset. The fields without a default are its card.

    `size` counts rows of the published dataset. `eval_only` data (the whole, or `eval_only_splits`) must not reach a
    training set. `configs` are the Hub configs, the usual one first. `options` lists the values that each option
    takes, its default first. `looks_right` decides where columns alone do not. `caution` looks at the first items and
    says what could not be told. `stands_alone` False: a row needs rows before it, so that an interrupted import
    starts again from the first row.
    """

    name: str
    version: str
    title: str
    hub_id: str | None
    licence: str
    gated: bool
    redistribution: Redistribution
    eval_only: bool
    size: str
    splits: tuple[str, ...]
    citation: str
    notes: str
    shapes: tuple[Shape, ...]
    convert: Convert
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looks_right: Callable[[Record], bool] | None = None
    stands_alone: bool = True
    eval_only_splits: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    caution: Callable[[Sequence[SourceItem]], str | None] | None = None

    def shape_of(self, record: Record) -> Shape | None:
        """The most telling shape whose columns are all there; None where the row is something else."""
        present = record.data.keys()
        fitting = [
            shape
            for shape in self.shapes
            if present >= shape.columns.keys() and (shape.others or present == shape.columns.keys())
        ]
        if not fitting or (self.looks_right is not None and not self.looks_right(record)):
            return None
        return max(fitting, key=lambda shape: len(shape.columns))

    def nearest_shape(self, columns: set[str]) -> Shape:
        """The shape with the most columns in common, for the report on what is missing."""
        return max(self.shapes, key=lambda shape: len(shape.columns.keys() & columns) / len(shape.columns))


ItemsOf = Callable[[Record, Options], Sequence[SourceItem]]


def per_row(items_of: ItemsOf) -> Convert:
    """Make a `convert` of a function that knows one row: rejected rows pass through, bad ones become rejected."""

    def convert(rows: Iterable[Record | Rejected], options: Options) -> Iterator[SourceItem | Rejected]:
        for row in rows:
            if row.__class__ is Rejected:
                yield row
                continue
            try:
                items = items_of(row, options)  # type: ignore[arg-type]
            except BadRow as error:
                yield rejected(row, str(error))  # type: ignore[arg-type]
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
                # The adapter met a kind of value that it does not check for: the row's fault, not the import's.
                yield rejected(row, f"the row has not the expected form ({type(error).__name__}: {error})")  # type: ignore[arg-type]
            else:
                yield from items

    return convert


def rejected(record: Record, reason: str) -> Rejected:
    """The quarantine entry of a row that its adapter cannot use."""
    name = record.origin.name
    return Rejected(record.line, f"{name}: {reason}" if name else reason, excerpt(record.data))


def text(row: Mapping[str, Any], column: str) -> str:
    """The text of a column. Raises BadRow for a missing column, null, or something that is no text."""
    value = row.get(column)
    if value.__class__ is str:
        return value
    raise BadRow(what_is_wrong(row, column, "a text"))


def text_or_none(row: Mapping[str, Any], column: str) -> str | None:
    """The text of a column that may be null or missing; "" stays "". Raises BadRow for what is no text."""
    value = row.get(column)
    if value is None or value.__class__ is str:
        return value
    raise BadRow(what_is_wrong(row, column, "a text"))


def word(row: Mapping[str, Any], column: str) -> str | None:
    """A label or id as text: None for null and for the empty cell of a CSV file; numbers become their digits."""
    value = row.get(column)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def number(row: Mapping[str, Any], column: str) -> int | None:
    """A whole number, also where CSV or pandas made it text or a float; None where there is none."""
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise BadRow(what_is_wrong(row, column, "a whole number")) from None


def boolean(row: Mapping[str, Any], column: str) -> bool | None:
    """True or false in the spellings of JSON, Python and spreadsheets (TRUE, True, true, 1); None where unsaid."""
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        return _BOOLEANS[str(value).lower()]
    except KeyError:
        raise BadRow(what_is_wrong(row, column, "true or false")) from None


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_KIND_WORDS = {
    "text": "a text", "int": "a number", "number": "a number", "bool": "true or false", "list": "a list",
    "object": "an object", "null": "nothing (null)",
}  # fmt: skip


def what_is_wrong(row: Mapping[str, Any], column: str, expected: str) -> str:
    """Why a column cannot be used, in words."""
    if column not in row:
        near = difflib.get_close_matches(column, [str(name) for name in row], 1, 0.6)
        return f"column {column} is missing" + (f"; found {near[0]}" if near else "")
    kind = kind_of(row[column])
    return f"column {column} holds {_KIND_WORDS.get(kind, kind)}, not {expected}"


def rest(row: Mapping[str, Any], used: frozenset[str]) -> dict[str, Any]:
    """The columns that are not used otherwise, for `meta`."""
    return {name: value for name, value in row.items() if name not in used}


def yes_no(raw: str | None, yes: str, no: str) -> Answer | None:
    """A boolean label: no answer where the source says nothing, an open one where its word is unknown."""
    if raw is None:
        return None
    return Answer({yes: True, no: False}.get(raw))


def answered(**answers: Answer | None) -> dict[str, Answer]:
    """The answers that there are."""
    return {question: answer for question, answer in answers.items() if answer is not None}


_ROLES = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "system": "system",
}  # fmt: skip


def chat_turns(value: Any) -> tuple[Message, ...]:
    """Chat turns from a list of `{role, content}` or `{from, value}` objects. Raises BadRow for anything else."""
    if not isinstance(value, list):
        raise BadRow(f"a list of chat turns was expected, found {_KIND_WORDS.get(kind_of(value), 'something else')}")
    turns = []
    for turn in value:
        if not isinstance(turn, dict):
            raise BadRow("a chat turn is no object with role and content")
        role = turn.get("role", turn.get("from"))
        content = turn.get("content", turn.get("value"))
        known = _ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            raise BadRow(f"a chat turn has the role {role!r}; known are {', '.join(_ROLES)}")
        turns.append(Message(known, content if isinstance(content, str) else _joined(content)))
    return tuple(turns)


def _joined(content: Any) -> str:
    """The text of a turn that is a list of parts, as chat APIs write it."""
    if isinstance(content, list) and content:
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return "\n".join(texts)
    raise BadRow("a chat turn holds something that is no text")


def split_reply(turns: tuple[Message, ...]) -> tuple[str | tuple[Message, ...], str | None]:
    """Prompt and response of a dialogue: the last turn is the response if the assistant speaks it.

    >>> split_reply((Message("user", "Hi"), Message("assistant", "Hello")))
    ('Hi', 'Hello')
    """
    response = None
    if turns and turns[-1].role == "assistant":
        response = turns[-1].content
        turns = turns[:-1]
    if not turns:
        raise BadRow("the dialogue holds no turn to answer")
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].content, response
    return turns, response
