"""How fast may requests go out, how many side by side, and when is enough spent?

Pure state machines over an explicit `now` (monotonic seconds): nothing here waits or reads a clock, so tests never
sleep. The pool (`llm/pool.py`) asks them and does the waiting.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from refusal_tui.errors import JobError

BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 60.0
TOKENS_PER_CHAR = 0.25  # the first guess for English; corrected by what servers report


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from. `now`: monotonic seconds; `wall`: unix seconds."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class PauseJob(JobError):
    """The job should pause now, for the reason that this sentence gives; the row in hand stays to be done."""


class TokenBucket:
    """A rate per minute, as a virtual schedule (GCRA): one number says when the bucket will have paid its debts.

    One second's worth may go out at once. An amount beyond that is let through when the bucket is full and paid back
    by those who come later, so that a prompt longer than the limit is late but not stuck.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60.0
        self._paid_at = float("-inf")

    @property
    def per_minute(self) -> float:
        return self._rate * 60.0

    def reserve(self, amount: float, now: float) -> float:
        """Take `amount`; returns the seconds to wait before using it."""
        wait = max(0.0, self._paid_at - 1.0 - now)
        self._paid_at = max(self._paid_at, now) + amount / self._rate
        return wait

    def correct(self, amount: float) -> None:
        """The real amount was this much more (or less) than reserved."""
        self._paid_at += amount / self._rate

    def observe(self, limit: int | None, remaining: int | None, reset: float | None, now: float) -> None:
        """Believe the server's headers where they are stricter than our own books."""
        if limit:
            self._rate = min(self._rate, limit / 60.0)
        if remaining is not None and remaining <= 0 and reset:
            self._paid_at = max(self._paid_at, now + reset + 1.0)


class Concurrency:
    """How many requests side by side: additive increase, multiplicative decrease.

    Anchors of jobs.md, section 6: start 20, ceiling 100, x0.8 on a 429 with a 15 s cool-down, about +5 % per clean
    round; a 5xx does not cut. Two departures: until the first 429 each clean round doubles (64 side by side are reached
    in two rounds, not in 24), and the floor is 1, because a small local server may have no more places than that.
    """

    COOL_DOWN = 15.0

    def __init__(self, ceiling: int = 100, start: int = 20) -> None:
        self.ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._clean = 0
        self._cut_before = False
        self._cool_until = float("-inf")
        self._held_until = float("-inf")

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    def held_for(self, now: float) -> float:
        """Seconds until requests may go out again, 0.0 when they may."""
        return max(0.0, self._held_until - now)

    def succeeded(self, in_flight: int) -> None:
        """A clean answer. Only a round that used the places it had proves that there may be more."""
        if in_flight < 0.8 * self._limit:
            return
        self._clean += 1
        if self._clean >= self.limit:
            self._clean = 0
            grown = max(self._limit + 1, self._limit * 1.05) if self._cut_before else self._limit * 2
            self._limit = min(float(self.ceiling), grown)

    def rate_limited(self, retry_after: float | None, now: float) -> None:
        """A 429. Those that were under way when the limit was cut do not cut it again."""
        self._clean = 0
        self._cut_before = True
        if now >= self._cool_until:
            self._limit = max(1.0, self._limit * 0.8)
            self._cool_until = now + self.COOL_DOWN
        if retry_after:
            self.hold(retry_after, now)

    def hold(self, seconds: float, now: float) -> None:
        """Send nothing for so long: the server said when to come back."""
        self._held_until = max(self._held_until, now + seconds)

    def failed(self) -> None:
        """A failure of another kind: this round was not clean, nothing is cut."""
        self._clean = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a job may use. None: no limit. `seconds` is the job's active time."""

    usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None


class BudgetGuard:
    """Counts what is spent and what is under way; `reason` says why the job should pause, if it should.

    `usd`, `tokens` and `seconds` start with what earlier runs of the job have used. A request under way counts with
    its estimate until its real usage is known.
    """

    def __init__(self, budget: Budget, *, now: float, usd: float = 0.0, tokens: int = 0, seconds: float = 0.0) -> None:
        self.budget = budget
        self.usd = usd
        self.tokens = tokens
        self._started = now - seconds
        self._usd_under_way = 0.0
        self._tokens_under_way = 0.0
        self._unpriced = False

    def reason(self, now: float, *, tokens: float = 0.0, usd: float | None = None) -> str | None:
        """Why a request of this estimated size must not be sent, or None."""
        budget = self.budget
        if budget.seconds is not None and now - self._started >= budget.seconds:
            return f"the time budget of {budget.seconds:g} s is used up"
        if budget.tokens is not None and self.tokens + self._tokens_under_way + tokens > budget.tokens:
            return f"the next request would pass the budget of {budget.tokens:,} tokens ({self.tokens:,} used)"
        if budget.usd is not None:
            if usd is None or self._unpriced:
                return (
                    f"a budget of {budget.usd:.2f} USD cannot be kept, because the price of the model or its usage "
                    "is unknown; give the end point the options price_in and price_out"
                )
            if self.usd + self._usd_under_way + usd > budget.usd:
                return f"the next request would pass the budget of {budget.usd:.2f} USD ({self.usd:.4f} spent)"
        return None

    def begin(self, tokens: float, usd: float | None) -> None:
        self._tokens_under_way += tokens
        self._usd_under_way += usd or 0.0

    def end(self, tokens: float, usd: float | None, *, used: int | None, cost: float | None, answered: bool) -> None:
        """Replace an estimate by what was really used. An answer without usage counts as estimated, and breaks a money
        budget; a request that failed costs nothing."""
        self._tokens_under_way -= tokens
        self._usd_under_way -= usd or 0.0
        if answered:
            self.tokens += int(tokens) if used is None else used
            self.usd += (usd or 0.0) if cost is None else cost
            self._unpriced = self._unpriced or cost is None


class TokenEstimate:
    """Guesses tokens from characters, learning from what servers report."""

    def __init__(self) -> None:
        self._per_char = TOKENS_PER_CHAR
        self._completion = 0.0
        self._seen = 0

    def prompt(self, chars: int) -> float:
        return chars * self._per_char + 8

    def completion(self, max_tokens: int | None) -> float:
        """The mean so far; before the first answer the most that may come (512 where there is no limit)."""
        most = float(max_tokens or 512)
        return min(most, self._completion) if self._seen else most

    def learn(self, chars: int, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        weight = 1.0 / min(self._seen + 1, 100)
        if prompt_tokens and chars >= 40:
            self._per_char += (prompt_tokens / chars - self._per_char) * weight
        if completion_tokens is not None:
            self._completion += (completion_tokens - self._completion) * weight
            self._seen += 1


def backoff_seconds(
    attempt: int, *, retry_after: float | None = None, draw: Callable[[], float] = random.random
) -> float:
    """Full jitter: uniform in [0, min(60, 0.5 * 2^attempt)], never shorter than the server asked; `attempt` from 1."""
    spread = draw() * min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** min(attempt, 16))
    return spread if retry_after is None else retry_after + min(spread, 1.0)
