"""Which prompts is a direction found with? Read from a file or a selection, drawn with a seed, without repeats."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.jobs.sources import FILE_ENDINGS, is_file
from refusal_tui.store.browse import select_ids
from refusal_tui.store.items import fetch_rows

_KEYS = ("instruction", "prompt", "question", "goal", "text")
_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Prompt:
    """`key` says where it comes from: `item:12`, or a line of a file."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The prompts of one run. No text occurs twice, in whatever part."""

    harmful_train: tuple[Prompt, ...]
    harmless_train: tuple[Prompt, ...]
    harmful_val: tuple[Prompt, ...]
    harmless_val: tuple[Prompt, ...]

    def parts(self) -> dict[str, tuple[Prompt, ...]]:
        names = ("harmful_train", "harmless_train", "harmful_val", "harmless_val")
        return {name: getattr(self, name) for name in names}


def read_prompts(connection: sqlite3.Connection, source: str, *, among: Collection[int] | None = None) -> list[Prompt]:
    """Single user turns of a selection, or of a file: .txt (a line each), .json or .jsonl (strings, or objects with
    `instruction`, `prompt`, `question`, `goal` or `text`). `among`: of a selection, these items alone.

    Raises InputError.
    """
    return list(_from_file(Path(source)) if is_file(source) else _from_selection(connection, source, among))


def _from_selection(connection: sqlite3.Connection, source: str, among: Collection[int] | None) -> Iterator[Prompt]:
    ids = [i for i in select_ids(connection, source) if among is None or i in among]
    for start in range(0, len(ids), _PAGE):
        for row in fetch_rows(connection, ids[start : start + _PAGE]):
            users = [m.content for m in row.messages if m.role == "user"]
            if not row.messages or (len(users) == 1 and all(m.role != "assistant" for m in row.messages)):
                yield Prompt(f"item:{row.item_id}", users[0] if users else row.prompt)


def _from_file(path: Path) -> Iterator[Prompt]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The prompts in {path} cannot be read: {error}.") from error
    if path.suffix == ".txt" or not path.name.endswith(FILE_ENDINGS):
        values: list[Any] = [line.strip() for line in text.splitlines()]
    else:
        values = _json_values(path, text)
    for number, value in enumerate(values, start=1):
        found = value if isinstance(value, str) else _text_of(value)
        if found is None:
            raise InputError(
                f"{path}, entry {number}, holds no prompt.",
                f"Give a string, or an object with one of: {', '.join(_KEYS)}.",
            )
        if found.strip():
            yield Prompt(f"{path.name}:{number}", found)


def _json_values(path: Path, text: str) -> list[Any]:
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, list):
        raise InputError(f"{path} is not a list of prompts.", 'Give a JSON list, such as ["How …?", "What …?"].')
    return values


def _text_of(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((value[key] for key in _KEYS if isinstance(value.get(key), str)), None)


def draw(harmful: Sequence[Prompt], harmless: Sequence[Prompt], *, n_train: int, n_val: int, seed: int) -> Drawn:
    """A reproducible draw, in the order of the published procedure (harmful before harmless, train before validation).

    Raises InputError when a set is too small once repeats, and prompts of both sets, are gone.
    """
    texts = [{prompt.text for prompt in part} for part in (harmful, harmless)]
    both = texts[0] & texts[1]
    sets = []
    for name, part in (("harmful", harmful), ("harmless", harmless)):
        unique = {prompt.text: prompt for prompt in reversed(part) if prompt.text not in both}
        if len(unique) < n_train + n_val:
            shared = f" ({len(both)} are in both sets)" if both else ""
            raise InputError(
                f"The {name} set has {len(unique)} different prompts{shared}; {n_train} to train and {n_val} to "
                "validate are asked for.",
                "Add prompts, or ask for fewer with --n-train and --n-val.",
            )
        sets.append(list(reversed(unique.values())))
    chance = random.Random(seed)
    train = [chance.sample(part, n_train) for part in sets]
    rest = [[p for p in part if p not in set(taken)] for part, taken in zip(sets, train, strict=True)]
    val = [chance.sample(part, n_val) for part in rest]
    return Drawn(tuple(train[0]), tuple(train[1]), tuple(val[0]), tuple(val[1]))
