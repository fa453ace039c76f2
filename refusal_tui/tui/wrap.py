"""Where does a long text break into lines? Offsets only, so that a line of 1 MB is never copied.

Textual wraps words with Python objects per word; a response may be a megabyte, and a screen must open at once.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass

from rich.cells import split_graphemes

# One cell each, whatever follows: no width has to be looked up.
_NARROW = re.compile("[ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u2010-\u2027\u2190-\u21ff\u2400-\u243f⟨⟩]*")


@dataclass(frozen=True, slots=True)
class Lines:
    """Line i is `text[starts[i]:ends[i]]`."""

    starts: array[int]
    ends: array[int]

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, offset: int) -> int:
        """The line that holds character `offset`."""
        return max(bisect_right(self.starts, offset) - 1, 0)


def wrap(text: str, width: int) -> Lines:
    """Break safe text into lines of at most `width` cells, at blanks where there are any.

    >>> lines = wrap("one two three", 8)
    >>> ["one two three"[a:b] for a, b in zip(lines.starts, lines.ends)]
    ['one two', 'three']
    """
    width = max(width, 2)  # a wide character takes two cells
    starts, ends = array("q"), array("q")
    position = 0
    while True:
        end = text.find("\n", position)
        stop = len(text) if end < 0 else end
        if stop - position <= width // 2:  # short, even if every character takes two cells
            starts.append(position)
            ends.append(stop)
        else:
            _wrap_paragraph(text, position, stop, width, starts, ends)
        if end < 0:
            return Lines(starts, ends)
        position = end + 1


def _wrap_paragraph(text: str, start: int, stop: int, width: int, starts: array[int], ends: array[int]) -> None:
    narrow = _NARROW.match(text, start, stop)
    if narrow is None or narrow.end() < stop:
        _wrap_graphemes(text, start, stop, width, starts, ends)
        return
    while stop - start > width:
        blank = text.rfind(" ", start + 1, start + width + 1)
        starts.append(start)
        ends.append(start + width if blank < 0 else blank)
        start = start + width if blank < 0 else blank + 1
    starts.append(start)
    ends.append(stop)


def _wrap_graphemes(text: str, start: int, stop: int, width: int, starts: array[int], ends: array[int]) -> None:
    line, used, blank, used_to_blank = start, 0, -1, 0
    spans, _ = split_graphemes(text[start:stop])
    for begin, end, cells in spans:
        if used + cells > width:
            if blank > line:  # break after the last blank of the line
                starts.append(line)
                ends.append(blank)
                line, used = blank + 1, used - used_to_blank
            if used + cells > width:
                starts.append(line)
                ends.append(start + begin)
                line, used = start + begin, 0
            blank = -1
        used += cells
        if end - begin == 1 and text[start + begin] == " ":
            blank, used_to_blank = start + begin, used
    starts.append(line)
    ends.append(stop)
