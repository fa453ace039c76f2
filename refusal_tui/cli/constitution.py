"""`refusal-tui constitution`: the rules under which labels follow from answers. Changing them asks nobody anything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say

if TYPE_CHECKING:
    import sqlite3

    from refusal_tui.labels.constitution import Constitution

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_SHOWN = 20


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def constitution(context: click.Context, as_json: bool) -> None:
    """Show, check or change the rules under which labels follow from answers."""
    if context.invoked_subcommand is None:
        context.invoke(show, as_json=as_json)


@constitution.command()
@click.option("--toml", "as_toml", is_flag=True, help="As a file to edit, then check and apply.")
@json_option
@pass_session
def show(session: Session, as_toml: bool, as_json: bool) -> None:
    """Show the constitution in force."""
    if as_toml and as_json:
        raise click.UsageError("--toml and --json are two forms of the same; leave out one.")
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.store.settings import constitution_in_force

    with session.store() as connection:
        found = constitution_in_force(connection) or DEFAULT
    if as_toml:
        from refusal_tui.labels import constitution_toml

        click.echo(constitution_toml.as_toml(found), nl=False)
        return
    rules = {str(outcome): str(found.rules[outcome]) for outcome in found.precedence}
    if as_json:
        emit_json(
            {
                "name": found.name, "hash": found.hash, "profile": found.profile.value, "rules": rules,
                "response_refusal": str(found.response_refusal), "harms": found.harms,
            }
        )  # fmt: skip
        return
    emit(f"{found.name} ({found.hash}), profile {found.profile.value}")
    emit(f"a response refuses when: {found.response_refusal}")
    for note in found.notes:
        emit(f"  note: {note}")
    for outcome, rule in rules.items():
        emit(f"  {outcome}: {rule}")


@constitution.command()
@file_argument
@json_option
@pass_session
def check(session: Session, file: Path, as_json: bool) -> None:
    """Say what FILE (TOML or JSON) means, and which labels would flip under it. Nothing is changed."""
    with session.store() as connection:
        _told_flips(connection, _load(file), as_json)


@constitution.command()
@file_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def apply(session: Session, file: Path, yes: bool, as_json: bool) -> None:
    """Put FILE in force: list the labels that flip, then derive all labels again. No request is sent.

    The workspace keeps a copy; the file itself is not needed any more.
    """
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.labels import rebuild_labels
    from refusal_tui.store.settings import put_in_force

    with session.store() as connection:
        flipped = _told_flips(connection, _load(file), as_json)
        if flipped and not yes and not click.confirm(f"Change {flipped:,} labels?", err=True):
            say("Nothing was changed.")
            return
        text = file.read_text(encoding="utf-8-sig")
        with transaction(connection):
            put_in_force(connection, text, "json" if file.suffix.lower() == ".json" else "toml", file.stem)
            count = rebuild_labels(connection)
    say(f"{file.name} is in force: {count:,} labels were derived again, {flipped:,} flipped.")


def _load(file: Path) -> Constitution:
    from refusal_tui.labels.constitution import load

    return load(file)


def _told_flips(connection: sqlite3.Connection, new: Constitution, as_json: bool) -> int:
    """Print what would flip, summed up and row by row; returns how many labels."""
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.labels.derive import flips
    from refusal_tui.store.labels import latest_verdicts
    from refusal_tui.store.settings import constitution_in_force

    old = constitution_in_force(connection) or DEFAULT
    counts: Counter[tuple[str, str, str]] = Counter()
    first: list[tuple[int, str, str, str, str]] = []
    for _, verdict in latest_verdicts(connection):
        for flip in flips([verdict], old, new):
            change = (flip.head, flip.old or "-", flip.new or "-")
            counts[change] += 1
            if len(first) < _SHOWN:
                first.append((verdict.item_id, verdict.annotator, *change))
    if as_json:
        emit_json(
            {
                "name": new.name, "hash": new.hash, "flips": counts.total(),
                "changes": [dict(zip(("head", "old", "new"), key)) | {"rows": n} for key, n in counts.most_common()],
                "rows": [dict(zip(("item", "annotator", "head", "old", "new"), row)) for row in first],
            }
        )  # fmt: skip
        return counts.total()
    same = ", the same rules as now" if new == old else ""
    emit(f"{new.name} ({new.hash}), profile {new.profile.value}{same}: {counts.total():,} labels would flip.")
    for note in new.notes:
        emit(f"  note: {note}")
    if counts:
        emit_table(["head", "now", "then", "labels"], [[*key, number] for key, number in counts.most_common()])
        emit_table(["row", "annotator", "head", "now", "then"], first, cut=32)
        if counts.total() > len(first):
            emit(f"… and {counts.total() - len(first):,} more")
    return counts.total()
