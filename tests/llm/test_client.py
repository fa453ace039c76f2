"""One request to one server that misbehaves: over both transports, each failure has its class."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.classify import failure_of_status, rate_headers, reply_of_body, retry_after_of
from refusal_tui.llm.client import Client
from refusal_tui.llm.ladder import wire_body
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from tests.support.loopback import JUDGE_REFUSES, Loopback, Settings
from tests.support.loopback_faults import Faults

BODY = wire_body(ChatRequest((Message("user", "[row 1] What is blorptanium?"),)), model="loopback-1")


@pytest.fixture(params=[False, True], ids=["httpx2", "aiohttp"])
async def server_and_client(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Loopback, Client]]:
    async with Loopback() as server:
        client = Client(server.base_url, aiohttp=request.param, timeout=5)
        yield server, client
        await client.close()


async def ask(both: tuple[Loopback, Client], **settings: object) -> Reply | CallFailure:
    server, client = both
    server.settings = Settings(**settings)  # type: ignore[arg-type]
    return await client.chat(BODY)


async def test_an_answer_comes_with_usage_model_and_latency(server_and_client: tuple[Loopback, Client]) -> None:
    reply = await ask(server_and_client)
    assert isinstance(reply, Reply)
    assert reply.text.startswith("About 1:")
    assert reply.usage.prompt_tokens and reply.usage.completion_tokens
    assert reply.model_returned == "loopback-1" and reply.latency > 0


async def test_a_server_is_not_told_what_machine_asks(
    server_and_client: tuple[Loopback, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    answers = server_and_client[0].respond
    monkeypatch.setattr(
        server_and_client[0],
        "respond",
        lambda method, path, headers, body: sent.extend(headers) or answers(method, path, headers, body),
    )
    assert isinstance(await ask(server_and_client), Reply)
    assert "authorization" in sent and not [name for name in sent if "stainless" in name]


@pytest.mark.parametrize(
    ("faults", "error_class"),
    [
        (Faults(rate_limit=1), ErrorClass.RATE_LIMIT),
        (Faults(server_error=1), ErrorClass.SERVER),
        (Faults(cut=1), ErrorClass.CONNECTION),
        (Faults(truncated=1), ErrorClass.SERVER),
        (Faults(garbage_stream=1), ErrorClass.SERVER),
        (Faults(empty_choices=1), ErrorClass.SERVER),
    ],
)
async def test_each_fault_has_its_class(
    server_and_client: tuple[Loopback, Client], faults: Faults, error_class: ErrorClass
) -> None:
    failure = await ask(server_and_client, faults=faults)
    assert isinstance(failure, CallFailure)
    assert failure.error_class is error_class and failure.message


async def test_a_429_says_how_long_to_wait(server_and_client: tuple[Loopback, Client]) -> None:
    failure = await ask(server_and_client, faults=Faults(rate_limit=1, retry_after=7.5))
    assert isinstance(failure, CallFailure) and failure.retry_after == 7.5


async def test_a_wrong_key_stops_and_a_long_prompt_fails(server_and_client: tuple[Loopback, Client]) -> None:
    wrong = await ask(server_and_client, api_key="right")
    long = await ask(server_and_client, context_tokens=2)
    assert isinstance(wrong, CallFailure) and wrong.error_class is ErrorClass.AUTH
    assert isinstance(long, CallFailure) and long.error_class is ErrorClass.CONTEXT_LENGTH


async def test_a_slow_server_is_a_timeout_and_no_cut(server_and_client: tuple[Loopback, Client]) -> None:
    server, _ = server_and_client
    server.settings = Settings(latency=30)
    hasty = Client(server.base_url, timeout=0.05)
    failure = await hasty.chat(BODY)
    await hasty.close()
    assert isinstance(failure, CallFailure) and failure.error_class is ErrorClass.TIMEOUT


async def test_nobody_listening_is_told_from_a_cut_connection(server_and_client: tuple[Loopback, Client]) -> None:
    server, client = server_and_client
    cut = await ask(server_and_client, faults=Faults(cut=1))
    await server.die()
    dead = await client.chat(BODY)
    assert isinstance(cut, CallFailure) and cut.error_class is ErrorClass.CONNECTION and not cut.dead
    assert isinstance(dead, CallFailure) and dead.error_class is ErrorClass.CONNECTION and dead.dead


async def test_three_ways_to_refuse_are_kept_apart(server_and_client: tuple[Loopback, Client]) -> None:
    in_text = await ask(server_and_client, faults=Faults(judge_refusal=1))
    in_field = await ask(server_and_client, faults=Faults(provider_refusal=1))
    filtered = await ask(server_and_client, faults=Faults(content_filter=1))
    assert isinstance(in_text, Reply) and in_text.text == JUDGE_REFUSES and in_text.judging_error is None
    assert isinstance(in_field, Reply) and in_field.judging_error is ErrorClass.JUDGE_REFUSAL
    assert isinstance(filtered, Reply) and filtered.judging_error is ErrorClass.CONTENT_FILTER


async def test_rate_headers_are_read(server_and_client: tuple[Loopback, Client]) -> None:
    reply = await ask(server_and_client, requests_per_second=10.0, rate_headers=True)
    assert isinstance(reply, Reply) and reply.rate is not None
    assert reply.rate.limit_requests == 600 and reply.rate.reset_requests == 1.0


def error(code: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (
            400,
            error("context_length_exceeded", "This model's maximum context length is 8192 tokens."),
            "context_length",
        ),
        (400, error("exceed_context_size_error", "the request exceeds the available context size"), "context_length"),
        (400, '{"object":"error","message":"The prompt is too long"}', "context_length"),
        (400, error("content_filter", "filtered by our content management policy"), "content_filter"),
        (400, error("invalid_value", "temperature must be below 2"), "bad_request"),
        (422, '{"detail": [{"msg": "field required"}]}', "bad_request"),
        (404, error("model_not_found", "The model blorp does not exist"), "bad_request"),
        (402, "", "auth"),
        (403, error("permission_denied", "not allowed"), "auth"),
        (408, "", "timeout"),
        (429, error("rate_limit_exceeded", "slow down"), "rate_limit"),
        (429, error("insufficient_quota", "You exceeded your current quota"), "auth"),
        (500, "<html>Bad gateway</html>", "server"),
        (529, error("overloaded_error", "Overloaded"), "server"),
        (400, '[{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}}]', "bad_request"),
    ],
)
def test_statuses_and_bodies_of_many_servers_have_their_class(status: int, body: str, error_class: str) -> None:
    failure = failure_of_status(status, {}, body)
    assert failure.error_class == error_class
    assert failure.message and "<html>" not in failure.message


def test_a_key_that_the_server_repeats_is_masked() -> None:
    failure = failure_of_status(401, {}, error("invalid_api_key", "Incorrect API key provided: sk-abc123def456ghi789"))
    assert "sk-abc123" not in failure.message


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "3"}, "", 3.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", 0.0),
        ({}, '{"details": [{"retryDelay": "34s"}]}', 34.0),
        ({"retry-after": "soon"}, "", None),
        ({}, "", None),
    ],
)
def test_the_wait_is_read_from_every_usual_place(headers: dict[str, str], body: str, seconds: float | None) -> None:
    assert retry_after_of(headers, body) == seconds


def test_durations_of_rate_headers() -> None:
    rate = rate_headers({"x-ratelimit-reset-tokens": "6m0.5s", "x-ratelimit-reset-requests": "20ms"})
    assert rate is not None and rate.reset_tokens == 360.5 and rate.reset_requests == pytest.approx(0.02)
    assert rate_headers({"content-type": "x"}) is None


WHOLE = json.dumps(
    {"choices": [{"message": {"content": "hard"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
)


def test_a_body_cut_behind_the_answer_is_used_and_one_cut_inside_it_is_not() -> None:
    behind = reply_of_body(WHOLE[: WHOLE.index('"usage"') + 4])
    inside = reply_of_body(WHOLE[: WHOLE.index("hard") + 2])
    assert isinstance(behind, Reply) and behind.text == "hard" and behind.repaired
    assert isinstance(inside, CallFailure) and inside.raw


def test_no_cut_of_a_body_gives_another_answer_than_the_whole_one() -> None:
    for length in range(len(WHOLE)):
        result = reply_of_body(WHOLE[:length])
        assert isinstance(result, CallFailure) or result.text == "hard"


def test_an_event_stream_that_nobody_asked_for_is_put_together() -> None:
    chunks = [
        {"choices": [{"delta": {"content": "ha"}}]},
        {"choices": [{"delta": {"content": "rd"}, "finish_reason": "stop"}]},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    reply = reply_of_body(body)
    assert isinstance(reply, Reply) and reply.text == "hard"


def test_an_error_with_status_200_is_an_error() -> None:
    failure = reply_of_body(error("429", "slow down"))
    assert isinstance(failure, CallFailure) and failure.error_class is ErrorClass.RATE_LIMIT


@pytest.mark.parametrize("body", ["", "null", "[]", "7", '{"choices": 3}', '{"choices": [{"message": 7}]}', "{" * 9999])
def test_nonsense_with_status_200_is_the_servers_failure(body: str) -> None:
    result = reply_of_body(body)
    assert isinstance(result, CallFailure) and result.error_class is ErrorClass.SERVER


@pytest.mark.parametrize("aiohttp", [False, True])
async def test_as_many_requests_are_under_way_as_there_are_places(aiohttp: bool) -> None:
    """Over httpx the places are dealt out to several connection pools."""
    async with Loopback(Settings(latency=0.2)) as server:
        client = Client(server.base_url, aiohttp=aiohttp, max_connections=40, timeout=5)
        replies = await asyncio.gather(*(client.chat(BODY) for _ in range(40)))
        await client.close()
        assert all(isinstance(reply, Reply) for reply in replies)
        assert server.stats.peak == 40
