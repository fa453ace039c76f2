"""How fast is a job, and when will it be done? Pure numbers, for the command line and the screens alike."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from refusal_tui.store.jobs import Job, JobState, WorkerRecord

WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`rate` is in rows (or steps) per second, None while it is not known; `eta` in seconds."""

    done: int
    goal: int | None
    rate: float | None
    eta: float | None

    @property
    def fraction(self) -> float | None:
        return min(1.0, self.done / self.goal) if self.goal else None


class RateMeter:
    """The rate over the last ten seconds of what was observed.

    >>> meter = RateMeter()
    >>> meter.observe(0.0, 0), meter.observe(2.0, 100)
    (None, 50.0)
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, now: float, done: int) -> float | None:
        """Add an observation (`now` in seconds, any clock that does not jump); returns the rate or None."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # rows were taken back for another try
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else None


def progress_of(job: Job, worker: WorkerRecord | None, measured: float | None = None) -> Progress:
    """Where a job stands. `measured` is a live rate (RateMeter); without one the average over all runs is used."""
    rate = measured if measured is not None else average_rate(job, worker)
    eta = None
    if job.state is JobState.RUNNING and rate and job.goal is not None:
        eta = max(0, job.goal - job.progress) / rate
    return Progress(job.progress, job.goal, rate, eta)


def average_rate(job: Job, worker: WorkerRecord | None) -> float | None:
    """Rows per second of active time, over all runs."""
    seconds = active_seconds(job, worker)
    return job.progress / seconds if seconds > 0 and job.progress else None


def active_seconds(job: Job, worker: WorkerRecord | None) -> float:
    """Time at work, pauses left out."""
    seconds = job.active_seconds
    if job.state is JobState.RUNNING and worker is not None and worker.run == job.run:
        seconds += worker.heartbeat_monotonic - worker.started_monotonic
    return seconds
