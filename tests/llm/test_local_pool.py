"""Weights in this process as a back end: collected into batches, in the ledger, stopped at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.limits import Budget, PauseJob
from refusal_tui.llm.loading import load_model
from refusal_tui.llm.local import LocalModel
from refusal_tui.llm.local_pool import LocalPool
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Sampling
from refusal_tui.llm.weights import resolve
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import Attempt, RowKey
from tests.support.tiny_model import CONTEXT, write_tiny_model

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


class Loader:
    """Loads in full precision and writes down how many rows the weights are given at a time."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def __call__(self, name: str) -> LocalModel:
        loaded = load_model(name, device="cpu", dtype="float32", batch_size=64)

        def note(module: object, positional: object, named: dict[str, Any]) -> None:
            rows, tokens = named["input_ids"].shape
            if tokens > 1:  # a prompt, not the next token of an answer
                self.groups.append(rows)

        loaded.model.register_forward_pre_hook(note, with_kwargs=True)
        return loaded


@asynccontextmanager
async def pool_of(folder: Path, loader: Loader | None = None, **options: Any) -> AsyncIterator[LocalPool]:
    pool = LocalPool(Endpoint("here", "local", ("local",), str(folder)), load=loader or Loader(), **options)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def ask(text: str, **wanted: Any) -> ChatRequest:
    sampling = wanted.pop("sampling", Sampling(max_tokens=4))
    return ChatRequest((Message("user", text),), sampling, **wanted)


async def test_requests_that_wait_together_are_answered_together(folder: Path) -> None:
    loader = Loader()
    async with pool_of(folder, loader) as pool:
        replies = await asyncio.gather(*(pool.ask(ask(f"Stir {n} zibbets.")) for n in range(40)))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert loader.groups == [40]


async def test_requests_of_different_shapes_do_not_share_a_batch(folder: Path) -> None:
    loader = Loader()
    async with pool_of(folder, loader) as pool:
        plain = [pool.ask(ask(f"Stir {n}.")) for n in range(3)]
        closed = [pool.ask(ask(f"Stir {n}.", choices=("A", "B"))) for n in range(5)]
        replies = await asyncio.gather(*plain, *closed)
    assert sorted(loader.groups) == [3, 5]
    assert {reply.text for reply in replies[3:] if isinstance(reply, Reply)} <= {"A", "B"}


async def test_the_same_question_is_answered_once_also_in_a_later_run(folder: Path) -> None:
    loader, cache = Loader(), ReplyCache()
    async with pool_of(folder, loader, cache=cache) as pool:
        first = await asyncio.gather(*(pool.ask(ask("Hum.")) for _ in range(3)))
    async with pool_of(folder, loader, cache=cache) as pool:
        again = await pool.ask(ask("Hum."))
    assert loader.groups == [1]
    assert isinstance(again, Reply) and again.cached and {r.text for r in [*first, again]} == {again.text}  # type: ignore[union-attr]


async def test_weights_written_anew_under_the_same_path_are_asked_again(folder: Path) -> None:
    async with pool_of(folder) as pool:
        before = pool.identity(ask("Hum."))
    os.utime(folder / "model.safetensors", (1, 1))
    async with pool_of(folder) as pool:
        assert pool.identity(ask("Hum.")) != before


async def test_every_answer_is_in_the_ledger_with_its_tokens_and_costs_nothing(folder: Path) -> None:
    attempts: list[Attempt] = []
    keys = [RowKey(3, n, "", 0) for n in range(3)]
    async with pool_of(folder, record=attempts.append) as pool:
        texts = ["Hum.", "Stir it twice.", "zibbet " * CONTEXT]
        replies = await asyncio.gather(*(pool.ask(ask(text), key) for text, key in zip(texts, keys)))
        status = pool.status()
    assert isinstance(replies[2], CallFailure) and replies[2].error_class is ErrorClass.CONTEXT_LENGTH
    by_key = {attempt.key: attempt for attempt in attempts}
    for key, reply in zip(keys[:2], replies[:2]):
        assert isinstance(reply, Reply)
        attempt = by_key[key]
        assert (attempt.prompt_tokens, attempt.completion_tokens) == (
            reply.usage.prompt_tokens, reply.usage.completion_tokens,
        )  # fmt: skip
        assert (attempt.status_code, attempt.cost_usd, attempt.base_url) == (200, 0.0, "local")
    assert by_key[keys[2]].error_class is ErrorClass.CONTEXT_LENGTH
    assert status.tokens == sum(r.usage.total or 0 for r in replies[:2] if isinstance(r, Reply)) and status.usd == 0


async def test_stopping_gives_up_a_long_answer_within_a_token(folder: Path) -> None:
    attempts: list[Attempt] = []
    async with pool_of(folder, record=attempts.append) as pool:
        long = Sampling(temperature=1.0, max_tokens=CONTEXT - 40, seed=1)
        asked = [asyncio.create_task(pool.ask(ask(f"Hum {n}.", sampling=long, k=n))) for n in range(4)]
        while not pool.status().in_flight:
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(pool.ask(ask("Hop.")))
        await asyncio.sleep(0)
        pool.stop()
        for result in await asyncio.gather(*asked, waiting, return_exceptions=True):
            assert isinstance(result, PauseJob)
    assert attempts == [], "what was given up is no attempt"


async def test_a_used_up_budget_of_tokens_pauses(folder: Path) -> None:
    async with pool_of(folder, budget=Budget(tokens=30)) as pool:
        await pool.ask(ask("Hum."))
        with pytest.raises(PauseJob, match="budget of 30 tokens"):
            for n in range(10):
                await pool.ask(ask(f"Hum {n}."))


async def test_an_error_of_the_model_fails_its_rows_and_the_next_ones_are_answered(folder: Path) -> None:
    async with pool_of(folder) as pool:
        real = pool._model.model.generate

        def broken(**inputs: object) -> object:
            pool._model.model.generate = real
            raise RuntimeError("a kernel was not found")

        pool._model.model.generate = broken
        with pytest.raises(RuntimeError, match="a kernel"):
            await pool.ask(ask("Hum."))
        assert isinstance(await pool.ask(ask("Hop.")), Reply)


async def test_loading_is_told_while_it_lasts(folder: Path) -> None:
    pool = LocalPool(Endpoint("here", "local", ("local",), str(folder)), load=Loader())
    assert pool.step() == f"loading the weights of {folder}"
    await pool.open()
    assert pool.step() == ""
    await pool.close()


async def test_weights_that_are_not_there_are_told_when_the_job_begins(tmp_path: Path) -> None:
    pool = LocalPool(Endpoint("here", "local", ("local",), str(tmp_path / "nothing")))
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        await pool.open()
    await pool.close()


@pytest.mark.parametrize("name", ["no-such-folder", "./no/such", "a/b/c", "~nobody/x/y"])
def test_a_name_that_is_neither_a_folder_nor_a_hub_name_is_refused_at_once(name: str) -> None:
    with pytest.raises(InputError, match="no name on the Hugging Face hub"):
        resolve(name)


def test_a_folder_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        resolve(str(tmp_path))
    assert resolve("owner/model-7b") == "owner/model-7b"
