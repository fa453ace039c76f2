"""What does the Job screen know of one job? Cheap facts read twice a second, details read beside the event loop."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.progress import RateMeter, active_seconds
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.standing import Standing
from refusal_tui.jobs.waiting import why_waiting
from refusal_tui.store.answers import (
    NOTHING_COUNTED,
    AnswerCounts,
    JobAnswer,
    answers_of,
    count_answers,
    latest_answers,
)
from refusal_tui.store.artifacts import Artifact, list_artifacts
from refusal_tui.store.datasets import find_dataset, list_datasets
from refusal_tui.store.events import Event, events_of
from refusal_tui.store.jobs import Job, JobState, get_job, get_worker
from refusal_tui.store.requests import NOTHING_ASKED, NOTHING_LIVE, Live, Usage, live_of, usage_of
from refusal_tui.store.trouble import Trouble, trouble
from refusal_tui.store.workspace import Workspace
from refusal_tui.tui.state.jobs import JobLine, JobWatch, counts_rows

_NAMES_ITS_ANSWERS = frozenset({"robustness", "raw-vs-cleaned"})  # kinds whose answers are a dataset of the run's name

SHOWN_EVENTS = 100
PILOT_ANSWERS = 20
LATEST_ANSWERS = 10
LOG_TAIL_BYTES = 16 * 1024
LABEL_ORDER = ("hard", "soft", "none", "open")


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What changes all the time and costs microseconds to read. `elapsed` is time at work in seconds."""

    job: Job
    line: JobLine
    elapsed: float
    events: tuple[Event, ...]
    live: Live = NOTHING_LIVE

    @property
    def rows(self) -> bool:
        """One outcome per row (else: steps)."""
        return counts_rows(self.job)

    @property
    def left(self) -> int | None:
        return None if self.job.total is None else max(0, self.job.total - self.line.done)

    @property
    def is_pilot(self) -> bool:
        """A pilot whose answers should be looked at before the job goes on."""
        return self.job.row_limit is not None

    @property
    def pilot_waits(self) -> bool:
        """The pilot is done and somebody has to decide."""
        return self.is_pilot and self.job.state is JobState.PAUSED and self.line.word == "pilot done"


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What takes longer: counts over all rows so far, a sample of answers (a pilot's rows, else the newest), files, the
    requests to models, and why a queued job waits."""

    counts: AnswerCounts = NOTHING_COUNTED
    troubles: tuple[Trouble, ...] = ()
    answers: tuple[JobAnswer, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage = NOTHING_ASKED
    waits: str = ""

    @property
    def labels(self) -> list[tuple[str, int]]:
        """The answers in the order of the labels."""
        known = [(value, self.counts.counts[value]) for value in LABEL_ORDER if value in self.counts.counts]
        return known + sorted((v, n) for v, n in self.counts.counts.items() if v not in LABEL_ORDER)


@dataclass(slots=True)
class JobScreenState:
    """One screen's view: which part of it is unfolded, and the question that waits for a second key press."""

    job_id: int
    facts: JobFacts | None = None
    details: JobDetails = field(default_factory=JobDetails)
    show_log: bool = False
    log: list[str] = field(default_factory=list)
    show_answers: bool = True
    tokens_per_second: float | None = None
    _meter: RateMeter = field(default_factory=RateMeter)

    @property
    def answers_shown(self) -> bool:
        return self.show_answers and bool(self.details.answers)

    def turn_answers(self) -> None:
        self.show_answers = not self.show_answers

    @property
    def standing(self) -> Standing | None:
        """The job and the models that it asks; None for a job that asks nobody."""
        if self.facts is None:
            return None
        standing = Standing(self.facts.job, self.details.usage, self.facts.live)
        return standing if standing.asks else None

    def take(self, details: JobDetails, now: float) -> None:
        """New details, read at `now`: the speed of a running job is measured, that of another one is its average."""
        self.details = details
        tokens = details.usage.tokens
        facts = self.facts
        if facts is not None and facts.job.state is JobState.RUNNING:
            self.tokens_per_second = self._meter.observe(now, tokens)
        elif facts is not None:
            self._meter = RateMeter()
            self.tokens_per_second = tokens / facts.elapsed if facts.elapsed else None


def read_facts(connection: sqlite3.Connection, job_id: int, watch: JobWatch, now: float) -> JobFacts:
    """Raises InputError for a number that no job has."""
    job = get_job(connection, job_id)
    worker = get_worker(connection, job_id) if job.state is JobState.RUNNING else None
    return JobFacts(
        job,
        watch.line(connection, job, now),
        active_seconds(job, worker),
        tuple(events_of(connection, job_id, limit=SHOWN_EVENTS)),
        live_of(connection, job_id, job.run if job.state is JobState.RUNNING else 0),
    )


def read_details(
    workspace: Workspace, connection: sqlite3.Connection, job: Job, known: JobDetails, now: float
) -> JobDetails:
    """The details as they are now (unix seconds); counts go on from `known`."""
    counts = count_answers(connection, job.id, known.counts) if job.kind == "label" else NOTHING_COUNTED
    return JobDetails(
        counts=counts,
        troubles=tuple(trouble(connection, job.id)) if job.n_failed + job.n_unparsable else (),
        answers=_sample(connection, job) if counts_rows(job) else (),
        artifacts=tuple(list_artifacts(connection, job.id)),
        usage=usage_of(connection, job.id, known.usage),
        waits=why_waiting(workspace, connection, job, now),
    )


def _sample(connection: sqlite3.Connection, job: Job) -> tuple[JobAnswer, ...]:
    """A labelling pilot's rows in order, they are what one waits for; of another job what came last."""
    if job.kind == "label" and job.row_limit is not None:
        return tuple(answers_of(connection, job.id, PILOT_ANSWERS))
    return tuple(latest_answers(connection, job.id, LATEST_ANSWERS))


def command_of(job: Job) -> str:
    """The command that makes the same job; imports pydantic, so it is called once per screen.

    A spec that this program cannot read (a newer one's) is shown as it is stored.
    """
    from refusal_tui.jobs.spec import command_line, load_spec

    try:
        spec = load_spec(job_kind(job.kind).spec_type(), job.spec, job.spec_version)
        return command_line(job.kind, spec, selection=job.selection)
    except (RefusalTuiError, ValueError):
        return f"{job.kind} {job.spec}"


def log_tail(path: Path, limit: int = LOG_TAIL_BYTES) -> list[str]:
    """The last lines of a worker's log, oldest first; [] when there is none yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = text.splitlines()
    return lines[1:] if size > limit else lines


def dataset_of(connection: sqlite3.Connection, job: Job) -> str | None:
    """The dataset that an import job made, by its name or by its source, or that holds the answers of an experiment;
    None for other jobs, or before it exists."""
    if job.kind != "import" and job.kind not in _NAMES_ITS_ANSWERS:
        return None
    spec = json.loads(job.spec)
    if job.kind in _NAMES_ITS_ANSWERS:
        name = spec.get("name", "")
        return name if find_dataset(connection, name) is not None else None
    found = [d for d in list_datasets(connection) if d.provenance.source == spec.get("source")]
    named = [d for d in found if d.name == spec.get("name")]
    return max(named or found, key=lambda d: d.created).name if found else None
