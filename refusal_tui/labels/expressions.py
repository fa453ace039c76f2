"""How does a constitution say when an outcome holds?

    rule    := any ("OR" any)*          any  := all ... AND binds closer than OR
    all     := not ("AND" not)*
    not     := "NOT" not | "(" rule ")" | "true" | "false" | NAME | NAME "=" VALUE | NAME "!=" VALUE

A bare NAME means NAME = yes; `true` and `false` as values are read as yes and no. Upper and lower case are the same.
Read by hand-written recursive descent into a frozen tree, evaluated in Kleene's three-valued logic: what rests on an
unknown fact is unknown (None), unless the known ones decide. Nothing is ever handed to eval.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from refusal_tui.errors import InputError

Vocabulary = Mapping[str, tuple[str, ...]]

GRAMMAR = "Write NAME, NAME = VALUE or NAME != VALUE, joined by AND, OR, NOT and ( )."
_MAX_CHARS = 10_000
_MAX_DEPTH = 50  # far beyond any rule a person writes, well below Python's recursion limit
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_.\-]*)|(?P<sign>!=|[=()]))")
_KEYWORDS = frozenset({"and", "or", "not", "true", "false"})


class ExpressionError(InputError):
    """A rule that cannot be read; `position` counts characters from 0."""

    def __init__(self, reason: str, position: int, next_step: str = GRAMMAR) -> None:
        super().__init__(f"{reason} (at character {position + 1})", next_step)
        self.position = position


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Is:
    """The fact `name` has the value `value`."""

    name: str
    value: str = "yes"

    def __str__(self) -> str:
        return self.name if self.value == "yes" else f"{self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr

    def __str__(self) -> str:
        if isinstance(self.operand, Is) and self.operand.value != "yes":
            return f"{self.operand.name} != {self.operand.value}"
        return f"NOT {_inside(self.operand, And, Or)}"


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Expr, ...]

    def __str__(self) -> str:
        return " AND ".join(_inside(operand, And, Or) for operand in self.operands)


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Expr, ...]

    def __str__(self) -> str:
        return " OR ".join(_inside(operand, Or) for operand in self.operands)


Expr = Constant | Is | Not | And | Or


def _inside(operand: Expr, *loose: type) -> str:
    return f"({operand})" if isinstance(operand, loose) else str(operand)


def all_of(*operands: Expr) -> Expr:
    """AND, with nested ANDs made flat, so that brackets that change nothing make no difference."""
    flat = [part for o in operands for part in (o.operands if isinstance(o, And) else (o,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(*operands: Expr) -> Expr:
    """OR, made flat."""
    flat = [part for o in operands for part in (o.operands if isinstance(o, Or) else (o,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def parse(text: str, vocabulary: Vocabulary | None = None) -> Expr:
    """The tree of a rule. With a `vocabulary` (name -> values) unknown names and values are errors with a suggestion.

    Raises ExpressionError with the position.

    >>> str(parse("prompt_harmful=TRUE and (not empathy or (task_content != none))"))
    'prompt_harmful AND (NOT empathy OR task_content != none)'
    """
    if len(text) > _MAX_CHARS:
        raise ExpressionError(f"A rule of {len(text):,} characters is too long", _MAX_CHARS)
    return _Parser(text, vocabulary).rule()


def evaluate(expr: Expr, facts: Mapping[str, str | None]) -> bool | None:
    """True, False, or None where the unknown facts (None or missing) decide.

    >>> evaluate(parse("a OR b"), {"a": "yes"}), evaluate(parse("a AND b"), {"a": "yes"})
    (True, None)
    """
    match expr:
        case Is(name, value):
            known = facts.get(name)
            return None if known is None else known == value
        case Constant(value):
            return value
        case Not(operand):
            result = evaluate(operand, facts)
            return None if result is None else not result
        case And(operands):
            return _until(False, operands, facts)
        case Or(operands):
            return _until(True, operands, facts)


def _until(deciding: bool, operands: tuple[Expr, ...], facts: Mapping[str, str | None]) -> bool | None:
    """AND stops at the first False, OR at the first True; otherwise one unknown operand leaves the whole unknown."""
    result: bool | None = not deciding
    for operand in operands:
        value = evaluate(operand, facts)
        if value is deciding:
            return deciding
        if value is None:
            result = None
    return result


def names(expr: Expr) -> frozenset[str]:
    """The facts that a rule speaks of.

    >>> sorted(names(parse("a AND NOT b = c")))
    ['a', 'b']
    """
    return frozenset(leaf.name for leaf in _leaves(expr))


def _leaves(expr: Expr) -> Iterator[Is]:
    match expr:
        case Is():
            yield expr
        case Not(operand):
            yield from _leaves(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _leaves(operand)


class _Parser:
    """Recursive descent over the tokens; each method reads one rule of the grammar."""

    def __init__(self, text: str, vocabulary: Vocabulary | None) -> None:
        self.text, self.vocabulary = text, vocabulary
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0

    def rule(self) -> Expr:
        expr = self.either()
        token, position = self.tokens[self.at]
        if token:
            raise ExpressionError(
                "There is a ')' too many" if token == ")" else f"AND or OR is missing before {token!r}", position
            )
        return expr

    def either(self) -> Expr:
        parts = [self.both()]
        while self.takes("or"):
            parts.append(self.both())
        return any_of(*parts)

    def both(self) -> Expr:
        parts = [self.single()]
        while self.takes("and"):
            parts.append(self.single())
        return all_of(*parts)

    def single(self) -> Expr:
        token, position = self.tokens[self.at]
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ExpressionError("The rule is nested too deeply", position)
        expr = self.negated_or_leaf(token.lower(), position)
        self.depth -= 1
        return expr

    def negated_or_leaf(self, word: str, position: int) -> Expr:
        if self.takes("not"):
            return Not(self.single())
        if self.takes("("):
            inner = self.either()
            if not self.takes(")"):
                raise ExpressionError("A ')' is missing", self.tokens[self.at][1])
            return inner
        if word in ("true", "false"):
            self.at += 1
            return Constant(word == "true")
        return self.comparison()

    def comparison(self) -> Expr:
        name, position = self.word("A name")
        self.known_name(name, position)
        for sign in ("=", "!="):
            if self.takes(sign):
                value, place = self.word("A value", {"true": "yes", "false": "no"})
                self.known_value(name, value, place)
                return self.leaf(name, value, sign == "=")
        if self.vocabulary is not None and "yes" not in self.vocabulary[name]:
            example = f"{name} = {self.vocabulary[name][0]}"
            raise ExpressionError(f"{name} is no yes-or-no question", position, f"Compare it, for example {example}.")
        return Is(name)

    def leaf(self, name: str, value: str, equal: bool) -> Expr:
        if value == "no" and self.vocabulary is not None and self.vocabulary[name] == ("yes", "no"):
            value, equal = "yes", not equal  # x = false, x != true and NOT x are one rule
        return Is(name, value) if equal else Not(Is(name, value))

    def word(self, what: str, spelled: Mapping[str, str] | None = None) -> tuple[str, int]:
        token, position = self.tokens[self.at]
        word = (spelled or {}).get(token.lower(), token.lower())
        if not token or token in ("=", "!=", "(", ")") or word in _KEYWORDS:
            found = f"{token!r} stands there" if token else "the rule ends there"
            raise ExpressionError(f"{what} is missing: {found}", position)
        self.at += 1
        return word, position

    def takes(self, word: str) -> bool:
        if self.tokens[self.at][0].lower() != word:
            return False
        self.at += 1
        return True

    def known_name(self, name: str, position: int) -> None:
        if self.vocabulary is not None and name not in self.vocabulary:
            raise ExpressionError(f"Nothing is called {name!r}", position, _hint(name, self.vocabulary))

    def known_value(self, name: str, value: str, position: int) -> None:
        if self.vocabulary is not None and value not in self.vocabulary[name]:
            raise ExpressionError(
                f"{name} is never {value!r}", position, f"It takes {', '.join(self.vocabulary[name])}."
            )


def _hint(name: str, vocabulary: Vocabulary) -> str:
    near = difflib.get_close_matches(name, vocabulary, 1)
    return f"Did you mean {near[0]}?" if near else f"Known names: {', '.join(vocabulary)}."


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Words and signs with their positions, then ("", end)."""
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"The character {text[at]!r} has no meaning here", at)
        yield match[match.lastgroup or 0], match.start(match.lastgroup or 0)
        at = match.end()
    yield "", end
