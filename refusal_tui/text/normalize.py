"""How is a text made comparable before refusal phrases are looked for in it?

"I **can’t** help" and "i can't help" must match the same phrase. Every character is mapped on its own (case folded,
typographic quotes, dashes and blanks made plain, compatibility forms such as fullwidth letters resolved, invisible
characters and markdown's * and ` removed); then underscores at word edges and leading blanks go. Because the mapping is
per character, the way back to the raw text is computed only where evidence must be shown.

Fast, because a judge has about 100 µs per row. Per 1,000 characters (one core, Python 3.11): 8 µs for English, curly
quotes included, 40 µs where other characters occur.

What it does not do: fold accents, undo look-alike letters of other scripts, or collapse blanks (phrases say \\s+).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

_SINGLE_QUOTES = "‘’‚‛′ʹʻʼʽˈ´＇"
_DOUBLE_QUOTES = "“”„‟″«»"
_DASHES = "‐‑‒–—―−﹘﹣－"
_BLANKS = "\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
_FIXED = (
    dict.fromkeys(_SINGLE_QUOTES, "'")
    | dict.fromkeys(_DOUBLE_QUOTES, '"')
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_BLANKS, " ")
    | dict.fromkeys(_LINE_ENDS, "\n")
    | {"*": "", "`": "", "\r": "\r", "\n": "\n", "…": "..."}
)
# Default_Ignorable_Code_Point beyond the format characters (Cf): joiners, fillers, variation selectors.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


class _Fold(dict[int, str | None]):
    """`str.translate` table from a character to what it is compared as, filled as characters are met.

    None removes the character; "" would, too, but ten times slower.
    """

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        if char in _FIXED:
            folded = _FIXED[char]
        elif unicodedata.category(char) in {"Cc", "Cf"} or _IGNORABLE.match(char):
            folded = ""
        else:
            compatible = unicodedata.normalize("NFKC", char)
            folded = "".join(_FIXED.get(part, part) for part in compatible).casefold()
        self[code] = folded or None
        return folded or None


_FOLD = _Fold()
# With these gone most English text is ASCII, where `translate` is twenty times faster; `replace` costs next to nothing.
_FREQUENT = tuple((char, _FIXED[char]) for char in "’‘“”–—…\xa0‑")
# _emphasis_ goes, snake_case stays.
# Begins with a literal, so that `re` jumps from one underscore to the next.
_EDGE_UNDERSCORES = re.compile(r"_(?:(?<!\w_)_*|_*(?!\w))")
# Characters that are not known to become exactly one.
_MAYBE_UNEVEN = re.compile(r"[^\n\r -)+-^a-~‘’“”–—\xa0‑]")


class Normalized:
    """Text to match against, with the way back to the raw text it came from."""

    __slots__ = ("_anchors", "_origin", "_raw", "text")

    def __init__(self, text: str, raw: str) -> None:
        self.text = text
        self._raw = raw
        self._origin: list[int] | None = None
        self._anchors: tuple[list[int], list[int]] | None = None

    @property
    def origin(self) -> Sequence[int]:
        """`origin[i]` is the raw offset of the character that `text[i]` came from; as long as `text`, never decreasing.

        Computed when first asked for (about 0.2 ms per 1,000 characters).
        """
        if self._origin is None:
            self._origin = _origin(self._raw)
        return self._origin

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw [start, end) behind `text[start:end]`, from its first character to its last.

        >>> normalized = normalize("  I **can’t** help")
        >>> normalized.raw_span(2, 7)
        (6, 11)
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span {start}:{end} is outside a text of {len(self.text)} characters")
        if start == end:
            at = self._raw_at(start) if start < len(self.text) else len(self._raw)
            return at, at
        return self._raw_at(start), self._raw_at(end - 1) + 1

    def _raw_at(self, place: int) -> int:
        """`origin[place]`, without making the whole list: a judge asks for a few places of every text."""
        if self._origin is not None or "_" in self._raw:
            return self.origin[place]
        if self._anchors is None:
            self._anchors = _anchors(self._raw, len(self.text))
        places, raws = self._anchors
        nearest = bisect_right(places, place) - 1
        return raws[nearest] + place - places[nearest]


def normalize(text: str, limit: int | None = None) -> Normalized:
    """The first `limit` characters of `text` (default: all), made comparable as the module docstring says.

    >>> normalize("  I’m **sorry** — I can_not_ help").text
    "i'm sorry - i can_not help"
    """
    raw = text if limit is None else text[:limit]
    plain = raw
    if not plain.isascii():
        for char, folded in _FREQUENT:
            plain = plain.replace(char, folded)
    plain = plain.translate(_FOLD)
    if "_" in plain:
        plain = _EDGE_UNDERSCORES.sub("", plain)
    return Normalized(plain.lstrip(), raw)


def _origin(raw: str) -> list[int]:
    """The raw offset of every character of `normalize(raw).text`: the same steps, character by character."""
    chars: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(raw):
        folded = _FOLD[ord(char)] or ""
        chars.append(folded)
        origin.extend([index] * len(folded))
    plain = "".join(chars)
    for match in reversed(list(_EDGE_UNDERSCORES.finditer(plain))):
        del origin[match.start() : match.end()]
    plain = _EDGE_UNDERSCORES.sub("", plain)
    return origin[len(plain) - len(plain.lstrip()) :]


def _anchors(raw: str, length: int) -> tuple[list[int], list[int]]:
    """Places of the normalised text (`length` characters) and the raw offsets they come from, such that from each to
    the next both advance by one character at a time. For texts without underscores."""
    places, raws = [0], [0]
    for match in _MAYBE_UNEVEN.finditer(raw):
        index = match.start()
        width = len(_FOLD[ord(raw[index])] or "")
        if width == 1:
            continue
        place = places[-1] + index - raws[-1]
        places.extend(range(place, place + width + 1))
        raws.extend([index] * width + [index + 1])
    leading = places[-1] + len(raw) - raws[-1] - length
    return [place - leading for place in places], raws
