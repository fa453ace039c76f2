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
from refusal_tui.errors import ExitCode
from refusal_tui.jobs import worker
from refusal_tui.llm import client
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.workspace import Workspace


def run_job(workspace: Workspace, job_id: int) -> int:
    """The job to its end as a worker runs it, heartbeats and checkpoints included; returns how many rows are done."""
    assert worker.run_job(workspace, job_id) is ExitCode.OK
    with closing(workspace.open(read_only=True)) as connection:
        job = get_job(connection, job_id)
    assert job.state is JobState.DONE, job.note
    return job.n_ok


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
