"""Settings as it is drawn and as it answers keys, over a server on this machine."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from refusal_tui.llm.presets import PRESETS
from refusal_tui.store.endpoints import Endpoint, list_endpoints, save_capabilities, save_endpoint
from refusal_tui.tui.screens.endpoint_form import EndpointFormScreen
from refusal_tui.tui.screens.settings import SettingsScreen
from refusal_tui.tui.state.settings import EndpointForm
from refusal_tui.tui.widgets.choice import Choice
from refusal_tui.tui.widgets.line_list import LineList
from tests.support.judging import OBEDIENT, serving
from tests.support.loopback import Settings
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.live import until
from tests.tui.test_hostile_screens import assert_harmless

SECRET = "sk-blorp-this-is-never-shown-0123456789"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for preset in PRESETS.values():
        if preset.key_env:
            monkeypatch.delenv(preset.key_env, raising=False)


@pytest.fixture
def filled(workspace, monkeypatch: pytest.MonkeyPatch):
    """Three end points: probed, with a key that is not set, and weights."""
    monkeypatch.setenv("BLORP_KEY", SECRET)
    with closing(workspace.open()) as connection:
        urls = ("http://gpu1:8000/v1", "http://gpu2:8000/v1")
        save_endpoint(connection, Endpoint("big", "vllm", urls, "blorp-70b", "BLORP_KEY", {"rpm": 600}))
        known = {
            **OBEDIENT,
            "seed": True,
            "context_length": 32768,
            "concurrency": 64,
            "notes": ["9 requests were sent"],
        }
        save_capabilities(connection, "big", known)
        save_endpoint(connection, Endpoint("gpt", "openai", ("https://api.openai.com/v1",), "gpt-4o-mini",
                                           "OPENAI_API_KEY"))  # fmt: skip
        save_endpoint(connection, Endpoint("tiny", "local", ("local",), "blorp/tiny-1b"))
    return workspace


def points(workspace) -> dict[str, Endpoint]:
    with closing(workspace.open(read_only=True)) as connection:
        return {one.name: one for one in list_endpoints(connection)}


def shown(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one(LineList).shown)


def facts(pilot) -> str:
    return pilot.app.screen.query_one("#settings-facts").content.plain


def said(pilot, name: str) -> str:
    return pilot.app.screen.query_one(f"#{name}").content.plain


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def write(pilot, name: str, value: str) -> None:
    editor = pilot.app.screen.query_one(f"#field-{name}")
    editor.focus()
    editor.value = value
    await settle(pilot)


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_end_points_look_like_this(filled, open_app, svg, size) -> None:
    async with open_app(filled, "settings", size=SIZES[size], ports=()) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_no_end_points_look_like_this(empty_workspace, open_app, svg, size, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    async with open_app(empty_workspace, "settings", size=SIZES[size], ports=()) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
@pytest.mark.parametrize("preset", ["openai", "vllm", "local"])
async def test_the_form_looks_like_this(workspace, open_app, svg, size, preset) -> None:
    async with open_app(workspace, "endpoint_form", size=SIZES[size], form=EndpointForm.empty(preset)) as pilot:
        assert svg(pilot.app, size)


# --- what is there ---------------------------------------------------------------------------------------------------


async def test_g_s_leads_here_and_a_key_is_told_of_but_never_shown(filled, open_app) -> None:
    async with open_app(filled) as pilot:
        await press(pilot, "g", "s")
        assert isinstance(pilot.app.screen, SettingsScreen)
        assert "key set: $BLORP_KEY" in shown(pilot) and "NO KEY: $OPENAI_API_KEY" in shown(pilot)
        assert SECRET not in pilot.app.export_screenshot() and SECRET not in facts(pilot)
        assert "http://gpu2:8000/v1" in facts(pilot) and "32,768 tokens" in facts(pilot)


async def test_what_is_within_reach_is_offered_and_enter_fills_the_form(workspace, open_app, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving(Settings(owned_by="vllm", model="blorp-8b")) as server:
        async with open_app(workspace, "settings", ports=(server.port,)) as pilot:
            assert server.base_url in shown(pilot) and "$OPENAI_API_KEY is set" in shown(pilot)
            await press(pilot, "enter")
            form = pilot.app.screen
            assert isinstance(form, EndpointFormScreen)
            assert form.query_one("#preset", Choice).value == "vllm"
            assert form.query_one("#field-url").value == server.base_url
            assert form.query_one("#field-model").value == "blorp-8b"


async def test_x_asks_before_it_forgets(filled, open_app) -> None:
    async with open_app(filled, "settings", ports=()) as pilot:
        await press(pilot, "x", "n")
        assert "big" in points(filled)
        await press(pilot, "x", "x")
        assert "big" not in points(filled) and "blorp-70b" not in shown(pilot)


# --- adding ----------------------------------------------------------------------------------------------------------


async def test_an_end_point_is_tried_and_saved(workspace, open_app) -> None:
    with serving(Settings(model="blorp-8b")) as server:
        async with open_app(workspace, "settings", ports=()) as pilot:
            await press(pilot, "a")
            await write(pilot, "name", "here")
            await write(pilot, "url", server.base_url)
            await write(pilot, "model", "blorp-8b")
            await write(pilot, "rpm", "600")
            await pilot.press("ctrl+s")
            await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
            await settle(pilot)
            assert "here" in shown(pilot)
        assert server.stats.requests >= 1
    made = points(workspace)["here"]
    assert (made.preset, made.base_urls, made.model) == ("vllm", (server.base_url,), "blorp-8b")
    assert made.options == {"rpm": 600}


async def test_a_server_that_does_not_answer_is_told_and_saved_only_when_asked_again(workspace, open_app) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    async with open_app(workspace, "settings", ports=()) as pilot:
        await press(pilot, "a")
        await write(pilot, "url", f"http://127.0.0.1:{closed}/v1")
        await write(pilot, "model", "blorp-8b")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "cannot be reached" in said(pilot, "problem"))
        assert "Start the server" in said(pilot, "problem") and points(workspace) == {}
        assert "save it all the same" in said(pilot, "ready")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
    assert "vllm" in points(workspace)


async def test_a_changed_form_is_tried_anew(workspace, open_app) -> None:
    async with open_app(workspace, "endpoint_form", form=EndpointForm.empty("local")) as pilot:
        await write(pilot, "model", "/no/such/folder")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no folder" in said(pilot, "problem").lower())
        await write(pilot, "model", "/no/such/other")
        assert said(pilot, "problem") == "" and "all the same" not in said(pilot, "ready")


async def test_a_key_in_the_place_of_its_name_is_refused_at_once(workspace, open_app) -> None:
    async with open_app(workspace, "endpoint_form", form=EndpointForm.empty("openai")) as pilot:
        await write(pilot, "model", "blorp-4")
        await write(pilot, "key_env", "sk-123-secret")
        assert "not the key" in said(pilot, "ready")
        await press(pilot, "ctrl+s")
        assert isinstance(pilot.app.screen, EndpointFormScreen) and points(workspace) == {}


async def test_another_kind_asks_for_other_fields_and_keeps_what_was_typed(workspace, open_app) -> None:
    async with open_app(workspace, "endpoint_form", form=EndpointForm.empty("vllm")) as pilot:
        await write(pilot, "name", "mine")
        await write(pilot, "model", "blorp-4")
        choice = pilot.app.screen.query_one("#preset", Choice)
        choice.focus()
        while choice.value != "openai":
            await press(pilot, "right")
        assert not pilot.app.screen.query("#field-url")
        assert pilot.app.screen.query_one("#field-key_env").value == "OPENAI_API_KEY"
        assert pilot.app.screen.query_one("#field-name").value == "mine"
        assert pilot.app.screen.query_one("#field-model").value == "blorp-4"


async def test_editing_changes_the_model_and_keeps_the_name_and_its_limits(filled, open_app) -> None:
    async with open_app(filled, "settings", ports=()) as pilot:
        await press(pilot, "e")
        assert not pilot.app.screen.query("#field-name")
        assert pilot.app.screen.query_one("#field-url").value == "http://gpu1:8000/v1, http://gpu2:8000/v1"
        await write(pilot, "model", "blorp-72b")
        pilot.app.screen._failed_with = pilot.app.screen._form.arguments  # nobody answers under these names
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
    made = points(filled)["big"]
    assert made.model == "blorp-72b" and len(made.base_urls) == 2 and made.options == {"rpm": 600}
    assert made.capabilities is None  # another model obeys other things


# --- probing ---------------------------------------------------------------------------------------------------------


async def test_probing_tells_its_steps_and_shows_what_it_found(workspace, open_app) -> None:
    with serving(Settings(obeys=frozenset({"json_mode", "seed"}))) as server:
        with closing(workspace.open()) as connection:
            save_endpoint(connection, Endpoint("here", "custom", (server.base_url,), "loopback-1"))
        async with open_app(workspace, "settings", ports=()) as pilot:
            assert "not probed" in shown(pilot)
            await pilot.press("p")
            await until(pilot, lambda: "JSON schema" in facts(pilot))  # a step, or its result
            await until(pilot, lambda: points(workspace)["here"].capabilities is not None)
            await until(pilot, lambda: "side by side" in facts(pilot) and "Probing" not in facts(pilot))
            assert "seed" in shown(pilot) and "requests were sent" in facts(pilot)


async def test_a_probe_that_fails_is_a_sentence_with_a_next_step(filled, open_app) -> None:
    async with open_app(filled, "settings", ports=()) as pilot:
        await press(pilot, "j")
        await pilot.press("p")
        await until(pilot, lambda: "OPENAI_API_KEY is not set" in facts(pilot))
        assert "export OPENAI_API_KEY" in facts(pilot)


async def test_leaving_the_screen_ends_a_probe(workspace, open_app) -> None:
    with serving(Settings(latency=60.0)) as server:
        with closing(workspace.open()) as connection:
            save_endpoint(connection, Endpoint("slow", "custom", (server.base_url,), "loopback-1"))
        async with open_app(workspace, "settings", ports=()) as pilot:
            await pilot.press("p")
            await until(pilot, lambda: server.stats.requests > 0)
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(pilot.app.screen, SettingsScreen))
            await until(pilot, lambda: not pilot.app.workers._workers)
    assert points(workspace)["slow"].capabilities is None


@pytest.mark.parametrize("hostile", hostile_cases(longest=500))
async def test_hostile_names_and_models(workspace, open_app, hostile) -> None:
    from refusal_tui.store.encoding import storable

    text = storable(hostile.text) or "empty"
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint(text, "custom", (f"http://{text}/v1",), text, "KEY"))
    async with open_app(workspace, "settings", ports=()) as pilot:
        assert_harmless(pilot)
        await press(pilot, "e")
        assert_harmless(pilot)
