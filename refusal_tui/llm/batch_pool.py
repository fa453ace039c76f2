"""How does a job ask through a provider's Batch API? Rows park here until the batch that carries them comes back.

A `Backend` like `Pool`. Requests are gathered until no more come, sent as one batch, and looked after once a minute.
What an earlier run of the job has sent is found again by what was asked, so that nothing is paid twice; a batch counts
as merged in the very transaction that commits the last outcome of its rows.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refusal_tui.errors import UnavailableError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.attempts import attempt_of
from refusal_tui.llm.batch import (
    ROWS_PER_BATCH,
    BatchedRow,
    BatchRefused,
    MergedRow,
    adopt_orphans,
    custom_id,
    input_rows,
    mark_merged,
    merge,
    poll,
    question,
    submit,
)
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.client import Client
from refusal_tui.llm.ladder import Capabilities, rung_for, wire_body
from refusal_tui.llm.limits import Budget, BudgetGuard, Clock, PauseJob, TokenEstimate
from refusal_tui.llm.once import Once
from refusal_tui.llm.pool import NO_BUDGET, NOBODY, NOTHING_SPENT, REAL_CLOCK, PoolStatus, ReplicaStatus
from refusal_tui.llm.presets import get_preset, price_of
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Rung, request_hash
from refusal_tui.store.batches import Batch, BatchState, batches_of, finished_keys, mark_merged_within
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import Attempt, RowKey, Spent, attempt_starts

PARKED = 2 * ROWS_PER_BATCH  # requests of a job that wait side by side
QUIET_SECONDS = 1.0  # no new request for so long: what there is makes a batch
POLL_SECONDS = (1.0, 60.0)  # from, to
PATIENCE_SECONDS = 900.0  # with a provider that does not answer, while a batch is there
_SEND_AGAIN_SECONDS = (2.0, 10.0, 60.0)
_LARGEST_BYTES = 150_000_000  # OpenAI takes 200 MB
_TIMES = 2  # a row that expired or got lost is sent a second time


@dataclass(slots=True)
class _Parked:
    """A request that waits for its batch."""

    request: ChatRequest
    key: RowKey
    identity: bytes
    rung: Rung
    body: Mapping[str, Any]
    answer: asyncio.Future[Reply | CallFailure]
    tokens: float
    usd: float | None
    times: int = 0

    @property
    def custom_id(self) -> str:
        return custom_id(self.key)


class BatchPool:
    """Make it in the event loop that uses it, `await open()`, and `await close()` in the end.

    `connection` is for this pool alone; `folder` keeps the batches' files. `still_mine` raises when another worker has
    taken the job over: nothing is sent then.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connection: sqlite3.Connection,
        job_id: int,
        folder: Path,
        still_mine: Callable[[], None],
        api_key: str | None = None,
        budget: Budget = NO_BUDGET,
        spent: Spent = NOTHING_SPENT,
        seconds: float = 0.0,
        cache: ReplyCache | None = None,
        record: Callable[[Attempt], None] | None = None,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self.endpoint = endpoint
        self.capabilities = Capabilities.from_json(endpoint.capabilities)
        self.price = price_of(endpoint.preset, endpoint.model, endpoint.options)
        self.clock = clock
        self.budget = BudgetGuard(budget, now=clock.now(), usd=spent.usd, tokens=spent.tokens, seconds=seconds)
        self.estimate = TokenEstimate()
        self._client = Client(endpoint.base_urls[0], api_key=api_key)
        self._connection = connection
        self._job_id = job_id
        self._folder = folder
        self._still_mine = still_mine
        self._once = Once(cache)
        self._record = record
        self._recorded = attempt_starts(connection, job_id)
        self._new: list[_Parked] = []
        self._arrived = asyncio.Event()
        self._stopped = False
        self._batches: dict[str, Batch] = {}  # not merged yet, by our key
        self._parked: dict[str, dict[str, list[_Parked]]] = {}  # by batch, by custom id
        self._results: dict[str, dict[str, MergedRow]] = {}  # of batches that have ended
        self._sent: dict[str, tuple[str, str]] = {}  # what was asked -> (batch, custom id)
        self._left: dict[str, set[str]] = {}  # custom ids without an outcome; the writer's thread takes from it
        self._tasks: list[asyncio.Task[None]] = []
        self._next_look = POLL_SECONDS[0]

    async def open(self) -> None:
        """Take up what earlier runs have sent. Raises UnavailableError when the provider does not answer."""
        mine = {BatchState.SUBMITTED, BatchState.FINISHED, BatchState.FAILED}
        await self._adopt()
        waiting = [b for b in batches_of(self._connection, self._job_id) if b.provider == self.endpoint.name]
        waiting = [batch for batch in waiting if batch.state in mine]
        done = {custom_id(key) for key in finished_keys(self._connection, self._job_id)} if waiting else set()
        for batch in waiting:
            rows = dict(input_rows(batch))
            left = set(rows) - done
            if not left:
                mark_merged(self._connection, batch)
                continue
            self._took(batch, left)
            self._sent |= {question(name, rows[name]): (batch.key, name) for name in left}
            if batch.state is not BatchState.SUBMITTED:
                self._ended(batch)
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._look())]

    async def close(self) -> None:
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    def stop(self) -> None:
        """Send nothing more. The provider goes on with what it has; the next run takes that up."""
        self._let_go(PauseJob("The job was asked to stop."))

    def identity(self, request: ChatRequest) -> bytes:
        return request_hash(request, server=self.endpoint.base_urls[0], model=self.endpoint.model)

    def status(self) -> PoolStatus:
        parked = sum(len(rows) for rows in self._parked.values()) + len(self._new)
        places = ReplicaStatus(self._client.base_url, True, parked, PARKED, 0.0, 0, "")
        usd = self.budget.usd if self.price is not None else None
        return PoolStatus(parked, PARKED, self.budget.tokens, usd, (places,), self._once.shared)

    def step(self) -> str:
        """Where it stands, for the job's screen; "" when nothing is at the provider."""
        there = [batch for batch in list(self._batches.values()) if batch.state is BatchState.SUBMITTED]
        if not there:
            return ""
        batches = "1 batch" if len(there) == 1 else f"{len(there)} batches"
        notes = sorted({batch.note.replace("_", " ") for batch in there if batch.note})
        looked = [batch.polled for batch in there if batch.polled is not None]
        if looked:
            notes.append(f"looked at {time.strftime('%H:%M', time.localtime(min(looked)))}")
        said = f"{batches}, {sum(batch.n for batch in there):,} requests at {self.endpoint.name}"
        return f"{said}: {', '.join(notes)}" if notes else said

    async def ask(self, request: ChatRequest, key: RowKey = NOBODY) -> Reply | CallFailure:
        """The final answer, up to a day later. Raises PauseJob: a budget is used up, the provider does not answer, or
        `stop` was called; what was sent is found again by the next run."""
        identity = self.identity(request)
        return await self._once.ask(request, identity, lambda: self._ask(request, key, identity))

    async def _ask(self, request: ChatRequest, key: RowKey, identity: bytes) -> Reply | CallFailure:
        if self._stopped:
            raise PauseJob("The job was asked to stop.")
        rung = rung_for(request, self.capabilities)
        body = wire_body(
            request, model=self.endpoint.model, rung=rung, choice=self.capabilities.choice,
            max_tokens_field=get_preset(self.endpoint.preset).max_tokens_field,
        ) | (self.endpoint.options.get("extra") or {})  # fmt: skip
        prompt = self.estimate.prompt(request.chars)
        completion = self.estimate.completion(request.sampling.max_tokens)
        answer: asyncio.Future[Reply | CallFailure] = asyncio.get_running_loop().create_future()
        parked = _Parked(
            request, key, identity, rung, body, answer, prompt + completion, self._estimated(prompt, completion)
        )
        self._park(parked)
        return await answer

    def _estimated(self, prompt: float, completion: float) -> float | None:
        price = self.price
        if price is None or price.batch_input is None or price.batch_output is None:
            return None
        return (prompt * price.batch_input + completion * price.batch_output) / 1e6

    def _park(self, parked: _Parked) -> None:
        """To a batch of an earlier run that carries the same question, unless it failed there; or to the next one."""
        batch, name = self._sent.get(question(parked.custom_id, parked.body), ("", ""))
        known = self._results.get(batch, {}).get(name)
        if known is not None and isinstance(known.result, Reply):
            self._began(parked)
            self._answer(parked, self._batches[batch], known)
        elif batch in self._batches and known is None:
            self._began(parked)
            self._parked[batch].setdefault(name, []).append(parked)
        else:
            self._new.append(parked)
            self._arrived.set()

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._arrived.wait()
            seen = 0
            while seen < len(self._new) < ROWS_PER_BATCH:
                seen = len(self._new)
                await self.clock.sleep(QUIET_SECONDS)
            rows = self._taken()
            try:
                self._check_budget(rows)
                self._still_mine()
                batch = await self._persist(rows)
            except Exception as error:  # a fenced worker, a provider that takes nothing: whoever waits is told
                stop = PauseJob(str(error), error.next_step) if isinstance(error, UnavailableError) else error
                self._let_go(stop, rows)
                return
            self._took(batch, {row.custom_id for row in rows})
            for row in rows:
                self._began(row)
                row.times += 1
                self._parked[batch.key][row.custom_id] = [row]
            self._next_look = POLL_SECONDS[0]

    def _taken(self) -> list[_Parked]:
        """What goes into the next batch; a second request under one name has to wait for the one after."""
        chosen: dict[str, _Parked] = {}
        rest: list[_Parked] = []
        size = 0
        for row in self._new:
            size += 4 * row.request.chars + 1000
            full = len(chosen) >= ROWS_PER_BATCH or size > _LARGEST_BYTES
            if row.answer.done():
                continue  # it was given up
            if row.custom_id in chosen or (chosen and full):
                rest.append(row)
            else:
                chosen[row.custom_id] = row
        self._new = rest
        if not rest:
            self._arrived.clear()
        return list(chosen.values())

    def _check_budget(self, rows: list[_Parked]) -> None:
        known = [row.usd for row in rows if row.usd is not None]
        usd = sum(known) if len(known) == len(rows) else None
        reason = self.budget.reason(self.clock.now(), tokens=sum(row.tokens for row in rows), usd=usd)
        if reason is not None:
            raise PauseJob(
                f"Paused before a batch of {len(rows):,} requests: {reason}.", "Raise the budget and resume."
            )

    async def _persist(self, rows: list[_Parked]) -> Batch:
        """Submit; when the provider does not take it, try again for a while with what is already written down."""

        try:
            return await submit(
                self._client, self._connection, [BatchedRow(row.key, row.body) for row in rows], job_id=self._job_id,
                provider=self.endpoint.name, folder=self._folder,
            )  # fmt: skip
        except BatchRefused:
            raise
        except UnavailableError as error:
            last: UnavailableError = error
        for seconds in _SEND_AGAIN_SECONDS:
            await self.clock.sleep(seconds)
            try:
                (batch,) = await self._adopt()
                return batch
            except UnavailableError as error:
                last = error
        raise last

    async def _adopt(self) -> list[Batch]:
        return await adopt_orphans(self._client, self._connection, self._job_id, provider=self.endpoint.name)

    # --- looking after what was sent ----------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Look at the provider now and then, and hand out what has come back."""
        answered = self.clock.now()
        while True:
            await self.clock.sleep(self._next_look)
            self._next_look = min(self._next_look * 1.5, POLL_SECONDS[1])
            try:
                for batch in [b for b in self._batches.values() if b.state is BatchState.SUBMITTED]:
                    seen = await poll(self._client, self._connection, batch)
                    self._batches[batch.key] = seen
                    if seen.state is not BatchState.SUBMITTED:
                        self._ended(seen)
                answered = self.clock.now()
            except UnavailableError as error:
                if isinstance(error, BatchRefused) or self.clock.now() - answered > PATIENCE_SECONDS:
                    self._let_go(PauseJob(str(error), error.next_step))
                    return
            except Exception as error:  # the disk is full, say: nobody may wait for ever
                self._let_go(error)
                return

    def _took(self, batch: Batch, left: Iterable[str]) -> None:
        self._left[batch.key] = set(left)
        self._parked[batch.key] = {}
        self._batches[batch.key] = batch

    def _ended(self, batch: Batch) -> None:
        self._results[batch.key] = {row.custom_id: row for row in merge(batch, self.price)}
        for name, rows in self._parked.pop(batch.key).items():
            for row in rows:
                self._answer(row, batch, self._results[batch.key][name])
        self._parked[batch.key] = {}

    def _answer(self, row: _Parked, batch: Batch, merged: MergedRow) -> None:
        result = replace(merged.result, base_url=self._client.base_url)
        usage = result.usage if isinstance(result, Reply) else None
        used = usage.total if usage is not None else None
        self.budget.end(row.tokens, row.usd, used=used, cost=merged.cost_usd, answered=usage is not None)
        if usage is not None:
            self.estimate.learn(row.request.chars, usage.prompt_tokens, usage.completion_tokens)
        self._write_down(row, batch, result, merged.cost_usd)
        if row.answer.done():
            return  # given up
        if isinstance(result, CallFailure):
            if result.error_class.retryable and row.times < _TIMES and not self._stopped:
                self._new.append(row)
                self._arrived.set()
                return
            if result.error_class is ErrorClass.CONTENT_FILTER:  # for generation that is a result
                result = Reply("", "content_filter", result.message, base_url=result.base_url)
        row.answer.set_result(replace(result, rung=row.rung) if isinstance(result, Reply) else result)
        if row.key.item_id <= 0:  # it belongs to no item, so that no outcome will tell that it is done
            for left in list(self._left.values()):
                left.discard(row.custom_id)

    def _began(self, row: _Parked) -> None:
        self.budget.begin(row.tokens, row.usd)

    def _write_down(self, row: _Parked, batch: Batch, result: Reply | CallFailure, cost: float | None) -> None:
        """Once per batch and row: an answer that is read again after a crash was paid for once."""
        started = batch.submitted or 0.0
        if self._record is None or (row.key, started) in self._recorded:
            return
        self._recorded.add((row.key, started))
        self._record(
            attempt_of(
                result, key=row.key, n=max(row.times, 1), endpoint=self.endpoint.name, base_url=self._client.base_url,
                model=self.endpoint.model, started=started, ended=self.clock.wall(), request_hash=row.identity,
                cost_usd=cost,
            )
        )  # fmt: skip

    def _let_go(self, error: Exception, rows: Iterable[_Parked] = ()) -> None:
        """Nothing more is sent, and whoever waits is told why."""
        self._stopped = True
        at_provider = [row for rows in self._parked.values() for names in rows.values() for row in names]
        for row in [*rows, *self._new, *at_provider]:
            if not row.answer.done():
                row.answer.set_exception(error)
        self._new = []

    # --- in the writer's thread ---------------------------------------------------------------------------------------

    def commit(self, connection: sqlite3.Connection, keys: Iterable[RowKey]) -> None:
        """These rows have their outcome, in the caller's transaction: a batch without others is merged."""
        names = {custom_id(key) for key in keys}
        for batch, left in list(self._left.items()):
            left -= names
            if not left:
                mark_merged_within(connection, batch)

    def committed(self) -> None:
        """The transaction holds: what is merged is forgotten."""
        for batch in [batch for batch, left in list(self._left.items()) if not left]:
            for known in (self._left, self._batches, self._results, self._parked):
                known.pop(batch, None)
