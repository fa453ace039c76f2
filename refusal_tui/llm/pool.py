"""How does a job ask a language model? One `Pool` per end point and job: `await pool.ask(request, key)`.

The pool owns everything between a row and a final answer: the shape of the request, the rate, places side by side,
several servers, retries with backoff, identical requests, the ledger and the budget. What comes back is final: a Reply,
or a CallFailure that is not worth another try. `PauseJob` is raised when the whole job should stop asking; the row in
hand then has no outcome and is asked again after the job is resumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.attempts import attempt_of
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.client import DEFAULT_TIMEOUT, Client
from refusal_tui.llm.ladder import Capabilities, rung_for, wire_body
from refusal_tui.llm.limits import (
    Budget,
    BudgetGuard,
    Clock,
    Concurrency,
    PauseJob,
    TokenBucket,
    TokenEstimate,
    backoff_seconds,
)
from refusal_tui.llm.once import Once
from refusal_tui.llm.presets import get_preset, price_of
from refusal_tui.llm.replicas import Replica, Replicas
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, request_hash
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import Attempt, Backoff, RowKey, Spent

NO_BUDGET = Budget()
NOTHING_SPENT = Spent()
REAL_CLOCK = Clock()
NOBODY = RowKey()  # a request outside any job: a probe, a preview

# Tries per row and class. A 429 with a wait is obeyed by the pool as a whole, so it may come often.
TRIES: Mapping[ErrorClass, int] = {
    ErrorClass.RATE_LIMIT: 20,
    ErrorClass.SERVER: 6,
    ErrorClass.TIMEOUT: 3,
    ErrorClass.CONNECTION: 6,
}


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    base_url: str
    alive: bool
    in_flight: int
    limit: int
    held_for: float
    answered: int
    complaint: str


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What the job screen shows. `usd` None: the price is unknown; `cached`: answers that nothing was sent for."""

    in_flight: int
    limit: int
    tokens: int
    usd: float | None
    replicas: tuple[ReplicaStatus, ...]
    cached: int = 0


class Pool:
    """Make it in the event loop that uses it: `async with Pool(endpoint, api_key=…) as pool`.

    `record` gets every attempt, `wait` every backoff as (key, Backoff): both are called in the loop and must not block;
    a writer puts them into its commit group. `waiting`: backoffs of an earlier run. `spent`, `seconds`: what the job
    has used before.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        api_key: str | None = None,
        budget: Budget = NO_BUDGET,
        spent: Spent = NOTHING_SPENT,
        seconds: float = 0.0,
        cache: ReplyCache | None = None,
        record: Callable[[Attempt], None] | None = None,
        wait: Callable[[RowKey, Backoff], None] | None = None,
        waiting: Mapping[RowKey, Backoff] | None = None,
        clock: Clock = REAL_CLOCK,
        aiohttp: bool | None = None,
        patience: float = 300.0,
    ) -> None:
        options = endpoint.options
        self.endpoint = endpoint
        self.capabilities = Capabilities.from_json(endpoint.capabilities)
        self.price = price_of(endpoint.preset, endpoint.model, options)
        self.clock = clock
        self.budget = BudgetGuard(budget, now=clock.now(), usd=spent.usd, tokens=spent.tokens, seconds=seconds)
        self.estimate = TokenEstimate()
        ceiling = int(options.get("concurrency", 100))
        self._preset = get_preset(endpoint.preset)
        self._rpm = TokenBucket(options["rpm"]) if options.get("rpm") else None
        self._tpm = TokenBucket(options["tpm"]) if options.get("tpm") else None
        self._once = Once(cache)
        self._record = record
        self._wait = wait
        self._waiting = dict(waiting or {})
        self._stopped = asyncio.Event()
        self._refused: CallFailure | None = None  # the key is wrong, or its quota used up: nobody is asked again
        timeout = float(options.get("timeout", DEFAULT_TIMEOUT))
        self._replicas = Replicas(
            [
                Replica(
                    Client(url, api_key=api_key, timeout=timeout, max_connections=ceiling, aiohttp=aiohttp),
                    Concurrency(ceiling),
                )
                for url in endpoint.base_urls
            ],
            clock,
            patience,
        )

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Nothing has to be made ready; other back ends load weights here."""

    async def close(self) -> None:
        await self._replicas.close()

    def step(self) -> str:
        return ""  # requests of seconds: the counts tell

    def identity(self, request: ChatRequest) -> bytes:
        return request_hash(request, server=self.endpoint.base_urls[0], model=self.endpoint.model)

    def stop(self) -> None:
        """Send nothing more; requests under way end, waiting ones raise PauseJob."""
        self._stopped.set()
        self._replicas.stop()

    def status(self) -> PoolStatus:
        now = self.clock.now()
        replicas = tuple(
            ReplicaStatus(
                r.client.base_url, r.dead_since is None, r.in_flight, r.concurrency.limit,
                r.concurrency.held_for(now), r.answered, r.complaint if r.dead_since is not None else "",
            )
            for r in self._replicas.members
        )  # fmt: skip
        return PoolStatus(
            sum(r.in_flight for r in replicas),
            sum(r.limit for r in replicas if r.alive),
            self.budget.tokens,
            self.budget.usd if self.price is not None else None,
            replicas,
            self._once.shared,
        )

    async def ask(self, request: ChatRequest, key: RowKey = NOBODY) -> Reply | CallFailure:
        """The final answer to one request. Identical requests at temperature 0 are sent once: those that come while
        the first is under way share its answer, later ones get it from the cache.

        Raises PauseJob: budget used up, no server left, or `stop` was called.
        """
        identity = self.identity(request)
        return await self._once.ask(request, identity, lambda: self._persist(request, key, identity))

    async def _persist(self, request: ChatRequest, key: RowKey, identity: bytes) -> Reply | CallFailure:
        """Try until there is an answer, or a failure that another try would not mend."""
        rung = rung_for(request, self.capabilities)
        body = wire_body(
            request,
            model=self.endpoint.model,
            rung=rung,
            choice=self.capabilities.choice,
            max_tokens_field=self._preset.max_tokens_field,
        )
        body.update(self.endpoint.options.get("extra") or {})
        tries: dict[ErrorClass, int] = {}
        attempt = await self._sit_out(key)
        while True:
            attempt += 1
            result = await self._try(request, body, key, attempt, identity)
            if isinstance(result, Reply):
                return replace(result, rung=rung)
            error_class = result.error_class
            if error_class is ErrorClass.CONTENT_FILTER:  # refused at the door: for generation that is a result
                return Reply("", "content_filter", result.message, base_url=result.base_url, rung=rung)
            tries[error_class] = tries.get(error_class, 0) + 1
            if tries[error_class] >= TRIES.get(error_class, 1):
                return result
            if result.dead or (error_class is ErrorClass.CONNECTION and self._replicas.alive > 1):
                continue  # another server takes it at once; with none left `acquire` waits
            await self._back_off(key, attempt, result)

    async def _sit_out(self, key: RowKey) -> int:
        """Wait for what is left of a backoff of an earlier run; returns the attempts made then."""
        earlier = self._waiting.pop(key, None)
        if earlier is None:
            return 0
        await self._pause(earlier.not_before - self.clock.wall())
        return earlier.attempts

    async def _back_off(self, key: RowKey, attempt: int, failure: CallFailure) -> None:
        seconds = backoff_seconds(attempt, retry_after=failure.retry_after)
        if self._wait is not None:
            self._wait(key, Backoff(self.clock.wall() + seconds, attempt))
        await self._pause(seconds)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but let `stop` through at once."""
        if seconds <= 0:
            return
        sleep = asyncio.ensure_future(self.clock.sleep(seconds))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((sleep, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            stopped.cancel()
        self._check_stopped()

    async def _try(
        self, request: ChatRequest, body: Mapping[str, object], key: RowKey, attempt: int, identity: bytes
    ) -> Reply | CallFailure:
        """One try: wait for the rate and for a place, send, write it down."""
        tokens = self.estimate.prompt(request.chars) + self.estimate.completion(request.sampling.max_tokens)
        await self._wait_for_rate(tokens)
        replica = await self._replicas.acquire()
        estimated = self._estimated_cost(request)
        try:
            self._check_stopped()
            if self._refused is not None:
                return self._refused
            self._check_budget(tokens, estimated)
            self.budget.begin(tokens, estimated)
            started = self.clock.wall()
            result: Reply | CallFailure | None = None
            try:
                result = await replica.client.chat(body)
            finally:
                self._settle(request, result, tokens, estimated)
            self._learn(replica, result)
        finally:
            self._replicas.release(replica)
        self._write_down(key, attempt, replica, identity, started, result)
        if isinstance(result, CallFailure) and result.error_class is ErrorClass.AUTH:
            self._refused = result
        return result

    async def _wait_for_rate(self, tokens: float) -> None:
        now = self.clock.now()
        wait = self._rpm.reserve(1, now) if self._rpm is not None else 0.0
        if self._tpm is not None:
            wait = max(wait, self._tpm.reserve(tokens, now))
        await self._pause(wait)

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise PauseJob("The job was asked to stop.")

    def _check_budget(self, tokens: float, estimated: float | None) -> None:
        reason = self.budget.reason(self.clock.now(), tokens=tokens, usd=estimated)
        if reason is not None:
            self.stop()
            raise PauseJob(f"Paused: {reason}.", "Raise the budget, then resume the job.")

    def _estimated_cost(self, request: ChatRequest) -> float | None:
        if self.price is None:
            return None
        prompt, completion = self.estimate.prompt(request.chars), self.estimate.completion(request.sampling.max_tokens)
        return (prompt * self.price.input + completion * self.price.output) / 1e6

    def _settle(
        self, request: ChatRequest, result: Reply | CallFailure | None, tokens: float, estimated: float | None
    ) -> None:
        """Put real numbers in the place of estimates. A request that was given up counts as estimated: it may have
        been answered, and billed, without us."""
        usage = result.usage if isinstance(result, Reply) else None
        used = usage.total if usage is not None else None
        cost = self.price.cost(usage) if self.price is not None and usage is not None else None
        given_up = result is None
        self.budget.end(
            tokens, estimated, used=used, cost=estimated if given_up else cost, answered=given_up or usage is not None
        )
        if usage is not None:
            self.estimate.learn(request.chars, usage.prompt_tokens, usage.completion_tokens)
        if self._tpm is not None and not given_up:
            self._tpm.correct((used if used is not None else 0 if usage is None else tokens) - tokens)

    def _learn(self, replica: Replica, result: Reply | CallFailure) -> None:
        now = self.clock.now()
        if isinstance(result, CallFailure) and result.error_class is ErrorClass.RATE_LIMIT:
            replica.concurrency.rate_limited(result.retry_after, now)
        elif isinstance(result, CallFailure) and result.error_class is ErrorClass.CONNECTION:
            self._replicas.failed(replica, result)
        elif isinstance(result, CallFailure) and result.error_class.retryable:
            replica.concurrency.failed()
            if result.retry_after:  # a 503 that says when to come back
                replica.concurrency.hold(result.retry_after, now)
        else:
            self._replicas.answered(replica)
        rate = result.rate
        if rate is not None:
            self._rpm = _observed(self._rpm, rate.limit_requests, rate.remaining_requests, rate.reset_requests, now)
            self._tpm = _observed(self._tpm, rate.limit_tokens, rate.remaining_tokens, rate.reset_tokens, now)

    def _write_down(
        self,
        key: RowKey,
        attempt: int,
        replica: Replica,
        identity: bytes,
        started: float,
        result: Reply | CallFailure,
    ) -> None:
        if self._record is None:
            return
        cost = self.price.cost(result.usage) if self.price is not None and isinstance(result, Reply) else None
        self._record(
            attempt_of(
                result, key=key, n=attempt, endpoint=self.endpoint.name, base_url=replica.client.base_url,
                model=self.endpoint.model, started=started, ended=started + result.latency, request_hash=identity,
                cost_usd=cost,
            )
        )  # fmt: skip


def _observed(
    bucket: TokenBucket | None, limit: int | None, remaining: int | None, reset: float | None, now: float
) -> TokenBucket | None:
    """The bucket after a look at the server's headers, which may be the first to name a limit."""
    if bucket is None and limit:
        bucket = TokenBucket(limit)
    if bucket is not None:
        bucket.observe(limit, remaining, reset, now)
    return bucket
