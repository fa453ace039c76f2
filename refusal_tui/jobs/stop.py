"""Why should a worker stop? One flag that the heartbeat, the writer and the signal handlers raise."""

from __future__ import annotations

import threading
from enum import StrEnum

from refusal_tui.store.jobs import JobState, Wish


class StopReason(StrEnum):
    PAUSE = "pause"
    CANCEL = "cancel"
    TERMINATE = "terminate"  # SIGTERM: the machine goes down, or somebody asks politely
    FENCED = "fenced"  # another worker has the job now
    STORAGE = "storage"  # results cannot be written

    @classmethod
    def of(cls, wish: Wish) -> StopReason:
        return cls.PAUSE if wish is Wish.PAUSE else cls.CANCEL

    @property
    def state(self) -> JobState:
        """The state that a job which stops for this reason ends in."""
        if self is StopReason.CANCEL:
            return JobState.CANCELLED
        return JobState.INTERRUPTED if self is StopReason.TERMINATE else JobState.PAUSED


class StopFlag:
    """Raised once; the first reason holds. Safe between threads and in signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: StopReason | None = None

    def set(self, reason: StopReason) -> None:
        if self._reason is None:
            self._reason = reason
        self._event.set()

    @property
    def reason(self) -> StopReason | None:
        return self._reason

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)
