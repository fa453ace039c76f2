"""Which labels follow from atoms, and from heads that were asked directly?

Pure functions behind `labels/derive.py`. The label of several possible outcomes is known where all of them agree: a
refusal of unknown warmth is `hard` under XSTest's rules although DIRECT and SOFT are both possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import prod

from refusal_tui.labels.atoms import ATOMS, Atoms, TaskContent, atoms_of, text_of
from refusal_tui.labels.constitution import Constitution
from refusal_tui.labels.outcome import agreed, settle
from refusal_tui.labels.profiles import jailbreak_success, sorry_score, three_class, wildguard_refusal, xstest_class
from refusal_tui.labels.taxonomy import (
    BASE,
    HEAD_A,
    HEAD_B,
    HEAD_C_A,
    HEAD_C_B,
    HEADS,
    OVER,
    TIER,
    Outcome,
    Style,
    harm_named,
    joined,
    outcome_named,
    split_labels,
    style_named,
    topic_named,
)
from refusal_tui.labels.verdict import Answer, Label, Profile

REFUSAL3, XSTEST, SORRY, WILDGUARD_REFUSAL = "refusal3", "xstest", "sorry", "wildguard_refusal"
JAILBREAK_SUCCESS, HELPFULNESS = "jailbreak_success", "helpfulness"
# Answers of single-question judges, and of classifiers, that are labels as they stand.
SCORES = (SORRY, "or_bench", "strongreject", JAILBREAK_SUCCESS, HELPFULNESS)
_HEAD_D = HEADS["head_d"].labels
# The other two atoms are head D as well, and many sources give them: they alone make no verdict about atoms.
_ATOMS_ALONE = frozenset(ATOMS) - set(_HEAD_D)


def labels_of_heads(answers: Mapping[str, Answer], constitution: Constitution) -> list[Label]:
    """The labels of heads A, B, C_a, C_b, scores and atoms; a head that was asked is not derived as well.

    Raises InputError for a value that its question does not take.
    """
    labels = list(_direct(answers, constitution))
    asked = {label.head for label in labels}
    for head, (value, hangs_on) in _derived(answers, constitution).items():
        if head not in asked:
            profile = constitution.profile if head == REFUSAL3 else None
            labels.append(Label(head, value, _probability(hangs_on, answers), profile))
    return labels


def _derived(answers: Mapping[str, Answer], constitution: Constitution) -> _Derived:
    if not _ATOMS_ALONE.isdisjoint(answers):
        return _labels_of(atoms_of(answers), constitution)
    outcome = answers.get(HEAD_A)
    if outcome is None or outcome.value is None:
        return {}
    return _labels_of_outcome(outcome_named(str(outcome.value)), atoms_of(answers), constitution)


def _direct(answers: Mapping[str, Answer], constitution: Constitution) -> Iterator[Label]:
    for head, read in _READERS.items():
        answer = answers.get(head)
        if answer is not None and answer.value is not None:
            yield Label(head, str(read(answer.value, constitution)), answer.probability)


def _harms(value: str | bool, constitution: Constitution) -> str:
    return joined(HEAD_C_A, (constitution.allowed_harm(harm_named(harm)) for harm in split_labels(str(value))))


_READERS: Mapping[str, Callable[[str | bool, Constitution], str]] = {
    HEAD_A: lambda value, _: outcome_named(str(value)),
    HEAD_B: lambda value, _: style_named(str(value)),
    HEAD_C_A: _harms,
    HEAD_C_B: lambda value, _: joined(HEAD_C_B, map(topic_named, split_labels(str(value)))),
    **dict.fromkeys(SCORES, lambda value, _: str(text_of(value))),
}


_Derived = Mapping[str, tuple[str, tuple[str, ...]]]  # head -> its value and the answers that it hangs on


@lru_cache(maxsize=4096)
def _labels_of(atoms: Atoms, constitution: Constitution) -> _Derived:
    """Every label of `atoms`, each with the atoms that would leave it open if they alone were not known."""
    labels = _values(atoms, constitution)
    hangs_on: dict[str, list[str]] = {head: [] for head in labels}
    for name in ATOMS:
        if getattr(atoms, name) is not None:
            without = _values(_forget(atoms, name), constitution)
            for head, value in labels.items():
                if without.get(head) != value:
                    hangs_on[head].append(name)
    return {head: (value, tuple(hangs_on[head])) for head, value in labels.items()}


def _forget(atoms: Atoms, name: str) -> Atoms:
    return Atoms(*(None if n == name else getattr(atoms, n) for n in ATOMS))


def _values(atoms: Atoms, constitution: Constitution) -> dict[str, str]:
    found = settle(atoms, constitution.outcome_rules)
    values = {HEAD_A: found.outcome, BASE: found.base, OVER: text_of(found.over), TIER: found.tier}
    values |= {head: text_of(getattr(found, head)) for head in _HEAD_D}
    if found.response_refusal and _only_another_task(atoms):
        values[HEAD_B] = Style.REFRACT
    values |= _projected(found.bases, found.outcomes, atoms, constitution.profile)
    return {head: str(value) for head, value in values.items() if value is not None}


def _only_another_task(atoms: Atoms) -> bool:
    """A refusal that turns to another task has the style REFRACT, unless the style was asked."""
    return bool(atoms.alternative_offered) and atoms.task_content is TaskContent.NONE


def _labels_of_outcome(outcome: Outcome, atoms: Atoms, constitution: Constitution) -> _Derived:
    """What follows from an outcome that was given as such, by a person or a dataset's map."""
    values = _projected((outcome,), (outcome,), atoms, constitution.profile)
    if outcome is Outcome.OVER:
        values[OVER] = "yes"
    return {head: (str(value), (HEAD_A,)) for head, value in values.items() if value is not None}


def _projected(
    bases: tuple[Outcome | None, ...], outcomes: tuple[Outcome | None, ...], atoms: Atoms, profile: Profile
) -> dict[str, str | None]:
    """Other label sets' names. How something was refused is in the base, whether or not it should have been."""
    sorry = agreed(bases, lambda outcome: sorry_score(outcome, atoms))
    return {
        REFUSAL3: agreed(bases, lambda outcome: three_class(outcome, profile, atoms)),
        XSTEST: agreed(bases, lambda outcome: xstest_class(outcome, atoms)),
        SORRY: None if sorry is None else str(sorry),
        WILDGUARD_REFUSAL: text_of(agreed(bases, wildguard_refusal)),
        JAILBREAK_SUCCESS: text_of(agreed(outcomes, lambda outcome: jailbreak_success(outcome, atoms.prompt_harmful))),
    }


def _probability(hangs_on: tuple[str, ...], answers: Mapping[str, Answer]) -> float | None:
    """That every answer is right on which the label hangs, taken as independent.

    None where one of them has no probability, and where no single answer decides (several would have to be wrong).
    """
    probabilities = [answers[question].probability for question in hangs_on]
    known = [p for p in probabilities if p is not None]
    return prod(known) if known and len(known) == len(probabilities) else None
