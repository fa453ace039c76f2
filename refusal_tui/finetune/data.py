"""Which dialogues is a model tuned on, and which prompts is it asked? Read from a selection or a file, once.

A run keeps what it read (`data.json`): rows that change later do not change it. "Harmless" never means "refusal": the
reference document (section 2) tells of a refusal adapter that was trained on helpful answers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.jobs.schedule import stable_seed
from refusal_tui.jobs.sources import is_file
from refusal_tui.labels.rows import Message
from refusal_tui.store.browse import select_ids
from refusal_tui.store.clean_review import reviewed_rows
from refusal_tui.store.items import fetch_rows

_PROMPT_KEYS = ("prompt", "rewritten_instruction", "instruction", "question", "goal", "text")
_ORIGIN = "original_instruction"  # of rows that cleaning has made, in the store and in its files
_ANSWER_KEYS = ("response", "answer", "output", "completion")
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What stands before an answer, and the answer ("" where there is none). `key`: `item:12`, or a line of a file.
    `origin`: the prompt as it was before cleaning, "" of a row that no cleaning job has made."""

    key: str
    messages: tuple[Message, ...]
    answer: str = ""
    category: str | None = None
    origin: str = ""

    @property
    def asked(self) -> str | tuple[Message, ...]:
        """What stands before the answer, as the store keeps it."""
        alone = len(self.messages) == 1 and self.messages[0].role == "user"
        return self.messages[0].content if alone else self.messages

    def as_json(self) -> dict[str, Any]:
        messages = [[m.role, m.content] for m in self.messages]
        known = {"key": self.key, "messages": messages, "answer": self.answer, "category": self.category}
        return known | ({"origin": self.origin} if self.origin else {})

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Dialogue:
        messages = tuple(Message(role, content) for role, content in data["messages"])
        return cls(data["key"], messages, data["answer"], data["category"], data.get("origin", ""))


def read_dialogues(
    connection: sqlite3.Connection, source: str, *, answers: bool, among: Collection[int] | None = None
) -> list[Dialogue]:
    """The dialogues of a selection, or of a file: .jsonl or .json (objects with `prompt` and `response`, or with
    `messages`), for prompts also .txt (a line each). The same dialogue counts once. `answers`: only those that have
    one; else only what is asked. `among`: of a selection, these items alone. Of what a cleaning job has made only the
    rows that were kept, as people have reviewed them. Raises InputError.
    """
    found = _from_file(Path(source)) if is_file(source) else _from_selection(connection, source, among)
    unique: dict[tuple[tuple[Message, ...], str], Dialogue] = {}
    for dialogue in found:
        if dialogue.answer.strip() or not answers:
            unique.setdefault((dialogue.messages, dialogue.answer if answers else ""), dialogue)
    return list(unique.values())


def require_answers(name: str, dialogues: Sequence[Dialogue]) -> None:
    """Raises InputError for an empty set; `name`: of its setting."""
    if not dialogues:
        raise InputError(
            f"The set of --{name} has no dialogue with an answer.", "Choose rows that have a prompt and a response."
        )


def drawn(dialogues: Sequence[Dialogue], count: int, seed: int, what: str) -> list[Dialogue]:
    """`count` of them, the same ones for the same seed, in their order. Raises InputError where there are fewer."""
    if len(dialogues) < count:
        raise InputError(
            f"There are {len(dialogues):,} different {what}; {count:,} are asked for.",
            "Give more of them, or ask for fewer with --n.",
        )
    chosen = sorted(range(len(dialogues)), key=lambda i: stable_seed(seed, dialogues[i].key, i))[:count]
    return [dialogues[i] for i in sorted(chosen)]


def _from_selection(connection: sqlite3.Connection, source: str, among: Collection[int] | None) -> Iterator[Dialogue]:
    ids = [i for i in select_ids(connection, source) if among is None or i in among]
    for start in range(0, len(ids), _PAGE):
        for row in reviewed_rows(connection, fetch_rows(connection, ids[start : start + _PAGE])):
            messages = row.messages or (Message("user", row.prompt),)
            origin = _text(row.meta.get(_ORIGIN)) or ""
            left_out = bool(origin) and row.meta.get("decision", "keep") != "keep"
            if messages[-1].role == "user" and not left_out:
                yield Dialogue(f"item:{row.item_id}", messages, row.response or "", row.category, origin)


def _from_file(path: Path) -> Iterator[Dialogue]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The dialogues in {path.name} cannot be read: it is no UTF-8 text (byte {error.start:,}).",
            "Save it as UTF-8, or import it (refusal-tui import) and name its dataset.",
        ) from error
    except OSError as error:
        raise InputError(
            f"The dialogues in {path.name} cannot be read: {error.strerror or error}.", "Name a file that can be read."
        ) from error
    values = _values(path, text)
    for number, value in enumerate(values, start=1):
        dialogue = _dialogue(f"{path.name}:{number}", value)
        if dialogue is None:
            raise InputError(
                f"{path.name}, entry {number}, is no dialogue.",
                'Give objects such as {"prompt": "…", "response": "…"}, or {"messages": […]}.',
            )
        if dialogue.messages[-1].content.strip():
            yield dialogue


def _values(path: Path, text: str) -> list[Any]:
    if path.suffix == ".jsonl":
        lines = enumerate(text.split("\n"), start=1)
        return [_json(path, line, number) for number, line in lines if line.strip()]
    if path.suffix == ".json":
        values = _json(path, text, None)
        return values if isinstance(values, list) else [values]
    return [line for line in text.splitlines() if line.strip()]


def _json(path: Path, text: str, line: int | None) -> Any:
    """`line`: of the file, which the parser does not know of a .jsonl."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"line {line if line is not None else getattr(error, 'lineno', 1):,} is no JSON"
        raise InputError(
            f"The dialogues in {path.name} cannot be read: {what}.",
            "Mend it, or import the file (refusal-tui import): broken rows go to quarantine.",
        ) from error


def _dialogue(key: str, value: object) -> Dialogue | None:
    if isinstance(value, str):
        return Dialogue(key, (Message("user", value.strip()),))
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("messages"), list):
        return _of_messages(key, value["messages"])
    prompt = next((value[name] for name in _PROMPT_KEYS if isinstance(value.get(name), str)), None)
    answer = next((value[name] for name in _ANSWER_KEYS if isinstance(value.get(name), str)), "")
    if prompt is None:
        return None
    category, origin = (_text(value.get(name)) for name in ("category", _ORIGIN))
    return Dialogue(key, (Message("user", prompt),), answer, category, origin or "")


def _of_messages(key: str, turns: Sequence[Any]) -> Dialogue | None:
    messages = [
        Message(turn["role"], turn["content"])
        for turn in turns
        if isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
    ]
    if len(messages) < len(turns) or not messages:
        return None
    answer = messages.pop().content if messages[-1].role == "assistant" else ""
    return Dialogue(key, tuple(messages), answer) if messages and messages[-1].role == "user" else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
