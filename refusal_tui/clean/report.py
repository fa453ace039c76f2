"""What has cleaning changed? Before and after: refusals, diversity, length, topic, and what became of the rows.

Pure: over rows as the store gives them. Rates have Wilson's interval, clustered by prompt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

from refusal_tui.clean.hedges import is_hedged
from refusal_tui.clean.steps import Problem
from refusal_tui.labels.rows import Row
from refusal_tui.stats.intervals import Interval, wilson
from refusal_tui.stats.rates import cluster_sums, clustered_rate

_TOKEN = re.compile(r"\w+|[^\w\s]")
_OPENING_WORDS = 5
_NO_CATEGORY = "(none)"
_UNSAFE = frozenset({Problem.UNSAFE_PROMPT.value, Problem.UNSAFE_ANSWER.value})
_OPENING_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Texts:
    """How responses look. `distinct_1` and `distinct_2`: different words and word pairs, of as many words as both sides
    have. `same_opening`: responses whose first five words are those of another one. `hedged`: in disclaimers. `empty`
    counts rows without a response. Lengths in characters."""

    responses: int
    refused: Interval
    mean_length: float
    median_length: float
    distinct_1: float
    distinct_2: float
    same_opening: float
    hedged: Interval
    empty: int


@dataclass(frozen=True, slots=True)
class CleanReport:
    """`rows` were to be cleaned; `decided` of them have been, `failed` wait for a retry, the rest is still to do.

    `before` is of all decided rows, `after` of the kept ones, by the job's judge. `similarity`: mean topic similarity
    of rewritten instructions, None where nothing was rewritten; `off_topic` rewrites share no word with theirs.
    `refused_again`: share of new answers that refused. `unsafe`: rows whose last attempt a judge called harmful.
    `categories`: category -> refused before and after, the most frequent first.
    """

    rows: int
    decided: int
    failed: int
    reasons: Mapping[tuple[str, str], int]
    before: Texts
    after: Texts
    rewritten: int
    similarity: float | None
    off_topic: int
    refused_again: Interval
    unsafe: int
    categories: Mapping[str, tuple[Interval, Interval]]

    @property
    def states(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (state, _), count in self.reasons.items():
            found[state] += count
        return {state: found[state] for state in ("keep", "review", "drop")}


class _Side:
    """What is counted of one side's responses; of their texts only `sample` words are kept."""

    def __init__(self, sample: int) -> None:
        self._sample = sample
        self._prompts: dict[int, list[int]] = {}  # hash of the prompt -> [refused, rows]
        self._openings: Counter[tuple[str, ...]] = Counter()
        self._lengths: list[int] = []
        self._hedged = 0
        self.empty = 0
        self.categories: dict[str, list[int]] = {}  # -> [refused, rows]
        self.words: list[str] = []

    def add(self, prompt: str, text: str, category: str | None, *, refused: bool) -> None:
        if not text.strip():
            self.empty += 1
            return
        self._hedged += is_hedged(text)
        of_category = self.categories.setdefault(category or _NO_CATEGORY, [0, 0])
        of_category[0] += refused
        of_category[1] += 1
        counts = self._prompts.setdefault(hash(prompt), [0, 0])
        counts[0] += refused
        counts[1] += 1
        self._openings[tuple(_TOKEN.findall(text[:_OPENING_CHARACTERS].lower())[:_OPENING_WORDS])] += 1
        self._lengths.append(len(text))
        if len(self.words) < self._sample:
            self.words += _TOKEN.findall(text.lower())[: self._sample - len(self.words)]

    def texts(self, sample: int) -> Texts:
        """The figures, with the diversity of the first `sample` words."""
        words, rows = self.words[:sample], len(self._lengths)
        pairs = list(pairwise(words))
        return Texts(
            rows,
            clustered_rate(cluster_sums((refused, n) for refused, n in self._prompts.values())),
            mean(self._lengths) if rows else 0.0,
            median(self._lengths) if rows else 0.0,
            len(set(words)) / len(words) if words else 0.0,
            len(set(pairs)) / len(pairs) if pairs else 0.0,
            sum(n for n in self._openings.values() if n > 1) / rows if rows else 0.0,
            wilson(self._hedged, rows),
            self.empty,
        )


def clean_report(
    made: Iterable[Row], *, rows: int, failed: int, answers: int, answers_refused: int, sample: int = 200_000
) -> CleanReport:
    """The report on what a cleaning job has made so far. `answers` new answers were verified, `answers_refused` of them
    refused. Diversity is of the first `sample` words of each side at most, and of as many on both."""
    before, after = _Side(sample), _Side(sample)
    reasons: Counter[tuple[str, str]] = Counter()
    similarities: list[float] = []
    for row in made:
        meta = row.meta
        state = str(meta.get("decision"))
        reasons[state, str(meta.get("reason"))] += 1
        refused = bool(meta.get("was_refused"))
        original = meta.get("original_response")
        instruction = str(meta.get("original_instruction"))
        before.add(instruction, original if isinstance(original, str) else "", row.category, refused=refused)
        if state == "keep":
            of_job = meta.get("reason_of_job", meta.get("reason"))  # a person may have accepted it
            kept = of_job in ("refusal_kept", "refused", "provider_refused")
            after.add(row.prompt, row.response or "", row.category, refused=kept)
        if meta.get("strategy"):
            similarities.append(float(meta.get("similarity") or 0.0))
    common = min(len(before.words), len(after.words))
    return CleanReport(
        rows,
        sum(reasons.values()),
        failed,
        dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        before.texts(common),
        after.texts(common),
        len(similarities),
        mean(similarities) if similarities else None,
        sum(not similarity for similarity in similarities),
        wilson(answers_refused, answers),
        sum(count for (_, reason), count in reasons.items() if reason in _UNSAFE),
        {
            name: (wilson(*before.categories[name]), wilson(*after.categories.get(name, [0, 0])))
            for name in sorted(before.categories, key=lambda name: (-before.categories[name][1], name))
        },
    )
