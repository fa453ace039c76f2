"""How is the same request at temperature 0 sent only once? Those that come while it is under way share its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply


class Once:
    """The requests of one back end that are under way. `shared`: answers that nothing was sent for."""

    def __init__(self, cache: ReplyCache | None = None) -> None:
        self._cache = cache
        self._asking: dict[bytes, asyncio.Future[Reply | CallFailure]] = {}
        self.shared = 0

    async def ask(
        self, request: ChatRequest, identity: bytes, send: Callable[[], Awaitable[Reply | CallFailure]]
    ) -> Reply | CallFailure:
        """An answer that is there already, or the one that `send` brings."""
        if not request.deterministic:
            return await send()
        while (other := self._asking.get(identity)) is not None:
            # A leader that was cancelled leaves no answer: one of those who waited asks then.
            with contextlib.suppress(asyncio.CancelledError):
                answer = await asyncio.shield(other)
                self.shared += 1
                return replace(answer, cached=True) if isinstance(answer, Reply) else answer
            if not other.cancelled():  # it was this task that was cancelled
                raise asyncio.CancelledError
        if self._cache is not None and (known := self._cache.get(identity)) is not None:
            self.shared += 1
            return known
        future: asyncio.Future[Reply | CallFailure] = asyncio.get_running_loop().create_future()
        self._asking[identity] = future
        try:
            result = await send()
            future.set_result(result)
            if self._cache is not None and isinstance(result, Reply):
                self._cache.put(identity, result)
            return result
        finally:
            del self._asking[identity]
            if not future.done():
                future.cancel()
