"""What can a job ask, whatever is behind it? A server, weights in its own process, or a provider's Batch API."""

from __future__ import annotations

from typing import Protocol

from refusal_tui.llm.ladder import IN_PROCESS, Capabilities
from refusal_tui.llm.limits import BudgetGuard
from refusal_tui.llm.local_pool import LocalPool
from refusal_tui.llm.pool import Pool, PoolStatus
from refusal_tui.llm.presets import get_preset
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import RowKey


class Backend(Protocol):
    """One end point for one run of a job. It lives in one event loop: `await open()` first, `await close()` last."""

    budget: BudgetGuard

    async def open(self) -> None:
        """Make it ready. Raises UnavailableError, saying why it is not."""

    async def ask(self, request: ChatRequest, key: RowKey = ...) -> Reply | CallFailure:
        """The final answer: it has been tried again where that made sense. Raises PauseJob when the job should stop."""

    def identity(self, request: ChatRequest) -> bytes:
        """What the same request is known by, here and in the cache."""

    def status(self) -> PoolStatus: ...

    def step(self) -> str:
        """What it is at that takes long, in words; "" when there is no such thing."""

    def stop(self) -> None:
        """Send nothing more; who waits gets PauseJob."""

    async def close(self) -> None: ...


def single_backend(endpoint: Endpoint, api_key: str | None = None) -> Backend:
    """The back end of an end point outside any job: no budget, no ledger."""
    return LocalPool(endpoint) if in_process(endpoint) else Pool(endpoint, api_key=api_key)


def capabilities_of(endpoint: Endpoint) -> Capabilities:
    """What an end point obeys: as probed, and of weights in this process what holds for all of them."""
    if endpoint.capabilities is None and in_process(endpoint):
        return IN_PROCESS
    return Capabilities.from_json(endpoint.capabilities)


def in_process(endpoint: Endpoint) -> bool:
    return get_preset(endpoint.preset).in_process
