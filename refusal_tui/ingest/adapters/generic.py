"""Any table with a prompt in it: which column is what is said by `--map`, or guessed (`ingest/columns.py`).

A mapping goes from our name to a column: `prompt=question,response=answer`. A dotted path reaches into nested
columns (`response=output.text`, `prompt=turns.0`). A list of chat turns serves as the prompt; where no response is
mapped, its last assistant turn is the response. Columns that are not mapped go into `meta`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refusal_tui.errors import UsageError
from refusal_tui.ingest.adapters.base import Adapter, chat_turns, per_row, split_reply, what_is_wrong
from refusal_tui.ingest.items import BadRow, Options, Record, Rejected, SourceItem
from refusal_tui.labels.rows import Message

TARGETS = ("prompt", "response", "key", "model", "split", "category", "system")
_MISSING = object()


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Raise UsageError for a mapping without a prompt or with a name that is none of TARGETS."""
    unknown = [name for name in mapping if name not in TARGETS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} cannot be mapped.", f"Known: {', '.join(TARGETS)}.")
    if not mapping.get("prompt"):
        raise UsageError("The mapping names no prompt column.", "For example: --map prompt=question,response=answer")


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """The value at a column or dotted path; `_MISSING` where the row has none. A column's full name goes first."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.removeprefix("-").isdecimal() and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value


def convert(rows: Iterable[Record | Rejected], options: Options) -> Iterator[SourceItem | Rejected]:
    """Items by the mapping that `options` is. Raises UsageError for a mapping that cannot be used."""
    check_mapping(options)
    mapping = dict(options)

    def items_of(record: Record, _: Options) -> tuple[SourceItem]:
        return (_item(record, mapping),)

    return per_row(items_of)(rows, {})


def _item(record: Record, mapping: Mapping[str, str]) -> SourceItem:
    row = record.data
    prompt, response = _prompt(row, mapping)
    words = {name: _word(row, mapping[name]) for name in ("key", "model", "split", "category") if name in mapping}
    return SourceItem(
        words.get("key"),
        prompt,
        response,
        words.get("model"),
        words.get("split") or record.origin.split,
        words.get("category"),
        _rest(row, mapping.values()),
    )


def _prompt(row: Mapping[str, Any], mapping: Mapping[str, str]) -> tuple[str | tuple[Message, ...], str | None]:
    path = mapping["prompt"]
    value = look_up(row, path)
    prompt: str | tuple[Message, ...]
    response = _response(row, mapping["response"]) if "response" in mapping else None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        turns = chat_turns(value)
        prompt, own = split_reply(turns) if "response" not in mapping else (turns, None)
        response = own if "response" not in mapping else response
        if len(turns) == 1 and turns[0].role == "user":
            prompt = turns[0].content
    else:
        prompt = _text(row, path, value) or ""
        if not prompt.strip():
            raise BadRow(f"column {path} is empty")
    system = _text(row, mapping["system"], look_up(row, mapping["system"])) if "system" in mapping else None
    if system:
        turns = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        return (Message("system", system), *turns), response
    return prompt, response


def _response(row: Mapping[str, Any], path: str) -> str | None:
    value = look_up(row, path)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        turns = chat_turns(value)
        if turns[-1].role != "assistant":
            raise BadRow(f"the last turn of column {path} is not the assistant's")
        return turns[-1].content
    return _text(row, path, value)


def _text(row: Mapping[str, Any], path: str, value: Any) -> str | None:
    """The value as text: null stays null, a number becomes its digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if value is _MISSING:
        raise BadRow(what_is_wrong(row, path, "a text"))
    hint = f"; map one of them, for example {path}.0" if isinstance(value, list) and value else ""
    hint = hint or (f"; map one of its fields, for example {path}.{next(iter(value))}" if value else "")
    raise BadRow(what_is_wrong({path: value}, path, "a text") + hint)


def _word(row: Mapping[str, Any], path: str) -> str | None:
    value = look_up(row, path)
    if value is _MISSING or value is None or value == "":
        return None
    if isinstance(value, (dict, list)):
        raise BadRow(what_is_wrong({path: value}, path, "one word"))
    return value if isinstance(value, str) else str(value)


def _rest(row: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """What the mapping did not take; of a nested column, what is left beside the field that it took."""
    left = dict(row)
    for path in paths:
        if path in left:
            del left[path]
            continue
        inner: Any = left
        *parents, leaf = path.split(".")
        for part in parents:
            if not isinstance(inner, dict) or not isinstance(inner.get(part), dict):
                break
            inner[part] = dict(inner[part])
            inner = inner[part]
        else:
            if isinstance(inner, dict):
                inner.pop(leaf, None)
    return {name: value for name, value in left.items() if value != {}}


ADAPTER = Adapter(
    name="generic",
    version="1",
    title="Any table, by column mapping",
    hub_id=None,
    licence="not known",
    gated=False,
    redistribution="labels-only",
    eval_only=False,
    size="any",
    splits=(),
    citation="",
    notes="Say which columns are what with --map prompt=...,response=...; otherwise they are guessed and shown.",
    shapes=(),
    convert=convert,
)
