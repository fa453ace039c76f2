"""How far can a judge be trusted on the rows of one job? Pure: `card_data.py` reads, `card_text.py` prints.

Agreement is measured where humans have labelled the same rows, with intervals clustered by prompt, and stands beside
the agreement of two humans, which no judge should be expected to pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from zlib import crc32

from refusal_tui.judge.gold import THREE, merged
from refusal_tui.judge.score import ERROR, Compared, Given, TaskScore, calibration, tasks_of
from refusal_tui.labels.calibration import scale
from refusal_tui.stats.intervals import Interval, wilson

_LEAST_FOR_SCALING = 20  # rows per half; below, a temperature is noise
_MOST_TEMPERATURE = 20.0


@dataclass(frozen=True, slots=True)
class CardRow:
    """What happened to one row: `label` (three-class, or refusal/none) with its probability, or the class of its error.

    `humans` maps annotators to their labels of the row; `second` is the label of the look in another order.
    """

    cluster: Hashable
    label: str | None
    probability: float | None = None
    error_class: str | None = None
    humans: Mapping[str, str] | None = None
    second: str | None = None
    contradicts: bool = False


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well two humans agree on the rows that both have labelled, the first one taken as right."""

    between: tuple[str, str]
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Temperature scaling (Guo et al., 2017): fitted on one half of the prompts, measured on the other, both ways.

    `temperature` is that of all `rows`; `ece` the held-out calibration error after scaling, `raw_ece` that of the same
    rows before.
    """

    temperature: float
    ece: float
    rows: int = 0
    raw_ece: float | None = None


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """Rates are shares of the rows asked, with Wilson's intervals; None: it was not measured.

    `order_flips` are of the rows that were asked in another order, too: a random sample of all (`order_sampled`), or
    those in doubt, which flip more often. `fooled`: canaries that were not answered honestly. `gold`: whose labels
    count as right.
    """

    judge: str
    version: str
    profile: str
    asked: int
    errors: Mapping[str, int]
    parse_errors: Interval
    judge_refusals: Interval
    contradictions: Interval
    order_flips: Interval | None
    fooled: Interval | None
    gold: str | None
    agreement: tuple[TaskScore, ...]
    ceiling: Ceiling | None
    scaling: Scaling | None
    usd_per_thousand: float | None
    seconds_per_thousand: float | None
    order_sampled: bool = False


def make_card(
    rows: Sequence[CardRow],
    *,
    judge: str,
    version: str,
    profile: str,
    gold: str | None = None,
    canaries: Sequence[bool] = (),
    usd: float | None = None,
    seconds: float | None = None,
    order_sampled: bool = False,
) -> JudgeCard:
    """The card of one judge over the rows that it was asked about.

    `gold` names the human annotator who is right; None: the one with the most labels (the first by name of several).
    `canaries`: whether each was answered honestly. `usd`, `seconds`: what all the rows took; None: not known.
    `order_sampled`: the rows with a `second` label are a random sample.
    """
    errors = Counter(row.error_class for row in rows if row.error_class)
    said = [row for row in rows if row.error_class is None]
    twice = [row for row in said if row.second is not None and row.label is not None]
    right = gold or _most_labels(rows)
    compared = [c for row in rows if (c := _compared(row, right)) is not None]
    return JudgeCard(
        judge=judge,
        version=version,
        profile=profile,
        asked=len(rows),
        errors=dict(errors.most_common()),
        parse_errors=wilson(errors["parse"], len(rows)),
        judge_refusals=wilson(errors["judge_refusal"], len(rows)),
        contradictions=wilson(sum(row.contradicts for row in said), len(said)),
        order_flips=wilson(sum(row.label != row.second for row in twice), len(twice)) if twice else None,
        fooled=wilson(sum(not honest for honest in canaries), len(canaries)) if canaries else None,
        gold=right if compared else None,
        agreement=tasks_of(compared, _three(compared)) if compared else (),
        ceiling=_ceiling(rows, right),
        scaling=fit_scaling(compared),
        usd_per_thousand=None if usd is None or not rows else 1000 * usd / len(rows),
        seconds_per_thousand=None if seconds is None or not rows else 1000 * seconds / len(rows),
        order_sampled=order_sampled and bool(twice),
    )


def _most_labels(rows: Sequence[CardRow]) -> str | None:
    counts = Counter(who for row in rows for who in row.humans or ())
    return min(counts, key=lambda who: (-counts[who], who), default=None)


def _compared(row: CardRow, gold: str | None) -> Compared | None:
    """The row beside its gold label. A failure of the judge counts as wrong; rows without a response do not count."""
    human = (row.humans or {}).get(gold or "")
    if human is None or row.error_class == "no_response":
        return None
    answer = Given(ERROR) if row.label is None else Given(row.label, row.probability, row.probability)
    return Compared(human, answer, row.cluster)


def _three(compared: Sequence[Compared]) -> bool:
    """Whether both sides speak of three classes."""
    return all(each.gold in THREE and each.answer.label in (*THREE, ERROR) for each in compared) and any(
        each.gold == "hard" or each.gold == "soft" for each in compared
    )


def _ceiling(rows: Sequence[CardRow], gold: str | None) -> Ceiling | None:
    """Two humans on the same rows. Where a third label is the gold one (a consensus of theirs), it stands aside."""
    counts = Counter(who for row in rows for who in row.humans or ())
    people = sorted(counts, key=lambda who: (-counts[who], who))
    if len(people) > 2:
        people = [who for who in people if who != gold]
    if len(people) < 2:
        return None
    one, other = sorted(people[:2])
    compared = [
        Compared(row.humans[one], Given(row.humans[other]), row.cluster)
        for row in rows
        if row.humans and one in row.humans and other in row.humans
    ]
    return Ceiling((one, other), tasks_of(compared, _three(compared))) if compared else None


# --- temperature scaling ---------------------------------------------------------------------------------------------


def fit_scaling(compared: Sequence[Compared]) -> Scaling | None:
    """The temperature that makes the probabilities of the given labels honest; None with too few of them."""
    halves: tuple[list[tuple[float, bool]], list[tuple[float, bool]]] = ([], [])
    for each in compared:
        if each.answer.probability is not None and each.answer.label != ERROR:
            half = crc32(repr(each.cluster).encode()) & 1  # all rows of a prompt on one side, whatever their order
            halves[half].append((each.answer.probability, _is_right(each)))
    if min(map(len, halves)) < _LEAST_FOR_SCALING:
        return None
    scaled: list[float] = []
    right: list[bool] = []
    for fitted, measured in (halves, halves[::-1]):
        temperature = fit_temperature(fitted)
        scaled += [scale(probability, temperature) for probability, _ in measured]
        right += [ok for _, ok in measured]
    ece, _ = calibration(scaled, right)
    assert ece is not None
    every = [*halves[0], *halves[1]]
    raw_ece, _ = calibration([p for p, _ in every], [ok for _, ok in every])
    return Scaling(fit_temperature(every), ece, len(every), raw_ece)


def _is_right(each: Compared) -> bool:
    if each.answer.label in THREE and each.gold in THREE:
        return each.answer.label == each.gold
    return merged(each.answer.label) == merged(each.gold)


def fit_temperature(pairs: Sequence[tuple[float, bool]]) -> float:
    """The temperature of the least negative log-likelihood of (probability, right) pairs, by golden-section search."""

    def loss(exponent: float) -> float:
        temperature = exp(exponent)
        return -sum(log(p if ok else 1 - p) for p, ok in ((scale(q, temperature), ok) for q, ok in pairs))

    low, high = -log(_MOST_TEMPERATURE), log(_MOST_TEMPERATURE)
    ratio = (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return exp((low + high) / 2)
