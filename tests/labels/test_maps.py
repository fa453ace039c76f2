"""What published labels and categories stand for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from refusal_tui.labels.harm_maps import (
    do_not_answer_harms,
    jailbreakbench_harms,
    rbr_harms,
    sorry_harms,
    wildguard_harms,
)
from refusal_tui.labels.maps import (
    CHATGPT_TONES,
    do_not_answer_outcome,
    jailbreakbench_outcome,
    or_bench_outcome,
    rbr_outcome,
    rbr_prompt_harmful,
    rbr_refusal3,
    sorry_outcome,
    wildguard_outcome,
    xstest_outcome,
)
from refusal_tui.labels.taxonomy import Outcome, Style
from refusal_tui.labels.verdict import Refusal3

HUMAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "human"


@pytest.mark.parametrize(
    ("labels", "outcome", "sure"),
    [
        ((True, False, True), Outcome.UNSAFE, True),
        ((False, True, False), Outcome.OVER, False),
        ((True, True, False), Outcome.DIRECT, False),
        ((True, False, False), Outcome.EDUCATIONAL, False),
        ((False, False, False), Outcome.BENIGN, True),
    ],
)
def test_wildguards_three_labels_name_an_outcome(labels, outcome: Outcome, sure: bool) -> None:
    guess = wildguard_outcome(*labels)
    assert guess is not None
    assert (guess.outcome, guess.sure) == (outcome, sure)


@pytest.mark.parametrize("labels", [(None, True, False), (True, None, False), (False, False, None), (True, None, None)])
def test_a_null_label_is_no_compliance(labels) -> None:
    assert wildguard_outcome(*labels) is None


def test_fulfilled_advice_of_sorry_bench_is_for_the_judge() -> None:
    assert sorry_outcome(True, 40, "202503").sure is False
    assert sorry_outcome(True, 41, "202406").sure is False  # the same category in the older numbering
    assert sorry_outcome(True, 40, "202406").sure is True
    assert sorry_outcome(True, 13, "unknown").sure is False
    assert sorry_outcome(False, 1, "202503").outcome is Outcome.DIRECT
    assert sorry_outcome(None, 1, "202503") is None


def test_do_not_answers_actions_name_outcomes_and_styles() -> None:
    found = {action: do_not_answer_outcome(action, False) for action in range(6)}
    assert {a: g and g.outcome for a, g in found.items()} == {
        0: Outcome.DIRECT,
        1: Outcome.DIRECT,
        2: Outcome.EDUCATIONAL,
        3: Outcome.CONDITIONAL,
        4: Outcome.CAPABILITY,
        5: None,  # follows the instruction, harmlessly: the source does not say how
    }
    assert found[1].style is Style.EXPLAIN
    assert found[3].style is Style.WITH_WARNINGS


def test_a_harmful_response_of_do_not_answer_is_unsafe() -> None:
    assert do_not_answer_outcome(5, True).outcome is Outcome.UNSAFE
    assert do_not_answer_outcome(3, True).outcome is Outcome.UNSAFE


def test_jailbreakbench_and_or_bench_tell_over_refusal_by_the_prompts() -> None:
    assert jailbreakbench_outcome(False, True, benign_split=True).outcome is Outcome.OVER
    assert jailbreakbench_outcome(False, True, benign_split=False).outcome is Outcome.DIRECT
    assert jailbreakbench_outcome(True, None, benign_split=False).outcome is Outcome.UNSAFE
    assert jailbreakbench_outcome(False, False, benign_split=True, transform_only=True).outcome is Outcome.TRANSFORM
    assert or_bench_outcome(True, toxic=False).outcome is Outcome.OVER
    assert or_bench_outcome(False, toxic=False).outcome is Outcome.BENIGN
    assert or_bench_outcome(False, toxic=True) is None


def test_refusing_xstests_safe_prompt_is_over_refusal() -> None:
    assert xstest_outcome(Refusal3.HARD, False).outcome is Outcome.OVER
    assert xstest_outcome(Refusal3.HARD, True).outcome is Outcome.DIRECT
    assert xstest_outcome(Refusal3.SOFT, False) is None
    assert xstest_outcome(None, False) is None


@pytest.mark.parametrize(
    ("said", "three"),
    [
        ({"inability_to_comply": True, "fully_complies": False, "partially_complies": False}, Refusal3.HARD),
        ({"inability_to_comply": True, "fully_complies": False, "partially_complies": True}, Refusal3.SOFT),
        ({"inability_to_comply": False, "fully_complies": True, "partially_complies": False}, Refusal3.NONE),
        ({"inability_to_comply": True, "fully_complies": True, "partially_complies": False}, None),
        ({"inability_to_comply": False, "fully_complies": False, "partially_complies": False}, None),
        ({}, None),
    ],
)
def test_rule_based_rewards_say_three_classes_only_without_doubt(said, three) -> None:
    assert rbr_refusal3(said) is three


def test_disallowed_content_is_unsafe_for_rule_based_rewards() -> None:
    assert rbr_outcome({"disallowed_content": True, "inability_to_comply": True}).outcome is Outcome.UNSAFE


def test_the_toxic_category_of_wildguard_is_left_to_the_judge() -> None:
    harms = wildguard_harms("toxic_language_hate_speech")
    assert (harms.sure, set(harms.maybe), harms.settled) == ((), {"hate_harassment", "bullying"}, False)


def test_a_category_without_harm_is_settled_and_an_unknown_one_is_null() -> None:
    assert wildguard_harms("benign").settled
    assert wildguard_harms("brand_new") is None
    assert jailbreakbench_harms("Knitting") is None
    assert rbr_harms("None") is None


def test_every_number_of_both_sorry_benches_is_mapped_but_impersonation() -> None:
    assert all(sorry_harms(number, "202503") for number in range(1, 45))
    assert [number for number in range(1, 46) if sorry_harms(number, "202406") is None] == [12]
    assert sorry_harms(45, "202503") is None
    assert sorry_harms(1, "202001") is None


@pytest.mark.parametrize("number", range(12, 45))
def test_later_numbers_of_202406_are_one_higher(number: int) -> None:
    assert sorry_harms(number + 1, "202406") == sorry_harms(number, "202503")


def test_the_ten_categories_of_jailbreakbench_are_mapped() -> None:
    categories = [
        "Harassment/Discrimination", "Malware/Hacking", "Physical harm", "Economic harm", "Fraud/Deception",
        "Disinformation", "Sexual/Adult content", "Privacy", "Expert advice", "Government decision-making",
    ]  # fmt: skip
    assert all(jailbreakbench_harms(category) for category in categories)


def test_do_not_answers_chatbot_type_touches_no_harm_and_mental_health_may_be_a_topic() -> None:
    assert do_not_answer_harms("Treat Chatbot as a Human").settled
    assert do_not_answer_harms("Mental Health or Overreliance Crisis").topics == ("psychology_self_development",)


def _rows(name: str) -> list[dict]:
    path = HUMAN / name
    if not path.exists():
        pytest.skip("the human-labelled files are not here")
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_the_real_tones_and_propositions_give_the_classes_on_record() -> None:
    for row in _rows("chatgpt_refusals.jsonl"):
        assert CHATGPT_TONES[row["label_raw"]] == row["refusal3"]
    rows = _rows("rbr_gold.jsonl")
    assert Counter(rbr_refusal3(json.loads(row["label_raw"])) for row in rows) == {
        Refusal3.NONE: 128, Refusal3.HARD: 12, Refusal3.SOFT: 6, None: 249,
    }  # fmt: skip
    known = [row for row in rows if rbr_prompt_harmful(row["category"]) is not None]
    assert known and all(rbr_prompt_harmful(row["category"]) == row["prompt_harmful"] for row in known)


def test_the_real_types_of_do_not_answer_are_all_mapped() -> None:
    kinds = {row["types_of_harm"] for row in _rows("do_not_answer_dev.jsonl")}
    assert len(kinds) == 12
    assert all(do_not_answer_harms(kind) is not None for kind in kinds)
