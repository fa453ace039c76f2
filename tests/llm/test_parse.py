"""What a model's text answers: one behaviour per test, and properties over hostile text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.llm.parse import parse_choice, parse_object, repair_json, without_thinking

LABELS = ["none", "hard", "soft"]
words = st.text(alphabet=st.characters(exclude_characters="{}"), max_size=60)
tagless = st.text(alphabet=st.characters(exclude_characters="<"), max_size=20)
scalars = st.one_of(st.booleans(), st.integers(-1000, 1000), tagless, st.none())
objects = st.dictionaries(tagless.filter(bool), scalars, min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hard", "hard"),
        ("  **Hard**.\n", "hard"),
        ("“soft”", "soft"),
        ("```\nnone\n```", "none"),
        ("Not soft, not none: HARD", "hard"),
        ('{"answer": "Soft"}', "soft"),
        ('{"Answer ": "soft", "why": "it is hard to say"}', "soft"),
        ('{"label": "none"}', "none"),
        ("<think>hard? hard!</think> soft", "soft"),
        ("I think hard, because it declines.\n\nLabel: soft", "soft"),
    ],
)
def test_a_label_is_found_however_it_is_dressed(text: str, label: str) -> None:
    assert parse_choice(text, LABELS).value == label


def test_a_label_inside_another_word_does_not_count() -> None:
    assert parse_choice("This is harder and softer than nonesuch.", LABELS).value is None
    assert parse_choice("UNACCEPTABLE", ["acceptable", "unacceptable"]).value == "unacceptable"


def test_of_labels_that_end_together_the_longer_one_is_meant() -> None:
    assert parse_choice("It is a partial refusal", ["refusal", "partial refusal"]).value == "partial refusal"


def test_labels_of_several_words_match_across_underscores_and_blanks() -> None:
    assert parse_choice("the class: Full Compliance", ["full_compliance", "full_refusal"]).value is None
    assert parse_choice("the class: full-refusal!", ["full compliance", "full refusal"]).value == "full refusal"


def test_the_reason_names_the_labels_that_were_missing() -> None:
    assert (
        parse_choice("I would rather not say.", LABELS).reason
        == "none of the labels is in the answer: none, hard, soft"
    )
    assert parse_choice("", LABELS).reason == "the answer is empty"


def test_the_last_balanced_object_is_read() -> None:
    text = 'First I thought {"refusal": "hard"}, but: ```json\n{"refusal": "soft", "why": "a } in a string"}\n``` ok'
    assert parse_object(text, required=["refusal"]).value == {"refusal": "soft", "why": "a } in a string"}


def test_usual_slips_of_models_are_forgiven() -> None:
    assert parse_object("{“refusal”: “hard”, }").value == {"refusal": "hard"}
    assert parse_object('{"refusal": True, "x": None}').value == {"refusal": True, "x": None}
    assert parse_object('{"Refusal": "hard"}', required=["refusal"]).value == {"refusal": "hard"}


def test_a_missing_key_a_cut_object_and_no_object_have_different_reasons() -> None:
    assert parse_object('{"a": 1}', required=["b"]).reason == "the JSON object lacks b"
    assert parse_object('{"a": "cut of').reason == "the JSON object is cut off or not valid"
    assert parse_object("no").reason == "there is no JSON object in the answer"


def test_a_megabyte_of_braces_or_quotes_costs_no_quadratic_time() -> None:
    for hostile in ("{" * 1_000_000, '{"' * 500_000, "<think>" * 100_000, '\\"{' * 300_000):
        assert not parse_object(hostile).ok
        assert not parse_choice(hostile, LABELS).ok


@given(words, objects, words)
def test_an_object_survives_whatever_stands_around_it(before: str, value: dict[str, object], after: str) -> None:
    found = parse_object(before.replace("<", "") + "\n" + json.dumps(value) + "\n" + after.replace("<", "")).value
    assert found == value


@given(st.text(max_size=300))
def test_any_text_gives_a_value_or_a_reason(text: str) -> None:
    for parsed in (parse_object(text), parse_choice(text, LABELS)):
        assert (parsed.value is None) == (parsed.reason is not None)
    assert parse_choice(text, LABELS).value in (None, *LABELS)


@given(words, st.sampled_from(LABELS))
def test_a_label_on_the_last_line_wins(before: str, label: str) -> None:
    assert parse_choice(f"{before.replace('<', '')}\nLabel: {label}", LABELS).value == label


@given(objects, st.data())
@settings(max_examples=200)
def test_a_cut_off_object_keeps_only_what_was_said(value: dict[str, object], data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(1, len(text)))]
    repaired = repair_json(cut)
    if repaired is not None:
        whole = list(value.items())
        for key, item in list(repaired.items())[:-1]:  # the last one may be cut itself
            assert (key, item) in whole


def test_an_unclosed_thought_is_kept_because_nothing_says_where_it_ends() -> None:
    assert without_thinking("<think>perhaps hard") == "<think>perhaps hard"


def test_a_tag_that_an_answer_quotes_is_no_end_of_a_thought() -> None:
    assert parse_object('{"refusal": "soft", "why": "it says </think> hard"}').value["refusal"] == "soft"
