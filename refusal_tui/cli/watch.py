"""How does a command wait for a job? It reads the store and draws one line; the job belongs to nobody's terminal."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from dataclasses import asdict

from refusal_tui.cli.common import Session, emit_json, say
from refusal_tui.errors import ExitCode, WorkspaceError
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.notify import Notify, end_words, read_notify, worth_telling
from refusal_tui.jobs.progress import Progress, RateMeter, active_seconds, progress_of
from refusal_tui.jobs.standing import Standing
from refusal_tui.store.jobs import Job, JobState, get_job, get_worker
from refusal_tui.store.requests import live_of, usage_of
from refusal_tui.store.trouble import trouble
from refusal_tui.text.notices import notice_sequence
from refusal_tui.text.safe import safe_text

_POLL_SECONDS = 0.25
_PLAIN_LINE_SECONDS = 10.0  # without a terminal, in a log file
_BAR_CELLS = 24


def wait_for_job(session: Session, job_id: int, *, as_json: bool = False) -> int:
    """Show a job's progress until it ends; returns the exit code. Ctrl+C detaches and the job goes on."""
    try:
        with session.store() as connection:
            job = _follow(connection, job_id)
            if as_json:
                emit_json({**job_record(connection, job), "asking": asking_record(connection, job)})
            _ring(session, job)
            return _tell_end(connection, job)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say(f"Detached: job {job_id} goes on. Come back with: refusal-tui jobs watch {job_id}")
        return ExitCode.DETACHED


def _ring(session: Session, job: Job) -> None:
    """Call back whoever has looked away, as `[notify]` in refusal.toml says."""
    if not sys.stderr.isatty() or not worth_telling(job):
        return
    try:
        wanted = read_notify(session.workspace())
    except WorkspaceError as error:
        say(f"Warning: {error} {error.next_step}")
        wanted = Notify()
    tmux = "TMUX" in os.environ
    sequence = notice_sequence(end_words(job), bell=wanted.bell, osc9=wanted.osc9, tmux=tmux)
    print(sequence, end="", file=sys.stderr, flush=True)


def _follow(connection: sqlite3.Connection, job_id: int) -> Job:
    on_terminal = sys.stderr.isatty()
    meter = RateMeter()
    shown, next_plain, next_reap = "", 0.0, 0.0
    while True:
        now = time.monotonic()
        if now >= next_reap:
            reap(connection)
            next_reap = now + 5.0
        job = get_job(connection, job_id)
        rate = meter.observe(now, job.progress) if job.state is JobState.RUNNING else None
        text = progress_line(job, progress_of(job, get_worker(connection, job_id), rate))
        if on_terminal and text != shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            shown = text
        elif not on_terminal and (now >= next_plain or not job.state.active):
            say(text)
            next_plain = now + _PLAIN_LINE_SECONDS
        if not job.state.active:
            if on_terminal:
                print(file=sys.stderr)
            return job
        time.sleep(_POLL_SECONDS)


def progress_line(job: Job, progress: Progress) -> str:
    """One line of at most 79 cells: number, bar, rows, rate, time left."""
    fraction = progress.fraction
    filled = int(_BAR_CELLS * (fraction or 0.0))
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    parts = [f"job {job.id} {job.state.value}", bar]
    if fraction is not None:
        parts.append(f"{fraction:4.0%}")
    if job.step:  # a ComputeJob: its steps are no rows, so it says itself what it has done
        parts.append(job.step)
    elif progress.goal is not None:
        parts.append(f"{progress.done:,}/{progress.goal:,}")
    if progress.rate and progress.rate >= 0.5 and not job.step:
        parts.append(f"{progress.rate:,.0f}/s")
    if progress.eta is not None:
        parts.append(f"{duration(progress.eta)} left")
    return safe_text(" ".join(parts), newlines=False)[:79]


def duration(seconds: float) -> str:
    """
    >>> duration(5), duration(75), duration(7322), duration(200000)
    ('5s', '1m15s', '2h02m', '2d07h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def job_record(connection: sqlite3.Connection, job: Job) -> dict[str, object]:
    """A job as JSON: its row, where it stands, and its troubles."""
    progress = progress_of(job, get_worker(connection, job.id))
    return {
        **asdict(job),
        "rows_per_second": progress.rate,
        "eta_seconds": progress.eta,
        "trouble": [asdict(t) for t in trouble(connection, job.id)],
    }


def asking_record(connection: sqlite3.Connection, job: Job) -> dict[str, object] | None:
    """What a job has asked of language models, None when nothing. Money is null where a price is unknown, never 0."""
    standing = Standing(job, usage_of(connection, job.id), live_of(connection, job.id, job.run))
    if not standing.asks:
        return None
    seconds = active_seconds(job, get_worker(connection, job.id))
    usage, live = standing.usage, standing.live
    return {
        "requests": usage.sent,
        "answered": usage.answered,
        "answered_from_memory": live.cached,
        "failed_tries": usage.errors,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens_per_second": usage.tokens / seconds if seconds else None,
        "seconds_an_answer": usage.seconds_an_answer,
        "cost_usd": None if usage.without_price else usage.usd,
        "projected_usd": standing.projected_usd,
        "budget_usd": standing.budget_usd,
        "answers_without_price": usage.unpriced,
        "in_flight": live.in_flight if standing.job.state is JobState.RUNNING else 0,
        "places": live.limit if standing.job.state is JobState.RUNNING else None,
        "servers": [{**asdict(server), "sent": server.sent} for server in usage.servers],
    }


def _tell_end(connection: sqlite3.Connection, job: Job) -> int:
    if job.note:
        say(f"Job {job.id} is {job.state.value}: {job.note}")
    for group in trouble(connection, job.id)[:5]:
        say(f"  {group.count} rows {group.state} ({group.error_class}): {group.example}")
    if job.state is JobState.DONE:
        return ExitCode.OK
    if job.state is JobState.PAUSED:
        say(f"Go on with: refusal-tui jobs resume {job.id}")
        return ExitCode.OK
    say(f"See why with: refusal-tui jobs log {job.id}")
    if job.state is JobState.INTERRUPTED:  # a failed one would fail again until its cause is mended
        say(f"Go on with: refusal-tui jobs resume {job.id}")
    return ExitCode.JOB_FAILED
