"""`review export` and `review import`: queues and decisions as files, for people without access to this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from refusal_tui.cli.common import Session, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import InputError, StorageError

_MOST_CLASHES = 20  # that are listed; --json has them all


@click.command("export")
@click.argument("queue")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "format_", type=click.Choice(["jsonl", "label-studio"]), default="jsonl", show_default=True)
@click.option("--blank", is_flag=True, help="The cards alone, for somebody who shall not see what others said.")
@click.option("--annotator", "annotators", multiple=True, metavar="NAME", help="Only this person's decisions.")
@pass_session
def export(session: Session, queue: str, file: Path, format_: str, blank: bool, annotators: tuple[str, ...]) -> None:
    """Write QUEUE with its texts and decisions to FILE. Whoever gets it labels with: review import FILE."""
    from refusal_tui import __version__
    from refusal_tui.review import roundtrip, roundtrip_label_studio
    from refusal_tui.store.review_queues import get_queue

    people = tuple(f"human:{name.removeprefix('human:')}" for name in annotators)
    workspace = session.workspace().root.name
    interface = None
    with session.store() as connection:
        if format_ == "jsonl":
            records = roundtrip.queue_records(
                connection, queue, workspace=workspace, program=f"refusal-tui {__version__}", blank=blank,
                annotators=people,
            )  # fmt: skip
            text = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records)
        else:
            found = roundtrip_label_studio.tasks(
                connection, queue, workspace=workspace, blank=blank, annotators=people
            )  # fmt: skip
            text = json.dumps(found, ensure_ascii=True, indent=1) + "\n"
            asked = roundtrip_label_studio.sheet_of(connection, get_queue(connection, queue))
            interface = roundtrip_label_studio.interface(asked)
    _write(file, text)
    say(f"Wrote {file}")
    if interface is not None:
        _write(file.with_suffix(".xml"), interface)
        say(f"Wrote {file.with_suffix('.xml')}: paste it into the project's labelling interface")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--name", metavar="QUEUE", help="The queue's name here (default: as in the file).")
@click.option("--as", "annotator", metavar="NAME", help="Who has labelled, where the file's name is not the right one.")
@click.option("--overwrite", is_flag=True, help="Where the same person says otherwise here, the file's answer counts.")
@json_option
@pass_session
def import_(
    session: Session, file: Path, name: str | None, annotator: str | None, overwrite: bool, as_json: bool
) -> None:
    """Take in a review FILE (or a JSON export of Label Studio): the queue where it is not here yet, and decisions.

    Importing twice changes nothing."""
    from refusal_tui.review.roundtrip import read_package
    from refusal_tui.review.roundtrip_import import import_package
    from refusal_tui.review.roundtrip_label_studio import read_tasks
    from refusal_tui.store.connect import transaction

    text = _read(file)
    with session.store() as connection:
        tasks = text.lstrip()[:1] == "["
        package = read_tasks(connection, text, name) if tasks else read_package(text.split("\n"))
        with transaction(connection):
            done = import_package(connection, package, name=name, annotator=annotator, overwrite=overwrite)
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(done))
        return
    if done.created:
        say(f"Made the queue {done.queue} of {len(package.cards):,} cards; {done.new_rows:,} rows are new here.")
        say(f"Label it with: refusal-tui review open {done.queue}")
    if package.decisions:
        told = [f"Decisions added: {done.added:,}", f"here already: {done.unchanged:,}"]
        told += [f"replaced: {done.replaced:,}"] if done.replaced else []
        told += [f"kept beside the queue, whose cards had labels enough: {done.beside:,}"] if done.beside else []
        told += [f"about rows that are not in the queue: {done.unknown:,}"] if done.unknown else []
        say("; ".join(told) + ".")
    if done.clashes:
        say(f"Answered otherwise here: {len(done.clashes):,}. They stay as they are; --overwrite takes the file's.")
        emit_table(
            ["card", "annotator", "here", "in the file"],
            [[c.position, c.annotator.removeprefix("human:"), c.here, c.there] for c in done.clashes[:_MOST_CLASHES]],
        )


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}.", "Choose another file.") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}.", "Choose another file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text.", "Give a file that review export has written.") from error
