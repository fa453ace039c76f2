"""What end points obey, which servers are there, and where keys come from."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from refusal_tui.errors import UnavailableError
from refusal_tui.llm.detect import context_length, detect, look_at
from refusal_tui.llm.keys import api_key, read_env_file
from refusal_tui.llm.ladder import ChoiceField
from refusal_tui.llm.probe import probe
from refusal_tui.store.endpoints import Endpoint
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_faults import Faults


def endpoint(server: Loopback) -> Endpoint:
    return Endpoint("blorp", "custom", (server.base_url,), "loopback-1")


async def test_an_obedient_server_is_found_obedient() -> None:
    async with Loopback(Settings(context_tokens=4096)) as server:
        found = await probe(endpoint(server), measure_concurrency=False)
    assert (found.json_schema, found.choice, found.json_mode) == (True, ChoiceField.STRUCTURED_OUTPUTS, True)
    assert (found.logprobs, found.seed, found.system_role) == (True, True, True)
    assert found.top_logprobs >= 5
    assert found.context_length == 4096 and found.models == ("loopback-1",)


async def test_a_server_that_accepts_every_field_and_ignores_it_is_seen_through() -> None:
    async with Loopback(Settings(obeys=frozenset())) as server:
        found = await probe(endpoint(server), measure_concurrency=False)
    assert (found.json_schema, found.choice, found.json_mode) == (False, None, False)
    assert (found.logprobs, found.seed) == (False, False)


@pytest.mark.parametrize("field", [field for field in ChoiceField if field is not ChoiceField.SCORED])
async def test_the_field_for_choices_is_found(field: ChoiceField) -> None:
    async with Loopback(Settings(obeys=frozenset({field.value}))) as server:
        found = await probe(endpoint(server), measure_concurrency=False)
    assert found.choice is field and found.json_schema is False


async def test_a_server_that_always_says_the_same_proves_nothing_about_seeds() -> None:
    async with Loopback(Settings(answer=lambda body, row: "zibbet")) as server:
        found = await probe(endpoint(server), measure_concurrency=False)
    assert found.seed is None


async def test_the_concurrency_ends_where_the_server_refuses() -> None:
    async with Loopback(Settings(max_parallel=4, latency=0.02)) as server:
        found = await probe(endpoint(server))
    assert found.concurrency is not None and found.concurrency <= 4
    assert any("requests side by side" in note for note in found.notes) or found.concurrency < 4


async def test_a_failure_that_passes_does_not_spoil_the_probe() -> None:
    async with Loopback(Settings(faults=Faults(rate_limit=0.2, retry_after=0.001), seed=1)) as server:
        found = await probe(endpoint(server), measure_concurrency=False)
    assert found.json_schema and found.logprobs


async def test_a_model_that_the_server_does_not_list_is_noted() -> None:
    async with Loopback() as server:
        found = await probe(Endpoint("b", "custom", (server.base_url,), "blorp-9"), measure_concurrency=False)
    assert any("blorp-9" in note for note in found.notes)


async def test_a_wrong_key_and_a_dead_server_are_told_in_a_sentence() -> None:
    async with Loopback(Settings(api_key="right")) as server:
        with pytest.raises(UnavailableError, match="refused the key"):
            await probe(endpoint(server), api_key="wrong")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await probe(endpoint(server), api_key="right")


async def test_servers_on_this_machine_are_recognised_by_what_they_say() -> None:
    async with Loopback(Settings(owned_by="vllm", context_tokens=8192)) as vllm, Loopback() as other:
        found = await asyncio.to_thread(detect, [vllm.port, other.port, 9], environment={})
        locked = Loopback(Settings(api_key="x"))
        async with locked:
            wants_key = await asyncio.to_thread(look_at, locked.port)
    assert [(c.preset, c.base_url, c.models) for c in found] == [
        ("vllm", vllm.base_url, ("loopback-1",)),
        ("custom", other.base_url, ("loopback-1",)),
    ]
    assert found[0].context_length == 8192
    assert wants_key is not None and wants_key.models == ()


def test_a_provider_is_offered_when_its_key_is_set_and_the_key_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=secret-1\n")
    found = detect([], folders=[tmp_path], environment={"OPENAI_API_KEY": "secret-2", "ANTHROPIC_API_KEY": ""})
    assert [c.preset for c in found] == ["openai", "google"]
    assert "secret" not in repr(found)


class Web:
    """A web server on a thread that answers each path with a status of its own."""

    def __init__(self, statuses: dict[str, int]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(statuses.get(self.path, 404))
                self.end_headers()
                self.wfile.write(b"<html>hello</html>")

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> Web:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_a_server_that_is_no_language_model_is_left_out() -> None:
    with Web({"/v1/models": 200}) as web:
        assert look_at(web.port) is None


def test_transformers_serve_is_known_by_a_route_of_its_own_even_without_a_list_of_models() -> None:
    with Web({"/v1/models": 500, "/load_model": 405}) as web:
        found = look_at(web.port)
    assert found is not None and found.preset == "transformers"


def test_context_lengths_of_vllm_and_llama_cpp() -> None:
    assert context_length([{"id": "a", "max_model_len": 4096}]) == 4096
    assert context_length([{"id": "a", "meta": {"n_ctx_train": 2048}}]) == 2048
    assert context_length([{"id": "a", "max_model_len": "many"}]) is None


def test_env_files_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# keys\nexport A_KEY=one\nB_KEY = 'two # not a comment' # a comment\nC_KEY=three # a comment\n"
        'D_KEY="four=4"\nnonsense\n=x\nE_KEY=\n'
    )
    assert read_env_file(file) == {
        "A_KEY": "one", "B_KEY": "two # not a comment", "C_KEY": "three", "D_KEY": "four=4", "E_KEY": "",
    }  # fmt: skip
    assert read_env_file(tmp_path / "missing") == {}


def test_the_environment_wins_over_env_files_and_the_first_folder_over_the_second(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / ".env").write_text(f"A_KEY=file{number}\nB_KEY=file{number}\n")
    folders = [tmp_path / "1", tmp_path / "2"]
    assert api_key("A_KEY", folders, {"A_KEY": "environment"}) == "environment"
    assert api_key("B_KEY", folders, {}) == "file1"
    assert api_key(None) is None
    with pytest.raises(UnavailableError, match="C_KEY is not set"):
        api_key("C_KEY", folders, {})
