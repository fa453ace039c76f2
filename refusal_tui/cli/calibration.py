"""`refusal-tui calibration`: make a judge's confidence honest by human labels, and take it back."""

from __future__ import annotations

from dataclasses import asdict

import click

from refusal_tui.cli.common import Session, emit_json, emit_table, job_argument, json_option, pass_session, say


@click.group()
def calibration() -> None:
    """Temperatures that make the confidence of judges honest, fitted on human labels.

    They change the stored probabilities and never a label; what the judge said stays in its verdicts.
    """


@calibration.command()
@job_argument
@click.option("--gold", metavar="NAME", help="The human annotator who is right (default: the one with most labels).")
@click.option("--judge", metavar="NAME", help="Only this judge of the job's (default: all of them).")
@json_option
@pass_session
def apply(session: Session, job_id: int, gold: str | None, judge: str | None, as_json: bool) -> None:
    """Fit the temperatures of labelling JOB's judges on the human labels of its rows, and derive their labels anew."""
    from refusal_tui.judge.calibrate import apply_temperature
    from refusal_tui.store.jobs import get_job

    with session.store() as connection:
        applied = apply_temperature(connection, get_job(connection, job_id), gold=gold, judge=judge)
    if as_json:
        emit_json([{**asdict(one.calibration), "labels": one.labels} for one in applied])
        return
    for one in applied:
        found = one.calibration
        before = "-" if found.raw_ece is None else f"{found.raw_ece:.3f}"
        say(
            f"{found.annotator}: temperature {found.temperature:.2f}, fitted on {found.rows:,} rows labelled by "
            f"{found.gold}; calibration error {before} before, {found.ece:.3f} held out. {one.labels:,} labels derived."
        )
    say("Take it back with: refusal-tui calibration remove JUDGE")


@calibration.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """Show the temperatures in force."""
    from refusal_tui.store.settings import calibrations

    with session.store() as connection:
        found = list(calibrations(connection).values())
    if as_json:
        emit_json([asdict(one) for one in found])
        return
    emit_table(
        ["judge", "temperature", "rows", "labelled by", "error before", "held out", "job"],
        [[one.annotator.removeprefix("judge:"), f"{one.temperature:.3f}", one.rows, one.gold,
          "-" if one.raw_ece is None else f"{one.raw_ece:.3f}", f"{one.ece:.3f}", one.job_id] for one in found],
    )  # fmt: skip
    if not found:
        say("No temperature is in force. Fit one with: refusal-tui calibration apply JOB")


@calibration.command()
@click.argument("judge")
@pass_session
def remove(session: Session, judge: str) -> None:
    """Take the temperature of JUDGE back: its labels have the probabilities again that it gave."""
    from refusal_tui.judge.calibrate import remove_temperature

    with session.store() as connection:
        count = remove_temperature(connection, judge)
    say(f"{count:,} labels of {judge} derived again as it said them.")
