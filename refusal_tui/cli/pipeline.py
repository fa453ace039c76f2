"""`refusal-tui pipeline`: from sources to the final dataset, in one command; the twin of the Pipeline screen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import ExitCode, InputError, WorkspaceError

if TYPE_CHECKING:
    import sqlite3

    from refusal_tui.pipeline.api import Pipeline
    from refusal_tui.pipeline.plan import Plan

config_argument = click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))
offline_option = click.option("--offline", is_flag=True, help="The offline judge instead of models; generate nothing.")
job_argument = click.argument("job_id", required=False, type=click.IntRange(1), metavar="[JOB]")


@click.group()
def pipeline() -> None:
    """Import, generate, label, audit, draw a sample for people, and export: one graph of ordinary jobs.

    CONFIG is TOML or JSON (docs/pipeline.md); without one, what is imported is labelled by the offline judge, audited
    and exported. Running it again does only what has changed.
    """


def _load(config: Path | None, offline: bool) -> Pipeline:
    from refusal_tui.pipeline.api import Pipeline

    return Pipeline.load(config, offline=offline) if config is not None else Pipeline.default()


@pipeline.command()
@config_argument
@offline_option
@click.option("--detach", "-d", is_flag=True, help="Do not wait.")
@json_option
@pass_session
def run(session: Session, config: Path | None, offline: bool, detach: bool, as_json: bool) -> int:
    """Do what is to be done, or go on with a run that stood still. It outlives this terminal."""
    from refusal_tui.cli.watch import wait_for_job
    from refusal_tui.store.jobs import JobState, get_job

    found = _load(config, offline)
    plan = found.plan(session.workspace())
    for note in plan.notes:
        say(f"Note: {note}")
    say(plan.summary)
    job_id = found.start(session.workspace())
    if job_id is None:
        if as_json:
            emit_json({"job": None, **plan.as_json()})
        return ExitCode.OK
    if detach:
        say(f"Job {job_id} runs on its own. Watch it with: refusal-tui pipeline show, or the Pipeline screen (g p).")
        if as_json:
            emit_json({"job": job_id})
        return ExitCode.OK
    code = wait_for_job(session, job_id)
    with session.store() as connection:
        _show(connection, job_id, as_json)
        stopped = get_job(connection, job_id).state is not JobState.DONE
    return ExitCode.JOB_FAILED if stopped and code == ExitCode.OK else code  # the dataset is not there yet


@pipeline.command()
@config_argument
@offline_option
@json_option
@pass_session
def plan(session: Session, config: Path | None, offline: bool, as_json: bool) -> None:
    """Say what would run and why, with requests, tokens and cost. Nothing is started."""
    found = _load(config, offline).plan(session.workspace())
    if as_json:
        emit_json(found.as_json())
        return
    for note in found.notes:
        emit(f"note: {note}")
    _plan_table(found)
    emit("")
    emit(found.summary)
    for said in dict.fromkeys(f"assumed: {one}" for estimate in found.estimates for one in estimate.assumes):
        emit(said)


def _plan_table(plan: Plan) -> None:
    from refusal_tui.pipeline.plan import cost_words

    emit_table(
        ["step", "", "why", "rows", "asks"],
        [[one.step.name, one.does.value, one.why, "" if one.rows is None else f"{one.rows:,}", cost_words(one)]
         for one in plan.steps],
    )  # fmt: skip


@pipeline.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@offline_option
@json_option
@pass_session
def validate(session: Session, config: Path, offline: bool, as_json: bool) -> int:
    """Name every mistake of CONFIG with its line. End points and datasets are looked up where there is a workspace."""
    from refusal_tui.pipeline.api import Pipeline
    from refusal_tui.pipeline.mistakes import ConfigError
    from refusal_tui.pipeline.plan import in_workspace

    try:
        found = Pipeline.load(config, offline=offline)
        looked_up = _has_workspace(session)
        if looked_up:
            with session.store() as connection:
                in_workspace(found.config, connection)
    except ConfigError as error:
        if not as_json:
            raise
        emit_json(
            {"mistakes": [{"file": m.file, "line": m.line, "key": m.key, "what": m.what} for m in error.mistakes]}
        )
        return ExitCode.INPUT
    if as_json:
        emit_json({"mistakes": [], "notes": list(found.config.notes)})
        return ExitCode.OK
    for note in found.config.notes:
        emit(f"note: {note}")
    emit(f"{config} can be used." + ("" if looked_up else " (No workspace here: end points were not looked up.)"))
    return ExitCode.OK


def _has_workspace(session: Session) -> bool:
    try:
        session.workspace()
    except WorkspaceError:
        return False
    return True


@pipeline.command()
@job_argument
@json_option
@pass_session
def show(session: Session, job_id: int | None, as_json: bool) -> None:
    """Show the graph of a run, the latest one without JOB: what each step has come to."""
    from refusal_tui.jobs.control import reap

    with session.store() as connection:
        reap(connection)
        _show(connection, _run_number(connection, job_id), as_json)


@pipeline.command()
@job_argument
@pass_session
def pause(session: Session, job_id: int | None) -> None:
    """Pause a run and the jobs that it waits for; the latest run without JOB."""
    from refusal_tui.jobs import control

    with session.store() as connection:
        number = _run_number(connection, job_id)
    control.pause(session.workspace(), number)
    say(f"Pipeline job {number} pauses. Go on with: refusal-tui pipeline resume")


@pipeline.command()
@job_argument
@pass_session
def resume(session: Session, job_id: int | None) -> None:
    """Go on with a run, and with its jobs that stand still; the latest run without JOB."""
    from refusal_tui.jobs import control

    with session.store() as connection:
        number = _run_number(connection, job_id)
    say(
        f"Pipeline job {control.resume(session.workspace(), number).id} goes on. See it with: refusal-tui pipeline show"
    )


def _run_number(connection: sqlite3.Connection, job_id: int | None) -> int:
    from refusal_tui.store.jobs import get_job
    from refusal_tui.store.pipelines import latest_run

    number = latest_run(connection) if job_id is None else job_id
    if number is None:
        raise InputError("No pipeline has run here.", "Start one with: refusal-tui pipeline run [CONFIG]")
    if get_job(connection, number).kind != "pipeline":
        raise InputError(f"Job {number} is no pipeline.", "Without a number the latest pipeline is taken.")
    return number


def _show(connection: sqlite3.Connection, job_id: int, as_json: bool) -> None:
    from refusal_tui.pipeline.status import status_of
    from refusal_tui.store.jobs import get_job

    job = get_job(connection, job_id)
    steps = status_of(connection, job)
    if as_json:
        emit_json({
            "job": job.id, "state": job.state.value, "note": job.note,
            "steps": [asdict(one.record) | {"state": one.state.value, "done": one.done, "goal": one.goal}
                      for one in steps],
        })  # fmt: skip
        return
    emit(f"pipeline job {job.id}  {job.title}  {job.state.value}" + (f"  ({job.note})" if job.note else ""))
    emit_table(
        ["step", "state", "job", "done", "made"],
        [[one.record.name, one.state.value, one.record.job or "", one.counts, one.says] for one in steps],
        cut=72,
    )
