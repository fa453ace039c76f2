"""`refusal-tui raw-vs-cleaned`: models fine-tuned on raw and on cleaned data, what each run says, and its report as one
HTML file. Starting one: `refusal-tui run raw-vs-cleaned`."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, job_argument, json_option, pass_session
from refusal_tui.cli.robustness import (
    difference_json,
    emit_run,
    emit_runs,
    interval_json,
    job_of_kind,
    known,
)

if TYPE_CHECKING:
    from refusal_tui.finetune.cleaned.read import Comparison
    from refusal_tui.store.jobs import Job


@click.group("raw-vs-cleaned", invoke_without_command=True)
@json_option
@click.pass_context
def raw_vs_cleaned(context: click.Context, as_json: bool) -> None:
    """List the comparisons of raw and cleaned data, show one, or write its report."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@raw_vs_cleaned.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the runs, newest first, with what each says."""
    from refusal_tui.finetune.cleaned.conclude import conclusion
    from refusal_tui.finetune.cleaned.read import KIND
    from refusal_tui.store.jobs import list_jobs

    with session.store() as connection:
        runs = [(job, _read(session, connection, job)) for job in list_jobs(connection) if job.kind == KIND]
    lines = [
        (job.id, found.run.name or job.title, found.run.model, job.state.value, conclusion(found)[0])
        for job, found in runs
    ]
    emit_runs(lines, as_json=as_json)


@raw_vs_cleaned.command()
@job_argument
@json_option
@pass_session
def show(session: Session, job_id: int, as_json: bool) -> None:
    """Show a run: conclusion, rates, paired comparisons, helpfulness as it is judged by now, diversity."""
    from refusal_tui.finetune.cleaned.sections import all_answers, model_of, sections_of

    with session.store() as connection:
        job = _job(connection, job_id)
        found = _read(session, connection, job)
    if as_json:
        emit_json(_json(job, found))
        return
    emit_run(job, [section for section in sections_of(found) if section.name != "made"])
    if found.run.base is not None:
        models = " ".join(model_of(found.run, arm) for arm in ("cleaned", "raw"))
        emit(f"\nAnswers: refusal-tui browse '{all_answers(found)}'")
        emit(f"By any judge: refusal-tui compare {models} dataset:{found.run.dataset} --by split [--judge NAME]")


@raw_vs_cleaned.command()
@job_argument
@json_option
@pass_session
def report(session: Session, job_id: int, as_json: bool) -> None:
    """Write the report as one HTML file into the run's folder, also while it goes on, and print its place. After
    somebody has judged the answers' helpfulness, write it again."""
    from refusal_tui.finetune.cleaned.page import write_report

    with session.store() as connection:
        job = _job(connection, job_id)
        path = write_report(session.workspace().job_folder(job.id), job.id, connection)
    if as_json:
        emit_json({"html": path})
    else:
        emit(str(path))


def _job(connection: sqlite3.Connection, job_id: int) -> Job:
    from refusal_tui.finetune.cleaned.read import KIND

    return job_of_kind(connection, job_id, KIND, "compares no raw and cleaned data")


def _read(session: Session, connection: sqlite3.Connection, job: Job) -> Comparison:
    from refusal_tui.finetune.cleaned.read import read_comparison

    return read_comparison(session.workspace().job_folder(job.id), connection)


def _json(job: Job, found: Comparison) -> dict[str, Any]:
    """`answers` of an arm are the filters of its answers: for browse, rows, results, label."""
    from refusal_tui.finetune.cleaned.conclude import conclusion
    from refusal_tui.finetune.cleaned.figures import figures
    from refusal_tui.finetune.cleaned.sections import answers_filter

    run, figured, diverse = found.run, figures(found), found.diversity
    arms = [
        {
            "arm": name, "grade": arm.grade, "losses": arm.losses, "diverged": arm.diverged,
            **{measure: {**interval_json(rate.interval), "by_seed": [known(share) for share in rate.by_seed],
                         "rows": rate.rows, "missing": rate.missing} for measure, rate in arm.rates.items()},
            "diversity": {} if diverse is None else {
                measure: interval_json(of) for measure, of in diverse.of.get(name, {}).items()
            },
            "answers": {split: answers_filter(run, name, split) for split in ("benign", "prompts")},
        }
        for name, arm in figured.arms.items()
    ]  # fmt: skip
    differences = [
        {"one": one, "other": other, **{measure: difference_json(of) for measure, of in measures.items()},
         "diversity": {} if diverse is None else {
             measure: interval_json(of) for measure, of in diverse.difference.get((one, other), {}).items()}}
        for (one, other), measures in figured.against.items()
    ]  # fmt: skip
    return {
        "job": job.id, "state": job.state.value, "name": run.name, "model": run.model, "dataset": run.dataset,
        "conclusion": conclusion(found), "graders": found.graders, "rows": found.counts, "arms": arms,
        "differences": differences,
    }  # fmt: skip
