"""Why is a queued job not at work yet? Said on the Job screen and by `jobs show`, so that nothing waits in silence."""

from __future__ import annotations

import sqlite3

from refusal_tui.errors import StorageError
from refusal_tui.jobs.files import log_file
from refusal_tui.jobs.registry import LANES, Lane
from refusal_tui.store.connect import file_lock
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import Job, JobState, list_running
from refusal_tui.store.workspace import Workspace

FALSE_START = "false_start"  # the code of the event that a supervisor writes
GRACE_SECONDS = 5.0  # a supervisor and a worker take that long to start on a busy machine


def why_waiting(workspace: Workspace, connection: sqlite3.Connection, job: Job, now: float) -> str:
    """One sentence, or "" when the job is not queued or is about to start. `now`: unix seconds."""
    if job.state is not JobState.QUEUED:
        return ""
    lane = LANES.get(job.lane, Lane(job.lane, 1))
    before = [other.id for other in list_running(connection) if other.lane == job.lane]
    if len(before) >= lane.capacity:
        which = f"job {before[0]}" if len(before) == 1 else f"one of the jobs {', '.join(map(str, before))}"
        return f"It waits for {which} to end: they share the lane {lane.name!r}."
    events = events_of(connection, job.id, limit=1)
    if events and events[0].code == FALSE_START:
        return events[0].text
    if events and now - events[0].created < GRACE_SECONDS:
        return ""
    try:
        if has_supervisor(workspace, job.lane):
            return ""
    except StorageError as error:
        return f"{error} {error.next_step}"
    return (
        f"Nobody starts it: no supervisor runs for its lane {lane.name!r} (see logs/supervisor-{job.lane}.log). "
        f"Start one with: refusal-tui jobs resume {job.id}"
    )


def has_supervisor(workspace: Workspace, lane: str) -> bool:
    """Whether somebody looks after the workers of a lane. Raises StorageError where its lock cannot be looked at."""
    with file_lock(log_file(workspace, f"lane-{lane}.lock")) as free:
        return not free
