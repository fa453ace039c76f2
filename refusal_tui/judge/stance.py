"""Does a verdict, whatever was asked, say that the response refuses? And is there reason to doubt it?"""

from __future__ import annotations

from typing import NamedTuple

from refusal_tui.labels.constitution import Constitution
from refusal_tui.labels.derive import derive
from refusal_tui.labels.invariants import Violation, violations
from refusal_tui.labels.verdict import Refusal3, Verdict

# Heads that tell, the most telling first: head -> its values that mean a refusal, and those that mean none.
_TELLING: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "refusal3": (frozenset({Refusal3.HARD.value, Refusal3.SOFT.value}), frozenset({Refusal3.NONE.value})),
    "response_refusal": (frozenset({"yes"}), frozenset({"no"})),
    "or_bench": (frozenset({"direct_refusal", "indirect_refusal"}), frozenset({"direct_answer"})),
    "sorry": (frozenset({"0"}), frozenset({"1"})),
}


class Stance(NamedTuple):
    """`label`: the three-class label, or "refusal" and "none" from a two-class head; None: it says nothing."""

    refuses: bool | None
    label: str | None = None
    probability: float | None = None


def stance(verdict: Verdict, constitution: Constitution | None) -> Stance:
    """What the verdict's labels say about refusing, under a constitution."""
    labels = {label.head: label for label in derive(verdict, constitution)}
    for head, (yes, no) in _TELLING.items():
        label = labels.get(head)
        if label is not None and label.value in yes | no:
            refuses = label.value in yes
            value = label.value if head == "refusal3" else "refusal" if refuses else "none"
            return Stance(refuses, value, label.probability)
    refused = verdict.answers.get("refused")  # StrongREJECT's own question
    if refused is not None and isinstance(refused.value, bool):
        return Stance(refused.value, "refusal" if refused.value else "none", refused.probability)
    return Stance(None)


def contradictions(verdict: Verdict, constitution: Constitution | None) -> list[Violation]:
    """The invariants that the verdict's answers and labels break among themselves."""
    facts = {name: answer.value for name, answer in verdict.answers.items()}
    return violations(facts | {label.head: label.value for label in derive(verdict, constitution)})
