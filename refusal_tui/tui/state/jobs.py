"""What does the Jobs screen know? One line per job: where it stands, how fast it is, and which keys make sense."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from refusal_tui.jobs.progress import RateMeter, active_seconds, progress_of
from refusal_tui.jobs.registry import KINDS
from refusal_tui.store.jobs import Job, JobState, get_worker, list_jobs

SHOWN_JOBS = 500
# Glyph and word: a state is never told by colour alone.
GLYPHS = {
    JobState.QUEUED: "◷",
    JobState.RUNNING: "▶",
    JobState.PAUSED: "‖",
    JobState.INTERRUPTED: "!",
    JobState.DONE: "✓",
    JobState.FAILED: "✗",
    JobState.CANCELLED: "–",
}


class Act(StrEnum):
    """What a user may do with a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


class Show(StrEnum):
    """Which jobs the list shows; `f` steps through them."""

    ALL = "all"
    ACTIVE = "active"
    ATTENTION = "need you"
    ENDED = "ended"

    @property
    def following(self) -> Show:
        order = list(Show)
        return order[(order.index(self) + 1) % len(order)]


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job as the screens show it. `seconds` is the time left of a running job, the time at work of another."""

    id: int
    kind: str
    title: str
    state: JobState
    word: str
    done: int
    goal: int | None
    fraction: float | None
    rate: float | None
    seconds: float | None
    failed: int
    note: str
    selection: str
    pilot: bool
    run: int = 0

    @property
    def needs_attention(self) -> bool:
        return self.state.resumable

    @property
    def acts(self) -> frozenset[Act]:
        """What makes sense now; the engine checks again when it is asked."""
        allowed: set[Act] = set()
        if self.state.active:
            allowed |= {Act.PAUSE, Act.CANCEL}
        if self.state.resumable:
            allowed |= {Act.RESUME, Act.CANCEL}
        if self.failed and not self.state.active:
            allowed.add(Act.RETRY)
        return frozenset(allowed)


class JobWatch:
    """Reads jobs again and again and remembers how fast each one moves."""

    def __init__(self) -> None:
        self._meters: dict[int, RateMeter] = {}
        self._last = 0.0

    def read(self, connection: sqlite3.Connection, now: float, *, limit: int = SHOWN_JOBS) -> list[JobLine]:
        """The newest jobs first. `now` in seconds."""
        return [self.line(connection, job, now) for job in list_jobs(connection, limit=limit)]

    def line(self, connection: sqlite3.Connection, job: Job, now: float) -> JobLine:
        if now < self._last:  # the clock was set back: what was measured means nothing any more
            self._meters.clear()
        self._last = now
        running = job.state is JobState.RUNNING
        worker = get_worker(connection, job.id) if running else None
        measured = None
        if running:
            measured = self._meters.setdefault(job.id, RateMeter()).observe(now, job.progress)
        else:
            self._meters.pop(job.id, None)
        progress = progress_of(job, worker, measured)
        return JobLine(
            id=job.id,
            kind=job.kind,
            title=job.title,
            state=job.state,
            word=_word(job),
            done=progress.done,
            goal=progress.goal,
            fraction=1.0 if job.state is JobState.DONE else progress.fraction,
            rate=progress.rate if counts_rows(job) else None,  # an import counts bytes: nobody's measure
            seconds=progress.eta if running else (active_seconds(job, worker) or None),
            failed=job.n_failed + job.n_unparsable,
            note=job.note,
            selection=job.selection,
            pilot=job.row_limit is not None,
            run=job.run,
        )


def counts_rows(job: Job) -> bool:
    """Whether the job has one outcome per row (else it counts steps, or bytes of a source)."""
    kind = KINDS.get(job.kind)
    return kind.mode == "rows" if kind is not None else job.finished_rows > 0


def _word(job: Job) -> str:
    if job.state is JobState.RUNNING and job.wish is not None:
        return "pausing" if job.wish.value == "pause" else "cancelling"
    if job.state is JobState.PAUSED and job.row_limit is not None and job.finished_rows >= (job.goal or 0):
        return "pilot done"
    return job.state.value


@dataclass(slots=True)
class JobsState:
    """The list with its filter."""

    lines: list[JobLine] = field(default_factory=list)
    show: Show = Show.ALL

    @property
    def shown(self) -> list[JobLine]:
        return [line for line in self.lines if _fits(line, self.show)]


def _fits(line: JobLine, show: Show) -> bool:
    if show is Show.ACTIVE:
        return line.state.active
    if show is Show.ATTENTION:
        return line.needs_attention
    if show is Show.ENDED:
        return not line.state.active and not line.needs_attention
    return True


def summary(lines: Sequence[JobLine]) -> str:
    """The jobs in a few words.

    >>> summary([])
    'no jobs yet'
    """
    if not lines:
        return "no jobs yet"
    order = (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED, JobState.DONE,
             JobState.CANCELLED)  # fmt: skip
    counts = {state: sum(1 for line in lines if line.state is state) for state in order}
    return ", ".join(f"{number} {state.value}" for state, number in counts.items() if number)
