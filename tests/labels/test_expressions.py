"""How a rule is written, what it means, and what is said when it cannot be read."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.labels.expressions import (
    Constant,
    ExpressionError,
    Is,
    Not,
    all_of,
    any_of,
    evaluate,
    names,
    parse,
)

WORDS = {"harmful": ("yes", "no"), "refused": ("yes", "no"), "reason": ("policy", "capability", "none")}

leaves = st.one_of(
    st.builds(Constant, st.booleans()),
    st.builds(Is, st.sampled_from(["harmful", "refused"]), st.sampled_from(["yes", "no"])),
    st.builds(Is, st.just("reason"), st.sampled_from(WORDS["reason"])),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: all_of(*parts)),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: any_of(*parts)),
    ),
    max_leaves=12,
)
facts = st.fixed_dictionaries({name: st.sampled_from([None, *values]) for name, values in WORDS.items()})


@given(expressions)
def test_a_printed_rule_reads_back_as_the_same_rule(expr) -> None:
    assert parse(str(expr)) == expr


@given(expressions, facts)
def test_what_a_rule_says_of_unknown_facts_holds_however_they_turn_out(expr, known) -> None:
    said = evaluate(expr, known)
    options = [[value] if value is not None else list(WORDS[name]) for name, value in known.items()]
    later = {evaluate(expr, dict(zip(known, values))) for values in product(*options)}
    assert None not in later
    if said is not None:
        assert later == {said}


def test_operators_names_and_values_may_be_in_any_case() -> None:
    assert parse("Harmful=TRUE and not (REASON = Policy)") == parse("harmful AND NOT reason = policy")


def test_the_rule_of_the_dataset_pipelines_readme_is_read_as_it_is() -> None:
    rule = parse("prompt_harmful=true AND response_refusal=true")
    assert evaluate(rule, {"prompt_harmful": "yes", "response_refusal": "yes"}) is True
    assert names(rule) == {"prompt_harmful", "response_refusal"}


def test_and_binds_closer_than_or_and_not_closer_than_both() -> None:
    assert parse("a OR b AND NOT c") == any_of(Is("a"), all_of(Is("b"), Not(Is("c"))))


def test_brackets_that_change_nothing_make_no_difference() -> None:
    assert parse("((a) AND (b AND c))") == parse("a AND b AND c")


def test_spellings_of_one_yes_or_no_rule_are_one_rule() -> None:
    spellings = ["NOT harmful", "harmful = false", "harmful != true", "harmful=no", "NOT harmful = yes"]
    assert len({parse(text, WORDS) for text in spellings}) == 1


@pytest.mark.parametrize(
    ("left", "op", "right", "result"),
    [
        ("yes", "AND", None, None),
        ("no", "AND", None, False),
        ("yes", "OR", None, True),
        ("no", "OR", None, None),
        (None, "AND", None, None),
    ],
)
def test_an_unknown_fact_counts_only_where_it_can_decide(left, op, right, result) -> None:
    assert evaluate(parse(f"harmful {op} refused"), {"harmful": left, "refused": right}) is result
    assert evaluate(parse(f"refused {op} harmful"), {"harmful": left, "refused": right}) is result


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 0, "missing"),
        ("harmful AND", 11, "missing"),
        ("harmful refused", 8, "AND or OR is missing"),
        ("(harmful OR refused", 19, "')' is missing"),
        ("harmful)", 7, "too many"),
        ("harmful == yes", 9, "value is missing"),
        ("harmful & refused", 8, "no meaning"),
        ("AND harmful", 0, "name is missing"),
        ("harmfull", 0, "'harmfull'"),
        ("refused AND reason = poetry", 21, "never 'poetry'"),
        ("refused AND reason", 12, "no yes-or-no question"),
        ("__import__('os')", 11, "no meaning"),
    ],
)
def test_an_unreadable_rule_is_answered_with_the_place_and_the_reason(text: str, position: int, words: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text, WORDS)
    assert words.lower() in str(error.value).lower()
    assert error.value.position == position
    assert f"character {position + 1}" in str(error.value)
    assert error.value.next_step


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ExpressionError) as error:
        parse("refusd", WORDS)
    assert error.value.next_step == "Did you mean refused?"


@pytest.mark.parametrize("text", ["(" * 5000 + "a", "NOT " * 2000 + "a", "a AND " * 5000 + "a"])
def test_a_rule_that_no_person_wrote_is_refused_and_not_crashed_on(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@given(st.text(alphabet="ab ()=!ANDORNOTtruefalse.\n\0€", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    try:
        expr = parse(text)
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse(str(expr)) == expr
