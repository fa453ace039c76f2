"""`import`, `datasets`, `rows`, `row`, `facets`, `selections`, `browse`: the data area on the command line."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_json_lines, emit_table, json_option, pass_session, say
from refusal_tui.errors import InputError, WorkspaceError
from refusal_tui.store import browse as browsing
from refusal_tui.store import query
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import chunks
from refusal_tui.store.items import fetch_rows

selection_argument = click.argument("selection", nargs=-1)


@click.command("import")
@click.argument("source")
@click.option("--as", "adapter", metavar="ADAPTER", help="How to read it (default: recognised from its columns).")
@click.option("--name", metavar="NAME", help="What to call the dataset (default: from the source).")
@click.option("--split", metavar="SPLIT", help="Which split to read (default: all).")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Read at most N rows of the source.")
@click.option("--map", "mapping", metavar="prompt=COLUMN,response=COLUMN", help="Columns of a generic source.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="An option of the adapter.")
@click.option("--dry-run", is_flag=True, help="Only show how it would be read.")
@click.option("--detach", "-d", is_flag=True, help="Do not wait.")
@json_option
@pass_session
def import_(
    session: Session,
    source: str,
    adapter: str | None,
    name: str | None,
    split: str | None,
    limit: int | None,
    mapping: str | None,
    options: tuple[str, ...],
    dry_run: bool,
    detach: bool,
    as_json: bool,
) -> int:
    """Import SOURCE: a JSONL, JSON, CSV, TSV or Parquet file (also .gz, .zst), a folder, - for standard input, or
    hf:owner/name[@revision]."""
    from refusal_tui.cli.run import start
    from refusal_tui.jobs.registry import job_kind
    from refusal_tui.jobs.spec import build_spec

    values = {
        "source": source, "adapter": adapter, "name": name, "split": split, "limit": limit, "map": mapping,
        "options": ",".join(options) or None,
    }  # fmt: skip
    if dry_run:
        _show_plan(values, as_json)
        return 0
    kind = job_kind("import")
    if source == "-":
        build_spec(kind.spec_type(), {**values, "source": "/dev/stdin"}).check()  # before a long pipe is read
        values |= {"source": _kept(session), "name": name or "stdin"}
    return start(session, kind, values, detach=detach, as_json=as_json)


def _kept(session: Session) -> str:
    """A worker has no standard input: what comes from there is kept in the workspace until it is imported."""
    from refusal_tui.ingest.stdin import SPOOL, spool

    if sys.stdin.isatty():
        say("Reading standard input; end it with Ctrl+D.")
    return str(spool(sys.stdin.buffer, session.workspace().artifacts / SPOOL))


@click.command("ingest-plan")
@click.argument("source")
@click.option("--as", "adapter")
@click.option("--split")
@click.option("--map", "mapping")
@click.option("--option", "options", multiple=True)
@json_option
@pass_session
def ingest_plan(
    session: Session, source: str, adapter: str | None, split: str | None, mapping: str | None,
    options: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Show how SOURCE would be read: adapter, column mapping, warnings and the first items."""
    values = {"source": source, "adapter": adapter, "split": split, "map": mapping}
    _show_plan({**values, "options": ",".join(options) or None}, as_json)


def _show_plan(values: dict[str, Any], as_json: bool) -> None:
    from refusal_tui.cli.data_text import plan_lines
    from refusal_tui.ingest.plan_record import plan_record
    from refusal_tui.ingest.spec import ImportSpec
    from refusal_tui.jobs.spec import build_spec

    from_pipe = values["source"] == "-"
    with ExitStack() as stack:
        if from_pipe:  # only looked at, so it is kept nowhere
            from refusal_tui.ingest.stdin import spool

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="refusal-tui-"))
            values = {**values, "source": str(spool(sys.stdin.buffer, Path(folder)))}
        spec = build_spec(ImportSpec, values)
        assert isinstance(spec, ImportSpec)
        spec.check()
        plan = spec.plan()
        if from_pipe:
            plan = replace(plan, source="-", name=values.get("name") or "stdin")
    if as_json:
        emit_json(plan_record(plan))
    else:
        for line in plan_lines(plan):
            emit(line)


@click.command()
@click.option("--quarantine", metavar="NAME", help="Print the rows of dataset NAME that could not be used.")
@json_option
@pass_session
def datasets(session: Session, quarantine: str | None, as_json: bool) -> None:
    """List the built-in catalogue and what is imported."""
    from refusal_tui.cli.data_text import catalogue_lines
    from refusal_tui.ingest.catalog import catalogue
    from refusal_tui.store.datasets import get_dataset, list_datasets, quarantined

    if quarantine is not None:
        with session.store() as connection:
            rows = quarantined(connection, get_dataset(connection, quarantine).id, limit=100_000)
        if as_json:
            emit_json([asdict(row) for row in rows])
        else:
            emit_table(["line", "reason", "row"], [[r.line, r.reason, r.excerpt] for r in rows], cut=200)
        return
    try:
        session.workspace()
    except WorkspaceError:
        if session.workspace_option or os.environ.get("REFUSAL_WORKSPACE"):
            raise
        imported = []  # the catalogue is worth reading before there is a workspace
    else:
        with session.store() as connection:
            imported = list_datasets(connection)
    if as_json:
        emit_json({"imported": [asdict(d) for d in imported], "catalogue": [asdict(entry) for entry in catalogue()]})
        return
    if imported:
        emit_table(
            ["imported", "rows", "quarantined", "adapter", "licence", "state"],
            [[d.name, d.n_items, d.n_rejected, d.provenance.adapter, d.provenance.licence, d.state] for d in imported],
            cut=32,
        )
    else:
        emit("Nothing is imported yet.")
    emit("\nThe catalogue: import SOURCE, or a file of the dataset with --as NAME")
    for entry in catalogue():
        for line in catalogue_lines(entry):
            emit(line)


@click.command()
@selection_argument
@click.option(
    "--sort", default="id", type=click.Choice(list(browsing.SORTS)), metavar="FIELD",
    help=f"Order of the rows: {', '.join(browsing.SORTS)}.",
)  # fmt: skip
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--limit", default=50, type=click.IntRange(0), help="At most so many rows; 0: all.")
@click.option("--count", is_flag=True, help="Only print how many there are.")
@json_option
@pass_session
def rows(
    session: Session, selection: tuple[str, ...], sort: str, reverse: bool, limit: int, count: bool, as_json: bool
) -> None:
    """Print the rows of SELECTION (the filter language of the Browse screen; see docs/filters.md)."""
    from refusal_tui.cli.data_text import row_record

    text = " ".join(selection)
    with session.store() as connection:
        if count:
            number = browsing.count_items(connection, text)
            emit_json({"count": number}) if as_json else emit(str(number))
            return
        ids = browsing.select_ids(connection, text, sort, descending=reverse)
        shown = ids[:limit] if limit else ids
        if as_json:
            emit_json_lines(row_record(row) for chunk in chunks(shown, 500) for row in fetch_rows(connection, chunk))
            return
        previews = (p for chunk in chunks(shown, 500) for p in browsing.fetch_previews(connection, chunk))
        emit_table(
            ["id", "judge", "gold", "model", "prompt", "response"],
            ([p.item_id, p.judge, p.gold, p.model, p.prompt, p.response] for p in previews),
            cut=60,
        )
    if not ids:
        say("No row is in this selection.")
    elif len(ids) > len(shown):
        say(f"{len(ids) - len(shown):,} more rows; show them with --limit 0.")


@click.command()
@click.argument("item_id", type=click.IntRange(1), metavar="ID")
@click.option("--why", "tell_why", is_flag=True, help="Also why the linear judge says so: every word's share.")
@json_option
@pass_session
def row(session: Session, item_id: int, tell_why: bool, as_json: bool) -> None:
    """Print one row with every label, verdict and outcome."""
    from refusal_tui.cli.data_text import dossier_lines, row_record, why_lines

    with session.store() as connection:
        dossier = browsing.read_dossier(connection, item_id)
    if dossier is None:
        raise InputError(f"There is no row {item_id}.", "List rows with: refusal-tui rows")
    found = None
    if tell_why:
        if not (dossier.row.response or "").strip():
            raise InputError(f"Row {item_id} has no response to judge.", "Leave --why out.")
        from refusal_tui.judge.attribution import why

        found = why(dossier.row.prompt, dossier.row.response or "")
    if as_json:
        more = {} if found is None else {"why": asdict(found)}
        emit_json({**asdict(dossier), "row": row_record(dossier.row), **more})
        return
    for line in dossier_lines(dossier):
        emit(line)
    if found is not None:
        for line in why_lines(dossier.row.response or "", found):
            emit(line)


@click.command("facets")
@selection_argument
@click.option("--by", "fields", multiple=True, type=click.Choice(browsing.FACETS), help="Only these facets.")
@json_option
@pass_session
def facets_(session: Session, selection: tuple[str, ...], fields: tuple[str, ...], as_json: bool) -> None:
    """Count the rows of SELECTION by judge label, gold label, dataset, model, split and category."""
    with session.store() as connection:
        chosen = fields or browsing.FACETS
        found = [facet for field in chosen for facet in browsing.facets(connection, field, " ".join(selection))]
    if as_json:
        emit_json([asdict(facet) for facet in found])
    else:
        emit_table(["facet", "value", "rows"], [[f.field, f.value, f.count] for f in found])


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def selections(context: click.Context, as_json: bool) -> None:
    """List the saved selections, or save one."""
    if context.invoked_subcommand is not None:
        return
    with context.obj.store() as connection:
        found = query.list_selections(connection)
    if as_json:
        emit_json([asdict(s) for s in found])
    elif found:
        emit_table(["name", "filter"], [[f"@{s.name}", s.expression] for s in found], cut=200)
    else:
        say("None is saved yet. Save one with: refusal-tui selections save NAME FILTER")


@selections.command("save")
@click.argument("name")
@click.argument("expression", nargs=-1, required=True)
@pass_session
def save(session: Session, name: str, expression: tuple[str, ...]) -> None:
    """Keep a filter under NAME; use it as @NAME."""
    with session.store() as connection:
        with transaction(connection):
            query.save_selection(connection, name.removeprefix("@"), " ".join(expression))
        count = browsing.count_items(connection, f"@{name.removeprefix('@')}")
    say(f"Saved @{name.removeprefix('@')}: {count:,} rows now.")


@click.command()
@selection_argument
@pass_session
def browse(session: Session, selection: tuple[str, ...]) -> int:
    """Open the workbench on the rows of SELECTION."""
    text = " ".join(selection)
    with session.store() as connection:
        query.compile_filter(connection, text)  # say what is wrong here, not in the app
    return session.open_workbench(session.workspace(), selection=text)
