"""Which commands are there? A table of names; a command's module is imported when it is called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import click

from refusal_tui import __version__
from refusal_tui.cli.common import OpenWorkbench, Session, say
from refusal_tui.errors import ExitCode, RefusalTuiError

# name -> (module:attribute, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("refusal_tui.cli.workspace:init", "Make a workspace."),
    "demo": ("refusal_tui.cli.demo:demo", "See it work: sample data, an offline labelling job, live."),
    "datasets": ("refusal_tui.cli.data:datasets", "List what is imported and what can be."),
    "import": ("refusal_tui.cli.data:import_", "Import a file, a folder, standard input or hf:owner/name."),
    "browse": ("refusal_tui.cli.data:browse", "Open the workbench on the rows of a selection."),
    "rows": ("refusal_tui.cli.data:rows", "Print the rows of a selection."),
    "row": ("refusal_tui.cli.data:row", "Print everything that is known of one row."),
    "facets": ("refusal_tui.cli.data:facets_", "Count the rows of a selection by label, model, dataset, …"),
    "selections": ("refusal_tui.cli.data:selections", "List, save or show selections."),
    "run": ("refusal_tui.cli.run:run", "Run a job: import, label, export."),
    "jobs": ("refusal_tui.cli.jobs:jobs", "List, watch, pause, resume, cancel or retry jobs."),
    "export": ("refusal_tui.cli.run:export", "Write a selection with its labels (alias of: run export)."),
    "score": ("refusal_tui.cli.score:score", "Measure a judge against human labels in a file."),
    "doctor": ("refusal_tui.cli.workspace:doctor", "Check the workspace and this machine."),
    "completion": ("refusal_tui.cli.workspace:completion", "Print the shell completion script."),
    "ingest-plan": ("refusal_tui.cli.data:ingest_plan", "Show how a source would be read."),
}


class LazyGroup(click.Group):
    """Lists commands from the table and imports one only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workspace", "-w", metavar="DIR", help="The workspace (default: found as docs/cli.md says).")
@click.option("--verbose", "-v", is_flag=True, help="Tell more on standard error (or set LOG_LEVEL).")
@click.version_option(__version__, prog_name="refusal-tui")
@click.pass_context
def cli(context: click.Context, workspace: str | None, verbose: bool) -> None:
    """A terminal workbench for refusal research on language models.

    Without a command it opens the workbench. `refusal-tui demo` shows it with sample data.
    """
    session: Session = context.obj
    session.workspace_option = workspace
    session.verbose = verbose
    level = os.environ.get("LOG_LEVEL", "DEBUG" if verbose else "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise click.UsageError(f"LOG_LEVEL={level} is not a level; use DEBUG, INFO, WARNING or ERROR.")
    os.environ["LOG_LEVEL"] = level if verbose or "LOG_LEVEL" in os.environ else "INFO"  # for the workers
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    if context.invoked_subcommand is None:
        context.exit(session.open_workbench(session.workspace()))


def run(open_workbench: OpenWorkbench) -> None:
    """Run the command line and exit with a code of the table in `errors.ExitCode`."""
    session = Session(open_workbench)
    sys.exit(int(_guarded(session)))


def _guarded(session: Session) -> int:
    try:
        result: Any = cli.main(obj=session, prog_name="refusal-tui", standalone_mode=False)
        return int(result) if isinstance(result, int) else ExitCode.OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return ExitCode.INTERRUPTED
    except RefusalTuiError as error:
        say(f"Error: {error}")
        if error.next_step:
            say(error.next_step)
        return error.exit_code
    except BrokenPipeError:  # `refusal-tui rows … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        return _crash(session, error)


def _crash(session: Session, error: Exception) -> int:
    """A defect of ours: keep the traceback, with secrets masked, where it can be sent to us."""
    from refusal_tui.text.mask import mask_secrets

    report = mask_secrets("".join(traceback.format_exception(error)))
    try:
        folder = session.workspace().logs
    except RefusalTuiError:
        folder = Path.cwd()
    try:
        log = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}.log"
        log.write_text(report, encoding="utf-8")
        say(f"refusal-tui has crashed: {type(error).__name__}. The report is in {log} (secrets are masked).")
    except OSError:
        say(report)
    if session.verbose:
        say(report)
    return ExitCode.CRASH
