"""How are the rows of JSON Lines and of (big) JSON files read?

A `.json` file may be gigabytes long on one line, so it is parsed from a sliding buffer, one row at a time.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from refusal_tui.ingest.blocks import BrokenStream, Oversize, read_chunks, read_lines
from refusal_tui.ingest.items import (
    EXCERPT_CHARS,
    MAX_ROW_BYTES,
    SPLITS,
    BadRow,
    Origin,
    Progress,
    Record,
    Rejected,
    excerpt,
)
from refusal_tui.ingest.plain import DECODER, check_storable, kind_of, looks_odd

_WORDS = {
    "list": "a list", "text": "a text", "int": "a number", "number": "a number", "bool": "true or false", "null": "null"
}  # fmt: skip
_scan = DECODER.scan_once  # type: ignore[attr-defined]  # json.loads costs a microsecond more


def too_long(size: int) -> str:
    return f"the row is {size / 2**20:.0f} MiB long; the limit is {MAX_ROW_BYTES // 2**20} MiB"


def not_an_object(value: Any) -> str:
    return f"the row is {_WORDS.get(kind_of(value), 'no object')}, not an object with named columns"


def read_jsonl(path: Path, origin: Origin, progress: Progress, skip: int = 0) -> Iterator[Record | Rejected]:
    """One row per line; blank lines are no rows. The first `skip` rows are passed over without being parsed."""
    number = 0
    try:
        with closing(read_lines(path, progress)) as blocks:
            for block in blocks:
                for raw in block:
                    number += 1
                    if number == 1 and raw[:3] == codecs.BOM_UTF8:
                        raw = raw[3:]  # type: ignore[assignment]
                    if skip:
                        if raw.__class__ is Oversize or raw.strip():  # type: ignore[union-attr]
                            skip -= 1
                        continue
                    try:
                        text = raw.decode()  # type: ignore[union-attr]
                        data, end = _scan(text, 0)
                    except (ValueError, StopIteration, AttributeError, RecursionError):
                        row = _slow_line(number, raw, origin)
                        if row is not None:
                            yield row
                        continue
                    if data.__class__ is not dict or looks_odd(text, data) or (end != len(text) and text[end:].strip()):
                        row = _slow_line(number, raw, origin)
                        if row is not None:
                            yield row
                        continue
                    yield Record(number, data, origin)
    except BrokenStream as error:
        yield Rejected(number + 1, f"{error}; the rows before it were read", "")


def _slow_line(number: int, raw: bytes | Oversize, origin: Origin) -> Record | Rejected | None:
    """A line that is not plainly a JSON object: what is it? None for a blank one."""
    if isinstance(raw, Oversize):
        return Rejected(number, too_long(raw.size), excerpt(raw.head))
    if b"\0" in raw:
        return Rejected(number, f"the line holds a NUL byte at byte {raw.index(0) + 1}", excerpt(raw))
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        reason = f"invalid UTF-8 at byte {error.start + 1} of the line"
        return Rejected(number, reason, excerpt(raw))
    text = text.strip()
    if not text:
        return None
    try:
        data = DECODER.decode(text)
        if not isinstance(data, dict):
            return Rejected(number, not_an_object(data), excerpt(text))
        check_storable(data)
    except (ValueError, RecursionError, BadRow) as error:
        return Rejected(number, _json_reason(error), excerpt(text))
    return Record(number, data, origin)


def _json_reason(error: Exception, row_start: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        where = error.pos - row_start + 1
        return f"broken JSON: {error.msg[0].lower()}{error.msg[1:].removesuffix(' at')} at character {where}"
    if isinstance(error, RecursionError):
        return "broken JSON: nested too deeply"
    return str(error) if isinstance(error, BadRow) else f"broken JSON: {error}"


def read_json(path: Path, origin: Origin, progress: Progress, skip: int = 0) -> Iterator[Record | Rejected]:
    """The rows of a JSON document: a list of objects, an object with such a list inside, or one object.

    Of an object, every list of objects is read as rows (a list of chat turns is not), and what stands before it goes
    into `Origin.header`; a list under the name of a split gives that split. Lines count rows, from 1.
    """
    number = 0
    with closing(read_chunks(path, progress)) as chunks:
        document = _Document(chunks)
        rows = document.rows(origin)
        while True:
            try:
                where, value, text = next(rows)
                if number < skip:
                    number += 1
                    continue
            except StopIteration:
                return
            except BrokenStream as error:
                yield Rejected(number + 1, f"{error}; the rows before it were read", "")
                return
            number += 1
            if isinstance(value, _Bad):
                yield Rejected(number, value.reason, excerpt(text))
                continue
            if not isinstance(value, dict):
                yield Rejected(number, not_an_object(value), excerpt(text))
                continue
            try:
                _check_text(text, value)
            except BadRow as error:
                yield Rejected(number, str(error), excerpt(text))
                continue
            yield Record(number, value, where)


def _check_text(text: str, value: dict[str, Any]) -> None:
    """Bytes that are not UTF-8 arrive as surrogate escapes in the source text."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            offset = len(text[: error.start].encode("utf-8", "surrogateescape"))
            raise BadRow(f"invalid UTF-8 at byte {offset + 1} of the row") from None
    if looks_odd(text, value):
        check_storable(value)


class _Bad:
    """A value of the document that cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


_Row = tuple[Origin, Any, str]
_SPACE = re.compile(r"[ \t\n\r]*")
_NEXT = re.compile(r"[,\]}\n]")
_MARK = re.compile(r'["{}\[\]]')
# JSON allows no line break inside a string. So a string ends at one, and a row that is broken in that way ends where
# the next line begins a row: a missing quote costs one row, not the file.
_IN_STRING = re.compile(r'(?:[^"\\\n]+|\\.)*+', re.S)
_ROW_START = re.compile(r"[ \t]{0,4}\{")


class _Document:
    """A sliding window over the text of one JSON document."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._text = ""
        self._at = 0
        self._ended = False

    def rows(self, origin: Origin) -> Iterator[_Row]:
        """The rows of the document, and of those that follow it in the same file."""
        while first := self._peek():
            if first == "[":
                self._at += 1
                yield from self._elements(origin)
            elif first == "{":
                yield from self._object(origin)
            else:
                yield (origin, *self._value())

    def _object(self, origin: Origin) -> Iterator[_Row]:
        """The rows of a top-level object: its lists of objects, or the object itself."""
        self._at += 1
        fields: dict[str, Any] = {}
        bad: _Bad | None = None
        found_rows = False
        size = 0
        while (char := self._peek()) and char != "}":
            if char == ",":
                self._at += 1
                continue
            name, text = self._value()
            if not isinstance(name, str) or self._peek() != ":":
                reason = name.reason if isinstance(name, _Bad) else "broken JSON: a column name was expected"
                yield origin, self._give_up(reason), text
                return
            self._at += 1
            values: Iterator[_Row] | None = None
            if self._peek() == "[":
                self._at += 1
                values = self._elements(origin._replace(header=dict(fields), split=_split(name, origin)))
                first = next(values, None)
                if first is not None and _is_row(first[1]):
                    found_rows = True
                    yield first
                    yield from values
                    continue
                fields[name] = []
                if first is not None:
                    values = itertools.chain((first,), values)
            for _, value, text in values or ((origin, *self._value()),):
                size += len(text)
                if size > MAX_ROW_BYTES:
                    yield origin, self._give_up(too_long(size)), text
                    return
                if isinstance(value, _Bad):
                    bad = value
                elif values is None:
                    fields[name] = value
                else:
                    fields[name].append(value)
        self._at += 1
        if not char:
            bad = bad or _Bad("broken JSON: the file ends inside an object")
        if bad or not found_rows:
            try:
                text = json.dumps(fields, ensure_ascii=False)
            except RecursionError as error:
                bad, text = _Bad(_json_reason(error)), ""
            yield origin, bad or fields, text

    def _give_up(self, reason: str) -> _Bad:
        """Read nothing more: where a row begins can no longer be told."""
        self._ended, self._text, self._at = True, "", 0
        return _Bad(f"{reason}; the rest of the file was not read")

    def _elements(self, origin: Origin) -> Iterator[_Row]:
        while (char := self._peek()) and char != "]":
            if char in ",}":  # a brace is left over from a broken row
                self._at += 1
                continue
            yield (origin, *self._value())
        if not char:
            yield origin, _Bad("broken JSON: the file ends inside a list"), ""
        self._at += 1

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on, dropping what was used; False at the end of the file."""
        if self._ended:
            return False
        chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            rest = self._decode(b"", True)
        else:
            rest = self._decode(chunk)
        self._text = self._text[self._at :] + rest
        self._at = 0
        return chunk is not None or bool(rest)

    def _value(self) -> tuple[Any, str]:
        """The value at the window's start and its text; a _Bad for one that is broken or too long."""
        wanted = 0  # parse again only after the window has doubled, so that a long row costs linear time
        while True:
            have = len(self._text) - self._at
            if have >= wanted or self._ended:
                try:
                    value, end = DECODER.raw_decode(self._text, self._at)
                except (ValueError, RecursionError) as error:
                    position = getattr(error, "pos", 0)
                    cut = position > len(self._text) - 16 or str(error).startswith("Unterminated string")
                    if self._ended or not cut or isinstance(error, RecursionError):
                        return self._skip_broken(_json_reason(error, self._at))
                else:
                    # A number at the window's end may go on in the next piece.
                    if end < len(self._text) or self._ended:
                        text = self._text[self._at : end]
                        self._at = end
                        if len(text) > MAX_ROW_BYTES:
                            return _Bad(too_long(len(text))), text[:EXCERPT_CHARS]
                        return value, text
                wanted = 2 * have
            if have > MAX_ROW_BYTES:
                return self._skip_broken("")
            self._more()

    def _skip_broken(self, reason: str) -> tuple[_Bad, str]:
        """Go past a value that cannot be read, by counting brackets outside strings."""
        head = self._text[self._at : self._at + EXCERPT_CHARS]
        if head[:1] not in ("{", "["):
            match = _NEXT.search(self._text, self._at + 1)
            end = match.start() if match else len(self._text)
            size, self._at = end - self._at, end
            return _Bad(reason or too_long(size)), head[:size]
        depth = size = 0
        in_string = False
        while True:
            at, text, done = self._at, self._text, False
            while at < len(text) and not done:
                if in_string:
                    match = _IN_STRING.match(text, at)
                    assert match is not None
                    at = match.end()
                    if at >= len(text) - 1 and text[at:] in ("", "\\"):
                        break
                    at += 1
                    in_string = False
                    done = text[at - 1] == "\n" and _ROW_START.match(text, at) is not None
                    continue
                match = _MARK.search(text, at)
                at = match.end() if match else len(text)
                mark = match.group() if match else ""
                in_string = mark == '"'
                depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark, 0)
                done = depth == 0
            size += at - self._at
            self._at = at
            if done:
                return _Bad(reason or too_long(size)), head[:size]
            if not self._more():
                return _Bad(f"{reason or too_long(size)}; the file ends before the row does"), head[:size]


def _split(list_name: str, origin: Origin) -> str | None:
    return list_name if list_name in SPLITS else origin.split


def _is_row(value: Any) -> bool:
    """An object that is no chat turn."""
    return isinstance(value, dict) and not {"role", "content"} <= value.keys() and not {"from", "value"} <= value.keys()
