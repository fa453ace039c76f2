"""Which language models are within reach? Servers on this machine's usual ports, and providers whose key is set.

Only 127.0.0.1 is asked, with short timeouts, all ports side by side, by the standard library: a face may call this.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.llm.keys import known_keys
from refusal_tui.llm.presets import PRESETS

USUAL_PORTS = (
    8000,
    8001,
    8080,
    8081,
    11434,
    1234,
    30000,
)  # vLLM and transformers, llama.cpp, Ollama, LM Studio, SGLang
SECONDS = 2.0  # a closed port refuses at once; `transformers serve` scans a cache folder first
_LARGEST = 1_000_000  # bytes of an answer that are read


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could become an end point. `models` is empty for a provider: asking costs a request with the key.
    `context_length` where the server tells it. `locked`: it did not tell its models without a right key."""

    preset: str
    base_url: str
    models: tuple[str, ...] = ()
    key_env: str | None = None
    context_length: int | None = None
    locked: bool = False


def detect(
    ports: Iterable[int] = USUAL_PORTS,
    *,
    folders: Iterable[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> list[Candidate]:
    """Servers first, then providers with a key in the environment or a `.env` file."""
    wanted = list(ports)
    with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as threads:
        servers = [found for found in threads.map(look_at, wanted) if found is not None]
    keys = known_keys(folders, environment)
    providers = [
        Candidate(preset.name, preset.base_url, key_env=preset.key_env)
        for preset in PRESETS.values()
        if preset.key_env is not None and keys.get(preset.key_env, "").strip()
    ]
    return servers + providers


def look_at(port: int, seconds: float = SECONDS, *, key: str | None = None) -> Candidate | None:
    """The OpenAI-compatible server on a port of this machine, None when there is none."""
    status, body = _get(port, "/v1/models", seconds, key)
    if status in (401, 403):
        return Candidate("custom", _url(port), locked=True)
    try:
        entries = [entry for entry in json.loads(body)["data"] if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError):
        # `transformers serve` fails here while the hub's cache folder is missing, and answers chats all the same.
        found = status >= 500 and _is_transformers(port, seconds)
        return Candidate("transformers", _url(port)) if found else None
    owners = {str(entry.get("owned_by", "")).lower() for entry in entries}
    models = tuple(str(entry["id"]) for entry in entries if entry.get("id"))
    preset = _preset_of(owners, port)
    if preset == "custom" and _is_transformers(port, seconds):
        preset = "transformers"
    return Candidate(preset, _url(port), models, context_length=context_length(entries))


def _is_transformers(port: int, seconds: float) -> bool:
    """A route of its own that no other server has: there, but not for GET."""
    return _get(port, "/load_model", seconds)[0] == 405


def _get(port: int, path: str, seconds: float, key: str | None = None) -> tuple[int, bytes]:
    """(status, body), (0, b"") when nothing that speaks HTTP answers in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(_LARGEST)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def context_length(entries: Iterable[Mapping[str, object]]) -> int | None:
    """Tokens of context, where `/v1/models` tells: vLLM's `max_model_len`, llama.cpp's `meta`, and others' names."""
    for entry in entries:
        meta = entry.get("meta")
        places = [entry, meta if isinstance(meta, dict) else {}]
        for name in ("max_model_len", "context_length", "context_window", "n_ctx", "n_ctx_train"):
            for place in places:
                value = place.get(name)
                if isinstance(value, int) and value > 0:
                    return value
    return None


def _preset_of(owners: set[str], port: int) -> str:
    for preset in PRESETS.values():
        if owners & set(preset.owned_by):
            return preset.name
    return "ollama" if port == 11434 else "custom"


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"
