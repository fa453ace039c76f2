"""`refusal-tui jobs`: list, look at and steer jobs."""

from __future__ import annotations

import sqlite3
import sys
import time
from dataclasses import asdict

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session, say
from refusal_tui.cli.watch import asking_record, duration, job_record, wait_for_job
from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.jobs.progress import active_seconds, progress_of
from refusal_tui.jobs.registry import counted, job_kind, unit_of
from refusal_tui.jobs.spec import command_line, load_spec
from refusal_tui.jobs.standing import (
    Standing,
    cost_words,
    money,
    places_words,
    raise_command,
    requests_words,
    tokens_words,
)
from refusal_tui.jobs.waiting import why_waiting
from refusal_tui.store.answers import latest_answers
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import Job, JobState, get_job, get_worker, list_jobs
from refusal_tui.store.requests import live_of, usage_of
from refusal_tui.store.settings import acknowledge_end
from refusal_tui.store.trouble import trouble
from refusal_tui.text.mask import mask_secrets
from refusal_tui.text.safe import shorten

_SHOWN_ANSWERS = 5


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def jobs(context: click.Context, as_json: bool) -> None:
    """List, watch, pause, resume, cancel or retry jobs."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@jobs.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the jobs, newest first."""
    with session.store() as connection:
        control.reap(connection)
        found = list_jobs(connection)
        if as_json:
            emit_json([job_record(connection, job) for job in found])
            return
        lines = []
        for job in found:
            worker = get_worker(connection, job.id)
            progress = progress_of(job, worker)
            percent = f"{progress.fraction:.0%}" if progress.fraction is not None else ""
            rows = f"{progress.done:,}" + (f"/{progress.goal:,}" if progress.goal is not None else "")
            rate = f"{progress.rate:,.0f}/s" if progress.rate and progress.rate >= 0.5 and not job.step else ""
            failed = job.n_failed + job.n_unparsable or ""
            lines.append([job.id, job.kind, job.title, job.state.value, percent, job.step or rows, rate, failed])
    emit_table(["job", "kind", "title", "state", "", "done", "rate", "failed"], lines, cut=30)


@jobs.command()
@job_argument
@json_option
@pass_session
def show(session: Session, job_id: int, as_json: bool) -> None:
    """Show one job: where it stands, its settings, its troubles and what it wrote."""
    with session.store() as connection:
        control.reap(connection)
        job = get_job(connection, job_id)
        if job.state is JobState.FAILED:
            with transaction(connection):
                acknowledge_end(connection, job.id, job.run)
        if as_json:
            written = [asdict(a) for a in list_artifacts(connection, job_id)]
            waits = why_waiting(session.workspace(), connection, job, time.time())
            newest = [asdict(a) for a in latest_answers(connection, job_id, _SHOWN_ANSWERS)]
            asking = asking_record(connection, job)
            record = job_record(connection, job) | {"asking": asking, "waits": waits}
            emit_json(record | {"newest": newest, "artifacts": written})
            return
        _describe(session, connection, job)


def _describe(session: Session, connection: sqlite3.Connection, job: Job) -> None:
    """What the Job screen shows, in lines."""
    worker = get_worker(connection, job.id)
    progress = progress_of(job, worker)
    seconds = active_seconds(job, worker)
    emit(f"job {job.id}  {job.kind}: {job.title}  {job.state.value}" + (f"  ({job.note})" if job.note else ""))
    waits = why_waiting(session.workspace(), connection, job, time.time())
    if waits:
        emit(f"  {waits}")
    total = "" if progress.goal is None else f" of {progress.goal:,}"
    rate = f", {progress.rate:,.1f} {unit_of(job)}/s" if progress.rate else ""
    left = f", {duration(progress.eta)} left" if progress.eta is not None else ""
    done = job.step or f"done {progress.done:,}{total}{rate}"
    emit(f"  {done}, {duration(seconds)} at work{left}")
    emit(f"  ok {job.n_ok:,}  failed {job.n_failed:,}  unparsable {job.n_unparsable:,}")
    running = job.state is JobState.RUNNING
    standing = Standing(job, usage_of(connection, job.id), live_of(connection, job.id, job.run if running else 0))
    if standing.asks:
        emit(f"  tokens   {tokens_words(standing, standing.usage.tokens / seconds if seconds else None)}")
        emit(f"  cost     {cost_words(standing)}")
        emit(f"  requests {requests_words(standing)}")
        if running:
            emit(f"  places   {places_words(standing.live)}")
        if len(standing.usage.servers) > 1:
            for server in standing.usage.servers:
                failed = sum(server.errors.values())
                price = "no price" if server.unpriced and not server.usd else money(server.usd)
                tokens = server.prompt_tokens + server.completion_tokens
                emit(f"    {server.endpoint}  {server.sent:,} sent, {failed:,} failed, {tokens:,} tokens, {price}  "
                     f"{server.base_url}")  # fmt: skip
    emit(f"  {_command_of(job)}")
    if raise_command(job):
        emit(f"  raise the budget and go on: {raise_command(job)}")
    for group in trouble(connection, job.id):
        emit(f"  {group.count:,} {group.state} ({group.error_class}): {group.example}")
        emit(f"    try them again: refusal-tui jobs retry {job.id} --class {group.error_class}")
    for answer in latest_answers(connection, job.id, _SHOWN_ANSWERS) if job.finished_rows else ():
        label = answer.value or answer.remark or answer.state
        emit(f"  {shorten(label, 14):<14} {shorten(answer.prompt, 40)} → {shorten(answer.response or '', 50)}")
    for artifact in list_artifacts(connection, job.id):
        emit(f"  wrote {artifact.path} ({artifact.bytes:,} bytes)")


def _command_of(job: Job) -> str:
    try:
        spec = load_spec(job_kind(job.kind).spec_type(), job.spec, job.spec_version)
    except RefusalTuiError as error:  # of a newer program: the rest can still be shown
        return f"(no command: {error})"
    return command_line(job.kind, spec, selection=job.selection, pilot=job.row_limit)


@jobs.command()
@job_argument
@json_option
@pass_session
def watch(session: Session, job_id: int, as_json: bool) -> int:
    """Show a job's progress until it ends (Ctrl+C stops watching, not the job)."""
    return wait_for_job(session, job_id, as_json=as_json)


@jobs.command()
@job_argument
@click.option("--worker", is_flag=True, help="Print the worker's own log file.")
@json_option
@pass_session
def log(session: Session, job_id: int, worker: bool, as_json: bool) -> None:
    """Print what happened to a job."""
    with session.store() as connection:
        get_job(connection, job_id)
        events = events_of(connection, job_id, limit=1000)
    if as_json:
        emit_json([asdict(event) for event in events])
    elif worker:
        path = session.workspace().logs / f"job-{job_id}.log"
        if not path.exists():
            say(f"Job {job_id} has no log file yet.")
            return
        with path.open(encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                emit(mask_secrets(line.rstrip("\n")))
    else:
        for event in events:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.created))
            emit(f"{stamp} {event.level:<7} {event.text}")


@jobs.command()
@job_argument
@json_option
@pass_session
def pause(session: Session, job_id: int, as_json: bool) -> None:
    """Stop a job after the rows in flight; resume goes on where it stopped."""
    _tell(control.pause(session.workspace(), job_id), as_json)


@jobs.command()
@click.argument("job_id", type=click.IntRange(1), metavar="JOB", required=False)
@click.option("--all", "all_", is_flag=True, help="Every interrupted job, and the lanes of what is queued.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a budget or the pace first.")
@click.option("--wait", is_flag=True, help="Wait for the job with a progress bar.")
@json_option
@pass_session
def resume(
    session: Session, job_id: int | None, all_: bool, settings: tuple[str, ...], wait: bool, as_json: bool
) -> int:
    """Go on with a paused, interrupted or failed job, or with all of them after a reboot."""
    if all_ == (job_id is not None):
        raise click.UsageError("Give a JOB, or --all.")
    if all_:
        picked = control.resume_all(session.workspace())
        if as_json:
            emit_json([asdict(job) for job in picked])
        else:
            say(f"{len(picked)} jobs are on their way: {', '.join(str(j.id) for j in picked) or 'none was waiting'}.")
        return 0
    assert job_id is not None
    if settings:
        pairs = (setting.partition("=") for setting in settings)
        control.change_settings(session.workspace(), job_id, {n.strip().replace("-", "_"): v for n, _, v in pairs})
    job = control.resume(session.workspace(), job_id)
    if wait:
        return wait_for_job(session, job_id, as_json=as_json)
    _tell(job, as_json)
    return 0


@jobs.command()
@job_argument
@json_option
@pass_session
def cancel(session: Session, job_id: int, as_json: bool) -> None:
    """Stop a job for good; what it has done stays."""
    _tell(control.cancel(session.workspace(), job_id), as_json)


@jobs.command()
@job_argument
@click.option("--class", "error_class", metavar="NAME", help="Only what failed with this error class.")
@json_option
@pass_session
def retry(session: Session, job_id: int, error_class: str | None, as_json: bool) -> None:
    """Do what has failed in a job again: its rows, votes or answers."""
    workspace = session.workspace()
    count = control.retry(workspace, job_id, error_class)
    with session.store() as connection:
        job = get_job(connection, job_id)
    if as_json:
        emit_json({"job": job_id, "retried": count, "unit": unit_of(job)})
    else:
        again = f"{counted(job, count)} of job {job_id} {'is' if count == 1 else 'are'} tried again."
        say(f"{again} Watch it with: refusal-tui jobs watch {job_id}")


@jobs.command()
@job_argument
@json_option
@pass_session
def reparse(session: Session, job_id: int, as_json: bool) -> None:
    """Read the kept answers of a job again that could not be read; nothing is sent.

    For jobs that label, clean, or write prompts: as after an upgrade that understands more.
    """
    from refusal_tui.jobs.reparse import reparse as read_again

    with session.store() as connection:
        found = read_again(session.workspace(), connection, get_job(connection, job_id))
    if as_json:
        emit_json({"job": job_id, **asdict(found)})
    else:
        say(f"{found.mended} of {found.looked_at} kept answers of job {job_id} could be read.")
        if found.to_resume:
            say(f"Their rows have steps left to do: refusal-tui jobs resume {job_id}")


def _tell(job: Job, as_json: bool) -> None:
    if as_json:
        emit_json(asdict(job))
        return
    wish = f", asked to {job.wish.value}" if job.wish and job.state is JobState.RUNNING else ""
    say(f"Job {job.id} is {job.state.value}{wish}.")
    sys.stderr.flush()
