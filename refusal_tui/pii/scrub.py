"""How does personal data leave a text? Typed, numbered placeholders: the same value always gets the same one.

Numbers, not hashes: the few million possible phone numbers could be tried against a hash. A `Scrubber` lives as long as
one data set is written, in one order of rows, so that writing it again gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from refusal_tui.pii.find import find_pii
from refusal_tui.pii.spans import PiiSpan, PiiType


@dataclass
class Scrubber:
    """Remembers which value has which placeholder; `find` may be replaced to look for names, too (`names.py`)."""

    find: Callable[[str], Iterable[PiiSpan]] = find_pii
    _numbers: dict[tuple[PiiType, str], int] = field(default_factory=dict)
    _used: dict[PiiType, int] = field(default_factory=dict)

    def scrub(self, text: str) -> str:
        """
        >>> Scrubber().scrub("Ask mara@blorpmail.net or Mara@Blorpmail.net.")
        'Ask <EMAIL_1> or <EMAIL_1>.'
        """
        parts, position = [], 0
        for span in self.find(text):
            parts += [text[position : span.start], self._placeholder(span.type, text[span.start : span.end])]
            position = span.end
        return "".join([*parts, text[position:]]) if parts else text

    def _placeholder(self, kind: PiiType, value: str) -> str:
        same = (
            value if kind is PiiType.API_KEY else re.sub(r"[\s().-]" if kind is not PiiType.EMAIL else r"\s", "", value)
        )
        key = (kind, same if kind is PiiType.API_KEY else same.casefold())
        if key not in self._numbers:
            self._used[kind] = self._numbers[key] = self._used.get(kind, 0) + 1
        return f"<{kind.value}_{self._numbers[key]}>"


def masked(text: str, spans: Iterable[PiiSpan]) -> str:
    """The text with `<TYPE>` in place of each span: what may be shown. `spans` in order, without overlaps.

    >>> masked("Ask mara@blorpmail.net.", find_pii("Ask mara@blorpmail.net."))
    'Ask <EMAIL>.'
    """
    parts, position = [], 0
    for span in spans:
        parts += [text[position : span.start], f"<{span.type.value}>"]
        position = span.end
    return "".join([*parts, text[position:]])
