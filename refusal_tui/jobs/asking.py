"""How does a job ask language models, and how is what it asked kept on record?

`Models` holds one pool per end point for one run of a job. It is the job's `side` (see `writer.SideRows`): attempts,
backoffs and answers to keep are committed in the transactions of the outcomes they belong to.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from refusal_tui.jobs.rowjob import PauseRequested
from refusal_tui.jobs.spill import SideRecord
from refusal_tui.llm.backend import Backend, capabilities_of, in_process
from refusal_tui.llm.batch_pool import PARKED, BatchPool
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.keys import api_key
from refusal_tui.llm.ladder import Capabilities
from refusal_tui.llm.limits import Budget, PauseJob
from refusal_tui.llm.local import LARGEST_BATCH
from refusal_tui.llm.local_pool import LocalPool
from refusal_tui.llm.pool import NO_BUDGET, NOTHING_SPENT, Pool
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from refusal_tui.store.connect import transaction
from refusal_tui.store.endpoints import Endpoint, get_endpoint
from refusal_tui.store.jobs import Job, beat, set_step
from refusal_tui.store.ledger import (
    Attempt,
    Backoff,
    CachedReply,
    RowKey,
    Spent,
    add_attempts,
    add_attempts_once,
    add_cached,
    attempt_from_json,
    attempt_to_json,
    backoffs_of,
    clear_backoff,
    drop_cached,
    set_backoff,
    spent_by,
)
from refusal_tui.store.outcomes import Finished, PendingRow
from refusal_tui.store.requests import Places, gauges_of, publish
from refusal_tui.store.workspace import Workspace

_DEFAULT_CEILING = 100  # the pool's own
_PUBLISH_SECONDS = 0.5  # how it stands is written no oftener


class Models:
    """The end points `names` of a workspace. Raises InputError for one that is not known.

    All of them share one budget, which counts what earlier runs of the job have used. A RowJob sets `side = models`,
    `max_attempts = 1` (a pool has retried already) and `concurrency = models.concurrency`, and calls `open` in `start`,
    `stop` in `stopping`, `close` in `close`. `batch`: requests go through the providers' Batch API.
    """

    def __init__(
        self, workspace: Workspace, names: Sequence[str], budget: Budget = NO_BUDGET, *, batch: bool = False
    ) -> None:
        with closing(workspace.open(read_only=True)) as connection:
            self.endpoints: dict[str, Endpoint] = {name: get_endpoint(connection, name) for name in names}
        self._workspace = workspace
        self._budget = budget
        self.job_id = 0
        self._run = 0
        self._batch = batch
        self._step = self._step_under_way = ""
        self._pools: dict[str, Backend] = {}
        self._writers: list[sqlite3.Connection] = []
        self._cache: ReplyCache | None = None
        self._reader: sqlite3.Connection | None = None
        # Filled in the event loop, emptied in the writer's thread: deques, because popleft and append are atomic.
        self._attempts: deque[Attempt] = deque()
        self._waits: deque[tuple[RowKey, Backoff]] = deque()
        self._backed_off: set[RowKey] = set()
        self._attempts_under_way: list[Attempt] = []
        self._waits_under_way: dict[RowKey, Backoff] = {}
        self._published: dict[str, float] = {}
        self._publishing: dict[str, float] = {}
        self._next_publish = 0.0

    @property
    def concurrency(self) -> int:
        """How many requests may be under way at most; the pools find out how many pay off."""
        return sum(self._places(endpoint) for endpoint in self.endpoints.values())

    def _places(self, endpoint: Endpoint) -> int:
        if self._batch:
            return PARKED
        ceiling = LARGEST_BATCH if in_process(endpoint) else _DEFAULT_CEILING
        return int(endpoint.options.get("concurrency", ceiling)) * len(endpoint.base_urls)

    def capabilities(self, name: str) -> Capabilities:
        """What an end point obeys, as probing found out."""
        return capabilities_of(self.endpoints[name])

    async def open(self, job: Job) -> None:
        """Make the back ends, in the event loop that uses them. Raises UnavailableError when a key is not set, weights
        cannot be loaded or a provider's batches cannot be looked at."""
        self.job_id, self._run, self._step = job.id, job.run, job.step
        self._reader = self._workspace.open(read_only=True)
        self._cache = ReplyCache(self._reader)
        waiting = backoffs_of(self._reader, job.id)
        self._backed_off.update(waiting)
        # A million attempts take half a second to sum up: only where a limit needs it.
        limited = self._budget.usd is not None or self._budget.tokens is not None
        spent = spent_by(self._reader, job.id) if limited else NOTHING_SPENT
        for name, endpoint in self.endpoints.items():
            self._pools[name] = self._backend(endpoint, job, spent, waiting)
        shared = next(iter(self._pools.values())).budget
        for pool in self._pools.values():
            pool.budget = shared
            await pool.open()

    def _backend(self, endpoint: Endpoint, job: Job, spent: Spent, waiting: dict[RowKey, Backoff]) -> Backend:
        common: dict[str, Any] = {
            "budget": self._budget, "spent": spent, "seconds": job.active_seconds, "cache": self._cache,
            "record": self._attempts.append,
        }  # fmt: skip
        if in_process(endpoint):
            return LocalPool(endpoint, **common)
        common["api_key"] = api_key(endpoint.key_env, [self._workspace.root])
        if not self._batch:
            return Pool(
                endpoint, wait=lambda key, backoff: self._waits.append((key, backoff)), waiting=waiting, **common
            )
        connection = self._workspace.open()
        self._writers.append(connection)
        folder = self._workspace.job_folder(job.id)
        folder.mkdir(parents=True, exist_ok=True)

        def still_mine() -> None:
            with transaction(connection):
                beat(connection, job)

        return BatchPool(
            endpoint, connection=connection, job_id=job.id, folder=folder, still_mine=still_mine, **common
        )  # fmt: skip

    async def ask(self, name: str, request: ChatRequest, work: PendingRow) -> Reply | CallFailure:
        """The final answer for one piece of work. Raises PauseRequested when the job should stop asking."""
        return await self.ask_as(name, request, RowKey(self.job_id, work.row.item_id, work.unit.stage, work.unit.k))

    async def ask_as(self, name: str, request: ChatRequest, key: RowKey) -> Reply | CallFailure:
        """The same for a request that belongs to no item of the job (a canary), under a key of the caller's making."""
        try:
            return await self._pools[name].ask(request, key)
        except PauseJob as pause:
            raise PauseRequested(str(pause), pause.next_step) from pause

    def forget(self, name: str, request: ChatRequest) -> None:
        """Call it at once for an answer that is of no use: a retry of the row shall really ask again."""
        if self._cache is not None and request.deterministic:
            self._cache.drop(self._pools[name].identity(request))

    def stop(self) -> None:
        """Send nothing more; what waits for its turn raises PauseRequested."""
        for pool in self._pools.values():
            pool.stop()

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        for connection in self._writers:
            connection.close()
        self._next_publish = 0.0  # how it stood in the end goes with the last group
        if self._reader is not None:
            self._reader.close()
            if self._cache is not None:
                self._cache.connection = None

    # --- SideRows: in the writer's thread -----------------------------------------------------------------------------

    def waiting(self) -> bool:
        at_hand = self._attempts or self._waits or self._attempts_under_way or self._waits_under_way
        return bool(at_hand) or bool(self._news()) or self._step_now() != self._step

    def write(self, connection: sqlite3.Connection, finished: Sequence[Finished]) -> None:
        replies, hits = self._take()
        self._publishing = self._news()
        if self._publishing:
            publish(connection, self.job_id, self._run, self._publishing)
        add_attempts(connection, self._attempts_under_way)
        set_backoff(connection, self._waits_under_way)
        done = [RowKey(self.job_id, f.result.item_id, f.stage, f.k) for f in finished]
        for pool in self._batch_pools():
            pool.commit(connection, done)
        self._step_under_way = self._step_now()
        if self._step_under_way != self._step:
            set_step(connection, self.job_id, self._step_under_way)
        self._backed_off.update(self._waits_under_way)
        clear_backoff(connection, [key for key in done if key in self._backed_off])
        if self._cache is not None:
            add_cached(connection, replies, hits)
            drop_cached(connection, self._cache.unwanted())

    def written(self) -> None:
        self._attempts_under_way.clear()
        self._waits_under_way.clear()
        self._step = self._step_under_way
        for pool in self._batch_pools():
            pool.committed()
        if self._publishing:
            self._published |= self._publishing
            self._publishing = {}
            self._next_publish = time.monotonic() + _PUBLISH_SECONDS
        if self._cache is not None:
            self._cache.wrote()

    def unwritten(self) -> list[SideRecord]:
        """Attempts, backoffs, and answers: some have come for steps that are not in any outcome yet."""
        replies, _ = self._take()
        attempts: list[SideRecord] = [{"attempt": attempt_to_json(one)} for one in self._attempts_under_way]
        waits = [{"backoff": [*key, *backoff]} for key, backoff in self._waits_under_way.items()]
        return [*attempts, *waits, *({"reply": _reply_record(one)} for one in replies)]

    def restore(self, connection: sqlite3.Connection, records: Sequence[SideRecord]) -> None:
        add_attempts_once(connection, [attempt_from_json(one["attempt"]) for one in records if "attempt" in one])
        waits = [one["backoff"] for one in records if "backoff" in one]
        set_backoff(connection, {RowKey(*wait[:4]): Backoff(*wait[4:]) for wait in waits})
        replies = [one["reply"] for one in records if "reply" in one]
        add_cached(connection, [CachedReply(bytes.fromhex(digest), *rest) for digest, *rest in replies])

    def _batch_pools(self) -> list[BatchPool]:
        return [pool for pool in list(self._pools.values()) if isinstance(pool, BatchPool)]

    def _step_now(self) -> str:
        """What takes long; a job that waits for a day shall say for what."""
        return ", ".join(filter(None, (pool.step() for pool in list(self._pools.values()))))

    def _take(self) -> tuple[list[CachedReply], dict[bytes, int]]:
        """Answers first: an attempt is recorded before its answer is kept, so that no answer is written without the
        attempt that was billed for it."""
        kept = self._cache.unwritten() if self._cache is not None else ([], {})
        while self._attempts:
            self._attempts_under_way.append(self._attempts.popleft())
        while self._waits:
            key, backoff = self._waits.popleft()
            self._waits_under_way[key] = backoff
        return kept

    def _news(self) -> dict[str, float]:
        """What a face should see and does not know yet. Reads plain numbers of the pools: safe beside their loop."""
        if time.monotonic() < self._next_publish:
            return {}
        now = time.time()
        places: list[Places] = []
        statuses = {name: pool.status() for name, pool in list(self._pools.items())}
        for name, status in statuses.items():
            for number, one in enumerate(status.replicas):
                held = float(round(now + one.held_for)) if one.held_for else 0.0
                places.append(Places(name, number, one.in_flight, one.limit, one.alive, held))
        values = gauges_of(places, sum(status.cached for status in statuses.values()))
        return {name: value for name, value in values.items() if self._published.get(name) != value}


def _reply_record(one: CachedReply) -> list[object]:
    return [one.request_hash.hex(), one.text, one.prompt_tokens, one.completion_tokens]
