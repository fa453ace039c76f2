"""Who measures a judge that holds a model in memory? A child process, which ends with its report: no face loads one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

from refusal_tui.errors import JobError, RefusalTuiError, UnavailableError
from refusal_tui.judge.named import judge_named
from refusal_tui.judge.score import ScoreReport, score_rows
from refusal_tui.store.workspace import Workspace


def score_apart(
    records: Sequence[Mapping[str, Any]], workspace: Workspace, name: str, endpoint: str | None, **fields: Any
) -> ScoreReport:
    """`score_rows` with the judge of that name; `fields` are those of `score_rows`. Raises what the child raises, and
    UnavailableError where the child was killed."""
    context = get_context("spawn")  # a fork would take the threads of whoever asks by surprise
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(theirs, records, workspace, name, endpoint, fields), daemon=True)
    child.start()
    theirs.close()
    try:
        said: ScoreReport | RefusalTuiError = mine.recv()
    except EOFError:
        child.join()
        raise _ended(child.exitcode or 0) from None
    finally:
        if child.is_alive():
            child.kill()
        child.join()
    if isinstance(said, RefusalTuiError):
        raise said
    return said


def _measure(
    out: Connection, records: Sequence[Mapping[str, Any]], workspace: Workspace, name: str, endpoint: str | None,
    fields: Mapping[str, Any],
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    os.dup2(sys.stderr.fileno(), 1)  # what libraries print is no part of the report
    try:
        judge, constitution = judge_named(name, endpoint, lambda: workspace)
        out.send(score_rows(records, judge, constitution=constitution, **fields))
    except RefusalTuiError as error:
        out.send(error)


def _end_with_the_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ended(code: int) -> RefusalTuiError:
    if code == -signal.SIGKILL:
        return UnavailableError(
            "The process that held the model was killed, probably because the machine's memory was full.",
            "Free memory, or use a smaller model.",
        )
    return JobError(f"The process that held the model has ended (exit code {code}).", "Its output stands above.")
