"""A language model as a `Judge` outside any job: for `refusal-tui score` and for trying one out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from refusal_tui.judge.interview import Interview, questions_of
from refusal_tui.judge.llm_job import annotator_of
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import RowError, Verdict
from refusal_tui.llm.backend import Backend, capabilities_of, single_backend
from refusal_tui.store.endpoints import Endpoint


class LlmJudge:
    """The judge `name` (a question set) asking one end point. Use it as an async context manager around `judge`.

    Nothing is stored; identical rows are asked once. `beside`: further question sets asked in the same request.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        api_key: str | None = None,
        beside: str = "",
        constitution: Constitution = DEFAULT,
    ) -> None:
        self._endpoint = endpoint
        self._key = api_key
        self.interview = Interview(
            questions_of(name, beside),
            annotator_of(name, endpoint.name),
            capabilities_of(endpoint),
            secrets.token_bytes(16),
            constitution,
        )
        self.name = self.interview.annotator.removeprefix("judge:")
        self.version = self.interview.version
        self._backend: Backend | None = None

    async def __aenter__(self) -> LlmJudge:
        self._backend = single_backend(self._endpoint, self._key)
        await self._backend.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._backend is not None:
            await self._backend.close()

    async def judge(self, batch: Sequence[Row]) -> list[Verdict | RowError]:
        """One verdict or error per row, in order. Raises PauseJob when no server is left."""
        return list(await asyncio.gather(*(self._one(row) for row in batch)))

    async def _one(self, row: Row) -> Verdict | RowError:
        assert self._backend is not None, "enter the judge first: async with judge"
        request = self.interview.request(row)
        if isinstance(request, RowError):
            return request
        return self.interview.verdict(row, await self._backend.ask(request))
