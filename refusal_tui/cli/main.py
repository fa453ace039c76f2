"""Which commands are there? A table of names; a command's module is imported when it is called."""

from __future__ import annotations

import errno
import importlib
import os
import sys
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
    "selections": ("refusal_tui.cli.data:selections", "List the saved selections, or save one."),
    "run": ("refusal_tui.cli.run:run", "Run a job: import, prompts, generate, label, clean, audit, export."),
    "pipeline": ("refusal_tui.cli.pipeline:pipeline", "From sources to the final dataset, in one command."),
    "jobs": ("refusal_tui.cli.jobs:jobs", "List, watch, pause, resume, cancel or retry jobs."),
    "export": ("refusal_tui.cli.run:export", "Write a selection with its labels; --final: to train on."),
    "score": ("refusal_tui.cli.score:score", "Measure a judge against human labels in a file."),
    "direction": ("refusal_tui.cli.direction:direction", "Refusal directions: runs, their evidence, every candidate."),
    "classifiers": (
        "refusal_tui.cli.classifiers:classifiers",
        "Classifiers of your own: figures, mistakes, comparison, why, files.",
    ),
    "robustness": (
        "refusal_tui.cli.robustness:robustness",
        "Does refusal survive fine-tuning? Runs, their figures, the report.",
    ),
    "push": ("refusal_tui.cli.push:push", "Show a refusal adapter as it would go to the Hub; --send sends it."),
    "raw-vs-cleaned": (
        "refusal_tui.cli.raw_vs_cleaned:raw_vs_cleaned",
        "What does cleaning the data change in a model? Runs, report.",
    ),
    "judge-card": ("refusal_tui.cli.judge_card:judge_card", "How far can a labelling job's judge be trusted?"),
    "calibration": ("refusal_tui.cli.calibration:calibration", "Make a judge's confidence honest, by human labels."),
    "consensus": ("refusal_tui.cli.consensus:consensus", "Make one label of the votes of a panel of judges."),
    "endpoint": ("refusal_tui.cli.endpoint:endpoint", "Add, list, probe or remove language models."),
    "constitution": ("refusal_tui.cli.constitution:constitution", "Show, check or change the rules of labels."),
    "cleaned": ("refusal_tui.cli.clean:cleaned", "What a cleaning job has changed, and its rows as a file."),
    "clean-review": ("refusal_tui.cli.clean_review:clean_review", "Accept, edit or reject what a cleaning job made."),
    "agreement": ("refusal_tui.cli.agreement:agreement", "How well do people and judges agree? With intervals."),
    "review": ("refusal_tui.cli.review:review", "Queues of rows for people to label."),
    "audit": ("refusal_tui.cli.audit:audit", "What an audit job has found, and what to do about it."),
    "results": ("refusal_tui.cli.results:results", "Who refuses how much: rates by model, dataset, category."),
    "compare": ("refusal_tui.cli.results:compare", "Compare two models on the prompts that both have answered."),
    "evaluate": ("refusal_tui.cli.evaluate:evaluate", "Measure several end points on one benchmark, in one command."),
    "methods": ("refusal_tui.cli.results:methods", "Print the paragraph for a paper on a job."),
    "doctor": ("refusal_tui.cli.workspace:doctor", "Check the workspace and this machine."),
    "completion": ("refusal_tui.cli.workspace:completion", "Print the shell completion script."),
    "ingest-plan": ("refusal_tui.cli.data:ingest_plan", "Show how a source would be read."),
}


class ReaderGone(Exception):
    """A broken pipe under a name that click does not know: its own answer to one is to exit with 1."""


HIDDEN = {"ingest-plan"}  # what the Import screen asks in a process of its own; for people: import --dry-run


class LazyGroup(click.Group):
    """Lists commands from the table and imports one only when it runs."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

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
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items() if name not in HIDDEN])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workspace", "-w", metavar="DIR", help="The workspace (default: found as docs/cli.md says).")
@click.option("--verbose", "-v", is_flag=True, help="Tell more on standard error (or set LOG_LEVEL).")
@click.version_option(__version__, prog_name="refusal-tui")
@click.pass_context
def cli(context: click.Context, workspace: str | None, verbose: bool) -> None:
    """A terminal workbench for refusal research on language models.

    Without a command it opens the workbench. `refusal-tui demo` shows it with sample data.
    """
    import logging  # 10 ms that `--help` need not pay

    session: Session = context.obj
    session.workspace_option = workspace
    session.verbose = verbose
    level = "DEBUG" if verbose else os.environ.get("LOG_LEVEL", "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise click.UsageError(f"LOG_LEVEL={level} is not a level; use DEBUG, INFO, WARNING or ERROR.")
    if verbose:
        os.environ["LOG_LEVEL"] = level  # for the workers, too
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    if context.invoked_subcommand is None:
        context.exit(session.open_workbench(session.workspace()))


def run(open_workbench: OpenWorkbench) -> None:
    """Run the command line and exit with a code of the table in `errors.ExitCode`."""
    if sys.stdout is not None:
        # In a terminal that knows no UTF-8, what it cannot show is told apart instead of ending the program.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(int(_guarded(Session(open_workbench))))


def _guarded(session: Session) -> int:
    try:
        result: Any = cli.main(obj=session, prog_name="refusal-tui", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone away or a full disk can still be told
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
    except (BrokenPipeError, ReaderGone):  # `refusal-tui rows … | head`: the reader has seen enough
        _drop_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return _crash(session, error)
        _drop_output()
        say(f"Error: writing failed: {error.strerror}{f' ({error.filename})' if error.filename else ''}.")
        say("Free some space and start again.")
        return ExitCode.STORAGE
    except Exception as error:
        return _crash(session, error)


def _drop_output() -> None:
    """What is still in the buffer has nowhere to go; Python would try again at its end and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _crash(session: Session, error: Exception) -> int:
    """A defect of ours: keep the traceback, with secrets masked, where it can be sent to us."""
    import tempfile
    import time
    import traceback

    from refusal_tui.text.mask import mask_secrets

    report = mask_secrets("".join(traceback.format_exception(error)))
    try:
        folder = str(session.workspace().logs)
    except (RefusalTuiError, OSError):
        folder = tempfile.gettempdir()  # no workspace, and whatever folder this is, it is not ours to write to
    try:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        descriptor, log = tempfile.mkstemp(prefix=f"crash-{stamp}-", suffix=".log", dir=folder)  # for the owner alone
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(report)
        say(f"refusal-tui has crashed: {type(error).__name__}. The report is in {log} (secrets are masked).")
    except OSError:
        say(report)
    if session.verbose:
        say(report)
    return ExitCode.CRASH
