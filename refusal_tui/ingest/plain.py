"""What may be stored: rows as plain JSON values, and text that SQLite can hold and search."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import re
from typing import Any

from refusal_tui.ingest.items import BadRow


def finite(text: str) -> float | None:
    """A JSON number as a float; NaN, Infinity and 1e999 become None, because JSON text in SQLite cannot hold them."""
    number = float(text)
    return number if math.isfinite(number) else None


DECODER = json.JSONDecoder(parse_float=finite, parse_constant=lambda name: None)


MAX_DEPTH = 200


_ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD])").search  # measured: half the time of `"\\u" in text`


def looks_odd(json_text: str, row: dict[str, Any]) -> bool:
    """Whether a row, read from `json_text`, needs `check_storable`: cheap, True too often, never too seldom."""
    if _ODD_ESCAPE(json_text):
        return True
    for value in row.values():
        if value.__class__ is dict or value.__class__ is list:
            return json_text.count("{") + json_text.count("[") > MAX_DEPTH
    return False


def check_storable(value: Any, depth: int = 0) -> None:
    """Raise BadRow for text with a NUL character or half a surrogate pair anywhere in `value`, or for deep nesting.

    SQLite's text functions stop at a NUL, so that the rest of such a text could never be found again, and a lone
    surrogate is no text at all: both are told to the user, never altered. What is nested deeper than MAX_DEPTH could
    be read, but not be written again.
    """
    if depth > MAX_DEPTH:
        raise BadRow(f"the row is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        if "\0" in value:
            raise BadRow(f"the text holds a NUL character (U+0000) at position {value.index(chr(0))}")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                code = ord(value[error.start])
                raise BadRow(
                    f"the text holds half of a surrogate pair (U+{code:04X}) at position {error.start}"
                ) from None
    elif isinstance(value, dict):
        for name, inner in value.items():
            check_storable(name)
            check_storable(inner, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            check_storable(inner, depth + 1)


def plain(value: Any) -> Any:
    """`value` of a Parquet or Hub row as JSON-able Python: dates as ISO text, bytes as text or base64, NaN as None.

    Raises BadRow for what has no such form (an image, a sound, a tensor of another library).
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta)):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if hasattr(value, "tolist"):  # a numpy scalar or array, without importing numpy
        return plain(value.tolist())
    raise BadRow(f"a cell holds a value of the kind {type(value).__name__}, which has no text form")


def kind_of(value: Any) -> str:
    """The kind of a JSON value in the words of the column tables: text, bool, int, number, list, object, null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return _KINDS.get(type(value), type(value).__name__)


_KINDS = {str: "text", int: "int", float: "number", list: "list", tuple: "list", dict: "object"}
