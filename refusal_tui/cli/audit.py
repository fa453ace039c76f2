"""`audit`: what audit jobs have found, and the command that would mend each of it."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from refusal_tui.audit.kept import kept_selection, leave_out, left_out
from refusal_tui.cli.common import (
    Session,
    emit,
    emit_json,
    emit_table,
    job_argument,
    json_option,
    line_width,
    pass_session,
    say,
)
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.audit.report import Finding, Report


@click.group()
def audit() -> None:
    """Read the reports of audit jobs (make one with: refusal-tui run audit SELECTION)."""


@audit.command()
@job_argument
@click.option("--section", metavar="NAME", help="The figures of a section instead: labels, copies, doctor, …, or all.")
@click.option("--markdown", is_flag=True, help="The whole report as Markdown.")
@json_option
@pass_session
def show(session: Session, job_id: int, section: str | None, markdown: bool, as_json: bool) -> None:
    """Show what the audit job JOB has found: the alarms first, each with its rows and what to do."""
    from refusal_tui.audit.report import ARTIFACT, report_json
    from refusal_tui.store.artifacts import list_artifacts

    with session.store() as connection:
        report = _report(session, connection, job_id)
        files = [artifact.path for artifact in list_artifacts(connection, job_id) if artifact.kind == ARTIFACT]
        without = left_out(connection, report)
    if as_json:
        emit_json(report_json(report) | {"left_out": without})
    elif markdown:
        from refusal_tui.audit.markdown import report_markdown

        emit(report_markdown(report).rstrip())
    elif section is not None:
        _show_sections(report, section)
    else:
        _show(report, without, [str(session.workspace().root / path) for path in files])


def _show(report: Report, without: Sequence[str], files: Sequence[str]) -> None:
    from refusal_tui.audit.report import level_words

    selection = f" ({report.selection})" if report.selection else ""
    emit(f"Audit of {report.total_items:,} rows{selection}: {level_words(report)}")
    for finding in report.findings:
        emit("")
        for line in _lines(finding, finding.name in without):
            emit(line)
    for one in report.not_run:
        emit(f"\nnot run  {one.check}: {one.reason}")
    if without:
        emit(f"\nkept     without {', '.join(without)}: @{kept_selection(report.job)}")
    sample = report.sections["review_samples"]
    emit(f"\nsample   {sample['rows']:,} rows for people, as a queue: {sample['command']}")
    emit("\nfiles")
    for path in files:
        emit(f"  {path}")


def _lines(finding: Finding, is_left_out: bool) -> list[str]:
    from refusal_tui.audit.report import figure_words

    lines = [f"{finding.level.value.upper():8} {finding.name}{' (left out)' if is_left_out else ''}"]
    lines += [f"         {text}" for text in (finding.sentence, figure_words(finding)) if text]
    if finding.filter:
        lines.append(f"         rows: refusal-tui browse {shlex.quote(finding.filter)}")
    if finding.advice:
        lines.append(f"         do:   {finding.advice}")
    if finding.command:
        lines.append(f"               {finding.command}")
    return lines


def _show_sections(report: Report, name: str) -> None:
    from refusal_tui.audit.sections import NAMES, sections_of
    from refusal_tui.text.block_lines import section_lines

    if name not in (*NAMES, "all"):
        raise InputError(f"An audit has no section {name!r}.", f"Sections: {', '.join(NAMES)}, all.")
    for number, section in enumerate(one for one in sections_of(report) if name in (one.name, "all")):
        emit(("\n" if number else "") + section.title.upper() + "\n")
        for line in section_lines(section, max(60, min(120, line_width() or 120))):
            emit(line.text)


@audit.command()
@job_argument
@click.argument("finding", metavar="FINDING")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Rows to print; 0 for all.")
@json_option
@click.pass_context
def rows(context: click.Context, job_id: int, finding: str, limit: int, as_json: bool) -> None:
    """Print the rows that FINDING (a name of `audit show JOB`) speaks of."""
    from refusal_tui.cli.data import rows as print_rows

    session: Session = context.obj
    with session.store() as connection:
        found = _report(session, connection, job_id).finding(finding)
    if not found.filter:
        raise InputError(f"{finding} speaks of no rows that could be listed.", found.advice)
    context.invoke(
        print_rows, selection=(found.filter,), sort="id", reverse=False, limit=limit, count=False, as_json=as_json
    )


@audit.command()
@job_argument
@click.argument("finding", metavar="FINDING")
@pass_session
def do(session: Session, job_id: int, finding: str) -> None:
    """Do what is recommended for FINDING: the command that `audit show JOB` prints below it."""
    from refusal_tui.audit.actions import action_of
    from refusal_tui.cli.main import cli

    with session.store() as connection:
        found = _report(session, connection, job_id).finding(finding)
    action = action_of(found.command)
    if action is None:
        raise InputError(f"There is no command for {finding}.", found.advice)
    if action.open:
        missing = ", ".join(name.replace("_", " ") for name in action.open)
        raise InputError(f"This needs you to say: {missing}.", f"Fill it in and run: {found.command}")
    say(found.command)
    workspace = str(session.workspace().root)
    cli.main(
        ["--workspace", workspace, *shlex.split(found.command)[1:]],
        prog_name="refusal-tui", obj=session, standalone_mode=False,
    )  # fmt: skip


@audit.command()
@job_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_session
def drop(session: Session, job_id: int, names: tuple[str, ...]) -> None:
    """Leave the rows of findings or clusters (NAME) out of @audit-JOB-kept. No row is deleted; `keep` undoes it."""
    _leave_out(session, job_id, lambda without: [*without, *names])


@audit.command()
@job_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@pass_session
def keep(session: Session, job_id: int, names: tuple[str, ...]) -> None:
    """Take the rows of NAME in again that `drop` has left out."""
    _leave_out(session, job_id, lambda without: [name for name in without if name not in names])


def _leave_out(session: Session, job_id: int, changed: Callable[[list[str]], list[str]]) -> None:
    from refusal_tui.store.browse import count_items
    from refusal_tui.store.connect import transaction

    with session.store() as connection:
        report = _report(session, connection, job_id)
        with transaction(connection):
            kept = leave_out(connection, report, changed(left_out(connection, report)))
        number = count_items(connection, kept)
    emit(f"{number:,} rows are kept: {kept}")
    say(f"Write them with: refusal-tui export {kept} --out DIR")


@audit.command()
@job_argument
@click.option("--name", default="", help="The queue's name (default: audit-JOB).")
@pass_session
def review(session: Session, job_id: int, name: str) -> None:
    """Make a review queue of the sample for people, with the probabilities that it was drawn with."""
    from refusal_tui.audit.queue import queue_of_sample
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_queues import queue_items

    with session.store() as connection:
        report = _report(session, connection, job_id)
        with transaction(connection):
            queue = queue_of_sample(connection, session.workspace().root, report, name)
        number = len(queue_items(connection, queue.id))
    emit(f"{queue.name}: {number:,} rows of {queue.settings.population:,}.")
    say(f"Label them: refusal-tui review open {queue.name}")


def _report(session: Session, connection: sqlite3.Connection, job_id: int) -> Report:
    from refusal_tui.audit.report import read_report

    return read_report(connection, session.workspace().root, job_id)


@audit.command(name="list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the audits of this workspace, the latest first."""
    from refusal_tui.audit.report import Level, audits

    with session.store() as connection:
        reports = [_report(session, connection, job_id) for job_id in audits(connection)]
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
