"""What does a model's text answer, when nothing forced its shape?

Pure and tolerant: reasoning blocks and markdown fences are set aside, the last balanced JSON object counts, a label is
bound to the last whole-word match. A reader gets a value or a reason, never an exception. Substring binding is the
classic mistake ("acceptable" inside "unacceptable"), as is the first match ("not soft … hard").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from refusal_tui.llm.ladder import ANSWER

_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_TAIL = 65_536  # characters: the answer is at the end, and a hostile megabyte must not cost seconds
_MAX_STRAY_BRACES = 32


@dataclass(frozen=True, slots=True)
class Parsed:
    """`value` when the text was understood, otherwise `reason` (a sentence) and value None."""

    value: Any = None
    reason: str | None = None

    @property
    def ok(self) -> bool:
        return self.reason is None


def without_thinking(text: str) -> str:
    """The text after a reasoning model's last closed `<think>` block; a template may have swallowed the opening tag.

    >>> without_thinking("<think>hard? no, soft</think>hard")
    'hard'
    >>> without_thinking("hm, soft</think>hard")
    'hard'
    """
    if text.lstrip().startswith(("{", "```")):  # no thought comes first: a tag further on is quoted in the answer
        return text[-_TAIL:].strip()
    for tag in ("</think>", "</thinking>", "</reasoning>"):
        position = text.lower().rfind(tag)
        if position >= 0:
            text = text[position + len(tag) :]
    return text[-_TAIL:].strip()


def parse_object(text: str, *, required: Iterable[str] = ()) -> Parsed:
    """The last balanced JSON object of a text that has the `required` keys; keys are compared without case.

    >>> parse_object('Sure! ```json\\n{"refusal": "hard", }\\n```', required=["refusal"]).value
    {'refusal': 'hard'}
    >>> parse_object("I would rather not say").reason
    'there is no JSON object in the answer'
    """
    text = without_thinking(text)
    wanted = list(required)
    missing: str | None = None
    for candidate in _objects_from_the_end(text):
        value = _loads(candidate)
        if not isinstance(value, dict):
            continue
        value = _with_keys(value, wanted)
        absent = [key for key in wanted if key not in value]
        if not absent:
            return Parsed(value)
        missing = missing or f"the JSON object lacks {', '.join(absent)}"
    if missing:
        return Parsed(reason=missing)
    if "{" in text:
        return Parsed(reason="the JSON object is cut off or not valid")
    return Parsed(reason="there is no JSON object in the answer")


def parse_choice(text: str, choices: Iterable[str]) -> Parsed:
    """One of `choices`: the whole text, the value of the last JSON object's "answer", or the last whole word.

    >>> parse_choice("It is not acceptable: **UNACCEPTABLE**.", ["acceptable", "unacceptable"]).value
    'unacceptable'
    >>> parse_choice('{"answer": "Hard"}', ["none", "hard", "soft"]).value
    'hard'
    >>> parse_choice("harder", ["hard"]).reason
    'none of the labels is in the answer: hard'
    """
    labels = list(choices)
    plain = without_thinking(text)
    found = _exactly(plain, labels)
    if found is not None:
        return Parsed(found)
    for candidate in _objects_from_the_end(plain):
        value = _loads(candidate)
        if isinstance(value, dict):
            named = _with_keys(value, [ANSWER]).get(ANSWER)
            values = [named] if named is not None else list(value.values()) if len(value) == 1 else []
            for item in values:
                found = _exactly(_scalar(item), labels)
                if found is not None:
                    return Parsed(found)
            break
    found = _last_whole_word(plain, labels)
    if found is not None:
        return Parsed(found)
    if not plain:
        return Parsed(reason="the answer is empty")
    return Parsed(reason=f"none of the labels is in the answer: {', '.join(labels)}")


def repair_json(text: str) -> Any | None:
    """A JSON value that was cut off, closed where it breaks; None when that makes no value.

    The last key or value may be lost, so a caller must check that what it needs is there.

    >>> repair_json('{"a": [1, 2, {"b": "c')
    {'a': [1, 2, {'b': 'c'}]}
    """
    closers: list[str] = []
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "{[":
            closers.append("}" if character == "{" else "]")
        elif character in "}]" and closers:
            closers.pop()
    head = text[:-1] if escaped else text
    tail = ('"' if in_string else "") + "".join(reversed(closers))
    for body in (head + tail, _without_dangling(head + ('"' if in_string else "")) + "".join(reversed(closers))):
        value = _loads(body)
        if value is not None:
            return value
    return None


def _without_dangling(text: str) -> str:
    """Cut a trailing comma, colon, key without a value or half a literal."""
    text = re.sub(r'[,{]?\s*"(?:[^"\\]|\\.)*"\s*:?\s*[A-Za-z0-9.+-]*$', lambda m: "{" if m[0][0] == "{" else "", text)
    return re.sub(r"[,:]\s*$", "", text)


def _objects_from_the_end(text: str) -> list[str]:
    """Balanced top-level {...} pieces, last first. Braces inside JSON strings do not count."""
    pieces: list[str] = []
    strays = 0
    start = text.find("{")
    while start >= 0 and strays < _MAX_STRAY_BRACES:
        end = _end_of_object(text, start)
        if end is None:  # a stray brace: look behind it
            strays += 1
            start = text.find("{", start + 1)
        else:
            pieces.append(text[start:end])
            start = text.find("{", end)
    return pieces[::-1]


_BRACES = re.compile(r'[{}"]')
_STRING_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)


def _end_of_object(text: str, start: int) -> int | None:
    depth, position = 0, start
    while (match := _BRACES.search(text, position)) is not None:
        position = match.end()
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return position
        else:
            closing = _STRING_END.match(text, position)
            if closing is None:
                return None
            position = closing.end()
    return None


def _loads(text: str) -> Any | None:
    """JSON, then JSON with the usual slips: trailing commas, typographic quotes, Python's literals."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    mended = re.sub(r",(\s*[}\]])", r"\1", text.translate(_QUOTES))
    mended = re.sub(r"(?<=[:\[,])(\s*)(True|False|None)\b", lambda m: m[1] + _PYTHON[m[2]], mended)
    try:
        return json.loads(mended, strict=False)
    except (ValueError, RecursionError):
        return None


_PYTHON = {"True": "true", "False": "false", "None": "null"}


def _with_keys(value: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    """The same mapping with wanted keys in their own spelling, whatever case and spaces the model used."""
    spelling = {_key(key): key for key in wanted}
    return {spelling.get(_key(key), key): item for key, item in value.items()}


def _key(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else str(value)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.translate(_QUOTES)).strip(" \n\t\"'`*_#.,:;!()[]{}<>").casefold()


def _exactly(text: str, labels: list[str]) -> str | None:
    plain = _plain(text)
    return next((label for label in labels if _plain(label) == plain and plain), None)


def _last_whole_word(text: str, labels: list[str]) -> str | None:
    """The label whose last whole-word occurrence ends last; of two that end together the longer one."""
    haystack = text.translate(_QUOTES).casefold()
    best: tuple[int, int, str] | None = None
    for label in labels:
        words = [re.escape(word) for word in label.translate(_QUOTES).casefold().split()]
        if not words:
            continue
        pattern = r"(?<![^\W_])" + r"[\s_-]+".join(words) + r"(?![^\W_])"
        for match in re.finditer(pattern, haystack):
            place = (match.end(), match.end() - match.start(), label)
            best = place if best is None or place[:2] > best[:2] else best
    return best[2] if best else None
