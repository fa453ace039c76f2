"""Which of several annotators' labels does a row get? Head by head, people before machines.

1. `human`: what people say, where they agree or most of them do. 2. `adjudicated`: people differ, and somebody has
settled it. 3. `panel`: the consensus of a panel of judges. 4. `judge`: the latest judge. So a row's label is gold
(`store/gold.py`) wherever there is gold. A head on which people are split, unsettled, gets no label: no judge decides
between people, neither there nor with the outcome where they differ on the three classes. A label that contradicts one
of a higher rank is left out, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.invariants import violations
from refusal_tui.labels.profiles import three_class
from refusal_tui.labels.taxonomy import HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, Outcome
from refusal_tui.labels.verdict import Profile, Refusal3
from refusal_tui.store.gold import is_computed

POLICY = "human > adjudicated > panel > judge"
HEADS = (REFUSAL3, HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, *BOOLEAN_HEADS)


class Rank(StrEnum):
    """Whose label it is; declared from the highest to the lowest."""

    HUMAN = "human"
    ADJUDICATED = "adjudicated"
    PANEL = "panel"
    JUDGE = "judge"


_BEHAVIOUR = frozenset({REFUSAL3, HEAD_A})  # two names for what the model did
_ORDER = {rank: place for place, rank in enumerate(Rank)}
_NOBODY = len(Rank)


class Said(NamedTuple):
    """One annotator's current label of one head, as it is stored."""

    head: str
    annotator: str
    profile: str
    value: str
    probability: float | None
    verdict_id: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The label that counts. `by`: who says so, in the order of their names; `verdict_id`: of the latest of them."""

    value: str
    rank: Rank
    by: tuple[str, ...]
    probability: float | None
    profile: str
    verdict_id: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """`labels`: head -> what counts. `split`: heads on which people differ, unsettled. `contradicted`: heads whose
    label was left out because one of a higher rank says otherwise."""

    labels: Mapping[str, Chosen]
    split: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()

    @property
    def headline(self) -> Chosen | None:
        """The label of what the model did: the outcome, else the three classes."""
        return self.labels.get(HEAD_A) or self.labels.get(REFUSAL3)

    @property
    def rank(self) -> int:
        """0 for the highest rank that any label has; after the last one where there is none."""
        return min((_ORDER[chosen.rank] for chosen in self.labels.values()), default=_NOBODY)


def resolve(said: Iterable[Said], settled: Mapping[str, tuple[str, str]]) -> Resolved:
    """The labels of one row. `settled`: head -> (label, who settled it).

    >>> found = resolve([Said("refusal3", "judge:lexical", "xstest", "hard", 0.9, 1)], {})
    >>> found.labels["refusal3"].value, found.labels["refusal3"].rank.value
    ('hard', 'judge')
    """
    by_head: dict[str, list[Said]] = {}
    for one in said:
        if not (one.annotator.startswith("human:") and is_computed(one.annotator)):  # made of other votes
            by_head.setdefault(one.head, []).append(one)
    labels: dict[str, Chosen] = {}
    split = []
    for head in HEADS:
        votes = by_head.get(head, [])
        if not votes and head not in settled:
            continue
        chosen = _of_head(votes, settled.get(head))
        if chosen is None:
            split.append(head)
        else:
            labels[head] = chosen
    if not _BEHAVIOUR.isdisjoint(split):
        for head in _BEHAVIOUR & labels.keys():
            if labels[head].rank in (Rank.PANEL, Rank.JUDGE):
                del labels[head]
    kept, contradicted = _consistent(labels)
    return Resolved(kept, tuple(split), contradicted)


def _of_head(votes: Sequence[Said], settled: tuple[str, str] | None) -> Chosen | None:
    """None: people are split."""
    if len(votes) == 1 and settled is None:  # most heads of most rows
        who = votes[0].annotator
        return _together(
            Rank.HUMAN if who.startswith("human:") else Rank.PANEL if is_computed(who) else Rank.JUDGE, votes
        )
    by_time = sorted(votes, key=lambda one: one.verdict_id)
    people = {one.annotator: one for one in by_time if one.annotator.startswith("human:")}
    counts = Counter(one.value for one in people.values()).most_common(2)
    agreed = counts[0][0] if len(counts) == 1 else None
    if settled is not None and settled[0] != agreed:
        value, who = settled
        latest = people.get(who)
        return Chosen(
            value, Rank.ADJUDICATED, (who,), None, latest.profile if latest else "", latest.verdict_id if latest else 0
        )
    if counts:
        if len(counts) > 1 and counts[0][1] == counts[1][1]:
            return None
        return _together(Rank.HUMAN, [one for one in people.values() if one.value == counts[0][0]])
    panels = [one for one in by_time if is_computed(one.annotator)]
    return _together(Rank.PANEL, panels[-1:]) if panels else _together(Rank.JUDGE, by_time[-1:])


def _together(rank: Rank, votes: Sequence[Said]) -> Chosen:
    latest = max(votes, key=lambda one: one.verdict_id)
    names = tuple(sorted(one.annotator for one in votes))
    return Chosen(latest.value, rank, names, latest.probability, latest.profile, latest.verdict_id)


def _consistent(labels: dict[str, Chosen]) -> tuple[dict[str, Chosen], tuple[str, ...]]:
    """Without the labels that contradict one of a higher rank. What one annotator says is left as it is: whether that
    holds together is the audit's question."""
    if len({chosen.by for chosen in labels.values()}) < 2:
        return labels, ()
    kept: dict[str, Chosen] = {}
    for head in sorted(labels, key=lambda head: (_ORDER[labels[head].rank], HEADS.index(head))):
        if not _contradicts(kept, head, labels[head]):
            kept[head] = labels[head]
    return kept, tuple(head for head in labels if head not in kept)


def _contradicts(kept: Mapping[str, Chosen], head: str, chosen: Chosen) -> bool:
    higher = {name: other for name, other in kept.items() if other.rank is not chosen.rank}
    if not higher:
        return False
    beside = {**higher, head: chosen}
    facts = tuple(beside[name].value if name in beside else None for name in _FACTS)
    three = beside.get(REFUSAL3)
    return _impossible(facts, three.value if three else None, three.profile if three else "")


_FACTS = (HEAD_A, *BOOLEAN_HEADS)


@lru_cache(maxsize=4096)  # a million rows say a few hundred different things
def _impossible(facts: tuple[str | None, ...], three: str | None, profile: str) -> bool:
    """Whether an invariant is broken, or outcome or `response_refusal` speak of another behaviour than the three
    classes do. Over-refusal says that it should have answered, not how it refused."""
    known = dict(zip(_FACTS, facts, strict=True))
    if violations(known):
        return True
    if three is None:
        return False
    outcome = known[HEAD_A]
    if three == Refusal3.NONE and known["response_refusal"] == "yes":
        return True
    if outcome == Outcome.OVER:
        return three == Refusal3.NONE
    expected = None if outcome is None else three_class(Outcome(outcome), Profile(profile or Profile.XSTEST))
    return expected is not None and expected != three
