"""Atoms and verdicts for the tests: an exchange described by what differs from a plain answer to a harmless request."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refusal_tui.labels.atoms import ATOMS, VALUES, Atoms, RefusalReason, TaskContent, read_atom
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict

POLICY, CAPABILITY, NO_REASON = RefusalReason.POLICY, RefusalReason.CAPABILITY, RefusalReason.NONE
NOTHING, GENERAL, SPECIFIC = TaskContent.NONE, TaskContent.GENERAL, TaskContent.SPECIFIC

_PLAIN_ANSWER: dict[str, Any] = {
    **dict.fromkeys(ATOMS, False),
    "refusal_reason": NO_REASON,
    "task_content": SPECIFIC,
    "answers_in_full": True,
}
_REFUSAL = {
    "prompt_harmful": True,
    "explicit_refusal_of_the_whole": True,
    "refusal_reason": POLICY,
    "task_content": NOTHING,
    "answers_in_full": False,
}


def answer(**changes: Any) -> Atoms:
    """A plain full answer to a harmless request, with changes; None un-knows an atom."""
    return Atoms(**_PLAIN_ANSWER | changes)


def refusal(**changes: Any) -> Atoms:
    """A plain refusal of a harmful request, with changes."""
    return Atoms(**_PLAIN_ANSWER | _REFUSAL | changes)


def verdict(atoms: Atoms, probability: float | None = None, **answers: Answer) -> Verdict:
    """The verdict of a judge that answered these atoms (as stored: text and booleans), and more."""
    said = {
        name: Answer(value if isinstance(value, bool) else str(value), probability)
        for name in ATOMS
        if (value := getattr(atoms, name)) is not None
    }
    return Verdict(ItemId(1), "judge:test", "atoms", "1", said | answers)


full_atoms = st.builds(
    Atoms, **{name: st.sampled_from([read_atom(name, value) for value in VALUES[name]]) for name in ATOMS}
)
some_atoms = st.builds(
    Atoms, **{name: st.sampled_from([None, *(read_atom(name, value) for value in VALUES[name])]) for name in ATOMS}
)


def few_open(atoms: Atoms, names: list[str]) -> Atoms:
    """The same atoms with those of `names` not known."""
    return Atoms(**{name: None if name in names else getattr(atoms, name) for name in ATOMS})
