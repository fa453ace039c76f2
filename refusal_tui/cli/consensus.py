"""`refusal-tui consensus`: settle the votes of a panel, once more or in another way."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session


@click.command()
@job_argument
@click.option(
    "--method", type=click.Choice(["majority", "dawid-skene"]), default="majority", show_default=True,
    help="Most votes; or Dawid and Skene's estimate, which weighs each judge by how often the others bear it out.",
)  # fmt: skip
@json_option
@pass_session
def consensus(session: Session, job_id: int, method: Any, as_json: bool) -> None:
    """Make one label of the votes of labelling JOB's panel, as an annotator of its own (judge:majority/…).

    The job does it when it ends; here it can be repeated, or done by the other method. The votes stay, and nothing is
    asked.
    """
    from refusal_tui.judge.consensus import make_consensus
    from refusal_tui.store.jobs import get_job

    with session.store() as connection:
        found = make_consensus(connection, get_job(connection, job_id), method)
    if as_json:
        emit_json(asdict(found))
        return
    emit(f"{found.annotator}: {found.rows:,} rows settled, {found.new:,} of them new or changed.")
    if found.left_out:
        emit(f"{found.left_out:,} rows have votes of half the panel or less and were left out.")
    for question, even in found.open_answers.items():
        emit(f"{even:,} rows are open on {question}: the votes are even.")
    if found.accuracy:
        emit("")
        emit_table(["voter", "right"], [[who, f"{100 * share:.1f} %"] for who, share in found.accuracy.items()])
        emit("\nAs the votes bear each other out, not as people would say: refusal-tui judge-card for that.")
    emit(f"Results by it: refusal-tui results --judge {found.annotator.removeprefix('judge:')}")
