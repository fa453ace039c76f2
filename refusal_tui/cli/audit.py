"""`audit`: what audit jobs have found, and the command that would mend each of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session

if TYPE_CHECKING:
    from refusal_tui.audit.report import Finding


@click.group()
def audit() -> None:
    """Read the reports of audit jobs (make one with: refusal-tui run audit SELECTION)."""


@audit.command()
@click.argument("job_id", type=click.IntRange(1), metavar="JOB")
@json_option
@pass_session
def show(session: Session, job_id: int, as_json: bool) -> None:
    """Show what the audit job JOB has found: the alarms first, each with its rows and what to do."""
    from refusal_tui.audit.report import ARTIFACT, Level, read_report, report_json
    from refusal_tui.store.artifacts import list_artifacts

    workspace = session.workspace()
    with session.store() as connection:
        report = read_report(connection, workspace.root, job_id)
        files = [artifact.path for artifact in list_artifacts(connection, job_id) if artifact.kind == ARTIFACT]
    if as_json:
        emit_json(report_json(report))
        return
    counts = ", ".join(f"{len(report.of_level(level))} {level.value}s" for level in Level)
    emit(f"Audit of {report.total_items:,} rows{f' ({report.selection})' if report.selection else ''}: {counts}")
    for finding in report.findings:
        emit("")
        for line in _lines(finding):
            emit(line)
    for one in report.not_run:
        emit(f"\nnot run  {one.check}: {one.reason}")
    sample = report.sections["review_samples"]
    emit(f"\nsample   {sample['rows']:,} rows for people, as a queue: {sample['command']}")
    emit("\nfiles")
    for path in files:
        emit(f"  {workspace.root / path}")


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.level.value.upper():8} {finding.sentence}"]
    figure = finding.statistic
    if figure is not None:
        bounds = "" if figure.low is None or figure.high is None else f" ({figure.low:.3g} to {figure.high:.3g})"
        chance = "" if figure.p_value is None else f", p = {figure.p_value:.2g}"
        lines.append(f"         {figure.name}: {figure.value:.4g}{bounds}{chance}")
    if finding.filter:
        lines.append(f"         rows: refusal-tui browse {shlex.quote(finding.filter)}")
    if finding.advice:
        lines.append(f"         do:   {finding.advice}")
    if finding.command:
        lines.append(f"               {finding.command}")
    return lines


@audit.command(name="list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the audits of this workspace, the latest first."""
    from refusal_tui.audit.report import ARTIFACT, REPORT, Level, read_report
    from refusal_tui.store.artifacts import list_artifacts

    workspace = session.workspace()
    with session.store() as connection:
        made = [a for a in list_artifacts(connection) if a.kind == ARTIFACT and a.path.endswith(REPORT)]
        reports = [read_report(connection, workspace.root, a.job_id) for a in reversed(made) if a.job_id is not None]
    lines = [
        (report.job, report.total_items, *(len(report.of_level(level)) for level in Level), report.selection)
        for report in reports
    ]
    names = ("job", "rows", "alarms", "warnings", "notes", "selection")
    if as_json:
        emit_json([dict(zip(names, line, strict=True)) for line in lines])
    elif lines:
        emit_table(names, lines)
    else:
        emit("No audit yet. Make one with: refusal-tui run audit")
