"""The tables of phrases and weights hold together."""

from __future__ import annotations

import re

import pytest

from refusal_tui.judge.features import features
from refusal_tui.judge.languages import LANGUAGE_RULES
from refusal_tui.judge.lexicon import RULES, Kind, Rule
from refusal_tui.judge.lexicon_context import CONTEXT_RULES
from refusal_tui.judge.reading import read
from refusal_tui.judge.scan import english, english_at_start, patterns, split_start
from refusal_tui.judge.weights import REFUSAL, SOFT

ALL_RULES = (*RULES, *CONTEXT_RULES, *LANGUAGE_RULES)


def test_rule_names_are_unique() -> None:
    names = [rule.name for rule in ALL_RULES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", (*RULES, *CONTEXT_RULES), ids=lambda rule: rule.name)
def test_english_patterns_begin_with_literal_letters(rule: Rule) -> None:
    for _, pattern in patterns([rule]):
        starts, _ = split_start(pattern)
        assert all(start[0].isalpha() for start in starts)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.name)
def test_patterns_have_no_groups_and_no_capitals(rule: Rule) -> None:
    for _, pattern in patterns([rule]):
        assert re.compile(pattern).groups == 0
        assert re.search(r"(?<!\\)[A-Z]", pattern) is None


def test_every_weight_belongs_to_a_feature_that_exists() -> None:
    places = {f"{place}.{kind.value}" for place in ("open", "body") for kind in Kind}
    others = {name for name in (*REFUSAL, *SOFT) if name not in places}
    source = features.__code__.co_consts
    assert others <= {value for value in source if isinstance(value, str)}


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("i can't wait", ["cant_idiom"]),
        ("i can't help with that", ["decline_act"]),
        ("i'm sorry for your loss", ["sorry_for_event"]),
        ("i'm sorry, but no", ["apology"]),
        ("as an ai language model, i do not have personal opinions", ["as_ai", "no_opinion"]),
        ("i cannot provide personal information", ["decline_act"]),
        ("it's important to know that it is not ethical", ["moral", "norm_not_good"]),
        ("but i cannot", ["inability"]),
        ("but i can suggest a book", ["pivot"]),
        ("scientific", []),
    ],
)
def test_the_first_fitting_rule_of_the_table_names_a_phrase(text: str, phrases: list[str]) -> None:
    assert [hit.rule.name for hit in english(text)] == phrases


def test_hits_say_where_they_are() -> None:
    [hit] = english("well, i cannot help")
    assert "well, i cannot help"[hit.start : hit.end] == "i cannot help"


def test_only_the_beginning_counts_when_asked_so() -> None:
    assert english_at_start("well, i cannot help") is None
    hit = english_at_start("i cannot help")
    assert hit is not None and hit.rule.kind is Kind.DECLINE


def test_the_opening_ends_after_two_sentences() -> None:
    found = read("", "I cannot help you. I cannot assist, my friend. I cannot provide it.").found
    assert [each.opening for each in found] == [True, True, False]


def test_a_short_first_sentence_does_not_use_up_the_opening() -> None:
    assert all(found.opening for found in read("", "No. Sorry! I cannot help with it. I cannot assist with it.").found)
