"""Which pieces is a text made of? Sets of three-word shingles as sorted 32-bit numbers.

Words are compared case-folded and without marks; a character of a script without blanks is a word. Two different
shingles of one pair of texts get the same number with a probability below 1e-6, so that the Jaccard index of the
numbers is that of the shingles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 3
_NO_BLANKS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_NO_BLANKS}]|[^\W{_NO_BLANKS}]+")
_ASCII = {code: chr(code).lower() if re.match(r"\w", chr(code)) else " " for code in range(128)}
_MOST_WORDS = 20_000  # of one text: a megabyte of one response must not stand for the whole data set
_KNOWN_WORDS = 500_000
_ODD = [np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)]


class _Numbers(dict[str, int]):
    """A number for every word, remembered: dictionary look-ups are four times faster than hashing."""

    def __missing__(self, word: str) -> int:
        if len(self) > _KNOWN_WORDS:
            self.clear()
        data = word.encode("utf-8", "surrogatepass")
        number = self[word] = crc32(data) << 32 | crc32(data, 0x5BD1E995)
        return number


_NUMBERS = _Numbers()


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingles of N texts, one after the other: text i has `values[starts[i]:starts[i + 1]]`, sorted, each once."""

    values: NDArray[np.uint32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, index: int) -> NDArray[np.uint32]:
        return self.values[self.starts[index] : self.starts[index + 1]]


def words(text: str) -> list[str]:
    """
    >>> words("The Frindle's RITUAL — 風呂")
    ['the', 'frindle', 's', 'ritual', '風', '呂']
    """
    if text.isascii():  # the same words, five times faster
        return text.translate(_ASCII).split()[:_MOST_WORDS]
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())[:_MOST_WORDS]


def shingles_of(texts: Sequence[str]) -> Shingles:
    """The shingles of each text; one of fewer than three words is a single shingle, an empty one has none."""
    lengths, numbers = np.zeros(len(texts), np.int64), []
    for index, text in enumerate(texts):
        found = list(map(_NUMBERS.__getitem__, words(text)))
        if found:
            found += found[-1:] * (SHINGLE_WORDS - len(found))
            lengths[index] = len(found)
            numbers += found
    flat = np.asarray(numbers, np.uint64)
    if not len(flat):
        return Shingles(np.zeros(0, np.uint32), np.zeros(len(texts) + 1, np.int64))
    ends = np.cumsum(lengths)
    mixed = np.zeros(len(flat), np.uint64)
    for place in range(SHINGLE_WORDS):
        mixed[: len(flat) - place] += flat[place:] * _ODD[place]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _ODD[0]
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    # The last two places of a text are not the beginning of a shingle.
    begins = np.ones(len(flat), bool)
    for place in range(1, SHINGLE_WORDS):
        begins[ends[lengths > 0] - place] = False
    keys = owner[begins] << np.uint64(32) | mixed[begins] >> np.uint64(32)
    keys.sort()  # np.unique would hash them, which takes ten times as long
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return Shingles((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.concatenate([[0], np.cumsum(counts)]))


def joined(parts: list[Shingles]) -> Shingles:
    """The texts of all parts, in order. Empties the list: a million texts need not be in memory twice."""
    values = np.empty(sum(len(part.values) for part in parts), np.uint32)
    starts = [np.zeros(1, np.int64)]
    offset = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        starts.append(part.starts[1:] + offset)
        values[offset : offset + len(part.values)] = part.values
        offset += len(part.values)
    return Shingles(values, np.concatenate(starts))


def jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """Shared shingles by all shingles of two sorted sets; two empty ones are not alike.

    >>> jaccard(np.array([1, 2, 3], np.uint32), np.array([2, 3, 4], np.uint32))
    0.5
    """
    if not len(one) or not len(other):
        return 0.0
    both = np.concatenate([one, other])
    both.sort()
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)
