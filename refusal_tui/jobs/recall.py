"""Who tells a provider that the batches of a cancelled job are not wanted? A process of its own: no face waits for it.

    python -m refusal_tui.jobs.recall WORKSPACE JOB

Best effort, told in the job's events: the job is cancelled whatever the provider says. What a batch has answered by
then is paid for.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.jobs.files import keep_private
from refusal_tui.llm.batch import call_off
from refusal_tui.llm.client import Client
from refusal_tui.llm.keys import api_key
from refusal_tui.store.batches import open_batches
from refusal_tui.store.connect import transaction
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.workspace import Workspace

CODE = "batches"
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0  # until the worker has seen the wish
_ANSWER_SECONDS = 60.0


def recall(workspace: Workspace, job_id: int) -> None:
    """Once the job's worker sends nothing more, ask every provider; an event each."""
    until = time.monotonic() + _PATIENCE_SECONDS
    with closing(workspace.open()) as connection:
        while get_job(connection, job_id).state is JobState.RUNNING and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            control.reap(connection)
        for provider in sorted({batch.provider for batch in open_batches(connection, job_id)}):
            try:
                number = asyncio.run(_call_off(workspace, connection, job_id, provider))
                level, text = "info", f"asked {provider} to cancel {number} batch{'es' * (number != 1)}"
            except RefusalTuiError as error:
                level, text = "warning", f"batches at {provider} were not cancelled, and cost: {error}"
            with transaction(connection):
                add_event(connection, job_id, level, CODE, text)


async def _call_off(workspace: Workspace, connection: sqlite3.Connection, job_id: int, provider: str) -> int:
    endpoint = get_endpoint(connection, provider)
    key = api_key(endpoint.key_env, [workspace.root])
    client = Client(endpoint.base_urls[0], api_key=key, timeout=_ANSWER_SECONDS)
    try:
        mine = [batch for batch in open_batches(connection, job_id) if batch.provider == provider]
        return await call_off(client, connection, mine)
    finally:
        await client.close()


def main(arguments: list[str]) -> None:
    root, job_id = arguments
    workspace = Workspace(Path(root))
    keep_private(workspace)
    recall(workspace, int(job_id))


if __name__ == "__main__":
    main(sys.argv[1:])
