"""Why does the linear judge say so? Exact Shapley values of its refusal score, shared out to tokens.

For a linear model with independent features the Shapley value of feature i is w_i (x_i - E[x_i]) in closed form
(Strumbelj & Kononenko 2014; Lundberg & Lee 2017, section 4.1). An n-gram's value is shared evenly by the tokens it
stands on; so is the value of a finding that is a phrase (`open.decline`). The lexical judge's sums are linear in the
same findings, so their values are added to those of the findings. Nothing is lost: base + tokens + features + absent is
the score, which a test checks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from refusal_tui.judge.linear import (
    CLASSES,
    DENSE,
    FEATURE_SCALE,
    FEATURES,
    IN_DOUBT,
    LENGTHS,
    SUM_SCALE,
    SUMS,
    Head,
    Model,
    answer_of,
    shipped,
    vectors,
)
from refusal_tui.judge.ngrams import BUCKETS, END, grams_of
from refusal_tui.judge.reading import Found, Reading, answer_start
from refusal_tui.judge.weights import REFUSAL, SOFT
from refusal_tui.labels.verdict import Refusal3
from refusal_tui.text.normalize import normalize

_TOKEN = re.compile(r"[\w']+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class TokenShare:
    """How much the characters response[start:end] speak for a refusal (log-odds; negative: for an answer)."""

    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Log-odds of "refuses", uncalibrated: score = base + tokens + features + absent.

    `base` is the score of the average training text, `features` the shares of the length and of named findings that are
    no phrase or are not there ("no open.decline"), `absent` what it says that other texts' n-grams are not here.
    """

    score: float
    base: float
    tokens: tuple[TokenShare, ...]
    features: Mapping[str, float]
    absent: float


@dataclass(frozen=True, slots=True)
class Why:
    """What the judge says of one response, and the shares of its refusal score.

    `chances`: calibrated probabilities of none, hard and soft, in this order. `in_doubt`: the label is a guess.
    """

    label: Refusal3
    chances: Mapping[Refusal3, float]
    in_doubt: bool
    shares: Explanation

    @property
    def words(self) -> float:
        """The share of all tokens together."""
        return sum(token.share for token in self.shares.tokens)

    @property
    def findings(self) -> float:
        """The share of all named findings together."""
        return sum(self.shares.features.values())

    def strongest_tokens(self, count: int) -> list[TokenShare]:
        return sorted(self.shares.tokens, key=lambda token: -abs(token.share))[:count]

    def strongest_findings(self, count: int) -> list[tuple[str, float]]:
        return sorted(self.shares.features.items(), key=lambda pair: -abs(pair[1]))[:count]


def why(prompt: str, response: str) -> Why:
    """The label of one response, and why. A response of blanks alone is no response: ask for nothing then."""
    model = shipped()
    probabilities = model.probabilities(vectors([(prompt, response)]))
    label = model.labels(probabilities)[0]
    chances = dict(zip(CLASSES, probabilities[0].tolist(), strict=True))
    return Why(label, chances, chances[label] < IN_DOUBT, explain(prompt, response, model))


def explain(prompt: str, response: str, model: Model | None = None) -> Explanation:
    """Share out the refusal score of one response."""
    model = model or shipped()
    return explain_head(prompt, response, model.refusal, model.mean_ngrams, model.mean_dense)


def explain_head(
    prompt: str, response: str, head: Head, mean_ngrams: NDArray[np.float32], mean_dense: NDArray[np.float32]
) -> Explanation:
    """Share out the score of any head on these features; the means are those of the texts it is compared with."""
    of = vectors([(prompt, response)])
    base = float(head.bias + head.ngrams @ mean_ngrams + head.dense @ mean_dense)
    findings = _findings(head, of.dense[0], mean_dense)
    # An n-gram's feature is one number, wherever and however often it stands: its places share it.
    values = dict(zip(of.buckets.tolist(), of.worth.tolist(), strict=True))
    present = np.array(sorted(values), np.int64)
    absent = -float(head.ngrams @ mean_ngrams - head.ngrams[present] @ mean_ngrams[present])
    shares = {b: float(head.ngrams[b] * (values[b] - mean_ngrams[b])) for b in values}
    tokens, features = _with_phrases(_tokens(prompt, response, shares), findings, of.readings[0])
    return Explanation(float(head.scores(of)[0]), base, tokens, features, absent)


def _findings(head: Head, dense: NDArray[np.float32], means: NDArray[np.float32]) -> dict[str, float]:
    """The share of every finding, the lexical judge's sums being shared out to what they are sums of."""
    weight = dict(zip(DENSE, head.dense.tolist(), strict=True))
    apart = dict(zip(DENSE, (dense - means).tolist(), strict=True))
    refusal, soft = (weight[name] * SUM_SCALE / FEATURE_SCALE for name in SUMS)
    found = {}
    for name in FEATURES:
        share = (weight[name] + refusal * REFUSAL.get(name, 0.0) + soft * SOFT.get(name, 0.0)) * apart[name]
        found[name if dense[DENSE.index(name)] else f"no {name}"] = share
    return {**found, **{name: weight[name] * apart[name] for name in LENGTHS}}


def _with_phrases(
    tokens: tuple[TokenShare, ...], findings: Mapping[str, float], reading: Reading
) -> tuple[tuple[TokenShare, ...], dict[str, float]]:
    """The shares of findings that are phrases, given to the tokens of those phrases; and the findings that are left."""
    starts = np.array([token.start for token in tokens])
    totals = np.array([token.share for token in tokens])
    left = {}
    for name, share in findings.items():
        places = [_covered(tokens, starts, found) for found in reading.found if _is_phrase(name, found)]
        places = [place for place in places if place.start < place.stop]
        for place in places:
            totals[place] += share / len(places) / (place.stop - place.start)
        if not places and share:
            left[name] = share
    return tuple(replace(token, share=total) for token, total in zip(tokens, totals.tolist(), strict=True)), left


def _is_phrase(name: str, found: Found) -> bool:
    return not found.quoted and name == f"{'open' if found.opening else 'body'}.{found.rule.kind.value}"


def _covered(tokens: Sequence[TokenShare], starts: NDArray[np.int64], found: Found) -> slice:
    first = int(np.searchsorted(starts, found.start, side="right")) - 1
    first = first if first >= 0 and tokens[first].end > found.start else first + 1
    return slice(first, max(int(np.searchsorted(starts, found.end, side="left")), first))


def _tokens(prompt: str, response: str, shares: Mapping[int, float]) -> tuple[TokenShare, ...]:
    raw = answer_of(prompt, response)
    answer = normalize(raw)
    grams = [(gram.bucket % BUCKETS, gram.start, gram.end) for gram in grams_of(answer.text)]
    times = Counter(bucket for bucket, _, _ in grams)
    places = [match.span() for match in _TOKEN.finditer(answer.text)]
    if not places:
        return ()
    starts = np.array([start for start, _ in places])
    totals = np.zeros(len(places))
    for bucket, start, end in grams:
        first = max(int(np.searchsorted(starts, start, side="right")) - 1, 0)
        last = max(int(np.searchsorted(starts, end, side="left")), first + 1)
        totals[first:last] += shares[bucket] / times[bucket] / (last - first)
    begin = answer_start(prompt, response)
    tail = len(response) - len(raw)  # of a very long response the middle is not read
    found = []
    for (start, end), total in zip(places, totals.tolist(), strict=True):
        raw_start, raw_end = answer.raw_span(start, end)
        offset = begin if begin + len(raw) == len(response) or raw_start < len(raw) - END else tail
        found.append(TokenShare(offset + raw_start, offset + raw_end, total))
    return tuple(found)
