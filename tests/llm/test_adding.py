"""What a new end point is asked for, what is wrong with it, and the question before it is saved."""

from __future__ import annotations

import pytest

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.llm.adding import greet, settings_of, wrong_settings
from refusal_tui.llm.presets import PRESETS, get_preset
from refusal_tui.store.endpoints import Endpoint
from tests.support.judging import serving
from tests.support.loopback import Settings


def names(preset: str) -> list[str]:
    return [setting.name for setting in settings_of(get_preset(preset))]


def test_a_provider_is_asked_for_its_key_and_no_address_a_server_for_its_address() -> None:
    assert "url" not in names("openai") and "key_env" in names("openai")
    assert "url" in names("vllm") and "price_in" not in names("vllm")


def test_weights_are_asked_for_nothing_but_where_they_are() -> None:
    assert names("local") == ["name", "model"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_suggests_is_never_wrong(preset: str) -> None:
    values = {setting.name: setting.default for setting in settings_of(get_preset(preset))}
    assert wrong_settings(preset, {**values, "name": "mine", "model": "blorp"}) == {}


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("name", " ", "is needed"),
        ("url", "gpu1:8000", "begins with http"),
        ("url", "http://me:secret@gpu1/v1", "password"),
        ("url", "http://gpu1/v1, http://[x@y/v1", "password"),
        ("key_env", "sk-123", "not the key"),
        ("rpm", "many", "is a number"),
        ("price_in", "0.5", "with the other"),
    ],
)
def test_each_wrong_value_is_told_beside_its_field(setting: str, value: str, says: str) -> None:
    values = {"name": "mine", "url": "http://gpu1:8000/v1", "model": "m"}
    wrong = wrong_settings("custom", {**values, setting: value})
    assert len(wrong) == 1 and says in next(iter(wrong.values()))


async def test_every_replica_is_asked_once() -> None:
    with serving(Settings()) as one, serving(Settings()) as other:
        assert await greet(Endpoint("x", "vllm", (one.base_url, other.base_url), "loopback-1")) > 0
        assert (one.stats.requests, other.stats.requests) == (1, 1)


async def test_a_refused_key_and_an_absent_server_are_told_with_what_to_do() -> None:
    with serving(Settings(api_key="right")) as server:
        with pytest.raises(UnavailableError, match="refused the key"):
            await greet(Endpoint("x", "custom", (server.base_url,), "loopback-1"), "wrong")
        url = server.base_url
    with pytest.raises(UnavailableError, match="cannot be reached") as found:
        await greet(Endpoint("x", "custom", (url,), "loopback-1"))
    assert "Start the server" in found.value.next_step


async def test_weights_that_are_not_there_are_told() -> None:
    with pytest.raises(InputError, match="no folder"):
        await greet(Endpoint("x", "local", ("local",), "/no/such/blorp"))
