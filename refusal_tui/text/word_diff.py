"""Which words differ between two texts? Spans for painting, in bounded time whatever the texts are."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import zip_longest

_TOKEN = re.compile(r"\w+|[^\w\s]")
MOST_WORDS = 400  # compared one by one; between texts of more words only what begins and ends alike is found
MOST_CHARACTERS = 20_000  # what lies beyond is not compared

Spans = list[tuple[int, int]]


def word_diff(old: str, new: str) -> tuple[Spans, Spans]:
    """[start, end) of the words of `old` that are gone, and of the words of `new` that have come.

    Words are compared in any case of letters. Neighbouring words make one span.

    >>> word_diff("How do I make it?", "How was it made?")
    ([(4, 13)], [(4, 7), (11, 15)])
    """
    old, new = old[:MOST_CHARACTERS], new[:MOST_CHARACTERS]
    olds = [found.span() for found in _TOKEN.finditer(old)]
    news = [found.span() for found in _TOKEN.finditer(new)]
    one, other = [old[a:b].casefold() for a, b in olds], [new[a:b].casefold() for a, b in news]
    head = _same(one, other)
    tail = _same(one[head:][::-1], other[head:][::-1])
    left, right = (head, len(one) - tail), (head, len(other) - tail)
    if max(left[1] - left[0], right[1] - right[0]) > MOST_WORDS:
        blocks = [(left[0], left[1], right[0], right[1])]
    else:
        matcher = SequenceMatcher(None, one[slice(*left)], other[slice(*right)])
        blocks = [
            (a + head, b + head, c + head, d + head) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"
        ]
    gone = [(olds[a][0], olds[b - 1][1]) for a, b, _, _ in blocks if b > a]
    come = [(news[c][0], news[d - 1][1]) for _, _, c, d in blocks if d > c]
    return gone, come


def _same(one: list[str], other: list[str]) -> int:
    """How many words at the beginning are the same."""
    for number, (left, right) in enumerate(zip_longest(one, other)):
        if left != right:
            return number
    return len(one)
