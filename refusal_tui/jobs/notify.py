"""Who is told when a job ends? Open faces ring, and a webhook is called by the process that records the end:
a worker, its supervisor, or where both are dead whoever notices it (`control.py: reap`).

`[notify]` in refusal.toml: `bell = true` (the default), `osc9 = true`, `webhook = "https://…"`. A webhook's address is
a secret: `webhook = "$NAME"` takes it from the environment or a .env file of the workspace. What is posted holds
numbers and states, never text of a row. A webhook that fails is an event of the job, and never fails it.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from refusal_tui.errors import RefusalTuiError, WorkspaceError
from refusal_tui.jobs.registry import unit_of
from refusal_tui.llm.keys import known_keys
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import Job, JobState, get_job
from refusal_tui.store.requests import usage_of
from refusal_tui.store.workspace import Workspace, read_config

TIMEOUT_SECONDS = 5.0
EVENT = "webhook"

log = logging.getLogger("refusal_tui.notify")


@dataclass(frozen=True, slots=True)
class Notify:
    """How ends are told. `webhook`: the address as it stands in refusal.toml, "" for none."""

    bell: bool = True
    osc9: bool = False
    webhook: str = ""


def read_notify(workspace: Workspace) -> Notify:
    """Raises WorkspaceError for a refusal.toml that cannot be read or says something else than it may."""
    given = read_config(workspace).get("notify", {})
    known = {"bell": bool, "osc9": bool, "webhook": str}
    if not isinstance(given, dict):
        raise WorkspaceError(f"notify in {workspace.config} is no table.", "Write it as: [notify]")
    for name, value in given.items():
        if name not in known or not isinstance(value, known[name]):
            raise WorkspaceError(
                f"[notify] in {workspace.config} cannot be used: {name} = {value!r}.",
                'It may hold bell = true, osc9 = true and webhook = "https://…" (or "$NAME", a variable).',
            )
    return Notify(**given)


def webhook_address(workspace: Workspace, notify: Notify) -> str:
    """The address to post to, "" for none. Raises WorkspaceError for one that is not http(s), or not set."""
    given = notify.webhook.strip()
    address = given
    if given.startswith("$"):
        address = known_keys([workspace.root]).get(given.strip("${}"), "").strip()
        if not address:
            raise WorkspaceError(f"The webhook's variable {given} is not set.", "Set it, or write it into a .env file.")
    if address and not address.startswith(("https://", "http://")):
        raise WorkspaceError("The webhook is no http or https address.", "Mend [notify] in refusal.toml.")
    return address


def worth_telling(job: Job) -> bool:
    """Whether somebody waits to hear of it: it ended by itself, or it stopped and says why. Not what a user did."""
    if job.state is JobState.PAUSED:
        return bool(job.note)
    return job.state in (JobState.DONE, JobState.FAILED, JobState.INTERRUPTED)


def end_words(job: Job) -> str:
    """One sentence without any text of a row.

    >>> from types import SimpleNamespace
    >>> ends = {"state": JobState.DONE, "n_failed": 0, "n_unparsable": 0}
    >>> end_words(SimpleNamespace(id=3, kind="label", n_ok=90, units=1, **ends | {"n_failed": 10}))
    'Job 3 (label) is done: 90 rows ok, 10 not.'
    >>> end_words(SimpleNamespace(id=4, kind="clean", n_ok=110, units=11, **ends))
    'Job 4 (clean) is done: 110 steps ok.'
    """
    bad = job.n_failed + job.n_unparsable
    said = f": {job.n_ok:,} {unit_of(job)} ok" + (f", {bad:,} not" if bad else "") if job.n_ok or bad else ""
    return f"Job {job.id} ({job.kind}) is {job.state.value}{said}."


def end_record(connection: sqlite3.Connection, workspace: Workspace, job: Job) -> dict[str, Any]:
    """What the webhook is sent. `cost_usd` is null where a price is unknown, never 0 for it."""
    usage = usage_of(connection, job.id)
    # A failed job's note ends with what a server or a library has said, which may quote a row.
    reason = job.note.partition(":")[0] if job.state is JobState.FAILED else job.note
    return {
        "event": "job_ended",
        "workspace": workspace.root.name,
        "job": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "reason": reason,
        "text": end_words(job),
        "rows": {"total": job.total, "ok": job.n_ok, "failed": job.n_failed, "unparsable": job.n_unparsable},
        "requests": usage.sent,
        "tokens": usage.tokens,
        "cost_usd": None if usage.without_price else usage.usd,
        "seconds": round(job.active_seconds, 1),
    }


def tell_end(workspace: Workspace, job_id: int) -> None:
    """Post the end of a job to the webhook, if there is one. Takes at most some seconds and raises nothing."""
    try:
        with closing(workspace.open()) as connection:
            job = get_job(connection, job_id)
            if not worth_telling(job):
                return
            try:
                address = webhook_address(workspace, read_notify(workspace))
                problem = _post(address, end_record(connection, workspace, job)) if address else None
            except WorkspaceError as error:
                problem = f"{error} {error.next_step}".strip()
            if problem is not None:
                with transaction(connection):
                    add_event(connection, job_id, "warning", EVENT, f"the webhook was not told: {problem}")
    except (RefusalTuiError, sqlite3.Error) as error:  # telling is never a reason to fail
        log.warning("the end of job %d could not be told: %s", job_id, error)


def tell_end_beside(workspace: Workspace, job_id: int) -> None:
    """The same in a thread that the process waits for at its own end: a slow webhook holds no lane up."""
    threading.Thread(target=tell_end, args=(workspace, job_id), name=f"webhook-{job_id}").start()


def _post(address: str, record: dict[str, Any]) -> str | None:
    """What went wrong, without the address: it is a secret; None when it was taken."""
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        address, json.dumps(record).encode(), {"Content-Type": "application/json", "User-Agent": "refusal-tui"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered with status {error.code}"
    except urllib.error.URLError as error:
        return f"{type(error.reason).__name__}" if isinstance(error.reason, Exception) else "it cannot be reached"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
