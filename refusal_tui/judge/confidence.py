"""How sure was the model of what it wrote? Probabilities of answers, from the log-probabilities of their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import exp

from refusal_tui.llm.request import TokenLogprob

_EXACT = 1e-9


def value_probability(tokens: Sequence[TokenLogprob], name: str) -> float | None:
    """The probability of the value behind the last key `name` of a JSON text: the product over its tokens.

    The quotes around it do not count. A list is taken as a whole. None where the key is not found.

    >>> written = [TokenLogprob('{"tone": "', 0.0), TokenLogprob("ca", -0.7), TokenLogprob('lm"', 0.0)]
    >>> round(value_probability(written, "tone"), 2)
    0.5
    """
    text = "".join(token.token for token in tokens)
    pattern = rf'"{re.escape(name)}"\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<list>\[[^\]]*\])|(?P<word>[\w.-]+))'
    found = list(re.finditer(pattern, text))
    if not found:
        return None
    group = next(name for name in ("text", "list", "word") if found[-1][name] is not None)
    start, end = found[-1].span(group)
    inside = [token.logprob for token, at in _placed(tokens) if at < end and at + len(token.token) > start]
    return min(1.0, exp(sum(inside))) if inside else None


def choice_probabilities(tokens: Sequence[TokenLogprob], letter: str) -> dict[str, float] | None:
    """The alternatives, with their probabilities, at the token that is the chosen letter (the last such token).

    None where no token is the letter alone: it cannot be said then what else was likely.
    """
    for token in reversed(tokens):
        if token.token.strip(" \t\n\"'*(.):") == letter:
            mass = {text.strip(" \t\n\"'*(.):"): 0.0 for text, _ in token.top}
            for text, logprob in token.top or ((token.token, token.logprob),):
                plain = text.strip(" \t\n\"'*(.):")
                mass[plain] = mass.get(plain, 0.0) + exp(logprob)
            mass[letter] = max(mass.get(letter, 0.0), exp(token.logprob), _EXACT)
            return mass
    return None


def without_leaning(mass: Mapping[str, float], leaning: Mapping[str, float]) -> dict[str, float]:
    """The probabilities of the choices after contextual calibration (Zhao et al., ICML 2021): each is divided by what
    the judge gives the choice of a text without content, and they sum to 1 again.

    >>> round(without_leaning({"A": 0.6, "B": 0.4}, {"A": 0.75, "B": 0.25})["B"], 3)
    0.667
    """
    weights = {choice: mass.get(choice, 0.0) / max(leaning[choice], _EXACT) for choice in leaning}
    total = sum(weights.values())
    return {choice: weight / total if total else 1 / len(weights) for choice, weight in weights.items()}


def mean_mass(several: Sequence[Mapping[str, float]], choices: Sequence[str]) -> dict[str, float]:
    """The mean of several distributions over the choices, each normalised over them; even where one says nothing."""
    found = dict.fromkeys(choices, 0.0)
    for mass in several:
        total = sum(mass.get(choice, 0.0) for choice in choices)
        for choice in choices:
            found[choice] += (mass.get(choice, 0.0) / total if total else 1 / len(choices)) / len(several)
    return found


def _placed(tokens: Sequence[TokenLogprob]) -> Iterator[tuple[TokenLogprob, int]]:
    position = 0
    for token in tokens:
        yield token, position
        position += len(token.token)
