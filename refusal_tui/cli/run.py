"""`refusal-tui run KIND`: one command per job kind, its options generated from the kind's spec."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, json_option, pass_session, say
from refusal_tui.cli.watch import wait_for_job
from refusal_tui.errors import ExitCode, UsageError
from refusal_tui.jobs.control import PILOT_ROWS, submit
from refusal_tui.jobs.estimate import estimate_job, estimate_words
from refusal_tui.jobs.registry import KINDS, JobKind, job_kind
from refusal_tui.jobs.spec import SpecField, build_spec, spec_fields


class RunGroup(click.Group):
    """One subcommand per job kind, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(KINDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _command(job_kind(name)) if name in KINDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Jobs"):
            formatter.write_dl([(kind.name, kind.help) for kind in KINDS.values()])


@click.group(cls=RunGroup)
def run() -> None:
    """Run a job and wait for it; it outlives this terminal (Ctrl+C detaches).

    SELECTION is a filter such as dataset:demo, @saved or "label:hard model:gpt4"; without one: every row.
    """


def _command(kind: JobKind) -> click.Command:
    """The click command of a job kind."""
    fields = spec_fields(kind.spec_type())

    @pass_session
    def callback(session: Session, /, **values: Any) -> int:
        selection = " ".join(values.pop("selection", ()))
        detach, pilot, as_json = values.pop("detach"), values.pop("pilot", None), values.pop("as_json")
        if values.pop("dry_run", False):
            return estimate_only(session, kind, values, selection=selection, pilot=pilot, as_json=as_json)
        return start(session, kind, values, selection=selection, pilot=pilot, detach=detach, as_json=as_json)

    params: list[click.Parameter] = [option_of(field) for field in fields]
    if kind.selects:
        params.insert(0, click.Argument(["selection"], nargs=-1))
    if kind.mode == "rows":
        params.append(
            click.Option(["--pilot"], type=click.IntRange(1), help="Stop after so many rows to look at them.")
        )
        params.append(
            click.Option(["--dry-run"], is_flag=True, help="Only say how many requests, tokens and dollars it takes.")
        )
    params += [
        click.Option(["--detach", "-d"], is_flag=True, help="Do not wait."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the job as JSON on standard output."),
    ]
    return click.Command(kind.name, params=params, callback=callback, help=kind.help)


def option_of(field: SpecField) -> click.Option:
    """A setting of a spec as an option."""
    names = [field.option, field.name]
    if field.kind == "bool":
        names[0] = f"{field.option}/--no-{field.option.removeprefix('--')}"
    # Values are checked by the spec, which says what is wrong in the words that the form uses, too.
    shown = field.default not in (None, "") and field.kind != "bool"
    return click.Option(
        names,
        type=click.Choice(field.choices) if field.choices else None,
        is_flag=field.kind == "bool",
        default=None,
        required=field.required,
        help=field.help
        + (f" ({field.condition.says})" if field.condition is not None else "")
        + (f" [default: {getattr(field.default, 'value', field.default)}]" if shown else ""),
    )


def start(
    session: Session,
    kind: JobKind,
    values: dict[str, Any],
    *,
    selection: str = "",
    pilot: int | None = None,
    detach: bool = False,
    as_json: bool = False,
) -> int:
    """Submit a job and wait for its end, unless detached; returns the exit code."""
    workspace = session.workspace()
    for warning in workspace.warnings():
        say(f"Warning: {warning}")
    spec = build_spec(kind.spec_type(), values)
    spec.check()
    with session.store() as connection:
        found = estimate_job(connection, spec, selection, rows=pilot)
    if found is not None and found.requests:
        say(f"It takes {estimate_words(found)}.")
    job_id = submit(workspace, kind.name, spec, selection=selection, pilot=pilot)
    if detach:
        say(f"Job {job_id} runs on its own. Watch it with: refusal-tui jobs watch {job_id}")
        if as_json:
            emit_json({"job": job_id})
        return 0
    return wait_for_job(session, job_id, as_json=as_json)


def estimate_only(
    session: Session,
    kind: JobKind,
    values: dict[str, Any],
    *,
    selection: str = "",
    pilot: int | None = None,
    as_json: bool = False,
) -> int:
    """Say what a job would take, the whole of it and a pilot; nothing is sent and no job is made."""
    spec = build_spec(kind.spec_type(), values)
    spec.check()
    with session.store() as connection:
        spec.check_in(connection)
        whole = estimate_job(connection, spec, selection)
        tried = estimate_job(connection, spec, selection, rows=pilot or PILOT_ROWS)
    if as_json:
        emit_json({"whole": whole and asdict(whole), "pilot": tried and asdict(tried)})
        return ExitCode.OK
    if whole is None or tried is None:
        emit("It sends no request: nobody is asked.")
        return ExitCode.OK
    emit(f"all {whole.rows:,} rows: {estimate_words(whole)}")
    emit(f"a pilot of {tried.rows:,} rows: {estimate_words(tried)}")
    for said in (*(f"assumed: {one}" for one in whole.assumes), *(f"prices: {one}" for one in whole.sources)):
        emit(f"  {said}")
    return ExitCode.OK


class ExportCommand(click.Command):
    """`export`: its own options, and those of the final dataset when they are asked for."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *(option_of(field) for field in _final_fields())]


def _final_fields() -> list[SpecField]:
    """What `--final` takes beside `--out`."""
    return [field for field in spec_fields(job_kind("export-final").spec_type()) if field.name != "out"]


@click.command(cls=ExportCommand, epilog="The options from --pii on are for --final alone.")
@click.argument("selection", nargs=-1)
@click.option("--final", is_flag=True, help="The final dataset: one label per head, parts without leaks.")
@click.option("--format", "format_", type=click.Choice(["jsonl", "json", "parquet", "csv", "hf"]), default=None)
@click.option("--out", required=True, metavar="DIR", help="The folder to write; it must be new or empty.")
@click.option("--detach", "-d", is_flag=True, help="Do not wait.")
@json_option
@pass_session
def export(
    session: Session, /, selection: tuple[str, ...], final: bool, format_: str | None, out: str, detach: bool,
    as_json: bool, **settings: Any,
) -> int:  # fmt: skip
    """Write the rows of SELECTION with their labels, a dataset_info.json and a dataset card.

    With --final: a dataset to train on, in every format, split into train, validation and test (docs/final-dataset.md);
    without SELECTION of every row.
    """
    kind, given = job_kind("export-final" if final else "export"), {n: v for n, v in settings.items() if v is not None}
    if final and format_ is not None:
        raise UsageError("--final writes every format.", "Leave --format out.")
    if not final and given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{names}: only for a final dataset.", "Add --final, or leave it out.")
    if not final and not selection:
        raise UsageError("export needs a selection.", "Example: refusal-tui export dataset:demo --out demo-export")
    values = {"out": out, **given} if final else {"out": out, "format": format_ or "jsonl"}
    return start(session, kind, values, selection=" ".join(selection), detach=detach, as_json=as_json)
