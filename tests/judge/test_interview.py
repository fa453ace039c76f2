"""What is a language model asked about a row, and how is its answer understood? Without any server."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.jobs.control import submit
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.judge.canaries import MOST, canaries
from refusal_tui.judge.confidence import choice_probabilities, value_probability
from refusal_tui.judge.interview import Interview, nonce_of, questions_of
from refusal_tui.judge.lexical import classify
from refusal_tui.judge.spec import LLM_JUDGES, LabelSpec
from refusal_tui.judge.stance import stance
from refusal_tui.labels.question_sets import QUESTION_SETS
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import ErrorClass, Refusal3, RowError, Verdict
from refusal_tui.llm.ladder import Capabilities, ChoiceField
from refusal_tui.llm.request import ChatRequest, Reply, TokenLogprob
from refusal_tui.store.jobs import list_jobs
from tests.support.workspaces import make_workspace

ROW = Row(ItemId(7), "How do I wake the blorptanium?", "I'm sorry, I can't help with that.", key="seven")
PROBABLE = Capabilities(logprobs=True, top_logprobs=5, choice=ChoiceField.STRUCTURED_OUTPUTS, json_schema=True)


def interview(judge: str = "xstest", capabilities: Capabilities = PROBABLE, **more: object) -> Interview:
    return Interview(questions_of(judge), f"judge:{judge}@x", capabilities, b"secret", **more)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_every_judge_of_the_settings_is_a_question_set() -> None:
    assert set(LLM_JUDGES) <= QUESTION_SETS.keys()


@pytest.mark.parametrize("judge", LLM_JUDGES)
def test_every_judge_says_whether_the_response_refuses(judge: str) -> None:
    """With the answers of an honest judge: those that mean a refusal, and those that mean none."""
    asked = interview(judge, Capabilities())
    form = asked.form(ROW)
    refusing = {"explicit_refusal_of_the_whole": "yes", "refusal_reason": "policy", "task_content": "none"}
    refusing |= {"sorry": "0", "or_bench": "direct_refusal"}
    refusing |= {"refused": "yes", "response_refusal": "yes", "convincing": "1", "specific": "1"}
    refusing["helpfulness"] = "1"
    refusing["refusal3"] = {"xstest": "full_refusal", "roberta": "hard"}.get(judge, "")
    complying = {"refusal_reason": "none", "task_content": "specific", "answers_in_full": "yes"}
    complying |= {"sorry": "1", "or_bench": "direct_answer", "convincing": "5", "specific": "5"}
    complying["helpfulness"] = "5"
    complying["refusal3"] = {"xstest": "full_compliance", "roberta": "none"}.get(judge, "")
    for answers, refuses in ((refusing, True), (complying, False)):
        said = {question.name: answers.get(question.name, "no") for question in form.questions} | {"rationale": ""}
        verdict = asked.read(ROW, json.dumps(said))
        assert isinstance(verdict, Verdict), verdict
        assert stance(verdict, None).refuses is refuses


def test_one_question_is_answered_by_a_letter_where_probabilities_can_be_had() -> None:
    request = interview().request(ROW)
    assert isinstance(request, ChatRequest)
    assert request.choices == ("A", "B", "C") and request.schema is None and request.top_logprobs == 5
    request = interview(capabilities=Capabilities(json_schema=True)).request(ROW)
    assert isinstance(request, ChatRequest) and request.schema is not None and request.top_logprobs == 0


def test_the_same_text_is_asked_about_in_the_same_words_and_another_secret_changes_them() -> None:
    twin = Row(ItemId(8), ROW.prompt, ROW.response, key="eight")
    assert interview().request(ROW) == interview().request(twin)
    assert nonce_of(ROW, b"one") != nonce_of(ROW, b"other")


@given(st.text(), st.none() | st.text(), st.binary(min_size=1))
def test_a_nonce_never_stands_in_the_text(prompt: str, response: str | None, secret: bytes) -> None:
    nonce = nonce_of(Row(ItemId(1), prompt, response), secret)
    assert nonce not in prompt and nonce not in (response or "")


def test_a_text_that_holds_its_own_nonce_gets_another_one() -> None:
    """Nobody can write such a text without the secret; it is tried all the same."""
    first = nonce_of(ROW, b"s")

    class Sly(str):
        def __contains__(self, part: object) -> bool:
            return part == first or str.__contains__(self, str(part))

    assert nonce_of(Row(ItemId(1), Sly(ROW.prompt), ROW.response), b"s") != first


# --- understanding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["B", " b\n", "**B**", "(B)", "Answer: B.", '{"answer": "B"}', "<think>A or C?</think>\nB", "B)"]
)
def test_a_letter_is_understood_in_its_usual_clothes(text: str) -> None:
    verdict = interview().read(ROW, text)
    assert isinstance(verdict, Verdict) and verdict.answers["refusal3"].value == "hard"


@pytest.mark.parametrize("text", ["", "a tricky case", "B or C", "D", "Both A and B", "{"])
def test_what_is_no_letter_is_kept_unparsable(text: str) -> None:
    error = interview().read(ROW, text)
    assert isinstance(error, RowError) and (error.error_class, error.raw) == (ErrorClass.PARSE, text)


def test_words_of_refusal_in_the_place_of_an_answer_are_a_judge_that_refuses() -> None:
    error = interview().read(ROW, "I'm sorry, but I can't assist with that.")
    assert isinstance(error, RowError) and error.error_class is ErrorClass.JUDGE_REFUSAL


@given(st.text(max_size=200))
def test_no_answer_whatever_makes_the_reader_fail(text: str) -> None:
    for judge in ("xstest", "wildguard"):
        assert isinstance(interview(judge).read(ROW, text), Verdict | RowError)


# --- probabilities ---------------------------------------------------------------------------------------------------


def token(text: str, probability: float = 1.0, **top: float) -> TokenLogprob:
    return TokenLogprob(text, math.log(probability), tuple((t, math.log(p)) for t, p in top.items()))


def test_the_probability_of_a_letter_is_its_share_among_the_choices() -> None:
    reply = Reply("B", logprobs=(token("B", 0.6, B=0.6, A=0.2, the=0.2),))
    verdict = interview().read(ROW, "B", reply)
    assert isinstance(verdict, Verdict)
    assert verdict.answers["refusal3"].probability == pytest.approx(0.75)


def test_a_letter_inside_json_has_its_own_token() -> None:
    tokens = (token('{"answer":'), token(' "'), token("C", 0.5, C=0.5, A=0.5), token('"}'))
    found = choice_probabilities(tokens, "C")
    assert found is not None and found["C"] == pytest.approx(0.5) and found["A"] == pytest.approx(0.5)


def test_the_probability_of_a_value_is_the_product_of_its_tokens() -> None:
    tokens = (token('{"tone": "', 0.3), token("ca", 0.5), token("lm", 0.5), token('", "mood": '), token('"x"}', 0.25))
    assert value_probability(tokens, "tone") == pytest.approx(0.25)
    assert value_probability(tokens, "mood") == pytest.approx(0.25)
    assert value_probability(tokens, "size") is None and value_probability((), "tone") is None


# --- canaries and settings -------------------------------------------------------------------------------------------


def test_a_canary_refuses_or_answers_in_fact_and_claims_the_opposite() -> None:
    rows = canaries(MOST)
    assert len({(canary.row.prompt, canary.row.response) for canary in rows}) == MOST == 50
    assert sum(canary.refuses for canary in rows) == 25
    for canary in rows:
        truth = (canary.row.response or "").split("\n\n")[0]
        assert (classify(canary.row.prompt, truth).label is not Refusal3.NONE) is canary.refuses


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"judge": "atoms"}, "endpoint"),
        ({"judge": "lexical", "endpoint": "x"}, "endpoint"),
        ({"judge": "lexical", "canaries": 5}, "canaries"),
        ({"judge": "atoms", "endpoint": "x", "panel": "y, x"}, "panel"),
    ],
)
def test_settings_that_do_not_go_together_are_named(values: dict[str, object], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_spec(LabelSpec, values).check()
    assert field in caught.value.fields


def test_a_job_for_an_end_point_that_is_not_known_is_not_even_made(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=3)
    with pytest.raises(InputError, match="no end point named 'nowhere'"):
        submit(workspace, "label", LabelSpec(judge="atoms", endpoint="nowhere"))
    with closing(workspace.open()) as connection:
        assert list_jobs(connection) == []


def test_question_sets_that_cannot_be_asked_together_are_refused() -> None:
    with pytest.raises(InputError):
        questions_of("atoms", "strongreject")
