"""What is asked of a language model, what comes back, and when are two requests the same?

Pure values. `ChatRequest` says what is wanted (an answer of a shape); which wire fields force that shape depends on
what the end point obeys and is decided by `llm/ladder.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass


class Rung(StrEnum):
    """How an answer's shape is forced, strongest first: the ladder of judging.md, section 5."""

    JSON_SCHEMA = "json_schema"
    CHOICE = "choice"
    JSON_MODE = "json_mode"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Sampling:
    """`temperature` None: the server's default, which counts as sampling. `max_tokens` None: the server's limit."""

    temperature: float | None = 0.0
    top_p: float | None = None
    max_tokens: int | None = 512
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. Give `schema` (a JSON schema of an object) or `choices` (the answer is one of them), or neither.

    `top_logprobs` 0: none wanted. `template`: name and version of the prompt's template, part of the request's
    identity. `k`: which of several samples. `extra`: fields of one kind of server, sent as they are.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    top_logprobs: int = 0
    template: str = ""
    k: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deterministic(self) -> bool:
        """Whether an identical request may be answered from an earlier answer."""
        return self.sampling.temperature == 0

    @property
    def chars(self) -> int:
        return sum(len(message.content) for message in self.messages)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with its natural-log probability, and the alternatives the server named."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def total(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """What `x-ratelimit-*` headers said: limits per minute, what is left, seconds until it is full again."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `refusal` is the provider's own refusal message; `latency` in seconds; `cached`: nothing was sent."""

    text: str
    finish_reason: str = "stop"
    refusal: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    usage: Usage = Usage()
    model_returned: str = ""
    latency: float = 0.0
    base_url: str = ""
    rung: Rung = Rung.TEXT
    cached: bool = False
    rate: RateHeaders | None = None
    repaired: bool = False

    @property
    def provider_refused(self) -> bool:
        """For generation this is a result: the provider's filter or the model's refusal channel spoke."""
        return self.finish_reason == "content_filter" or self.refusal is not None

    @property
    def judging_error(self) -> ErrorClass | None:
        """For judging a provider's refusal is an error: the filter's (content_filter) or the grader's own."""
        if self.finish_reason == "content_filter":
            return ErrorClass.CONTENT_FILTER
        return ErrorClass.JUDGE_REFUSAL if self.refusal is not None else None


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why there is no answer. `retry_after` in seconds, as the server asked; `raw` keeps what came instead.

    `dead`: nobody listens there (refused, unreachable), as opposed to a connection that was cut.
    """

    error_class: ErrorClass
    message: str
    status_code: int | None = None
    retry_after: float | None = None
    raw: str | None = None
    latency: float = 0.0
    base_url: str = ""
    rate: RateHeaders | None = None
    dead: bool = False


def request_hash(request: ChatRequest, *, server: str, model: str) -> bytes:
    """The identity of a request: sha256 over canonical JSON of what can change the answer.

    Not part of it: concurrency, retries, timeouts, file names, code; and `k` at temperature 0, where every sample is
    the same. `server` is the end point's first base URL: its replicas serve the same model by declaration.
    """
    sampling = request.sampling
    identity = {
        "server": server,
        "model": model,
        "messages": [[m.role, m.content] for m in request.messages],
        "sampling": [sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed, sampling.stop],
        "choices": request.choices,
        "schema": request.schema,
        "top_logprobs": request.top_logprobs,
        "template": request.template,
        "k": 0 if request.deterministic else request.k,
        "extra": request.extra,
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))  # ASCII: lone surrogates survive
    return hashlib.sha256(text.encode()).digest()
