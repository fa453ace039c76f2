"""`results`, `compare`, `methods`: who refuses how much, and how a paper says so."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import InputError, StorageError

_SELECTION = click.argument("selection", nargs=-1)
_JUDGE = click.option(
    "--judge", metavar="NAME",
    help="Whose labels count: a judge, or human:NAME (default: people before judges, the latest of each).",
)  # fmt: skip
_OUT = click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to the terminal.")


@click.command()
@_SELECTION
@click.option("--by", default="model,dataset,category", show_default=True, metavar="GROUP,…",
              help="Groups: model, dataset, category, split.")  # fmt: skip
@_JUDGE
@click.option("--format", "format_", type=click.Choice(["text", "json", "csv", "markdown", "svg"]), default="text")
@_OUT
@json_option
@pass_session
def results(
    session: Session, selection: tuple[str, ...], by: str, judge: str | None, format_: str, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show refusal, over-refusal and fulfilment rates of the rows of SELECTION, with 95 % intervals clustered by
    prompt."""
    from refusal_tui.results import render
    from refusal_tui.results.table import results_table

    with session.store() as connection:
        table = results_table(connection, " ".join(selection), _names(by), judge, totals=True)
    if not table.cells:
        raise InputError(
            f"None of these rows is labelled ({table.unlabelled:,} responses are waiting).",
            "Label them with: refusal-tui run label",
        )
    format_ = "json" if as_json else format_
    if format_ == "json":
        _write_json(render.table_json(table), out)
    elif format_ == "svg":
        from refusal_tui.results.forest import forest_svg

        _write(forest_svg(table), out)
    elif format_ == "csv":
        _write(render.table_csv(table), out)
    elif format_ == "markdown" or out is not None:
        _write(render.table_markdown(table), out)
    else:
        head, lines = render.table_lines(table)
        emit_table(head, lines, cut=32)
        emit("")
        for note in render.notes(table):
            emit(note)


@click.command()
@click.argument("one", metavar="MODEL_A")
@click.argument("other", metavar="MODEL_B")
@_SELECTION
@click.option("--by", default="", metavar="GROUP,…", help="One line per group: dataset, category, split.")
@_JUDGE
@click.option("--format", "format_", type=click.Choice(["text", "json", "markdown"]), default="text")
@_OUT
@json_option
@pass_session
def compare(
    session: Session, one: str, other: str, selection: tuple[str, ...], by: str, judge: str | None, format_: str,
    out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare two models on the prompts that both have answered: paired differences, McNemar's exact test."""
    from refusal_tui.results import render
    from refusal_tui.results.compare import compare_models

    with session.store() as connection:
        comparison = compare_models(connection, one, other, " ".join(selection), _names(by), judge)
    if not comparison.lines:
        raise InputError(
            f"There is no prompt among these rows to which both {one} and {other} have a labelled response.",
            "Let both answer the same prompts with: refusal-tui run generate; then label them.",
        )
    if as_json or format_ == "json":
        _write_json(render.comparison_json(comparison), out)
    elif format_ == "markdown" or out is not None:
        _write(render.comparison_markdown(comparison), out)
    else:
        head, lines = render.comparison_lines(comparison)
        emit_table(head, lines, cut=32, whole=head[head.index("prompts") :])
        emit("\n" + render.COMPARISON_NOTE)


@click.command()
@click.argument("job", type=click.IntRange(1), metavar="JOB")
@json_option
@pass_session
def methods(session: Session, job: int, as_json: bool) -> None:
    """Print the paragraph for a paper on JOB: data, models, judge, versions, numbers, dates, from stored facts only."""
    from refusal_tui import __version__
    from refusal_tui.results.methods import methods_paragraph
    from refusal_tui.store.methods import job_facts

    with session.store() as connection:
        facts = job_facts(connection, job)
    paragraph = methods_paragraph(facts, __version__)
    if as_json:
        emit_json({"paragraph": paragraph, **asdict(facts)})
    else:
        emit(paragraph)


def _names(by: str) -> list[str]:
    return [name.strip() for name in by.split(",") if name.strip()]


def _write_json(value: object, out: Path | None) -> None:
    if out is None:
        emit_json(value)
        return
    import json

    _write(json.dumps(value, ensure_ascii=True, indent=2) + "\n", out)


def _write(text: str, out: Path | None) -> None:
    """A file exactly as it is; a terminal gets safe text."""
    if out is None:
        emit(text.rstrip("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}.", "Choose another --out.") from error
    say(f"Wrote {out}")
