"""Which prompts are wanted? A requested mix of kinds, categories, personas, tones, lengths and habits, as slots.

Shares are kept exactly (largest remainder), not drawn, so that a mix of 1,000 is the requested one; which slot has what
is shuffled by a seed, each dimension for itself. Pure and the same at every run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from refusal_tui.errors import InputError

# Mixes of the RoBERTa classifier system: shares of personas, tones, lengths (in tokens) and habits.
PERSONAS = "technical=25,naive=25,urgent=20,casual_troll=15,friendly=15"
TONES = "casual=40,formal=25,rude=15,desperate=10,friendly=10"
LENGTHS = "10-40=50,40-100=40,100-150=10"
HABITS = "greeting=30,typo=20,repeated_word=15,omitted_pronoun=15,filler=10,partial_capitals=5"
KINDS = "harmful=50,borderline=25,harmless=25"
_TOKENS_PER_WORD = 1.3


@dataclass(frozen=True, slots=True)
class Slot:
    """One wanted prompt. `length`: tokens, at least and at most; `habits`: how it is typed."""

    number: int
    kind: str
    category: str
    persona: str
    tone: str
    length: tuple[int, int]
    habits: tuple[str, ...]


def read_shares(text: str, what: str) -> dict[str, float]:
    """`a=2,b=1` as shares that sum to 1; without numbers all are alike. Raises InputError.

    >>> read_shares("a=3,b=1", "tones")
    {'a': 0.75, 'b': 0.25}
    """
    shares: dict[str, float] = {}
    for part in (p.strip() for p in text.split(",") if p.strip()):
        name, given, weight = part.rpartition("=") if "=" in part else (part, "", "1")
        try:
            value = float(weight)
        except ValueError:
            value = math.nan
        if not name.strip() or not math.isfinite(value) or value < 0 or (given == "" and "=" in part):
            raise InputError(f"{part!r} is no share of the {what}.", "Write them as: first=2,second=1")
        if name.strip() in shares:
            raise InputError(f"{name.strip()!r} stands twice among the {what}.")
        shares[name.strip()] = value
    total = sum(shares.values())
    if not total:
        raise InputError(f"There are no {what}.", "Write them as: first=2,second=1")
    return {name: value / total for name, value in shares.items() if value}


def read_length(text: str) -> tuple[int, int]:
    """`10-40` tokens. Raises InputError."""
    low, dash, high = text.partition("-")
    if not (dash and low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise InputError(f"{text!r} is no length.", "Write lengths in tokens, as: 10-40=2,40-100=1")
    return int(low), int(high)


def quotas(shares: Mapping[str, float], number: int) -> list[str]:
    """`number` names, each as often as its share says, to the nearest one (largest remainder), in order.

    >>> quotas({"a": 0.5, "b": 0.3, "c": 0.2}, 4)
    ['a', 'a', 'b', 'c']
    """
    exact = {name: share * number for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (counts[name] - exact[name], list(exact).index(name)))
    for name in by_remainder[: number - sum(counts.values())]:
        counts[name] += 1
    return [name for name, count in counts.items() for _ in range(count)]


def slots(
    number: int, seed: int, *, kinds: str, categories: str, personas: str, tones: str, lengths: str, habits: str
) -> list[Slot]:
    """The wanted prompts. Raises InputError for a mix that cannot be read."""
    chance = random.Random(seed)

    def dealt(text: str, what: str) -> list[str]:
        names = quotas(read_shares(text, what), number)
        chance.shuffle(names)
        return names

    kind, category = dealt(kinds, "kinds"), dealt(categories, "categories")
    persona, tone = dealt(personas, "personas"), dealt(tones, "tones")
    length = [read_length(text) for text in dealt(lengths, "lengths")]
    typed = {name: _who_has(share / 100, number, chance) for name, share in _percentages(habits).items()}
    return [
        Slot(
            n,
            kind[n],
            category[n],
            persona[n],
            tone[n],
            length[n],
            tuple(name for name, has in typed.items() if n in has),
        )
        for n in range(number)
    ]


def _percentages(habits: str) -> dict[str, float]:
    """Habits are not shares of one whole: each has its own percentage of the prompts."""
    if not habits.strip() or habits.strip() == "none":
        return {}
    found: dict[str, float] = {}
    for part in (p.strip() for p in habits.split(",") if p.strip()):
        name, _, percent = part.partition("=")
        if not percent.replace(".", "", 1).isdecimal() or float(percent) > 100:
            raise InputError(f"{part!r} is no habit.", "Write them in percent of the prompts, as: greeting=30,typo=20")
        found[name.strip()] = float(percent)
    return found


def _who_has(share: float, number: int, chance: random.Random) -> set[int]:
    return set(chance.sample(range(number), round(share * number)))


def tokens_of(text: str) -> int:
    """About how many tokens a text has, counted in words."""
    return round(len(text.split()) * _TOKENS_PER_WORD)
