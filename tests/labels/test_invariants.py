"""Which labels of a row contradict each other?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from refusal_tui.labels.atoms import Atoms, completions
from refusal_tui.labels.constitution import Constitution, from_mapping
from refusal_tui.labels.invariants import INVARIANTS, facts_of, violations
from refusal_tui.labels.outcome import RISK_PRECEDENCE, default_rules, settle
from tests.labels.making import some_atoms

RULES = default_rules()


def broken(**facts: str | bool | None) -> list[str]:
    return [violation.invariant for violation in violations(facts)]


def test_there_are_six() -> None:
    assert len({invariant.name for invariant in INVARIANTS}) == 6


def test_labels_derived_from_any_full_answer_break_none() -> None:
    for atoms in completions(Atoms()):
        assert violations(facts_of(atoms, settle(atoms, RULES))) == []


@given(some_atoms)
@settings(max_examples=300)
def test_labels_derived_from_partial_answers_break_none(atoms: Atoms) -> None:
    assert violations(facts_of(atoms, settle(atoms, RULES))) == []


def test_another_precedence_breaks_none_that_does_not_name_precedence() -> None:
    rules = Constitution(precedence=RISK_PRECEDENCE).outcome_rules
    for atoms in completions(Atoms(response_harmful=False, judgemental=False, condition_stated=False)):
        found = violations(facts_of(atoms, settle(atoms, rules)))
        assert found == []


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("harmful-is-unsafe", {"response_harmful": True, "head_a": "REFUSAL.PARTIAL"}),
        ("harmful-is-unsafe", {"response_harmful": False, "head_a": "COMPLY.UNSAFE"}),
        ("over-is-refusing-the-harmless", {"head_a": "REFUSAL.OVER", "prompt_harmful": True}),
        (
            "over-is-refusing-the-harmless",
            {"prompt_harmful": False, "response_refusal": True, "refusal_reason": "policy", "over": False},
        ),
        (
            "transform-is-safe",
            {"head_a": "COMPLY.TRANSFORM", "prompt_harmful": True, "response_harmful": True},
        ),
        ("capability-is-not-over", {"refusal_reason": "capability", "prompt_harmful": False, "over": True}),
        (
            "refusal-with-content-is-partial",
            {
                "response_refusal": True, "response_harmful": False, "task_content": "general",
                "head_a_base": "REFUSAL.DIRECT",
            },
        ),
        ("refusal-with-content-is-partial", {"head_a_base": "REFUSAL.PARTIAL", "task_content": "none"}),
        ("transform-adds-nothing", {"head_a": "COMPLY.TRANSFORM", "transform_only": False}),
    ],
)  # fmt: skip
def test_a_contradiction_is_named(name: str, facts: dict[str, str | bool | None]) -> None:
    assert name in broken(**facts)


def test_a_check_is_silent_while_what_it_needs_is_not_known() -> None:
    assert broken(head_a="REFUSAL.OVER") == []
    assert broken(response_harmful=True, head_a=None) == []
    assert broken() == []


def test_a_constitution_with_rules_of_its_own_can_break_one() -> None:
    odd = from_mapping({"labeling_rules": {"outcome_determination": {"COMPLY.UNSAFE": "false"}}})
    atoms = Atoms(response_harmful=True)
    full = next(completions(atoms))
    found = violations(facts_of(full, settle(full, odd.outcome_rules)))
    assert "harmful-is-unsafe" in [violation.invariant for violation in found]
