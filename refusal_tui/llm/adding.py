"""What has to be known of a new end point, and is what was given right? One question before it is saved."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.client import Client
from refusal_tui.llm.ladder import wire_body
from refusal_tui.llm.presets import Preset, get_preset
from refusal_tui.llm.request import CallFailure, ChatRequest, Sampling
from refusal_tui.llm.weights import resolve
from refusal_tui.store.endpoints import Endpoint

_NUMBERS = ("concurrency", "rpm", "tpm", "price_in", "price_out", "timeout")
_GREETING_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of the form for an end point. `default` is what a preset suggests, "" where it knows nothing."""

    name: str
    help: str
    default: str = ""
    required: bool = False


def settings_of(preset: Preset) -> list[Setting]:
    """What a kind of server needs, in the order of asking: nothing that its preset knows, or that it has not.

    >>> [setting.name for setting in settings_of(get_preset("openai"))][:3]
    ['name', 'model', 'key_env']
    """
    served = not preset.in_process
    found = [Setting("name", "what you call it in jobs", required=True)]
    if preset.port is not None:
        found.append(Setting("url", "base URL; several replicas with commas between them", preset.url(), required=True))
    whose = "its name at the provider" if preset.key_env else "empty: the only one that the server has"
    found.append(
        Setting("model", whose if served else "a folder, or owner/name on the Hugging Face hub",
                required=bool(preset.key_env) or not served)
    )  # fmt: skip
    if served:
        found.append(Setting("key_env", "the environment variable that holds the key (not the key)",
                             preset.key_env or ""))  # fmt: skip
        found.append(Setting("concurrency", "requests side by side, at most"))
        found.append(Setting("rpm", "requests per minute, at most"))
        found.append(Setting("tpm", "tokens per minute, at most"))
    if preset.key_env or preset.name == "custom":
        found.append(Setting("price_in", "US dollars per million prompt tokens, if not known"))
        found.append(Setting("price_out", "US dollars per million answer tokens"))
    if served:
        found.append(Setting("timeout", "seconds to wait for an answer"))
    return found


def wrong_settings(preset: str, values: Mapping[str, str]) -> dict[str, str]:
    """Setting -> what is wrong with it; values are texts as typed.

    >>> wrong_settings("openai", {"name": "big", "model": "m", "key_env": "sk-123"})
    {'key_env': 'is the name of a variable, such as OPENAI_API_KEY, not the key'}
    """
    wrong: dict[str, str] = {}
    for setting in settings_of(get_preset(preset)):
        value = values.get(setting.name, "").strip()
        if not value:
            if setting.required:
                wrong[setting.name] = "is needed"
        elif setting.name == "url":
            urls = split_urls(value)
            if any(map(holds_password, urls)):
                wrong["url"] = "must not hold a password: it would be stored"
            elif not all(re.match(r"https?://[^/\s]+", url) for url in urls):
                wrong["url"] = "begins with http:// or https://"
        elif setting.name == "key_env" and not value.isidentifier():
            wrong["key_env"] = "is the name of a variable, such as OPENAI_API_KEY, not the key"
        elif setting.name in _NUMBERS and not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", value):
            wrong[setting.name] = "is a number"
    if bool(values.get("price_in", "").strip()) != bool(values.get("price_out", "").strip()):
        wrong.setdefault("price_out" if values.get("price_in", "").strip() else "price_in", "is needed with the other")
    return wrong


def holds_password(url: str) -> bool:
    """
    >>> holds_password("http://me:secret@host/v1"), holds_password("http://host/v1?who=a@b")
    (True, False)
    """
    return "@" in re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]


def split_urls(value: str) -> tuple[str, ...]:
    return tuple(url.strip() for url in value.split(",") if url.strip())


async def greet(endpoint: Endpoint, api_key: str | None = None) -> float:
    """Ask one small question; returns the seconds of its answer. Weights are only looked for, not loaded.

    Raises UnavailableError when there is no answer, and InputError for weights that are not there.
    """
    preset = get_preset(endpoint.preset)
    if preset.in_process:
        resolve(endpoint.model)
        return 0.0
    question = ChatRequest((Message("user", "Say hello."),), Sampling(max_tokens=_GREETING_TOKENS))
    body = wire_body(question, model=endpoint.model, max_tokens_field=preset.max_tokens_field)
    for url in endpoint.base_urls:
        client = Client(url, api_key=api_key, timeout=min(60.0, float(endpoint.options.get("timeout", 60))))
        started = time.perf_counter()
        try:
            result = await client.chat(body)
        finally:
            await client.close()
        if isinstance(result, CallFailure):
            raise _no_answer(url, endpoint, result)
    return time.perf_counter() - started


def _no_answer(url: str, endpoint: Endpoint, failure: CallFailure) -> UnavailableError | InputError:
    if failure.error_class is ErrorClass.AUTH:
        return UnavailableError(f"{url} refused the key: {failure.message}", "Set the right key, then try again.")
    if failure.error_class in (ErrorClass.CONNECTION, ErrorClass.TIMEOUT):
        return UnavailableError(f"{url} cannot be reached: {failure.message}", "Start the server, or correct its URL.")
    return UnavailableError(
        f"{url} does not answer the model {endpoint.model!r}: {failure.message}", "Look at the model's name."
    )
