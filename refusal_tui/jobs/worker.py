"""What happens in a worker, and what happens on kill -9?

One process runs one job: it claims the job (a new fencing token), beats every two seconds, runs the work and records
how it ended. On kill -9 nothing that was committed is lost and nothing is half-written: outcomes are committed in
groups, each with its fencing check, counts and resume cursor in one transaction. The supervisor (or the next face that
looks) marks the job interrupted; a resumed run reads from the outcomes what is left to do. Rows that were in flight, at
most `concurrency` batches and one commit group, are done again.

    python -m refusal_tui.jobs.worker WORKSPACE JOB
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from refusal_tui.errors import ExitCode, RefusalTuiError
from refusal_tui.jobs.compute import ComputeContext, Stopped
from refusal_tui.jobs.files import keep_private
from refusal_tui.jobs.liveness import HEARTBEAT_SECONDS, this_process
from refusal_tui.jobs.notify import tell_end
from refusal_tui.jobs.registry import job_kind, make_job
from refusal_tui.jobs.rowjob import run_rows
from refusal_tui.jobs.spec import load_spec
from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.store.connect import checkpoint, storage_error, transaction
from refusal_tui.store.jobs import FencedError, Job, JobState, beat, claim_job, end_job
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.mask import mask_secrets

log = logging.getLogger("refusal_tui.worker")
_CHATTY = ("httpx", "httpx2", "httpcore", "openai")  # a line per request: the ledger knows better, and a log has an end


def run_job(workspace: Workspace, job_id: int) -> ExitCode:
    """Claim and run one job to its end, or to a stop. Returns at once when it is not queued any more."""
    stop = StopFlag()
    with closing(workspace.open()) as connection, _signals(stop):
        me = this_process()
        job = claim_job(connection, job_id, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)
        if job is None:
            return ExitCode.OK
        log.info("job %d (%s) run %d: started", job.id, job.kind, job.run)
        with _heartbeat(workspace, job, stop):
            state, note = _attempt(workspace, connection, job, stop)
        return _record(connection, workspace, job, state, note)


def _attempt(workspace: Workspace, connection: sqlite3.Connection, job: Job, stop: StopFlag) -> tuple[JobState, str]:
    try:
        kind = job_kind(job.kind)
        spec = load_spec(kind.spec_type(), job.spec, job.spec_version)
        work = make_job(kind, spec, workspace)
        if kind.mode == "rows":
            return run_rows(workspace, connection, job, work, stop)
        note = work.run(ComputeContext(workspace, connection, job, stop))
        return JobState.DONE, note or ""
    except Stopped as stopped:
        if stopped.reason is StopReason.FENCED:
            raise FencedError(job.id) from stopped
        return stopped.reason.state, stopped.note or _stop_note(stopped.reason)
    except FencedError:
        raise
    except RefusalTuiError as error:
        log.error("%s %s", error, error.next_step)
        return JobState.FAILED, f"{error} {error.next_step}".strip()
    except sqlite3.OperationalError as error:  # of a read: writes go through `transaction`, which translates
        log.exception("job %d: the database cannot be read", job.id)
        known = storage_error(error, workspace.database)
        return JobState.FAILED, f"{known} {known.next_step}"
    except Exception as error:
        log.exception("job %d: unexpected error", job.id)
        return JobState.FAILED, f"unexpected error: {type(error).__name__}: {error} (see logs/job-{job.id}.log)"


def _stop_note(reason: StopReason) -> str:
    return "stopped by SIGTERM" if reason is StopReason.TERMINATE else ""


def _record(connection: sqlite3.Connection, workspace: Workspace, job: Job, state: JobState, note: str) -> ExitCode:
    code = ExitCode.JOB_FAILED if state is JobState.FAILED else ExitCode.OK
    recorded = end_job(connection, job, state, mask_secrets(note), exit_code=code)
    checkpoint(connection, workspace.database, force=True)
    log.info("job %d: %s %s", job.id, state.value, note)
    if recorded:
        tell_end(workspace, job.id)
    return code


@contextmanager
def _signals(stop: StopFlag) -> Iterator[None]:
    """SIGTERM ends the run cleanly; SIGINT and SIGHUP belong to a terminal that this process does not have."""
    old = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: stop.set(StopReason.TERMINATE)),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def _heartbeat(workspace: Workspace, job: Job, stop: StopFlag) -> Iterator[None]:
    """Prove life and hear wishes, from a thread of its own: work that never yields still beats."""
    ended = threading.Event()
    with closing(workspace.open()) as connection:
        thread = threading.Thread(
            target=_beat_until, args=(ended, connection, workspace, job, stop), name="heartbeat", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)


def _beat_until(
    ended: threading.Event, connection: sqlite3.Connection, workspace: Workspace, job: Job, stop: StopFlag
) -> None:
    while not ended.wait(HEARTBEAT_SECONDS):
        try:
            with transaction(connection):
                wish = beat(connection, job)
            if wish is not None:
                stop.set(StopReason.of(wish))
            checkpoint(connection, workspace.database)
        except FencedError:
            stop.set(StopReason.FENCED)
            return
        except (RefusalTuiError, sqlite3.Error) as error:  # this beat failed, the next one may not
            log.warning("heartbeat: %s", error)


def main(arguments: list[str]) -> int:
    root, number = arguments
    workspace = Workspace(Path(root))
    keep_private(workspace)
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if logging.getLogger().level == logging.INFO:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return run_job(workspace, int(number))
    except FencedError as error:
        log.warning("%s", error)
        return ExitCode.CONFLICT
    except RefusalTuiError as error:
        log.error("%s %s", error, error.next_step)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
