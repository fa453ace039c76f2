"""How does a job ask language models, and how is what it asked kept on record?

`Models` holds one pool per end point for one run of a job. It is the job's `side` (see `writer.SideRows`): attempts,
backoffs and answers to keep are committed in the transactions of the outcomes they belong to.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import closing

from refusal_tui.jobs.rowjob import PauseRequested
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.keys import api_key
from refusal_tui.llm.ladder import Capabilities
from refusal_tui.llm.limits import Budget, PauseJob
from refusal_tui.llm.pool import NO_BUDGET, Pool
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, request_hash
from refusal_tui.store.endpoints import Endpoint, get_endpoint
from refusal_tui.store.jobs import Job
from refusal_tui.store.ledger import (
    Attempt,
    Backoff,
    RowKey,
    add_attempts,
    add_cached,
    backoffs_of,
    clear_backoff,
    drop_cached,
    set_backoff,
    spent_by,
)
from refusal_tui.store.outcomes import Finished, PendingRow
from refusal_tui.store.workspace import Workspace

_DEFAULT_CEILING = 100  # the pool's own


class Models:
    """The end points `names` of a workspace. Raises InputError for one that is not known.

    All of them share one budget, which counts what earlier runs of the job have used. A RowJob sets `side = models`,
    `max_attempts = 1` (a pool has retried already) and `concurrency = models.concurrency`, and calls `open` in `start`,
    `stop` in `stopping`, `close` in `close`.
    """

    def __init__(self, workspace: Workspace, names: Sequence[str], budget: Budget = NO_BUDGET) -> None:
        with closing(workspace.open(read_only=True)) as connection:
            self.endpoints: dict[str, Endpoint] = {name: get_endpoint(connection, name) for name in names}
        self._workspace = workspace
        self._budget = budget
        self.job_id = 0
        self._pools: dict[str, Pool] = {}
        self._cache: ReplyCache | None = None
        self._reader: sqlite3.Connection | None = None
        # Filled in the event loop, emptied in the writer's thread: deques, because popleft and append are atomic.
        self._attempts: deque[Attempt] = deque()
        self._waits: deque[tuple[RowKey, Backoff]] = deque()
        self._backed_off: set[RowKey] = set()
        self._attempts_under_way: list[Attempt] = []
        self._waits_under_way: dict[RowKey, Backoff] = {}

    @property
    def concurrency(self) -> int:
        """How many requests may be under way at most; the pools find out how many pay off."""
        return sum(
            int(e.options.get("concurrency", _DEFAULT_CEILING)) * len(e.base_urls) for e in self.endpoints.values()
        )

    def capabilities(self, name: str) -> Capabilities:
        """What probing found out about an end point."""
        return Capabilities.from_json(self.endpoints[name].capabilities)

    async def open(self, job: Job) -> None:
        """Make the pools, in the event loop that uses them. Raises UnavailableError when a key is not set."""
        self.job_id = job.id
        self._reader = self._workspace.open(read_only=True)
        self._cache = ReplyCache(self._reader)
        waiting = backoffs_of(self._reader, job.id)
        self._backed_off.update(waiting)
        spent = spent_by(self._reader, job.id)
        for name, endpoint in self.endpoints.items():
            self._pools[name] = Pool(
                endpoint,
                api_key=api_key(endpoint.key_env, [self._workspace.root]),
                budget=self._budget,
                spent=spent,
                seconds=job.active_seconds,
                cache=self._cache,
                record=self._attempts.append,
                wait=lambda key, backoff: self._waits.append((key, backoff)),
                waiting=waiting,
            )
        shared = next(iter(self._pools.values())).budget
        for pool in self._pools.values():
            pool.budget = shared

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
        endpoint = self.endpoints[name]
        if self._cache is not None and request.deterministic:
            self._cache.drop(request_hash(request, server=endpoint.base_urls[0], model=endpoint.model))

    def stop(self) -> None:
        """Send nothing more; what waits for its turn raises PauseRequested."""
        for pool in self._pools.values():
            pool.stop()

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.__aexit__(None, None, None)
        if self._reader is not None:
            self._reader.close()
            if self._cache is not None:
                self._cache.connection = None

    # --- SideRows: in the writer's thread -----------------------------------------------------------------------------

    def waiting(self) -> bool:
        return bool(self._attempts or self._waits or self._attempts_under_way or self._waits_under_way)

    def write(self, connection: sqlite3.Connection, finished: Sequence[Finished]) -> None:
        while self._attempts:
            self._attempts_under_way.append(self._attempts.popleft())
        while self._waits:
            key, backoff = self._waits.popleft()
            self._waits_under_way[key] = backoff
        add_attempts(connection, self._attempts_under_way)
        set_backoff(connection, self._waits_under_way)
        done = [RowKey(self.job_id, f.result.item_id, f.stage, f.k) for f in finished]
        self._backed_off.update(self._waits_under_way)
        clear_backoff(connection, [key for key in done if key in self._backed_off])
        if self._cache is not None:
            add_cached(connection, *self._cache.unwritten())
            drop_cached(connection, self._cache.unwanted())

    def written(self) -> None:
        self._attempts_under_way.clear()
        self._waits_under_way.clear()
        if self._cache is not None:
            self._cache.wrote()
