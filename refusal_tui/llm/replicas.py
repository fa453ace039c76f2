"""Which of several servers gets the next request, and what happens to one that is dead?

Least loaded first, by share of its own limit. A server that refuses connections is put aside and looked at again after
1, 2, 4 … 30 s with a harmless `GET /models`; the others take its work. With nobody left, requests wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

from refusal_tui.llm.client import Client
from refusal_tui.llm.limits import Clock, Concurrency, PauseJob
from refusal_tui.llm.request import CallFailure

FIRST_LOOK_SECONDS = 1.0
LAST_LOOK_SECONDS = 30.0
CUTS_UNTIL_DEAD = 5  # cut connections in a row, without one answer between them


@dataclass(slots=True, eq=False)
class Replica:
    """One base URL with its own limit. `dead_since` is monotonic, None while it is in use."""

    client: Client
    concurrency: Concurrency
    in_flight: int = 0
    answered: int = 0
    cuts: int = 0
    dead_since: float | None = None
    complaint: str = ""


@dataclass(slots=True)
class Replicas:
    """The servers behind one name. `patience`: seconds without any server before the job is paused."""

    members: Sequence[Replica]
    clock: Clock
    patience: float = 300.0
    _waiters: deque[asyncio.Future[None]] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _alarm: float | None = None
    _stopped: bool = False

    async def acquire(self) -> Replica:
        """A place at the least loaded server; waits for one. Raises PauseJob when no server came back in time, or
        after `stop`."""
        while True:
            if self._stopped:
                raise PauseJob("The job was asked to stop.")
            replica = self._free()
            if replica is not None:
                replica.in_flight += 1
                return replica
            self._check_patience()
            self._set_alarm()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake(1)  # this turn was given to a task that is gone
                raise

    def release(self, replica: Replica) -> None:
        replica.in_flight -= 1
        self._wake(1)

    def answered(self, replica: Replica) -> None:
        """An answer came, good or bad: the server lives."""
        replica.cuts = 0
        replica.answered += 1
        limit = replica.concurrency.limit
        replica.concurrency.succeeded(replica.in_flight)
        if replica.concurrency.limit > limit:
            self._wake(replica.concurrency.limit - limit)

    def failed(self, replica: Replica, failure: CallFailure) -> None:
        """The connection failed. The server is put aside when nobody listens, or after too many cuts in a row."""
        replica.cuts += 1
        replica.concurrency.failed()
        if (failure.dead or replica.cuts >= CUTS_UNTIL_DEAD) and replica.dead_since is None:
            replica.dead_since = self.clock.now()
            replica.complaint = failure.message
            self._start(self._revive(replica))

    @property
    def alive(self) -> int:
        return sum(1 for replica in self.members if replica.dead_since is None)

    def stop(self) -> None:
        """Hand out no more places; those who wait for one are told."""
        self._stopped = True
        self._wake(len(self._waiters))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for replica in self.members:
            await replica.client.close()

    def _free(self) -> Replica | None:
        now = self.clock.now()
        best: Replica | None = None
        best_load = 1.0
        for replica in self.members:
            if replica.dead_since is None and not replica.concurrency.held_for(now):
                load = replica.in_flight / replica.concurrency.limit
                if load < best_load:
                    best, best_load = replica, load
        return best

    def _check_patience(self) -> None:
        since = [replica.dead_since for replica in self.members]
        if None in since:
            return
        waited = self.clock.now() - max(moment for moment in since if moment is not None)
        if waited >= self.patience:
            worst = self.members[0]
            raise PauseJob(
                f"No server answers since {waited:.0f} s: {worst.client.base_url}: {worst.complaint}.",
                "Start the server, then resume the job.",
            )

    def _set_alarm(self) -> None:
        """Wake the waiting ones when the first hold (Retry-After) ends."""
        now = self.clock.now()
        holds = [r.concurrency.held_for(now) for r in self.members if r.dead_since is None]
        wait = min((hold for hold in holds if hold > 0), default=None)
        if wait is not None and (self._alarm is None or self._alarm <= now or self._alarm > now + wait):
            self._alarm = now + wait
            self._start(self._ring(wait))

    async def _ring(self, wait: float) -> None:
        await self.clock.sleep(wait)
        self._alarm = None
        self._wake(len(self._waiters))

    async def _revive(self, replica: Replica) -> None:
        wait = FIRST_LOOK_SECONDS
        while replica.dead_since is not None:
            await self.clock.sleep(wait)
            wait = min(LAST_LOOK_SECONDS, wait * 2)
            seen = await replica.client.models()
            if not isinstance(seen, CallFailure) or seen.status_code is not None:
                replica.dead_since, replica.cuts = None, 0
            self._wake(len(self._waiters))  # those who wait either go on or find that their patience is at its end

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self, number: int) -> None:
        while number > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                number -= 1
