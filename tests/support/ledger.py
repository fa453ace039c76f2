"""What a job has left in the store, in a form that two runs can be compared by."""

from __future__ import annotations

from contextlib import closing

from refusal_tui.store.jobs import Job, get_job
from refusal_tui.store.workspace import Workspace

Label = tuple[int, str, str, str, str, float | None]


def labels(workspace: Workspace) -> list[Label]:
    """Every label as (item, head, annotator, profile, value, probability)."""
    return _rows(
        workspace, "SELECT item_id, head, annotator, profile, value, probability FROM label ORDER BY 1, 2, 3, 4"
    )


def outcomes(workspace: Workspace, job_id: int) -> dict[int, str]:
    """item -> state of its outcome."""
    return dict(_rows(workspace, "SELECT item_id, state FROM outcome WHERE job_id = ?", job_id))


def attempts(workspace: Workspace, job_id: int) -> dict[int, int]:
    return dict(_rows(workspace, "SELECT item_id, attempts FROM outcome WHERE job_id = ?", job_id))


def errors(workspace: Workspace, job_id: int) -> dict[int, tuple[str, str]]:
    """item -> (error class, message) of the rows that have no result."""
    found = _rows(
        workspace, "SELECT item_id, error_class, error FROM outcome WHERE job_id = ? AND state <> 'ok'", job_id
    )
    return {item: (error_class, text) for item, error_class, text in found}


def check_books(workspace: Workspace, job_id: int) -> Job:
    """The counts of the job are those of its outcomes, and every row that is ok has exactly one verdict of it.

    Every row before the cursor has its outcome. Returns the job.
    """
    with closing(workspace.open()) as connection:
        job = get_job(connection, job_id)
    states = list(outcomes(workspace, job_id).values())
    assert (job.n_ok, job.n_failed, job.n_unparsable) == tuple(map(states.count, ("ok", "failed", "unparsable")))
    done = {item for item, state in outcomes(workspace, job_id).items() if state == "ok"}
    verdicts = [row[0] for row in _rows(workspace, "SELECT item_id FROM verdict WHERE job_id = ?", job_id)]
    assert sorted(verdicts) == sorted(done), "one verdict for every row that is ok, and no other"
    skipped = _rows(
        workspace,
        """SELECT i.position FROM job_item i JOIN item ON item.id = i.item_id WHERE i.job_id = ? AND i.position < ?
           AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.job_id = i.job_id AND o.item_id = i.item_id)""",
        job_id, job.cursor,
    )  # fmt: skip
    assert not skipped, f"the cursor {job.cursor} has passed rows without an outcome: {skipped[:5]}"
    return job


def _rows(workspace: Workspace, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
    with closing(workspace.open(read_only=True)) as connection:
        return [tuple(row) for row in connection.execute(sql, values)]
