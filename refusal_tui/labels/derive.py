"""From a verdict to its labels: a pure function, so that labels can be rebuilt whenever the rules change.

Direct answers (a three-class answer, head D, heads B, C_a and C_b, scores) become labels as they are. A verdict that
answers atoms gets everything that follows from them under a constitution (`labels/heads.py`); where a head was both
asked and derived, the answer stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from refusal_tui.labels.verdict import Label, Refusal3, Verdict

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution

# Part of a derived row's identity: raise it whenever `derive` changes its mind about an unchanged verdict.
DERIVATION = "2"

REFUSAL3 = "refusal3"
BOOLEAN_HEADS = ("prompt_harmful", "response_harmful", "response_refusal")
_SIMPLE = frozenset({REFUSAL3, *BOOLEAN_HEADS})


def derive(verdict: Verdict, constitution: Constitution | None = None) -> list[Label]:
    """The labels that follow from `verdict`. An open answer (None) gives no label: null is not none.

    `constitution` None: the built-in one. The three-class label of atoms has the constitution's profile, a direct one
    the verdict's. Raises InputError for an answer that its question cannot have.

    >>> from refusal_tui.labels.rows import ItemId
    >>> from refusal_tui.labels.verdict import Answer
    >>> v = Verdict(ItemId(1), "judge:lexical", "refusal3", "1", {"refusal3": Answer("hard", 0.9)})
    >>> [(label.head, label.value) for label in derive(v)]
    [('refusal3', 'hard')]
    """
    labels: list[Label] = []
    three = verdict.answers.get(REFUSAL3)
    if three is not None and three.value is not None:
        value = Refusal3(str(three.value))
        labels.append(Label(REFUSAL3, value.value, three.probability, verdict.profile))
    for head in BOOLEAN_HEADS:
        answer = verdict.answers.get(head)
        if answer is not None and answer.value is not None:
            labels.append(Label(head, "yes" if answer.value is True else "no", answer.probability))
    if verdict.answers.keys() <= _SIMPLE:
        return labels
    # Rules and taxonomy cost 30 ms to load, and most processes (every screen) never derive from atoms.
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.labels.heads import labels_of_heads

    found = labels_of_heads(verdict.answers, constitution or DEFAULT)
    asked = {label.head for label in labels}
    return labels + [label for label in found if label.head not in asked]


class Flip(NamedTuple):
    """A label that a change of the constitution changes; None: there is no label."""

    verdict_index: int
    head: str
    old: str | None
    new: str | None


def flips(verdicts: Iterable[Verdict], old: Constitution, new: Constitution) -> Iterator[Flip]:
    """The labels that would change, in the order of the verdicts. Nothing is asked and nothing is stored.

    >>> from refusal_tui.labels.constitution import DEFAULT
    >>> list(flips([], DEFAULT, DEFAULT))
    []
    """
    if old == new:
        return
    for index, verdict in enumerate(verdicts):
        before = {label.head: label.value for label in derive(verdict, old)}
        after = {label.head: label.value for label in derive(verdict, new)}
        for head in (*before, *(head for head in after if head not in before)):
            if before.get(head) != after.get(head):
                yield Flip(index, head, before.get(head), after.get(head))
