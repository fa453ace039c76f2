"""How does a job ask weights in its own process? Requests that wait are collected and answered in batches by a thread.

A `Backend` like `Pool`, without a network: nothing is tried again, nothing costs money, and what cannot be answered
fails for its row alone. Torch is loaded by `open`, in the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from refusal_tui.llm.attempts import attempt_of
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.limits import Budget, BudgetGuard, Clock, PauseJob, TokenEstimate
from refusal_tui.llm.loading import load_model
from refusal_tui.llm.local import LARGEST_BATCH, Interrupted, LocalModel
from refusal_tui.llm.once import Once
from refusal_tui.llm.pool import NO_BUDGET, NOBODY, NOTHING_SPENT, REAL_CLOCK, PoolStatus, ReplicaStatus
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, request_hash
from refusal_tui.llm.weights import fingerprint
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import Attempt, RowKey, Spent

GATHER_SECONDS = 0.02  # nothing new for so long: a batch may begin
_FREE = 0.0  # US dollars


@dataclass(slots=True)
class _Waiting:
    request: ChatRequest
    answer: asyncio.Future[Reply | CallFailure]


class LocalPool:
    """Make it in the event loop that uses it, `await open()`, and `await close()` in the end."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        budget: Budget = NO_BUDGET,
        spent: Spent = NOTHING_SPENT,
        seconds: float = 0.0,
        cache: ReplyCache | None = None,
        record: Callable[[Attempt], None] | None = None,
        clock: Clock = REAL_CLOCK,
        load: Callable[[str], LocalModel] = load_model,
    ) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.budget = BudgetGuard(budget, now=clock.now(), usd=spent.usd, tokens=spent.tokens, seconds=seconds)
        self.estimate = TokenEstimate()
        self._server = f"local:{fingerprint(endpoint.model)}"
        self._load = load
        self._once = Once(cache)
        self._record = record
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._stopped = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights")
        self._at_work = 0
        self._answered = 0
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the weights. Raises UnavailableError, saying why that cannot be done."""
        loop = asyncio.get_running_loop()
        self._model = await loop.run_in_executor(self._thread, self._load, self.endpoint.model)
        self._model.interrupted = self._stopped.is_set
        self._serving = asyncio.create_task(self._serve())

    async def close(self) -> None:
        self.stop()
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    def stop(self) -> None:
        """Answer nothing more; the batch at work is given up within a token, and whoever waits gets PauseJob."""
        self._stopped.set()
        self._let_go(self._waiting, PauseJob("The job was asked to stop."))
        self._waiting = []

    def identity(self, request: ChatRequest) -> bytes:
        """Weights that were written anew under the same path are another server."""
        return request_hash(request, server=self._server, model=self.endpoint.model)

    def status(self) -> PoolStatus:
        places = ReplicaStatus("local", True, self._at_work, LARGEST_BATCH, 0.0, self._answered, "")
        return PoolStatus(
            self._at_work, LARGEST_BATCH, self.budget.tokens, self.budget.usd, (places,), self._once.shared
        )

    def step(self) -> str:
        return "" if self._serving is not None else f"loading the weights of {self.endpoint.model}"

    async def ask(self, request: ChatRequest, key: RowKey = NOBODY) -> Reply | CallFailure:
        """The answer to one request; the same one at temperature 0 is answered once. Raises PauseJob: a budget is used
        up, or `stop` was called."""
        identity = self.identity(request)
        return await self._once.ask(request, identity, lambda: self._ask(request, key, identity))

    async def _ask(self, request: ChatRequest, key: RowKey, identity: bytes) -> Reply | CallFailure:
        tokens = self.estimate.prompt(request.chars) + self.estimate.completion(request.sampling.max_tokens)
        self._check(tokens)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        self.budget.begin(tokens, _FREE)
        result: Reply | CallFailure | None = None
        try:
            result = await waiting.answer
        finally:
            usage = result.usage if isinstance(result, Reply) else None
            used = usage.total if usage is not None else None
            self.budget.end(tokens, _FREE, used=used, cost=_FREE, answered=usage is not None)
        if usage is not None:
            self.estimate.learn(request.chars, usage.prompt_tokens, usage.completion_tokens)
        self._write_down(key, identity, result)
        return result

    def _check(self, tokens: float) -> None:
        if self._stopped.is_set():
            raise PauseJob("The job was asked to stop.")
        reason = self.budget.reason(self.clock.now(), tokens=tokens, usd=_FREE)
        if reason is not None:
            self.stop()
            raise PauseJob(f"Paused: {reason}.", "Raise the budget, then resume the job.")

    # --- batches ------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await self._gathered()
            group = self._taken()
            self._at_work = len(group)
            try:
                await loop.run_in_executor(self._thread, self._work, group, loop)
            except Interrupted:
                self._let_go(group, PauseJob("The job was asked to stop."))
            except Exception as error:  # of the model: those rows fail, the next batch may not
                self._let_go(group, error)
            finally:
                self._at_work = 0

    async def _gathered(self) -> None:
        """Requests come one by one, as fast as rows are read: begin when no more come, or with a full batch."""
        seen = 0
        while seen < len(self._waiting) < LARGEST_BATCH:
            seen = len(self._waiting)
            await self.clock.sleep(GATHER_SECONDS)

    def _taken(self) -> list[_Waiting]:
        """The oldest request and all that may share a batch with it. Requests that were given up are left out."""
        waiting = [one for one in self._waiting if not one.answer.done()]
        shape = _shape(waiting[0].request) if waiting else None
        group = [one for one in waiting if _shape(one.request) == shape][:LARGEST_BATCH]
        taken = set(map(id, group))
        self._waiting = [one for one in waiting if id(one) not in taken]
        if not self._waiting:
            self._arrived.clear()
        return group

    def _work(self, group: list[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """In the thread. Answers are handed over batch by batch, so that they become durable while others are made."""
        for place, result in self._model.answer([one.request for one in group]):
            loop.call_soon_threadsafe(self._hand_over, group[place], result)

    def _hand_over(self, waiting: _Waiting, result: Reply | CallFailure) -> None:
        self._at_work -= 1
        self._answered += 1
        if not waiting.answer.done():
            waiting.answer.set_result(result)

    def _let_go(self, group: list[_Waiting], error: Exception) -> None:
        for one in group:
            if not one.answer.done():
                one.answer.set_exception(error)

    def _write_down(self, key: RowKey, identity: bytes, result: Reply | CallFailure) -> None:
        if self._record is None:
            return
        ended = self.clock.wall()
        self._record(
            attempt_of(
                result, key=key, n=1, endpoint=self.endpoint.name, base_url="local", model=self.endpoint.model,
                started=ended - result.latency, ended=ended, request_hash=identity, cost_usd=_FREE,
            )
        )  # fmt: skip


def _shape(request: ChatRequest) -> tuple[object, ...]:
    """Requests of one shape may share a batch."""
    return request.sampling, request.choices, bool(request.top_logprobs)
