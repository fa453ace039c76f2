"""What does an end point really obey? A dozen small questions whose obedient answer no model gives by chance.

A server may accept a field and ignore it: `transformers serve` 5.23 does so with `response_format` and `logprobs`.
Nothing here trusts an HTTP 200; the answer has to show that it was forced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from refusal_tui.errors import RefusalTuiError, UnavailableError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.client import Client
from refusal_tui.llm.detect import context_length
from refusal_tui.llm.ladder import ANSWER, Capabilities, ChoiceField, choice_schema, wire_body
from refusal_tui.llm.local_probe import probe_weights
from refusal_tui.llm.parse import parse_object
from refusal_tui.llm.presets import get_preset
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Rung, Sampling
from refusal_tui.store.endpoints import Endpoint

# Made-up words: a model that greets back does not say them unless it is made to.
WORDS = ("frindle", "blorptanium")
SIDE_BY_SIDE = (1, 2, 4, 8, 16, 32, 64)
_WORTH_IT = 1.15  # twice the requests side by side must bring at least 15 % more answers per second
_TRIES = 3

_GREETING = "Say hello in one short sentence."
_NO_JSON = "Say hello in one short plain sentence. Do not write JSON."  # JSON mode insists on the word JSON
_LETTERS = "Write eight random letters, nothing else."


@dataclass(slots=True)
class _Asker:
    """Asks, tries again when a failure passes, and counts."""

    client: Client
    model: str
    max_tokens_field: str
    requests: int = 0

    async def ask(
        self, request: ChatRequest, rung: Rung = Rung.TEXT, choice: ChoiceField | None = None
    ) -> Reply | None:
        """The reply, or None where the server refuses this kind of request. Raises UnavailableError when it cannot be
        reached or does not let us in."""
        body = wire_body(request, model=self.model, rung=rung, choice=choice, max_tokens_field=self.max_tokens_field)
        result: Reply | CallFailure | None = None
        for number in range(_TRIES):
            if number and isinstance(result, CallFailure):
                await asyncio.sleep(min(result.retry_after or 0.5, 30.0))
            self.requests += 1
            result = await self.client.chat(body)
            if isinstance(result, Reply):
                return result
            if not result.error_class.retryable:
                break
        assert isinstance(result, CallFailure)
        if result.error_class in (ErrorClass.AUTH, ErrorClass.CONNECTION, ErrorClass.TIMEOUT):
            raise _unreachable(self.client.base_url, result)
        return None


async def probe(
    endpoint: Endpoint,
    *,
    api_key: str | None = None,
    measure_concurrency: bool = True,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Capabilities:
    """Ask the first server of an end point about 10 small questions, and up to 127 more for the concurrency.

    Weights in this process are loaded and tried instead. `tell` gets a sentence per step. Raises UnavailableError when
    the server cannot be reached or refuses the key, or when the weights cannot be loaded.
    """
    preset = get_preset(endpoint.preset)
    if preset.in_process:
        tell("loading the weights, in a process of their own")
        return await asyncio.to_thread(probe_weights, endpoint.model)
    client = Client(endpoint.base_urls[0], api_key=api_key, timeout=float(endpoint.options.get("timeout", 120)))
    asker = _Asker(client, endpoint.model, preset.max_tokens_field)
    try:
        tell("models")
        found = await _models(client, endpoint.model)
        tell("a plain question")
        plain = await asker.ask(_question(_GREETING))
        if plain is None:
            raise UnavailableError(
                f"{client.base_url} does not answer a plain question to the model {endpoint.model!r}.",
                "Look at the model's name: refusal-tui endpoint list",
            )
        tell("JSON schema")
        found = replace(found, json_schema=await _obeys_schema(asker))
        tell("choices")
        found = replace(found, choice=await _obeyed_choice(asker))
        tell("JSON mode")
        found = replace(found, json_mode=await _obeys_json_mode(asker))
        tell("log-probabilities")
        found = await _logprobs(asker, found)
        tell("seed")
        found = replace(found, seed=await _obeys_seed(asker))
        tell("system messages")
        system = ChatRequest((Message("system", "Be brief."), Message("user", _GREETING)), Sampling(max_tokens=24))
        found = replace(found, system_role=await asker.ask(system) is not None)
        tell("Batch API")
        found = replace(found, batch=await _speaks_batch(asker))
        if measure_concurrency:
            tell("requests side by side")
            found = await _concurrency(asker, found)
        return replace(found, notes=(*found.notes, f"{asker.requests} requests were sent"))
    finally:
        await client.close()


async def _models(client: Client, model: str) -> Capabilities:
    entries = await client.models()
    if isinstance(entries, CallFailure):
        if entries.status_code is None or entries.error_class is ErrorClass.AUTH:
            raise _unreachable(client.base_url, entries)
        return Capabilities(notes=("the server has no list of models",))
    names = tuple(str(entry.get("id")) for entry in entries)
    own = [entry for entry in entries if entry.get("id") == model]
    notes = () if own or not names else (f"the model {model!r} is not in the server's list",)
    return Capabilities(models=names, context_length=context_length(own or entries[:1]), notes=notes)


def _question(text: str, **wanted: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), wanted.pop("sampling", Sampling(max_tokens=48)), **wanted)


async def _obeys_schema(asker: _Asker) -> bool:
    request = _question(_GREETING, schema=choice_schema(WORDS[:1]))
    reply = await asker.ask(request, Rung.JSON_SCHEMA)
    if reply is None:
        return False
    return bool(parse_object(reply.text, required=[ANSWER]).value == {ANSWER: WORDS[0]})


async def _obeyed_choice(asker: _Asker) -> ChoiceField | None:
    for field in (ChoiceField.STRUCTURED_OUTPUTS, ChoiceField.GUIDED_CHOICE, ChoiceField.GRAMMAR):
        reply = await asker.ask(_question(_GREETING, choices=WORDS), Rung.CHOICE, field)
        if reply is not None and reply.text.strip() in WORDS:
            return field
    return None


async def _obeys_json_mode(asker: _Asker) -> bool:
    reply = await asker.ask(_question(_NO_JSON), Rung.JSON_MODE)
    return reply is not None and (parse_object(reply.text).ok or reply.text.lstrip().startswith("{"))


async def _logprobs(asker: _Asker, found: Capabilities) -> Capabilities:
    for wanted in (20, 5, 1):  # servers differ in the most they allow
        reply = await asker.ask(_question(_GREETING, top_logprobs=wanted))
        if reply is not None:
            given = max((len(token.top) for token in reply.logprobs), default=0)
            return replace(found, logprobs=bool(reply.logprobs), top_logprobs=given)
    return replace(found, logprobs=False)


async def _speaks_batch(asker: _Asker) -> bool:
    """Whether it can list its batches; nothing is submitted."""
    import openai

    asker.requests += 1
    try:
        await asker.client.sdk.batches.list(limit=1)
    except (openai.OpenAIError, ValueError):
        return False
    return True


async def _obeys_seed(asker: _Asker) -> bool | None:
    """True: one seed gives one text and another seed another. None: every text was the same, which proves nothing."""
    texts: list[str] = []
    for seed in (7, 7, 8):
        reply = await asker.ask(_question(_LETTERS, sampling=Sampling(temperature=1.0, max_tokens=24, seed=seed)))
        if reply is None:
            return False
        texts.append(reply.text)
    if texts[0] != texts[1]:
        return False
    return None if texts[2] == texts[0] else True


async def _concurrency(asker: _Asker, found: Capabilities) -> Capabilities:
    """Double the requests side by side while that pays off and nothing is refused."""
    loop = asyncio.get_running_loop()
    best, best_rate = 1, 0.0
    request = _question(_GREETING, sampling=Sampling(max_tokens=16))
    body = wire_body(request, model=asker.model, max_tokens_field=asker.max_tokens_field)
    for number in SIDE_BY_SIDE:
        started = loop.time()
        results = await asyncio.gather(*(asker.client.chat(body) for _ in range(number)))
        asker.requests += number
        rate = number / max(loop.time() - started, 1e-6)
        failures = [result for result in results if isinstance(result, CallFailure)]
        if failures:
            note = f"{number} requests side by side: {len(failures)} failed ({failures[0].message})"
            return replace(found, concurrency=best, notes=(*found.notes, note))
        if rate < best_rate * _WORTH_IT:
            break
        best, best_rate = number, rate
    return replace(found, concurrency=best)


def _unreachable(base_url: str, failure: CallFailure) -> RefusalTuiError:
    if failure.error_class is ErrorClass.AUTH:
        return UnavailableError(
            f"{base_url} refused the key: {failure.message}", "Set the right key, then probe again."
        )
    return UnavailableError(f"{base_url} cannot be reached: {failure.message}", "Start the server, then probe again.")
