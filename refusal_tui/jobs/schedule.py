"""At which rate does a step of training learn, and from which seed does it draw? Functions of the step alone.

A run that is killed goes on as if nothing had happened, because no state of a random generator has to be kept.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def rate(step: int, steps: int, peak: float, warmup: float, schedule: Schedule) -> float:
    """The learning rate of optimiser step `step` (from 0) of `steps`: linear up over the first `warmup` share of the
    steps, then down to 0 in a line or half a cosine, or constant.

    >>> [round(rate(step, 10, 1.0, 0.2, "linear"), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    up = math.ceil(warmup * steps)
    if step < up:
        return peak * (step + 1) / up
    gone = (step - up) / max(steps - up, 1)
    if schedule == "constant":
        return peak
    return peak * (1 - gone if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * gone)))


def stable_seed(*parts: object) -> int:
    """A seed below 2^63 that is the same in every process (Python's own `hash` of a text is not).

    >>> stable_seed(1, "dropout", 7) == stable_seed(1, "dropout", 7) != stable_seed(1, "dropout", 8)
    True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1
