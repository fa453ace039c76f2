"""On which line of a file does a key stand? For TOML and JSON, whose readers do not tell.

A place is a path of keys and positions: ("datasets", 0, "source"). What is nested inside one line (inline tables,
arrays) has the line of the nearest key around it that was seen.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]

Place = tuple[str | int, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_ASSIGNED = re.compile(rf"\s*({_DOTTED})\s*=")
_ARRAY = re.compile(rf"\s*\[\[\s*({_DOTTED})\s*\]\]")
_TABLE = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]")
_SPACE = re.compile(r"\s*")


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of the place, or of its first table, or of the nearest one around it; 1 where nothing is known."""
    while place and place not in lines:
        if (*place, 0) in lines:  # [[label]] where [label] is meant
            return lines[(*place, 0)]
        place = place[:-1]
    return lines.get(place, 1)


def toml_lines(text: str) -> dict[Place, int]:
    """The line of every table and key of a TOML text that `tomllib` has accepted.

    >>> toml_lines('seed = 1\\n[[datasets]]\\nsource = "a"\\n')
    {('seed',): 1, ('datasets', 0): 2, ('datasets', 0, 'source'): 3}
    """
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    closing, depth = "", 0  # inside a text of several lines, inside brackets
    for number, line in enumerate(text.splitlines(), 1):
        rest = line
        if not closing and not depth:
            if match := _ARRAY.match(line):
                place = _inside(_keys(match[1]), counts)
                counts[place] = counts.get(place, -1) + 1
                table = (*place, counts[place])
                found[table] = number
                continue
            if match := _TABLE.match(line):
                table = _inside(_keys(match[1]), counts)
                found.setdefault(table, number)
                continue
            if match := _ASSIGNED.match(line):
                found.setdefault((*table, *_keys(match[1])), number)
                rest = line[match.end() :]
        closing, depth = _left_open(rest, closing, depth)
    return found


def _keys(dotted: str) -> Place:
    return tuple(
        json.loads(key) if key.startswith('"') else key.strip("'") for key in re.findall(_KEY, dotted)
    )  # fmt: skip


def _inside(keys: Place, counts: Mapping[Place, int]) -> Place:
    """`[datasets.map]` belongs to the last of the datasets above it."""
    place: Place = ()
    for key in keys[:-1]:
        place = (*place, key)
        if place in counts:
            place = (*place, counts[place])
    return (*place, keys[-1])


def _left_open(rest: str, closing: str, depth: int) -> tuple[str, int]:
    """What is still open at the end of a line: the quotes of a text, and how many brackets."""
    at = 0
    while at < len(rest):
        if closing:
            end = rest.find(closing, at)
            if end < 0:
                return closing, depth
            at, closing = end + len(closing), ""
            continue
        char = rest[at]
        if char == "#":
            break
        if rest.startswith(('"""', "'''"), at):
            closing, at = rest[at : at + 3], at + 3
            continue
        if char in "\"'":
            match = re.compile(r'"(?:[^"\\]|\\.)*"' if char == '"' else r"'[^']*'").match(rest, at)
            at = match.end() if match else len(rest)
            continue
        depth += (char in "[{") - (char in "]}")
        at += 1
    return closing, max(0, depth)


def json_lines(text: str) -> tuple[dict[Place, int], dict[Place, int]]:
    """The line of every key and element of a JSON text that `json` has accepted; and the second line of those keys that
    stand there twice.

    >>> json_lines('{"a": 1,\\n "b": [2,\\n 3]}')
    ({(): 1, ('a',): 1, ('b',): 2, ('b', 0): 2, ('b', 1): 3}, {})
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[Place, int] = {}
    twice: dict[Place, int] = {}
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        match = _SPACE.match(text, at)
        return match.end() if match else at

    def value(at: int, place: Place) -> int:
        """Walk over one value; returns where it ends."""
        at = skip(at)
        found.setdefault(place, bisect_right(starts, at))
        opened = text[at]
        if opened not in "{[":
            return decoder.raw_decode(text, at)[1]
        at, number = skip(at + 1), 0
        while text[at] not in "}]":
            if opened == "{":
                line = bisect_right(starts, at)
                key, at = scanstring(text, at + 1)
                if (*place, key) in found and not any((*place, key)[: len(one)] == one for one in twice):
                    twice[(*place, key)] = line
                found.setdefault((*place, key), line)
                at = value(skip(at) + 1, (*place, key))
            else:
                at = value(at, (*place, number))
                number += 1
            at = skip(at)
            if text[at] == ",":
                at = skip(at + 1)
        return at + 1

    value(0, ())
    return found, twice
