"""Where do the phrase rules match? All rules in one pass, because a judge has 100 µs per row.

Python's `re` tries the branches of an alternation one after the other, but skips a branch at once when it begins with
another letter, and it pays for every capturing group at every match. So the English patterns are sorted by first letter
and by the words they begin with, and joined without groups; which rule it was is asked again, at the few places where
something matched. 25 µs per response of 500 characters for 400 beginnings; the plain alternation needs 150.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from refusal_tui.judge.languages import LANGUAGE_RULES
from refusal_tui.judge.lexicon import PIECES, RULES, Rule
from refusal_tui.judge.lexicon_context import CONTEXT_RULES

# What may stand before a phrase.
_BEFORE = r"[ \"(\[/;,.:!?-]"


class Hit(NamedTuple):
    """`rule` matched at text[start:end]."""

    start: int
    end: int
    rule: Rule


class _Naming(NamedTuple):
    """An expression whose n-th group belongs to the n-th rule."""

    expression: re.Pattern[str]
    rules: tuple[Rule, ...]

    def hit(self, match: re.Match[str]) -> Hit:
        return Hit(match.start(), match.end(), self.rules[(match.lastindex or 1) - 1])


class Scanner(NamedTuple):
    """Finds phrases with `expression`, names them with the expression of their first letter."""

    expression: re.Pattern[str]
    letters: Mapping[str, _Naming]

    def hits(self, text: str) -> list[Hit]:
        """Matches from left to right, without overlap. `text` is normalised and has no line ends."""
        # One blank in front, for `_BEFORE`: a match then begins where its phrase begins in `text`.
        hits = []
        for match in self.expression.finditer(f" {text}"):
            start = match.start()
            named = self.letters[text[start]]
            again = named.expression.match(text, start)
            if again is not None:
                hits.append(named.hit(again))
        return hits

    def hit_at_start(self, text: str) -> Hit | None:
        """The phrase that `text` begins with."""
        named = self.letters.get(text[:1])
        match = named.expression.match(text) if named is not None else None
        return named.hit(match) if named is not None and match is not None else None


@cache
def english() -> Scanner:
    """The scanner of `lexicon.py` and `lexicon_context.py`; compiled at first use (about 0.1 s)."""
    by_letter: dict[str, dict[str, list[tuple[str, Rule]]]] = {}
    for rule, pattern in _patterns((*RULES, *CONTEXT_RULES)):
        starts, rest = split_start(pattern)
        for start in starts:
            by_letter.setdefault(start[0], {}).setdefault(start[1:], []).append((rest, rule))
    plain: list[str] = []
    letters: dict[str, _Naming] = {}
    for letter, tails in sorted(by_letter.items()):
        plain.append(letter + _branches(tails, "(?:{})"))
        rules = tuple(rule for rests in tails.values() for _, rule in rests)
        letters[letter] = _Naming(re.compile(letter + _branches(tails, "({})")), rules)
    return Scanner(re.compile(f"{_BEFORE}(?:{'|'.join(plain)})"), letters)


def _branches(tails: Mapping[str, list[tuple[str, Rule]]], group: str) -> str:
    branches = []
    for tail, rests in tails.items():
        # A beginning of one letter ("i") must be a word, or every word with that letter would be tried.
        edge = "" if tail else r"\b"
        branches.append(f"{re.escape(tail)}{edge}(?:{'|'.join(group.format(rest) for rest, _ in rests)})")
    return f"(?:{'|'.join(branches)})"


@cache
def _languages() -> _Naming:
    patterns = list(_patterns(LANGUAGE_RULES))
    expression = re.compile("|".join(f"({pattern})" for _, pattern in patterns))
    return _Naming(expression, tuple(rule for rule, _ in patterns))


def other_languages(text: str) -> list[Hit]:
    """Matches of `languages.py` in normalised `text`."""
    named = _languages()
    return [named.hit(match) for match in named.expression.finditer(text)]


_START = re.compile(r"\(\?:([a-z' |-]+)\)(?![?*{])|([a-z']+)(?![?*{a-z'])")


def split_start(pattern: str) -> tuple[list[str], str]:
    """The literal words that `pattern` begins with, and the rest of it.

    >>> split_start("(?:my|our) guidelines?")
    (['my', 'our'], ' guidelines?')
    >>> split_start("sorry, (?:but )?no")
    (['sorry'], ', (?:but )?no')
    """
    match = _START.match(pattern)
    if match is None:
        raise ValueError(f"a pattern must begin with literal letters: {pattern}")
    return (match[1].split("|") if match[1] else [match[2]]), pattern[match.end() :]


def _patterns(rules: Iterable[Rule]) -> Iterable[tuple[Rule, str]]:
    """Every pattern of every rule with its pieces filled in (pieces hold no pieces)."""
    for rule in rules:
        for pattern in rule.patterns:
            for name, piece in PIECES.items():
                pattern = pattern.replace(f"{{{name}}}", piece)
            yield rule, pattern
