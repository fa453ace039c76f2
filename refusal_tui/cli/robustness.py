"""`refusal-tui robustness`: runs of the fine-tuning experiment, what each says, and its report as one HTML file.
Starting one: `refusal-tui run robustness`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.finetune.figures import Difference, Point
    from refusal_tui.finetune.report import Run
    from refusal_tui.stats.intervals import Interval
    from refusal_tui.store.jobs import Job
    from refusal_tui.text.blocks import Section

KIND = "robustness"
_WIDTH = 100
_LEFT_OUT = ("curves", "made")  # of the text: pictures of many lines, and what the report ends with


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def robustness(context: click.Context, as_json: bool) -> None:
    """List the fine-tuning experiments, show one, or write its report."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@robustness.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the runs, newest first, with what each says."""
    from refusal_tui.finetune.conclude import conclusion
    from refusal_tui.store.jobs import list_jobs

    with session.store() as connection:
        runs = [(job, _run_of(session, job)) for job in list_jobs(connection) if job.kind == KIND]
    lines = [(job.id, run.name or job.title, run.model, job.state.value, conclusion(run)[0]) for job, run in runs]
    emit_runs(lines, as_json=as_json)


@robustness.command()
@job_argument
@json_option
@pass_session
def show(session: Session, job_id: int, as_json: bool) -> None:
    """Show a run: conclusion, curve, rates, paired comparisons and invariants, also while it goes on."""
    from refusal_tui.finetune.sections import sections_of

    with session.store() as connection:
        job = _job(connection, job_id)
    run = _run_of(session, job)
    if as_json:
        emit_json(_json(job, run))
        return
    emit_run(job, [section for section in sections_of(run) if section.name not in _LEFT_OUT])
    if run.base is not None:
        emit(f"\nAnswers: refusal-tui browse 'dataset:{run.dataset}'; two arms compared: refusal-tui compare A B")


@robustness.command()
@job_argument
@json_option
@pass_session
def report(session: Session, job_id: int, as_json: bool) -> None:
    """Write the report as one HTML file into the run's folder, also while it goes on, and print its place."""
    from refusal_tui.finetune.document import write_report

    with session.store() as connection:
        job = _job(connection, job_id)
    path = write_report(session.workspace().job_folder(job.id), job.id)
    if as_json:
        emit_json({"html": path})
    else:
        emit(str(path))


def _job(connection: sqlite3.Connection, job_id: int) -> Job:
    return job_of_kind(connection, job_id, KIND, "tests no robustness")


def job_of_kind(connection: sqlite3.Connection, job_id: int, kind: str, not_said: str) -> Job:
    """Raises InputError for a job of another kind, which `not_said` says of it."""
    from refusal_tui.store.jobs import get_job

    job = get_job(connection, job_id)
    if job.kind != kind:
        raise InputError(f"Job {job_id} ({job.kind}) {not_said}.", f"List the others: refusal-tui {kind}")
    return job


def emit_runs(lines: Sequence[tuple[object, ...]], *, as_json: bool) -> None:
    """A line per run: job, name, model, state and what it says."""
    if as_json:
        emit_json([dict(zip(("job", "name", "model", "state", "says"), line, strict=True)) for line in lines])
    else:
        emit_table(["job", "run", "model", "state", "says"], lines, cut=160)


def emit_run(job: Job, sections: Sequence[Section]) -> None:
    from refusal_tui.text.block_lines import section_lines

    emit(f"job {job.id}  {job.title}  {job.state.value}" + (f", {job.step}" if job.state.active and job.step else ""))
    if job.state.resumable:
        emit(f"{job.note}\nGo on, with the same settings: refusal-tui jobs resume {job.id}".lstrip())
    for section in sections:
        emit(f"\n{section.title}\n")
        for line in section_lines(section, _WIDTH):
            emit(line.text)


def _run_of(session: Session, job: Job) -> Run:
    from refusal_tui.finetune.report import read_run

    return read_run(session.workspace().job_folder(job.id))


def _json(job: Job, run: Run) -> dict[str, Any]:
    """`answers` of an arm is the filter of its answers to the prompts: for browse, rows, results, label."""
    from refusal_tui.finetune.conclude import conclusion
    from refusal_tui.finetune.figures import base_point, figures
    from refusal_tui.finetune.files import BASE
    from refusal_tui.finetune.sections import answers_filter

    base = base_point(run)
    arms = [
        {"arm": arm.arm, "variant": arm.variant, **_point(arm.final), "curve": [_point(one) for one in arm.curve],
         "price": arm.price, "at_equal_loss": arm.at_equal_loss, "shifted": arm.shifted, "holds": arm.holds,
         "violation": arm.violation, "diverged": arm.diverged,
         "against": {name: difference_json(one) for name, one in arm.against.items()},
         "answers": answers_filter(run, arm.arm, arm.variant, arm.final.step)}
        for arm in figures(run)
    ]  # fmt: skip
    trials = [
        {"name": t.name, "arm": t.arm, "seed": t.seed, "state": t.state, "steps": t.planned, "last": t.last,
         "worst_step_violation": t.worst[0], "worst_total_violation": t.worst[1], "holds": t.holds}
        for t in run.trials
    ]  # fmt: skip
    return {
        "job": job.id, "state": job.state.value, "name": run.name, "model": run.model, "dataset": run.dataset,
        "conclusion": conclusion(run), "trials": trials, "arms": arms,
        "base": None if base is None else {**_point(base), "answers": answers_filter(run, BASE, "", 0)},
    }  # fmt: skip


def _point(point: Point) -> dict[str, Any]:
    rates = {
        name: None if rate is None else {
            **interval_json(rate.interval), "by_seed": [known(share) for share in rate.by_seed], "rows": rate.rows,
            "missing": rate.missing,
        }
        for name, rate in (
            ("refused", point.refused), ("fulfilled", point.fulfilled), ("exact", point.exact),
            ("benign_refused", point.benign_refused), ("benign_fulfilled", point.benign_fulfilled),
        )
    }  # fmt: skip
    return {"step": point.step, "task_loss": point.task_loss, "losses": point.losses, **rates}


def difference_json(of: Difference) -> dict[str, Any]:
    return {
        **interval_json(of.interval), "only_one": of.only_one, "only_other": of.only_other, "p_value": of.p_value,
        "p_holm": of.p_holm, "sure": of.sure, "by_seed": [known(one) for one in of.by_seed],
    }  # fmt: skip


def interval_json(of: Interval) -> dict[str, float | None]:
    return {"value": known(of.value), "low": known(of.low), "high": known(of.high)}


def known(value: float) -> float | None:
    """JSON has no word for what is not a number."""
    return None if isnan(value) else value
