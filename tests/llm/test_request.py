"""When are two requests the same, and how does a request look on the wire?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.cache import reply_from_json, reply_to_json
from refusal_tui.llm.ladder import Capabilities, ChoiceField, rung_for, wire_body
from refusal_tui.llm.presets import PRESETS, get_preset, price_of
from refusal_tui.llm.request import ChatRequest, Reply, Rung, Sampling, TokenLogprob, Usage, request_hash

ASK = ChatRequest((Message("system", "Be brief."), Message("user", "What is blorptanium?")))
SCHEMA = {"type": "object", "properties": {"refusal": {"type": "string"}}}


def identity(request: ChatRequest, server: str = "http://127.0.0.1:8000/v1", model: str = "m") -> bytes:
    return request_hash(request, server=server, model=model)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, messages=(Message("user", "What is blorptanium?"),)),
        replace(ASK, sampling=Sampling(max_tokens=9)),
        replace(ASK, choices=("yes", "no")),
        replace(ASK, schema=SCHEMA),
        replace(ASK, template="refusal3 v2"),
        replace(ASK, top_logprobs=5),
        replace(ASK, extra={"reasoning_effort": "low"}),
    ],
)
def test_whatever_can_change_the_answer_changes_the_identity(other: ChatRequest) -> None:
    assert identity(other) != identity(ASK)


def test_server_and_model_are_part_of_the_identity() -> None:
    assert len({identity(ASK), identity(ASK, server="http://127.0.0.1:8001/v1"), identity(ASK, model="n")}) == 3


def test_samples_are_one_request_at_temperature_0_and_several_above() -> None:
    warm = replace(ASK, sampling=Sampling(temperature=0.7))
    assert identity(replace(ASK, k=3)) == identity(ASK)
    assert identity(replace(warm, k=3)) != identity(warm)


def test_a_lone_surrogate_in_a_prompt_has_an_identity() -> None:
    assert len(identity(ChatRequest((Message("user", "\ud800"),)))) == 32


CHOICE = replace(ASK, choices=("yes", "no"))
OBEYS = Capabilities(json_schema=True, choice=ChoiceField.STRUCTURED_OUTPUTS, json_mode=True)


@pytest.mark.parametrize(
    ("request_", "capabilities", "rung"),
    [
        (ASK, OBEYS, Rung.TEXT),
        (replace(ASK, schema=SCHEMA), OBEYS, Rung.JSON_SCHEMA),
        (CHOICE, OBEYS, Rung.JSON_SCHEMA),
        (replace(CHOICE, top_logprobs=5), OBEYS, Rung.CHOICE),
        (CHOICE, replace(OBEYS, json_schema=False), Rung.CHOICE),
        (replace(ASK, schema=SCHEMA), replace(OBEYS, json_schema=False), Rung.JSON_MODE),
        (replace(ASK, schema=SCHEMA), Capabilities(), Rung.TEXT),
    ],
)
def test_the_strongest_rung_that_the_end_point_obeys_is_taken(
    request_: ChatRequest, capabilities: Capabilities, rung: Rung
) -> None:
    assert rung_for(request_, capabilities) is rung


def test_fields_that_are_not_set_are_not_sent() -> None:
    body = wire_body(ASK, model="m", max_tokens_field="max_completion_tokens")
    assert body.keys() == {"model", "messages", "temperature", "max_completion_tokens"}


def test_each_kind_of_server_gets_its_own_field_for_choices() -> None:
    def body(field: ChoiceField) -> dict[str, object]:
        return wire_body(replace(ASK, choices=("yes", 'the "no"')), model="m", rung=Rung.CHOICE, choice=field)

    assert body(ChoiceField.STRUCTURED_OUTPUTS)["structured_outputs"] == {"choice": ["yes", 'the "no"']}
    assert body(ChoiceField.GUIDED_CHOICE)["guided_choice"] == ["yes", 'the "no"']
    assert body(ChoiceField.GRAMMAR)["grammar"] == 'root ::= "yes" | "the \\"no\\""'


def test_capabilities_survive_storing_and_fields_of_other_versions() -> None:
    found = replace(OBEYS, models=("m",), context_length=4096, notes=("x",))
    assert Capabilities.from_json({**found.to_json(), "of the future": 1}) == found
    assert Capabilities.from_json(None) == Capabilities()


def test_a_reply_survives_the_cache_and_says_that_it_is_cached() -> None:
    reply = Reply("yes", logprobs=(TokenLogprob("yes", -0.1, (("no", -2.0),)),), usage=Usage(3, 1), rung=Rung.CHOICE)
    assert reply_from_json(reply_to_json(reply)) == replace(reply, cached=True)


def test_a_provider_refusal_is_a_result_when_generating_and_an_error_when_judging() -> None:
    filtered, refused = Reply("", "content_filter"), Reply("", refusal="I must decline.")
    assert filtered.provider_refused and filtered.judging_error is ErrorClass.CONTENT_FILTER
    assert refused.provider_refused and refused.judging_error is ErrorClass.JUDGE_REFUSAL
    assert not Reply("hard").provider_refused and Reply("hard").judging_error is None


def test_an_unknown_price_is_unknown_and_never_0() -> None:
    assert price_of("vllm", "any") is None
    assert price_of("openai", "gpt-4o-audio-preview") is None
    price = price_of("openai", "gpt-4o-mini")
    assert price is not None and price.cost(Usage(None, 5)) is None


def test_dated_names_have_the_price_of_their_model_and_batches_their_own() -> None:
    price = price_of("openai", "gpt-4o-mini-2024-07-18")
    assert price is not None
    assert price.cost(Usage(1_000_000, 1_000_000)) == pytest.approx(0.75)
    assert price.cost(Usage(1_000_000, 1_000_000), batch=True) == pytest.approx(0.375)
    assert "as of" in price.source


def test_prices_of_the_end_point_win() -> None:
    price = price_of("openai", "gpt-4o-mini", {"price_in": 1, "price_out": 2})
    assert price is not None and price.cost(Usage(1_000_000, 0)) == 1.0
    assert price.cost(Usage(1, 1), batch=True) is None


def test_an_unknown_preset_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        get_preset("blorp")
    assert all(name in caught.value.next_step for name in PRESETS)
