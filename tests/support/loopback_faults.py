"""What goes wrong on the loopback server, and when? Decided by (seed, row, try), so that a run can be repeated.

The plan never depends on the order in which requests arrive: two clients that ask for the same rows meet the same
faults, whatever their concurrency.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One way to fail. The last five arrive with HTTP status 200."""

    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    CUT = "cut"
    TRUNCATED = "truncated"
    GARBAGE_STREAM = "garbage_stream"
    EMPTY_CHOICES = "empty_choices"
    JUDGE_REFUSAL = "judge_refusal"
    PROVIDER_REFUSAL = "provider_refusal"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares in [0, 1] of tries that go wrong, in this order. `retry_after` in seconds goes with every 429.

    A transport fault hits each try of a row anew; the three refusals belong to the row, however often it is asked.
    """

    rate_limit: float = 0.0
    server_error: float = 0.0
    cut: float = 0.0
    truncated: float = 0.0
    garbage_stream: float = 0.0
    empty_choices: float = 0.0
    judge_refusal: float = 0.0
    provider_refusal: float = 0.0
    content_filter: float = 0.0
    retry_after: float = 1.0

    def of(self, seed: int, row: str, attempt: int) -> Fault | None:
        """The fault of one try (`attempt` counts from 1), or None."""
        place = uniform(seed, "try", row, attempt)
        for fault in list(Fault)[:6]:
            place -= getattr(self, fault.value)
            if place < 0:
                return fault
        place = uniform(seed, "row", row)
        for fault in list(Fault)[6:]:
            place -= getattr(self, fault.value)
            if place < 0:
                return fault
        return None


NO_FAULTS = Faults()
FLAKY = Faults(rate_limit=0.02, server_error=0.01, truncated=0.005, retry_after=0.05)  # jobs.md, section 13


def uniform(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but `parts`."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56
