"""A clock that a test moves: sleeping takes no time, it only moves the clock."""

from __future__ import annotations

import asyncio
import heapq

from refusal_tui.llm.limits import Clock


class FakeClock:
    """`clock` goes to the code under test. Sleepers wake in order, once nothing else can run any more."""

    def __init__(self, *, start: float = 1000.0) -> None:
        self.time = start
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.clock = Clock(now=lambda: self.time, wall=lambda: self.time, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time + seconds, len(self.slept), future))
        await future

    def advance_to_next(self) -> bool:
        """Wake the next sleeper; False when nobody sleeps."""
        while self._sleepers:
            moment, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self.time = max(self.time, moment)
                future.set_result(None)
                return True
        return False

    async def run(self, *work: object) -> list[object]:
        """Run coroutines to their end, moving the clock whenever all of them wait for it (and not for a socket)."""
        task = asyncio.gather(*work, return_exceptions=True)  # type: ignore[call-overload]
        while not task.done():
            done, _ = await asyncio.wait([task], timeout=0.02)
            if not done:
                self.advance_to_next()
        return list(task.result())
