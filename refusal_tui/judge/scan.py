"""Where do the phrase rules match? All rules in one pass, because a judge has 100 µs per row.

Python's `re` tries the branches of an alternation one after the other, but skips a branch at once when it begins with
another letter, and it pays for every capturing group at every match. So the English patterns are sorted by first letter
and by the words they begin with, and joined without groups; which rule it was is asked afterwards, for the few phrases
found. 25 µs per response of 500 characters for 400 beginnings; the plain alternation needs 150.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
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


class _Named(NamedTuple):
    """An expression whose n-th group belongs to the n-th rule."""

    expression: re.Pattern[str]
    rules: tuple[Rule, ...]

    def rule(self, match: re.Match[str]) -> Rule:
        return self.rules[(match.lastindex or 1) - 1]


class _English(NamedTuple):
    """`finder` finds phrases; `letters` names the rule of a phrase, by its first letter."""

    finder: re.Pattern[str]
    letters: Mapping[str, _Named]


def english(text: str) -> list[Hit]:
    """The English phrases in `text`, from left to right, without overlap.

    `text` is normalised (text/normalize.py) and has no line ends, so that a phrase may run over one.
    """
    # One blank in front, for `_BEFORE`: a match then begins where its phrase begins in `text`.
    return [
        Hit(match.start(), match.end() - 1, _rule_of(match.group()[1:]))
        for match in compiled().finder.finditer(f" {text}")
    ]


def english_at_start(text: str) -> Hit | None:
    """The phrase that `text` begins with."""
    match = compiled().finder.match(f" {text}")
    return None if match is None else Hit(0, match.end() - 1, _rule_of(match.group()[1:]))


@lru_cache(maxsize=8192)  # the same few phrases open most responses
def _rule_of(phrase: str) -> Rule:
    named = compiled().letters[phrase[0]]
    match = named.expression.fullmatch(phrase)
    if match is None:  # the finder and the letters are made from the same patterns
        raise AssertionError(phrase)
    return named.rule(match)


@cache
def compiled() -> _English:
    """The rules of `lexicon.py` and `lexicon_context.py`, compiled at first use (0.1 s)."""
    by_letter: dict[str, dict[str, list[tuple[str, Rule]]]] = {}
    for rule, pattern in patterns((*RULES, *CONTEXT_RULES)):
        starts, rest = split_start(pattern)
        for start in starts:
            by_letter.setdefault(start[0], {}).setdefault(start[1:], []).append((rest, rule))
    plain: list[str] = []
    letters: dict[str, _Named] = {}
    for letter, tails in sorted(by_letter.items()):
        plain.append(letter + _branches(tails, "(?:{})"))
        rules = tuple(rule for rests in tails.values() for _, rule in rests)
        letters[letter] = _Named(re.compile(letter + _branches(tails, "({})")), rules)
    return _English(re.compile(f"{_BEFORE}(?:{'|'.join(plain)})"), letters)


def _branches(tails: Mapping[str, list[tuple[str, Rule]]], group: str) -> str:
    branches = []
    for tail, rests in tails.items():
        # A beginning of one letter ("i") must be a word, or every word with that letter would be tried.
        edge = "" if tail else r"\b"
        branches.append(f"{re.escape(tail)}{edge}(?:{'|'.join(group.format(rest) for rest, _ in rests)})")
    return f"(?:{'|'.join(branches)})"


@cache
def _languages() -> _Named:
    pairs = list(patterns(LANGUAGE_RULES))
    expression = re.compile("|".join(f"({pattern})" for _, pattern in pairs))
    return _Named(expression, tuple(rule for rule, _ in pairs))


def other_languages(text: str) -> list[Hit]:
    """The phrases of `languages.py` in normalised `text`."""
    named = _languages()
    return [Hit(match.start(), match.end(), named.rule(match)) for match in named.expression.finditer(text)]


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


def patterns(rules: Iterable[Rule]) -> Iterable[tuple[Rule, str]]:
    """Every pattern of every rule with its pieces filled in (pieces hold no pieces)."""
    for rule in rules:
        for pattern in rule.patterns:
            for name, piece in PIECES.items():
                pattern = pattern.replace(f"{{{name}}}", piece)
            yield rule, pattern
