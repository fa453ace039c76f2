"""Why does the linear judge say so? Exact Shapley values of its refusal score, shared out to tokens.

For a linear model with independent features the Shapley value of feature i is w_i (x_i - E[x_i]) in closed form
(Strumbelj & Kononenko 2014; Lundberg & Lee 2017, section 4.1). An n-gram's value is shared evenly by the tokens it
stands on. Nothing is lost: base + tokens + features + absent is the score, which a test checks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from refusal_tui.judge.linear import DENSE, Model, answer_of, shipped, vectors
from refusal_tui.judge.ngrams import BUCKETS, END, grams_of
from refusal_tui.judge.reading import answer_start
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

    `base` is the score of the average training text, `features` the shares of the named findings and of the length,
    `absent` what it says that other texts' n-grams are not here.
    """

    score: float
    base: float
    tokens: tuple[TokenShare, ...]
    features: Mapping[str, float]
    absent: float


def explain(prompt: str, response: str, model: Model | None = None) -> Explanation:
    """Share out the refusal score of one response."""
    model = model or shipped()
    head, of = model.refusal, vectors([(prompt, response)])
    base = float(head.bias + head.ngrams @ model.mean_ngrams + head.dense @ model.mean_dense)
    dense = head.dense * (of.dense[0] - model.mean_dense)
    # An n-gram's feature is one number, wherever and however often it stands: its places share it.
    values = dict(zip(of.buckets.tolist(), of.worth.tolist(), strict=True))
    present = np.array(sorted(values), np.int64)
    absent = -float(head.ngrams @ model.mean_ngrams - head.ngrams[present] @ model.mean_ngrams[present])
    shares = {b: float(head.ngrams[b] * (values[b] - model.mean_ngrams[b])) for b in values}
    tokens = _tokens(prompt, response, shares)
    named = {name: float(share) for name, share in zip(DENSE, dense, strict=True) if share}
    return Explanation(float(head.scores(of)[0]), base, tokens, named, absent)


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
