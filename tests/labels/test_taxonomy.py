"""Which labels are there, and what do older names mean?"""

from __future__ import annotations

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.taxonomy import (
    HARMS,
    HEADS,
    STYLES,
    TOPICS,
    Outcome,
    Style,
    as_markdown,
    compliance_style,
    harm_named,
    joined,
    outcome_named,
    refusal_style,
    split_labels,
    style_named,
    topic_named,
)


def test_the_heads_have_the_sizes_of_the_taxonomy() -> None:
    sizes = {name: len(head.meanings) for name, head in HEADS.items()}
    assert sizes == {"head_a": 12, "head_b": 23, "head_c_a": 27, "head_c_b": 20, "head_d": 3, "tier": 6}
    assert (len(Outcome), len(STYLES), len(HARMS), len(TOPICS)) == (12, 23, 27, 20)


@pytest.mark.parametrize("head", HEADS.values(), ids=lambda head: head.name)
def test_every_label_has_one_meaning_of_its_own(head) -> None:
    meanings = list(head.meanings.values())
    assert all(meanings)
    assert len(set(meanings)) == len(meanings)


def test_the_guideline_names_every_label_with_its_meaning() -> None:
    text = as_markdown("head_a")
    assert all(f"| `{label}` | {meaning} |" in text for label, meaning in HEADS["head_a"].meanings.items())


def test_intellectual_property_is_a_harm_although_the_source_forgot_it() -> None:
    assert "intellectual_property" in HARMS


def test_hate_speech_is_another_name_for_hate_and_harassment() -> None:
    assert harm_named("Hate_Speech") == "hate_harassment"


@pytest.mark.parametrize(
    ("old", "style"),
    [
        ("REDIRECT", Style.REFRACT),
        ("STYLE.REDIRECT", Style.REFRACT),
        ("CLARIFY", Style.CLARIFY_TO_PROCEED),
        ("STYLE.EDUCATIONAL", Style.HIGH_LEVEL),
        ("RATE_LIMIT", Style.RATE_LIMIT),
        ("style.formal", Style.FORMAL),
    ],
)
def test_styles_of_older_texts_are_understood(old: str, style: Style) -> None:
    assert style_named(old) is style


def test_rate_limit_is_accepted_but_never_offered_to_a_judge() -> None:
    assert Style.RATE_LIMIT not in STYLES
    assert Style.RATE_LIMIT not in HEADS["head_b"].labels


@pytest.mark.parametrize(
    ("read", "wrong", "near"),
    [
        (outcome_named, "REFUSAL.DIRCT", "REFUSAL.DIRECT"),
        (style_named, "STEP_BY_STEPS", "STEP_BY_STEP"),
        (harm_named, "weapon", "weapons"),
        (topic_named, "histori", "history"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(read, wrong: str, near: str) -> None:
    with pytest.raises(InputError) as error:
        read(wrong)
    assert wrong.upper() in str(error.value).upper()
    assert near in error.value.next_step


def test_labels_of_one_row_are_kept_in_the_taxonomys_order() -> None:
    text = joined("head_c_a", ["violence", "weapons"])
    assert text == "weapons,violence"
    assert split_labels(text) == ("weapons", "violence")


def test_no_harm_at_all_is_an_answer_of_its_own() -> None:
    assert joined("head_c_a", []) == "none"
    assert split_labels("none") == ()


def test_older_style_heads_are_views_of_the_unified_one() -> None:
    assert refusal_style(Style.REFRACT, Outcome.DIRECT) == "REDIRECT"
    assert refusal_style(Style.DIRECT, Outcome.CAPABILITY) == "RATE_LIMIT"
    assert refusal_style(Style.HUMOROUS, Outcome.SOFT) is None
    assert refusal_style(Style.EXPLAIN, Outcome.BENIGN) is None
    assert compliance_style(Style.STEP_BY_STEP, Outcome.BENIGN) == "STEP_BY_STEP"
    assert compliance_style(Style.STEP_BY_STEP, Outcome.PARTIAL) is None
    assert compliance_style(Style.ANALOGY, Outcome.BENIGN) is None


def test_the_older_compliance_head_has_eleven_styles() -> None:
    assert sum(compliance_style(style, Outcome.BENIGN) is not None for style in Style) == 11


def test_the_older_refusal_head_has_six_styles() -> None:
    seen = {refusal_style(style, outcome) for style in Style for outcome in Outcome} - {None}
    assert seen == {"DIRECT", "EXPLAIN", "REDIRECT", "CLARIFY", "APPEAL_TO_VALUES", "RATE_LIMIT"}
