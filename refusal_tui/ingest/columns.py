"""Which columns of an unknown table are prompt and response? A guess with its reasons, shown before it is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.ingest.plain import kind_of

# For each of our names the column names that mean it, the surest first.
_NAMES = {
    "prompt": (
        "prompt", "instruction", "question", "query", "goal", "forbidden_prompt", "adversarial_prompt", "user_prompt",
        "mutated_prompt", "request", "behavior", "problem", "inputs", "input", "user", "messages", "conversation",
        "conversations", "dialogue", "dialog", "chat", "turns", "text", "content",
    ),
    "response": (
        "response", "answer", "output", "completion", "reply", "generation", "generated_text", "model_response",
        "model_output", "target_response", "assistant", "assistant_response", "outputs", "targets", "target", "chosen",
        "responses", "answers",
    ),
    "key": ("id", "key", "uuid", "uid", "row_id", "item_id", "qid", "question_id", "example_id"),
    "category": ("category", "topic", "harm_category", "risk_area", "type", "subcategory", "domain"),
    "model": ("model", "model_name", "generator", "llm"),
    "split": ("split",),
}  # fmt: skip
_TEXT_INSIDE = ("text", "content", "value", "response", "answer", "prompt", "output")


@dataclass(frozen=True, slots=True)
class Guess:
    """`mapping` goes from our name to a column or dotted path; `reasons` has one sentence per choice."""

    mapping: dict[str, str]
    reasons: tuple[str, ...]


def guess_mapping(rows: Sequence[dict[str, Any]]) -> Guess:
    """Guess from names and contents of the first rows. Raises InputError where nothing looks like a prompt.

    >>> guess_mapping([{"question": "Why?", "answer": "Because."}]).mapping
    {'prompt': 'question', 'response': 'answer'}
    """
    columns = _columns(rows)
    mapping: dict[str, str] = {}
    reasons: list[str] = []
    for target, names in _NAMES.items():
        usable = [path for path in columns if path not in mapping.values() and _usable(target, columns[path])]
        chosen = next((path for name in names for path in usable if _norm(path) == name), None)
        why = f"its name says so; {_contents(columns.get(chosen or '', []))}"
        if chosen is None:
            chosen = next((path for name in names for path in usable if _inside(path, name)), None)
            why = f"the text inside a column of that name; {_contents(columns.get(chosen or '', []))}"
        if chosen is None and target == "prompt":
            texts = [path for path in usable if "." not in path]
            if len(texts) == 1:
                chosen, why = texts[0], f"the only column with text; {_contents(columns[texts[0]])}"
        if chosen is not None:
            mapping[target] = chosen
            reasons.append(f"{target} is {chosen}: {why}")
    if "prompt" not in mapping:
        names_seen = ", ".join(list(columns)[:20]) or "none"
        raise InputError(
            "No column looks like a prompt.", f"Say which it is, as in --map prompt=COLUMN. Columns: {names_seen}."
        )
    return Guess(mapping, tuple(reasons))


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Values by column, in order of appearance; fields of nested objects under dotted paths, one level down."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
            if isinstance(value, dict):
                for inner, inner_value in value.items():
                    columns.setdefault(f"{name}.{inner}", []).append(inner_value)
    return columns


def _usable(target: str, values: list[Any]) -> bool:
    """Whether these values can be what `target` needs."""
    kinds = {kind_of(value) for value in values} - {"null"}
    if target == "prompt":
        return bool(kinds) and (kinds == {"text"} or all(_is_chat(value) for value in values if value is not None))
    if target == "response":
        return kinds <= {"text", "int", "number"} or all(_is_chat(value) for value in values if value is not None)
    if target == "key":
        words = [str(value) for value in values]
        return kinds <= {"text", "int"} and bool(kinds) and len(set(words)) == len(words) and None not in values
    return kinds <= {"text", "int"} and bool(kinds)


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in value)
    )


def _norm(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_")


def _inside(path: str, name: str) -> bool:
    """`output.text` is the text inside a column that is called like a response."""
    column, dot, inner = path.partition(".")
    return bool(dot) and _norm(column) == name and inner in _TEXT_INSIDE


def _contents(values: list[Any]) -> str:
    filled = [value for value in values if value not in (None, "")]
    what = "chat turns" if filled and _is_chat(filled[0]) else "filled"
    return f"{what} in {len(filled)} of {len(values)} rows"
