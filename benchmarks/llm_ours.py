"""One job that asks a language model, run in this process, from the claim to the last commit.

    python -m benchmarks.llm_ours WORKSPACE JOB httpx|aiohttp

Prints one line of JSON: seconds of the run, processor seconds, answers, peak memory in MB.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path
from unittest import mock

from benchmarks.report import peak_megabytes
from refusal_tui.jobs.liveness import this_process
from refusal_tui.jobs.registry import job_kind, make_job
from refusal_tui.jobs.rowjob import run_rows
from refusal_tui.jobs.spec import load_spec
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.llm import client
from refusal_tui.store.jobs import JobState, claim_job, end_job, get_job
from refusal_tui.store.workspace import Workspace


def run_job(workspace: Workspace, job_id: int) -> int:
    """The job to its end; returns how many rows have their result."""
    me = this_process()
    with closing(workspace.open()) as connection:
        job = claim_job(connection, job_id, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)
        assert job is not None
        kind = job_kind(job.kind)
        work = make_job(kind, load_spec(kind.spec_type(), job.spec, job.spec_version), workspace)
        state, note = run_rows(workspace, connection, job, work, StopFlag())
        assert state is JobState.DONE, note
        end_job(connection, job, state, note)
        return get_job(connection, job_id).n_ok


def main() -> None:
    root, job_id, transport = sys.argv[1:]
    for name in ("openai", "refusal_tui.generate.job", "refusal_tui.judge.llm_job"):  # no import counts, of nobody
        import_module(name)
    with mock.patch.object(client, "aiohttp_available", lambda: transport == "aiohttp"):
        processor, begun = time.process_time(), time.perf_counter()
        answers = run_job(Workspace(Path(root)), int(job_id))
        seconds, used = time.perf_counter() - begun, time.process_time() - processor
    found = {"seconds": seconds, "processor": used, "answers": answers, "megabytes": peak_megabytes()}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
