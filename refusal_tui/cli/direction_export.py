"""`refusal-tui direction export` and `direction agree`: a run's pictures with their numbers, and who agrees with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session
from refusal_tui.cli.direction_runs import direction_job, report_of, run_folder
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.direction.agreement import Agreement
    from refusal_tui.direction.readings import Readings
    from refusal_tui.store.jobs import Job


@click.command()
@job_argument
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The folder to write to; it is made.")  # fmt: skip
@pass_session
def export(session: Session, job_id: int, out: Path) -> None:
    """Write every picture of a run as SVG and all numbers as CSV: maps, cosines, projections, AUROC, dose-response,
    tokens, agreement with labels."""
    from refusal_tui.direction.geometry import read_geometry
    from refusal_tui.direction.pictures import Run, pictures, write_pictures
    from refusal_tui.direction.readings import read_readings

    with session.store() as connection:
        job = direction_job(connection, job_id)
        folder, report = run_folder(session, job_id), report_of(session, job)
        readings = read_readings(folder)
        found = _found(connection, job, readings)
    written = write_pictures(out, pictures(Run(report, read_geometry(folder), readings, found)))
    if not written:
        raise InputError(
            f"Job {job_id} has measured nothing yet.", f"See how far it is with: refusal-tui jobs show {job_id}"
        )
    for path in written:
        emit(str(path))


@click.command()
@job_argument
@json_option
@pass_session
def agree(session: Session, job_id: int, as_json: bool) -> None:
    """Show how well the projection on the direction agrees with those who have labelled the answers of JOB."""
    from refusal_tui.direction.agreement import NOTE
    from refusal_tui.direction.pictures import AGREEMENT_NAMES, agreement_rows
    from refusal_tui.direction.readings import read_readings

    with session.store() as connection:
        job = direction_job(connection, job_id)
        found = _found(connection, job, read_readings(run_folder(session, job_id)))
    if not found:
        raise InputError(
            f"Nobody has labelled answers of job {job_id}.",
            "Ask for them with run direction --answers NAME, then: refusal-tui run label dataset:NAME",
        )
    rows = agreement_rows(found)
    if as_json:
        emit_json([dict(zip(AGREEMENT_NAMES, row, strict=True)) for row in rows])
        return
    shown = [[*row[:4], *("—" if value is None else f"{value:.3f}" for value in row[4:])] for row in rows]
    emit_table([name.replace("_", " ") for name in AGREEMENT_NAMES], shown)
    emit(f"\n{NOTE}")


def _found(connection: sqlite3.Connection, job: Job, readings: Readings | None) -> list[Agreement]:
    from refusal_tui.direction.agreement import projection_agreement
    from refusal_tui.direction.store_answers import answers_of

    dataset = answers_of(connection, job)
    return projection_agreement(connection, dataset, job.id, readings) if dataset and readings is not None else []
