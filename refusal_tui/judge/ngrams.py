"""Which hashed n-grams stand in a text? For many texts at once, in numpy, without a vocabulary.

Words (a run of letters and digits, apostrophes inside; every other sign and every CJK character alone) are hashed by
prefix sums of a polynomial over code points, so that the cost is a few passes over one array whatever the text. Bound
to a region: the opening of an answer says other things than its body or its end. Buckets are shared by all (the hashing
trick: Weinberger et al., ICML 2009); an n-gram counts once per text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 17
# Characters of each region, of the normalised answer.
OPENING, BODY, END = 160, 900, 160
MAX_WORDS = 3
CHARACTERS = (3, 5)  # n-grams over code points, opening only: they carry languages and inflections

_U64 = np.uint64
_BASE = _U64(0x9E3779B97F4A7C15 | 1)
_MIX = _U64(0xD6E8FEB86659FD93)
_NEXT_WORD = _U64(0x9FB21C651E98DF25)

_OTHER, _LETTER, _SIGN = 0, 1, 2
_TABLE_SIZE = 0x3000


class Gram(NamedTuple):
    """An n-gram of one text: its bucket and the characters [start, end) of the normalised answer it stands on."""

    bucket: int
    start: int
    end: int


class _Keys(NamedTuple):
    """`text number * BUCKETS + bucket` of n-grams, and where each begins and ends in the region's code points."""

    keys: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def regions(answer: str) -> tuple[str, str, str]:
    """(opening, body, end) of a normalised answer; body and end are empty where it is short."""
    opening, rest = answer[:OPENING], answer[OPENING:]
    if len(rest) <= BODY:
        return opening, rest, ""
    return opening, rest[:BODY], rest[-min(END, len(rest) - BODY) :]


def buckets_of(answers: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct (text number, bucket) pairs of `answers`, ordered: two arrays of the same length."""
    cut = [regions(answer) for answer in answers]
    keys = [found.keys for region in range(3) for found in _region_keys([texts[region] for texts in cut], region)]
    pairs = np.sort(np.concatenate(keys)) if keys else np.empty(0, np.int64)
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]  # np.unique hashes, which is five times slower here
    return pairs // BUCKETS, pairs % BUCKETS


def grams_of(answer: str) -> list[Gram]:
    """Every n-gram of one normalised answer with its place, repetitions included: the slow way, to explain."""
    cut = regions(answer)
    offsets = (0, len(cut[0]), len(answer) - len(cut[2]))
    return [
        Gram(key, offset + start, offset + end)
        for region, offset in enumerate(offsets)
        for found in _region_keys([cut[region]], region)
        for key, start, end in zip(found.keys.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)
    ]


def _region_keys(texts: Sequence[str], region: int) -> list[_Keys]:
    """Every n-gram of one region, with repetitions."""
    codes = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if not len(codes):
        return []
    ends = np.cumsum([len(text) + 1 for text in texts])
    owner = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
    owner_change = np.zeros(len(codes), bool)
    owner_change[ends[:-1]] = True
    hashes = _prefix_hashes(codes)
    salt = _U64(0x51ED270B) * _U64(region + 1)
    keys = _word_keys(codes, owner, owner_change, hashes, salt)
    if region == 0:
        keys += _character_keys(codes, owner, hashes, salt)
    return keys


def _word_keys(
    codes: NDArray[np.uint32], owner: NDArray[np.int64], change: NDArray[np.bool_], hashes: _Hashes, salt: np.uint64
) -> list[_Keys]:
    kind = _kinds(codes)
    letter = kind == _LETTER
    begins = (kind == _SIGN) | (letter & ~np.concatenate(([False], letter[:-1] & ~change[1:])))
    starts = np.flatnonzero(begins)
    if not len(starts):
        return []
    # A word ends before the next character that is not its own: the next start, or the next blank.
    stops = np.flatnonzero(~letter | change)
    places = np.searchsorted(stops, starts, side="right")
    ends = np.where(kind[starts] == _SIGN, starts + 1, np.append(stops, len(codes))[places])
    words = hashes.of(starts, ends)
    owners = owner[starts]
    keys = []
    gram = words
    for length in range(1, MAX_WORDS + 1):
        if length > 1:
            gram = gram[:-1] * _NEXT_WORD + words[length - 1 :]
            same = owners[length - 1 :] == owners[: len(gram)]
        else:
            same = np.ones(len(gram), bool)
        mixed = _mixed(gram[same], owners[: len(gram)][same], salt + _U64(length))
        keys.append(_Keys(mixed, starts[: len(gram)][same], ends[length - 1 :][same]))
    return keys


def _character_keys(
    codes: NDArray[np.uint32], owner: NDArray[np.int64], hashes: _Hashes, salt: np.uint64
) -> list[_Keys]:
    keys = []
    for length in CHARACTERS:
        starts = np.arange(max(len(codes) - length, 0))
        starts = starts[owner[starts] == owner[starts + length]]
        mixed = _mixed(hashes.of(starts, starts + length), owner[starts], salt + _U64(16 + length))
        keys.append(_Keys(mixed, starts, starts + length))
    return keys


def _mixed(grams: NDArray[np.uint64], owners: NDArray[np.int64], salt: np.uint64) -> NDArray[np.int64]:
    mixed = (grams + salt) * _MIX
    mixed ^= mixed >> _U64(32)
    mixed *= _MIX
    return owners * BUCKETS + (mixed >> _U64(64 - 17)).astype(np.int64)


class _Hashes:
    """Hashes of any span of an array of code points, from prefix sums modulo 2**64."""

    def __init__(self, sums: NDArray[np.uint64], inverse: NDArray[np.uint64]) -> None:
        self._sums = sums
        self._inverse = inverse

    def of(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        return (self._sums[ends] - self._sums[starts]) * self._inverse[starts]


def _prefix_hashes(codes: NDArray[np.uint32]) -> _Hashes:
    powers, inverse = _powers(len(codes))
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes.astype(np.uint64) + _U64(1)) * powers, out=sums[1:])
    return _Hashes(sums, inverse)


_cached: list[NDArray[np.uint64]] = []


def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The powers of the base and of its inverse modulo 2**64 (it is odd, so there is one)."""
    if not _cached or len(_cached[0]) < count:
        size = max(count, 1 << 16)
        inverse = _U64(pow(int(_BASE), -1, 1 << 64))
        _cached[:] = [np.cumprod(np.insert(np.full(size - 1, x), 0, 1), dtype=np.uint64) for x in (_BASE, inverse)]
    return _cached[0][:count], _cached[1][:count]


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    small = np.minimum(codes, _TABLE_SIZE - 1)
    kinds: NDArray[np.uint8] = _KIND[small]
    beyond = codes >= _TABLE_SIZE  # CJK, Hangul, emoji: each character alone
    return np.where(beyond, np.uint8(_SIGN), kinds)


def _kind_of(char: str) -> int:
    if char.isspace() or not char.isprintable():
        return _OTHER
    return _LETTER if char.isalnum() or char == "'" else _SIGN


_KIND = np.array([_kind_of(chr(code)) for code in range(_TABLE_SIZE)], np.uint8)
