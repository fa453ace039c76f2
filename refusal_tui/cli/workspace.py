"""`init`, `doctor`, `completion`: making and checking a workspace."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from refusal_tui.cli.common import Session, emit, emit_json, json_option, pass_session, say
from refusal_tui.errors import ExitCode, WorkspaceError


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--group", metavar="NAME", help="Let the members of this Unix group annotate, too.")
@pass_session
def init(session: Session, folder: Path | None, group: str | None) -> None:
    """Make a workspace in FOLDER (default: --workspace, $REFUSAL_WORKSPACE, or the data folder of this user)."""
    from refusal_tui.store.workspace import create_workspace, default_root

    named = session.workspace_option or os.environ.get("REFUSAL_WORKSPACE")
    root = folder or (Path(named) if named else default_root())
    workspace = create_workspace(root, group=group)
    for warning in workspace.warnings():
        say(f"Warning: {warning}")
    say(f"The workspace is {workspace.root}. Next: refusal-tui --workspace {workspace.root} import FILE")


@click.command()
@click.option(
    "--deep", is_flag=True, help="Also compare every artifact with its checksum and the search index with every text."
)
@json_option
@pass_session
def doctor(session: Session, deep: bool, as_json: bool) -> int:
    """Check the workspace and this machine."""
    from refusal_tui.cli.environment import check_environment
    from refusal_tui.jobs.liveness import is_alive
    from refusal_tui.store.health import check_workspace

    findings = []
    try:
        findings += check_workspace(session.workspace(), is_alive=is_alive, deep=deep)
    except WorkspaceError as error:
        say(f"Error: {error}")
        say(error.next_step)
    findings += check_environment()
    if as_json:
        emit_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "ok   ", "warn": "WARN ", "error": "ERROR"}
        for finding in findings:
            emit(f"{marks[str(finding.level)]} {finding.check}: {finding.text}")
            if finding.next_step and str(finding.level) != "ok":
                emit(f"      {finding.next_step}")
    return ExitCode.UNHEALTHY if any(str(f.level) == "error" for f in findings) else ExitCode.OK


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; put it into your shell's start-up file."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(context.find_root().command, {}, "refusal-tui", "_REFUSAL_TUI_COMPLETE").source())
