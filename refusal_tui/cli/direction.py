"""`refusal-tui direction`: runs that look for a refusal direction, what they have found, and the figures of every
candidate. Starting one: `refusal-tui run direction`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session
from refusal_tui.cli.direction_bench import ask, tokens
from refusal_tui.cli.direction_export import agree, export
from refusal_tui.cli.direction_runs import direction_job, report_of
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.direction.report import Report
    from refusal_tui.store.jobs import Job

_SHOWN = 8  # of candidates, first tokens and dropped prompts; --json has all


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def direction(context: click.Context, as_json: bool) -> None:
    """List the runs that look for a refusal direction, or show one."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@direction.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the runs, newest first, with what each has found."""
    from refusal_tui.direction.report_text import outcome, plain, signed
    from refusal_tui.store.jobs import list_jobs

    with session.store() as connection:
        runs = [(job, report_of(session, job)) for job in list_jobs(connection) if job.kind == "direction"]
    if as_json:
        emit_json(
            [{"job": job.id, "state": job.state.value, "title": job.title, **_brief(report)} for job, report in runs]
        )
        return
    lines = []
    for job, report in runs:
        pick = report.choice.pick if report.decided else None
        scores = report.grid[pick] if pick else None
        figures = (
            ("", "", "") if scores is None else (signed(scores.ablation), signed(scores.steering), plain(scores.kl))
        )
        lines.append([job.id, job.title, job.state.value, *figures, outcome(report)])
    emit_table(["job", "run", "state", "ablation", "addition", "KL", "found"], lines, cut=64,
               whole=("ablation", "addition", "KL"))  # fmt: skip


@direction.command()
@job_argument
@json_option
@pass_session
def show(session: Session, job_id: int, as_json: bool) -> None:
    """Show a run: the direction or why there is none, control arms, dose-response, first tokens, prompts dropped."""
    from refusal_tui.direction.report_text import report_json

    with session.store() as connection:
        job = direction_job(connection, job_id)
    report = report_of(session, job)
    if as_json:
        emit_json({"job": job.id, "state": job.state.value, "title": job.title, **report_json(report)})
    else:
        _describe(job, report)


@direction.command()
@job_argument
@click.option("--passing", is_flag=True, help="Only candidates that pass the filters, the best one first.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on standard output.")
@json_option
@pass_session
def cells(session: Session, job_id: int, passing: bool, as_csv: bool, as_json: bool) -> None:
    """Print the figures of every candidate (position and layer), also while the run goes on."""
    from refusal_tui.direction.report_text import CELL_NAMES, cell_rows, cells_csv, plain, signed

    if as_csv and (as_json or passing):
        raise click.UsageError("--csv prints all candidates; leave out --json and --passing.")
    with session.store() as connection:
        report = report_of(session, direction_job(connection, job_id))
    if not report.grid:
        raise InputError(
            f"Job {job_id} has measured nothing yet.", f"See how far it is with: refusal-tui jobs show {job_id}"
        )
    if as_csv:
        click.echo(cells_csv(report), nl=False)
        return
    rows = {(row[0], row[1]): row for row in cell_rows(report)}
    chosen = [rows[cell] for cell in (report.best() if passing else sorted(report.grid))]
    if as_json:
        emit_json([dict(zip(CELL_NAMES, row, strict=True)) for row in chosen])
        return
    shown = [
        [*row[:2], signed(row[2]), signed(row[3]), plain(row[4]), *(plain(value, 2) for value in row[5:10]), row[10]]
        for row in chosen
    ]
    emit_table(CELL_NAMES, shown, whole=CELL_NAMES)


@direction.command()
@job_argument
@click.option("--model", required=True, metavar="DIR", help="Another chat model of the same width.")
@click.option("--detach", "-d", is_flag=True, help="Do not wait.")
@json_option
@pass_session
def transfer(session: Session, job_id: int, model: str, detach: bool, as_json: bool) -> int:
    """Try the direction of a run on another model, beside that model's own direction.

    The same as `run direction --transfer JOB` with the prompts and settings of that run.
    """
    from refusal_tui.cli.run import start
    from refusal_tui.jobs.registry import job_kind
    from refusal_tui.jobs.spec import load_spec

    kind = job_kind("direction")
    with session.store() as connection:
        job = direction_job(connection, job_id)
    settings = load_spec(kind.spec_type(), job.spec, job.spec_version).model_dump()
    settings |= {"model": model, "transfer": str(job_id), "answers": ""}
    return start(session, kind, settings, detach=detach, as_json=as_json)


def _brief(report: Report) -> dict[str, object]:
    pick = report.choice.pick if report.decided else None
    scores = None if pick is None else report.grid[pick]
    return {
        "decided": report.decided,
        "position": pick and pick.position,
        "layer": pick and pick.layer,
        "ablation": scores and scores.ablation,
        "steering": scores and scores.steering,
        "kl": scores and scores.kl,
    }


def _describe(job: Job, report: Report) -> None:
    """What the Direction screen shows, in lines."""
    from refusal_tui.direction.report_text import (
        loss_words,
        outcome,
        place,
        plain,
        reason_words,
        share,
        signed,
        transfer_words,
    )  # fmt: skip
    from refusal_tui.text.safe import shorten

    emit(f"job {job.id}  {job.title}  {job.state.value}" + (f", {job.step}" if job.state.active and job.step else ""))
    emit(f"  {outcome(report)}")
    pick = report.choice.pick
    if report.baseline is not None:
        emit(f"  refusal score as it is: harmful {signed(report.baseline[0])}, harmless {signed(report.baseline[1])}")
    if pick is not None and report.decided:
        scores = report.grid[pick]
        floor = report.reliability(pick, report.bootstrap_floor)
        emit(f"  ablated {signed(scores.ablation)} ({share(report.effect(pick))} of the way), added "
             f"{signed(scores.steering)} ({share(report.addition(pick))}), KL {plain(scores.kl)}, "
             f"resampled cosine {plain(floor)}")  # fmt: skip
    if report.grid:
        emit(f"  candidates: {reason_words(report)}  ({report.measured} of {3 * len(report.grid)} scores measured)")
    evidence = report.evidence
    if evidence is not None:
        if evidence.weak:
            emit("  weak: it does not do more than its control arms, or little")
        for name, arms in (("random vectors", evidence.random), ("shuffled labels", evidence.shuffled)):
            best = min(arms, key=lambda arm: arm["ablation"], default=None)
            if best is not None:
                emit(f"  {name}, best of {len(arms)}: ablated {signed(best['ablation'])}, added "
                     f"{signed(best['steering'])}, KL {plain(best['kl'])}, "
                     f"cosine {plain(best['cosine'], 2)}")  # fmt: skip
        if loss := loss_words(evidence):
            emit(f"  {loss}")
        emit("\ndose-response (c times the direction added)")
        doses = [[signed(d["coefficient"], 1), signed(d["harmful"]), signed(d["harmless"])] for d in evidence.dose]
        emit_table(["c", "harmful", "harmless"], doses)
    if report.transfer is not None:
        first, *rest = transfer_words(report.transfer)
        emit("\n".join((f"\n{first}", *(f"  {line}" for line in rest))))
    if report.best():
        emit("\ncandidates that pass")
        for cell in report.best()[:_SHOWN]:
            noise = "  within noise" if cell in report.rivals else ""
            emit(f"  {place(cell):<24} ablation {signed(report.grid[cell].ablation)}{noise}")
    if report.tokens:
        emit("\nfirst tokens of answers (✓ counts as a refusal)")
        for token in sorted(report.tokens, key=lambda one: one.id not in report.refusal_ids)[:_SHOWN]:
            mark = "✓" if token.id in report.refusal_ids else " "
            emit(f"  {mark} {token.text!r:<16} {token.harmful:7.1%} of harmful {token.harmless:7.1%} of harmless")
    if report.end:
        emit(f"\ntemplate end: {'  '.join(f'{n - len(report.end)} {t!r}' for n, t in enumerate(report.end))}")
    for part, (kept, drawn) in report.kept.items():
        emit(f"  {part.replace('_', ', ')}: {kept} of {drawn} prompts count")
    for dropped in report.dropped[:_SHOWN]:
        emit(f"    dropped {signed(dropped.score)}: {shorten(dropped.text, 90)}")


for _command in (ask, tokens, agree, export):
    direction.add_command(_command)
