"""How is one request sent to one base URL?

The `openai` SDK carries it (proxies, certificates, keys, both transports) through its public `post`, which takes the
body as it is and gives the raw response back: no pydantic model is built for a request or an answer, and headers stay
readable. The SDK never retries here (`max_retries=0`): each try is one row of the ledger, and the pool owns retries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.classify import failure_of_status, rate_headers, reply_of_body
from refusal_tui.llm.request import CallFailure, RateHeaders, Reply
from refusal_tui.text.mask import mask_secrets

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS = 10.0
DEFAULT_TIMEOUT = 300.0  # a long generation on a busy local server
NO_KEY = "none"  # the SDK insists on a key, local servers do not
# httpx looks at every connection of its pool for every request: 64 in one pool cost a quarter of the processor time
# of a request, 16 still a tenth, so they are dealt out to pools of about this many. Making one takes a millisecond.
_LANE_PLACES = 4
# What the SDK tells of itself and of this machine with every request. No server needs it; it is half of the headers and
# an eighth of the processor time of a request.
_UNSENT = (
    "X-Stainless-Lang", "X-Stainless-Package-Version", "X-Stainless-OS", "X-Stainless-Arch", "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version", "X-Stainless-Async", "X-Stainless-Retry-Count", "X-Stainless-Read-Timeout",
)  # fmt: skip


def aiohttp_available() -> bool:
    """Whether the faster transport can be used."""
    from importlib.util import find_spec

    return find_spec("aiohttp") is not None


@dataclass(slots=True)
class _Lane:
    """An SDK client with a connection pool of its own."""

    sdk: AsyncOpenAI
    in_flight: int = 0


_in_flight = attrgetter("in_flight")


class Client:
    """One base URL. Make it inside the event loop that uses it, and `await close()` it there."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_connections: int = 200,
        aiohttp: bool | None = None,
    ) -> None:
        import httpx2
        import openai

        self.base_url = base_url.rstrip("/")
        use_aiohttp = aiohttp_available() if aiohttp is None else aiohttp
        http_class = openai.DefaultAioHttpClient if use_aiohttp else openai.DefaultAsyncHttpxClient
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        times = httpx2.Timeout(timeout, connect=CONNECT_SECONDS)
        certificates = httpx2.create_ssl_context()  # 20 ms each: shared by the lanes
        lanes = 1 if use_aiohttp else -(-max_connections // _LANE_PLACES)
        self._raw_response = httpx2.Response
        self._timeout = timeout
        self._unsent = {name: openai.Omit() for name in _UNSENT}
        self._lanes = [
            _Lane(
                openai.AsyncOpenAI(
                    base_url=self.base_url,
                    api_key=api_key or NO_KEY,
                    max_retries=0,
                    timeout=times,
                    http_client=http_class(limits=limits, timeout=times, verify=certificates),
                )
            )
            for _ in range(lanes)
        ]
        self.sdk = self._lanes[0].sdk

    async def chat(self, body: Mapping[str, Any]) -> Reply | CallFailure:
        """Send one chat completion body (see `llm/ladder.py: wire_body`); never raises for what a server does."""
        started = time.perf_counter()
        lane = min(self._lanes, key=_in_flight)
        lane.in_flight += 1
        try:
            # The SDK's timeout is per read: a server that drips a byte now and then would hold a place for ever.
            async with asyncio.timeout(self._timeout):
                response = await lane.sdk.post(
                    "/chat/completions", body=body, cast_to=self._raw_response, options={"headers": self._unsent}
                )
                result = reply_of_body(response.text)
                rate = _rate_of(response)
        except TimeoutError:
            result = CallFailure(ErrorClass.TIMEOUT, f"no answer within {self._timeout:g} s")
            rate = None
        except Exception as error:
            result, rate = self.failure_of(error), _rate_of(getattr(error, "response", None))
        finally:
            lane.in_flight -= 1
        return replace(result, latency=time.perf_counter() - started, base_url=self.base_url, rate=rate)

    async def models(self) -> list[dict[str, Any]] | CallFailure:
        """The entries of `/models` as the server wrote them."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                response = await self.sdk.get("/models", cast_to=self._raw_response)
                value = response.json()
        except TimeoutError:
            return CallFailure(ErrorClass.TIMEOUT, f"no answer within {CONNECT_SECONDS:g} s", base_url=self.base_url)
        except ValueError:
            return CallFailure(ErrorClass.SERVER, "the list of models is not JSON", base_url=self.base_url)
        except Exception as error:
            return replace(self.failure_of(error), base_url=self.base_url)
        entries = value.get("data") if isinstance(value, dict) else None
        return [entry for entry in entries or () if isinstance(entry, dict)]

    async def close(self) -> None:
        for lane in self._lanes:
            await lane.sdk.close()

    def failure_of(self, error: Exception) -> CallFailure:
        """What an exception of the SDK means."""
        import openai

        if isinstance(error, openai.APIStatusError):
            response = error.response
            return failure_of_status(response.status_code, response.headers, response.text)
        if isinstance(error, openai.APIConnectionError):
            return _connection_failure(error)
        text = f"{type(error).__name__}: {mask_secrets(str(error))}"
        if isinstance(error, (UnicodeError, ValueError, TypeError)):  # a body that cannot be written as JSON
            return CallFailure(ErrorClass.BAD_REQUEST, text)
        return CallFailure(ErrorClass.CONNECTION, text)


_DEAD = {"ClientConnectorError", "ConnectionRefusedError", "gaierror", "ConnectError"}
_CUT = {"ServerDisconnectedError", "ClientOSError", "ClientPayloadError", "ConnectionResetError", "BrokenPipeError",
        "ReadError", "WriteError", "RemoteProtocolError"}  # fmt: skip


def _connection_failure(error: Exception) -> CallFailure:
    """Refused, cut or too slow? The SDK's own answer is not enough: over aiohttp a refused and a cut connection both
    arrive as its timeout error, so the names along the chain of causes decide (neither library has to be imported)."""
    chain = _chain(error)
    names = {kind.__name__ for cause in chain for kind in type(cause).__mro__}
    dead = bool(names & _DEAD)
    if not dead and not names & _CUT and "APITimeoutError" in names:
        return CallFailure(ErrorClass.TIMEOUT, "the server did not answer in time")
    detail = mask_secrets(str(chain[-1])) or type(chain[-1]).__name__
    sentence = "nobody listens there" if dead else "the connection was cut"
    return CallFailure(ErrorClass.CONNECTION, f"{sentence} ({detail})", dead=dead)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


def _rate_of(response: Any) -> RateHeaders | None:
    """A look at the raw bytes first: the SDK's header mapping costs as much as parsing the answer."""
    if response is None or not any(name.lower().startswith(b"x-ratelimit-") for name, _ in response.headers.raw):
        return None
    return rate_headers(response.headers)
