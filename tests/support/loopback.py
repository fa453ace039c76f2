"""An OpenAI-compatible server of our own, on this machine alone, that can be as unkind as a test asks.

In a test: `async with Loopback(Settings(...)) as server: ... server.base_url ...`. As a process of its own (for workers
that are killed, and for measuring): `python -m tests.support.loopback --port 0 --latency 0.05`, which prints the port
in its first line and serves until it is ended. It counts requests itself: `server.stats`, or `GET /stats`.

A row is recognised by `[row NAME]` anywhere in the messages, otherwise by the hash of the messages.
Standard library only: a raw asyncio protocol answers some 10,000 requests per second, so that the client is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from tests.support.loopback_answers import answer_text, logprobs_of
from tests.support.loopback_batch import BatchApi
from tests.support.loopback_faults import NO_FAULTS, Fault, Faults, uniform

OBEYS_ALL = frozenset({"json_schema", "json_mode", "structured_outputs", "logprobs", "seed"})
JUDGE_REFUSES = "I'm sorry, but I can't assist with assessing this material."
_ROW = re.compile(r"\[row ([\w./-]+)\]")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server behaves. Times in seconds.

    `jitter`: share of the latency that varies by row. `obeys`: see `loopback_answers.py`; what is not in it is ignored
    without a word. `max_parallel` and `requests_per_second`: beyond them comes a 429. `context_tokens`: four characters
    are a token. `owned_by` is what `/v1/models` says. `answer(body, row)` takes the place of the usual answer.
    """

    latency: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    faults: Faults = NO_FAULTS
    obeys: frozenset[str] = OBEYS_ALL
    model: str = "loopback-1"
    owned_by: str = "loopback"
    api_key: str | None = None
    context_tokens: int | None = None
    max_parallel: int | None = None
    requests_per_second: float | None = None
    rate_headers: bool = False
    batch: bool = True
    answer: Callable[[dict[str, Any], str], str] | None = None


@dataclass(slots=True)
class Stats:
    """What the server has seen. `rows`: tries per row; `answered`: whole answers; `statuses`: per HTTP status;
    `tokens`: what it would put on the bill."""

    requests: int = 0
    tokens: int = 0
    in_flight: int = 0
    peak: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Response:
    """What is written: `cut_at` closes the connection after so many bytes of the whole message."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    cut_at: int | None = None


class Loopback:
    """The server. `bodies` keeps the request bodies of chat completions, newest last, when `keep_bodies` is set."""

    def __init__(self, settings: Settings = Settings(), *, port: int = 0, keep_bodies: bool = False) -> None:
        self.settings = settings
        self.stats = Stats()
        self.bodies: list[dict[str, Any]] = []
        self.keep_bodies = keep_bodies
        self.batches = BatchApi(self._complete)
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()
        self._starts: list[float] = []

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self) -> Loopback:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def die(self) -> None:
        """Drop every connection and stop listening, as a killed server does; `start` brings it back on its port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._connections):
            transport.abort()
        await asyncio.sleep(0)

    async def __aenter__(self) -> Loopback:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    # --- one request -------------------------------------------------------------------------------------------------

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[Response, float, str | None]:
        """The response, the seconds to wait before it, and the row whose place in flight it takes (None: none)."""
        settings = self.settings
        if path == "/stats":
            return _json(200, self.stats.as_json()), 0.0, None
        if settings.api_key is not None and headers.get("authorization") != f"Bearer {settings.api_key}":
            self.stats.statuses[401] += 1
            return _error(401, "invalid_api_key", "Incorrect API key provided."), 0.0, None
        if method == "GET" and path == "/v1/models":
            entry = {"id": settings.model, "object": "model", "created": 1, "owned_by": settings.owned_by}
            if settings.context_tokens is not None:
                entry["max_model_len"] = settings.context_tokens
            return _json(200, {"object": "list", "data": [entry]}), 0.0, None
        if method == "POST" and path == "/v1/chat/completions":
            return self._chat(json.loads(body))
        if settings.batch and path.startswith(("/v1/files", "/v1/batches")):
            status, content = self.batches.handle(method, path, headers, body)
            if isinstance(content, bytes):
                return Response(status, content, "application/jsonl"), 0.0, None
            return _json(status, content), 0.0, None
        return _error(404, "not_found", f"no such route: {method} {path}"), 0.0, None

    def _chat(self, body: dict[str, Any]) -> tuple[Response, float, str | None]:
        settings, stats = self.settings, self.stats
        row = row_of(body)
        stats.requests += 1
        stats.rows[row] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        response = self._over_limit() or self._faulty(body, row) or self._billed(self._complete(body, row))
        stats.statuses[response.status] += 1
        if response.status == 429:
            return response, 0.0, None
        if response.status == 200 and response.cut_at is None and response.content_type == "application/json":
            stats.answered[row] += 1
        stats.in_flight += 1
        stats.peak = max(stats.peak, stats.in_flight)
        vary = settings.latency * settings.jitter * (2 * uniform(settings.seed, "latency", row) - 1)
        return response, settings.latency + vary, row

    def _over_limit(self) -> Response | None:
        settings = self.settings
        if settings.max_parallel is not None and self.stats.in_flight >= settings.max_parallel:
            return self._slow_down()
        if settings.requests_per_second is not None:
            now = time.monotonic()
            self._starts = [start for start in self._starts if start > now - 1.0]
            if len(self._starts) >= settings.requests_per_second:
                return self._slow_down()
            self._starts.append(now)
        return None

    def _slow_down(self) -> Response:
        self.stats.faults[Fault.RATE_LIMIT] += 1
        wait = f"{self.settings.faults.retry_after:g}"
        return _error(429, "rate_limit_exceeded", "Rate limit reached.", (("retry-after", wait),))

    def _faulty(self, body: dict[str, Any], row: str) -> Response | None:
        settings = self.settings
        chars = sum(len(str(message.get("content"))) for message in body["messages"])
        if settings.context_tokens is not None and chars / 4 > settings.context_tokens:
            sentence = f"This model's maximum context length is {settings.context_tokens} tokens."
            return _error(400, "context_length_exceeded", sentence)
        fault = settings.faults.of(settings.seed, row, self.stats.rows[row])
        if fault is None or fault is Fault.RATE_LIMIT:
            return None if fault is None else self._slow_down()
        self.stats.faults[fault] += 1
        if fault is Fault.SERVER_ERROR:
            return _error(500, "server_error", "The server had an error.")
        if fault is Fault.CUT:
            return Response(200, b"{}", cut_at=0)
        whole = self._complete(body, row)
        if fault is Fault.TRUNCATED:
            text = json.dumps(whole)
            return Response(200, text[: text.index('"content"') + 15].encode(), content_type="application/json; cut")
        if fault is Fault.GARBAGE_STREAM:
            return Response(200, b'data: {"choices": [{"delta": {"con\n\ndata: \xff\xfe{{{\n\n', "text/event-stream")
        if fault is Fault.EMPTY_CHOICES:
            return _json(200, whole | {"choices": []})
        message: dict[str, Any] = {"role": "assistant", "content": JUDGE_REFUSES}
        reason = "stop"
        if fault is Fault.PROVIDER_REFUSAL:
            message = {"role": "assistant", "content": None, "refusal": JUDGE_REFUSES}
        elif fault is Fault.CONTENT_FILTER:
            message, reason = {"role": "assistant", "content": None}, "content_filter"
        return self._billed(whole | {"choices": [{"index": 0, "message": message, "finish_reason": reason}]})

    def _billed(self, whole: dict[str, Any]) -> Response:
        self.stats.tokens += whole["usage"]["total_tokens"]
        return _json(200, whole)

    def _complete(self, body: dict[str, Any], row: str | None = None) -> dict[str, Any]:
        """A whole chat completion. At temperature 0, or with a seed that is obeyed, the same request gets the same."""
        settings = self.settings
        row = row or row_of(body)
        sample: object = 0
        if body.get("temperature", 1) != 0:
            seeded = body.get("seed") is not None and "seed" in settings.obeys
            sample = body["seed"] if seeded else (self.stats.requests, self.stats.rows[row])
        if settings.answer is not None:
            text = settings.answer(body, row)
        else:
            text = answer_text(body, row, sample, settings.obeys)
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        cut = limit is not None and len(text) > 4 * limit
        text = text[: 4 * limit] if cut else text
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "finish_reason": "length" if cut else "stop",
        }
        if body.get("logprobs") and "logprobs" in settings.obeys:
            choice["logprobs"] = logprobs_of(text, body, settings.obeys)
        tokens = sum(len(str(message.get("content"))) for message in body["messages"]) // 4 + 1
        answer_tokens = len(text) // 4 + 1
        return {
            "id": f"chatcmpl-{row}",
            "object": "chat.completion",
            "created": 1,
            "model": settings.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": answer_tokens,
                "total_tokens": tokens + answer_tokens,
            },
        }

    def rate_headers(self) -> tuple[tuple[str, str], ...]:
        if not self.settings.rate_headers or self.settings.requests_per_second is None:
            return ()
        limit = int(self.settings.requests_per_second * 60)
        left = max(0, int(self.settings.requests_per_second) - len(self._starts))
        return (
            ("x-ratelimit-limit-requests", str(limit)),
            ("x-ratelimit-remaining-requests", str(left)),
            ("x-ratelimit-reset-requests", "1s"),
        )


def row_of(body: dict[str, Any]) -> str:
    texts = [str(message.get("content")) for message in body["messages"]]
    for text in reversed(texts):
        match = _ROW.search(text)
        if match:
            return match[1]
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _json(status: int, value: object) -> Response:
    return Response(status, json.dumps(value).encode())


def _error(status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    value = {"error": {"message": message, "type": code, "code": code, "param": None}}
    return Response(status, json.dumps(value).encode(), headers=headers)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time, which is what clients do."""

    def __init__(self, server: Loopback) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._row: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._server._connections.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        self._leave()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._timer is not None:
            return
        request = _parse(self._buffer)
        if request is None:
            return
        method, path, headers, body, used = request
        self._buffer = self._buffer[used:]
        response, delay, self._row = self._server.respond(method, path, headers, body)
        self._timer = asyncio.get_running_loop().call_later(delay, self._write, response)

    def _write(self, response: Response) -> None:
        self._timer = None
        self._leave()
        assert self._transport is not None
        head = f"HTTP/1.1 {response.status} {'OK' if response.status < 400 else 'No'}\r\n"
        head += f"content-type: {response.content_type}\r\ncontent-length: {len(response.body)}\r\n"
        for name, value in (*response.headers, *self._server.rate_headers()):
            head += f"{name}: {value}\r\n"
        message = head.encode() + b"\r\n" + response.body
        if response.cut_at is not None:
            self._transport.write(message[: response.cut_at])
            self._transport.close()
            return
        self._transport.write(message)
        if self._buffer:
            self.data_received(b"")

    def _leave(self) -> None:
        if self._row is not None:
            self._server.stats.in_flight -= 1
            self._row = None


def _parse(buffer: bytes) -> tuple[str, str, dict[str, str], bytes, int] | None:
    """(method, path, headers, body, bytes used), None while the request is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = buffer[:end].decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    start = end + 4
    if headers.get("transfer-encoding", "").lower() == "chunked":
        chunked = _dechunk(buffer, start)
        return None if chunked is None else (method, path, headers, *chunked)
    length = int(headers.get("content-length", 0))
    if len(buffer) < start + length:
        return None
    return method, path, headers, buffer[start : start + length], start + length


def _dechunk(buffer: bytes, start: int) -> tuple[bytes, int] | None:
    body = b""
    while True:
        line = buffer.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(buffer[start:line].split(b";")[0], 16)
        if len(buffer) < line + 2 + size + 2:
            return None
        body += buffer[line + 2 : line + 2 + size]
        start = line + 2 + size + 2
        if size == 0:
            return body, start


def main(arguments: list[str] | None = None) -> None:
    """Serve in a process of its own; the first line of standard output is the port."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    for name in ("latency", "jitter"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="loopback-1")
    parser.add_argument("--owned-by", default="loopback")
    parser.add_argument("--api-key")
    parser.add_argument("--context-tokens", type=int)
    parser.add_argument("--max-parallel", type=int)
    parser.add_argument("--requests-per-second", type=float)
    parser.add_argument("--obeys", default=",".join(sorted(OBEYS_ALL)), help="comma-separated, '' obeys nothing")
    for share in fields(Faults):
        parser.add_argument(f"--{share.name.replace('_', '-')}", type=float, default=share.default)
    given = vars(parser.parse_args(arguments))
    port = given.pop("port")
    faults = Faults(**{share.name: given.pop(share.name) for share in fields(Faults)})
    obeys = frozenset(filter(None, given.pop("obeys").split(",")))

    async def serve() -> None:
        server = await Loopback(Settings(faults=faults, obeys=obeys, **given), port=port).start()
        print(server.port, flush=True)
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
