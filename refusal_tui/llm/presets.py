"""Which kinds of servers are known, where do they listen, and what do they charge?"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.llm.request import Usage


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of server.

    `base_url` holds `{port}` for servers on this machine. `owned_by`: what such a server writes into `/v1/models`,
    to recognise it. `max_tokens_field`: reasoning models of OpenAI refuse the older name. `batch`: speaks the
    OpenAI Batch API. `in_process`: no server at all, the weights are loaded by whoever asks.
    """

    name: str
    title: str
    base_url: str
    key_env: str | None = None
    port: int | None = None
    owned_by: tuple[str, ...] = ()
    max_tokens_field: str = "max_tokens"
    batch: bool = False
    in_process: bool = False

    def url(self, port: int | None = None) -> str:
        return self.base_url.format(port=port or self.port)


_LOCAL = "http://127.0.0.1:{port}/v1"

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY",
            max_tokens_field="max_completion_tokens", batch=True,
        ),
        Preset("anthropic", "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
        Preset(
            "google", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"
        ),
        Preset("vllm", "vLLM", _LOCAL, port=8000, owned_by=("vllm",)),
        Preset("llama.cpp", "llama.cpp server", _LOCAL, port=8080, owned_by=("llamacpp",)),
        Preset("ollama", "Ollama", _LOCAL, port=11434, owned_by=("library",)),
        Preset("transformers", "transformers serve", _LOCAL, port=8000),
        Preset("local", "weights in the job's own process", "local", in_process=True),
        Preset("custom", "any OpenAI-compatible server", _LOCAL, port=8000),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. Batch prices are None where the table does not know them."""

    input: float
    output: float
    batch_input: float | None = None
    batch_output: float | None = None
    source: str = ""

    def cost(self, usage: Usage, *, batch: bool = False) -> float | None:
        """USD for one answer, None when the tokens or the price are unknown."""
        price_in, price_out = (self.batch_input, self.batch_output) if batch else (self.input, self.output)
        if price_in is None or price_out is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        return (usage.prompt_tokens * price_in + usage.completion_tokens * price_out) / 1e6


def get_preset(name: str) -> Preset:
    """Raises InputError, naming the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise InputError(f"There is no preset named {name!r}.", f"Choose one of: {', '.join(PRESETS)}") from None


def price_of(preset: str, model: str, options: Mapping[str, Any] | None = None) -> Price | None:
    """The price of a model: the end point's own (`price_in`, `price_out`), then the table; None when unknown.

    The longest table name that is the model's name, or begins it before a "-", wins: "gpt-4o-mini-2024-07-18" is
    found under "gpt-4o-mini" and not under "gpt-4o". A name the table knows only by its family is not guessed:
    "gpt-4o-audio" has no price, because what follows is not a date.
    """
    options = options or {}
    if get_preset(preset).in_process:
        return Price(0.0, 0.0, source="weights in the job's own process")
    if "price_in" in options and "price_out" in options:
        return Price(
            float(options["price_in"]), float(options["price_out"]), options.get("batch_price_in"),
            options.get("batch_price_out"), "the end point's own options",
        )  # fmt: skip
    table = _price_tables().get(preset, {})
    for name in sorted((key for key, value in table.items() if isinstance(value, dict)), key=len, reverse=True):
        rest = model.removeprefix(name)
        if model.startswith(name) and (rest in ("", "-latest") or (rest[0] == "-" and rest[1:2].isdigit())):
            entry = table[name]
            source = f"{table['source']}, as of {table['as_of']}"
            return Price(entry["in"], entry["out"], entry.get("batch_in"), entry.get("batch_out"), source)
    return None


@cache
def _price_tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("refusal_tui.llm").joinpath("prices.toml").read_text(encoding="utf-8"))
