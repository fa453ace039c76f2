"""`refusal-tui run KIND`: one command per job kind, its options generated from the kind's spec."""

from __future__ import annotations

from typing import Any

import click

from refusal_tui.cli.common import Session, emit_json, json_option, pass_session, say
from refusal_tui.cli.watch import wait_for_job
from refusal_tui.errors import UsageError
from refusal_tui.jobs.control import submit
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
        return start(session, kind, values, selection=selection, pilot=pilot, detach=detach, as_json=as_json)

    params: list[click.Parameter] = [_option(field) for field in fields]
    if kind.selects:
        params.insert(0, click.Argument(["selection"], nargs=-1))
    if kind.mode == "rows":
        params.append(
            click.Option(["--pilot"], type=click.IntRange(1), help="Stop after so many rows to look at them.")
        )
    params += [
        click.Option(["--detach", "-d"], is_flag=True, help="Do not wait."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the job as JSON on standard output."),
    ]
    return click.Command(kind.name, params=params, callback=callback, help=kind.help)


def _option(field: SpecField) -> click.Option:
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
        help=field.help + (f" [default: {getattr(field.default, 'value', field.default)}]" if shown else ""),
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
    job_id = submit(workspace, kind.name, spec, selection=selection, pilot=pilot)
    if detach:
        say(f"Job {job_id} runs on its own. Watch it with: refusal-tui jobs watch {job_id}")
        if as_json:
            emit_json({"job": job_id})
        return 0
    return wait_for_job(session, job_id, as_json=as_json)


@click.command()
@click.argument("selection", nargs=-1)
@click.option("--format", "format_", type=click.Choice(["jsonl", "json", "parquet", "csv", "hf"]), default="jsonl")
@click.option("--out", required=True, metavar="DIR", help="The folder to write; it must be new or empty.")
@click.option("--detach", "-d", is_flag=True, help="Do not wait.")
@json_option
@pass_session
def export(session: Session, selection: tuple[str, ...], format_: str, out: str, detach: bool, as_json: bool) -> int:
    """Write the rows of SELECTION with their labels, a dataset_info.json and a dataset card."""
    if not selection:
        raise UsageError("export needs a selection.", "Example: refusal-tui export dataset:demo --out demo-export")
    values = {"format": format_, "out": out}
    return start(session, job_kind("export"), values, selection=" ".join(selection), detach=detach, as_json=as_json)
