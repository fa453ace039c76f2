"""How different from one another are a model's answers? Raw data teach one "I am sorry" to every question.

distinct-1 and distinct-2 (Li et al., NAACL 2016) are the share of different words and word pairs. The plain ratio falls
with every word more, so that the model with short answers wins; here it is the expected one in as many words for every
arm (rarefaction: Hurlbert, Ecology 52, 1971). Seeds are figured each for itself and averaged: three answers to one
prompt are no three prompts. Intervals: the jackknife over prompts (`stats/jackknife.py`), of a difference with the same
prompt left out on both sides. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import exp, lgamma, nan

from refusal_tui.stats.intervals import Interval
from refusal_tui.stats.jackknife import jackknife

DISTINCT_1, DISTINCT_2, REPEATED, LENGTH = "distinct-1", "distinct-2", "repeated", "words"
MEASURES: Mapping[str, str] = {
    DISTINCT_1: "different words, % of as many of each arm",
    DISTINCT_2: "word pairs likewise",
    REPEATED: "% that are another prompt's answer word for word",
    LENGTH: "per answer",
}
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diversity:
    """`of`: arm -> measure -> value with interval. `difference`: (one, other) -> measure -> one minus other."""

    of: Mapping[str, Mapping[str, Interval]]
    difference: Mapping[tuple[str, str], Mapping[str, Interval]]


@dataclass(frozen=True, slots=True)
class _Figure:
    """Of all prompts, and without each of them in turn."""

    value: float
    left_out: Sequence[float]


def diversity(answers: Mapping[str, Sequence[Sequence[str]]], pairs: Sequence[tuple[str, str]]) -> Diversity:
    """`answers`: arm -> per seed the answers to the same prompts in their order, "" where there is none; `pairs`: which
    arms to compare (those without answers are passed over)."""
    from refusal_tui.similarity.shingles import words  # with numpy: faces read names and figures alone

    texts = {arm: [[tuple(words(text)) for text in seed] for seed in seeds] for arm, seeds in answers.items() if seeds}
    found: dict[str, dict[str, _Figure]] = {arm: {} for arm in texts}
    for measure, size in ((DISTINCT_1, 1), (DISTINCT_2, 2)):
        grams = {arm: [[_grams(text, size) for text in seed] for seed in seeds] for arm, seeds in texts.items()}
        sample = min((_left(seed) for by_seed in grams.values() for seed in by_seed), default=0)
        for arm in texts:
            found[arm][measure] = _averaged([_distinct(seed, sample) for seed in grams[arm]])
    for arm, seeds in texts.items():
        found[arm][REPEATED] = _averaged([_repeated(seed) for seed in seeds])
        found[arm][LENGTH] = _averaged([_length(seed) for seed in seeds])
    return Diversity(
        {arm: {name: jackknife(f.value, f.left_out, bounds=_bounds(name)) for name, f in measures.items()}
         for arm, measures in found.items()},
        {(one, other): {name: _difference(found[one][name], found[other][name]) for name in MEASURES}
         for one, other in pairs if one in found and other in found},
    )  # fmt: skip


def _bounds(measure: str) -> tuple[float, float]:
    return (0.0, float("inf")) if measure == LENGTH else (0.0, 1.0)


def _difference(one: _Figure, other: _Figure) -> Interval:
    left_out = [mine - theirs for mine, theirs in zip(one.left_out, other.left_out, strict=True)]
    return jackknife(one.value - other.value, left_out)


def _averaged(seeds: Sequence[_Figure]) -> _Figure:
    left_out = [sum(each) / len(seeds) for each in zip(*(seed.left_out for seed in seeds), strict=True)]
    return _Figure(sum(seed.value for seed in seeds) / len(seeds), left_out)


def _grams(text: Gram, size: int) -> list[Gram]:
    return list(pairwise(text)) if size == 2 else [(word,) for word in text]


def _left(seed: Sequence[Sequence[Gram]]) -> int:
    """How much text is left when the prompt with most of it is left out."""
    return sum(map(len, seed)) - max(map(len, seed), default=0)


def _distinct(seed: Sequence[Sequence[Gram]], sample: int) -> _Figure:
    """Different n-grams per n-gram, expected in `sample` of them drawn without replacement."""
    if sample < 1:
        return _Figure(nan, [nan] * len(seed))
    counts = Counter(chain.from_iterable(seed))
    total, often = counts.total(), Counter(counts.values())  # how many n-grams occur once, twice, …
    left_out = []
    for own in map(Counter, seed):
        without = often.copy()
        for gram, times in own.items():
            without[counts[gram]] -= 1
            without[counts[gram] - times] += 1
        left_out.append(_expected(without, total - own.total(), sample))
    return _Figure(_expected(often, total, sample), left_out)


def _expected(often: Mapping[int, int], total: int, sample: int) -> float:
    return sum(kinds * (1 - _absent(times, total, sample)) for times, kinds in often.items() if times) / sample


def _absent(times: int, total: int, sample: int) -> float:
    """The probability that something which occurs so many times is in none of the draws."""
    rest = total - times
    if rest < sample:
        return 0.0
    return exp(lgamma(rest + 1) + lgamma(total - sample + 1) - lgamma(rest - sample + 1) - lgamma(total + 1))


def _repeated(seed: Sequence[Gram]) -> _Figure:
    """The share of answers that are another prompt's, word for word."""
    counts = Counter(text for text in seed if text)
    answers, twins = counts.total(), sum(n for n in counts.values() if n > 1)
    left_out = []
    for text in seed:
        same = counts[text] if text else 0
        gone = 0 if same < 2 else 2 if same == 2 else 1  # of two twins none is left
        left_out.append(_share(twins - gone, answers - bool(text)))
    return _Figure(_share(twins, answers), left_out)


def _length(seed: Sequence[Gram]) -> _Figure:
    total, answers = sum(map(len, seed)), sum(map(bool, seed))
    return _Figure(_share(total, answers), [_share(total - len(text), answers - bool(text)) for text in seed])


def _share(part: float, whole: int) -> float:
    return part / whole if whole else nan
