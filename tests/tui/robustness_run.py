"""Robustness runs as a job leaves them behind: jobs in the store with folders written by hand, and some answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from refusal_tui.finetune.files import STEPS, TRIALS
from refusal_tui.store import datasets, items, jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.outcomes import MadeItem
from refusal_tui.store.workspace import Workspace
from tests.finetune.made import make_run

# Vanilla loses refusal, a single direction and its control do as well; the block keeps it at a price.
REFUSED = {
    "vanilla": [71, 22, 6, 2],
    "orthogonal": [73, 24, 7, 3],
    "subspace": [97, 96, 96, 95],
    "surgery": [95, 84, 60, 41],
    "random": [70, 23, 5, 2],
    "random-subspace": [80, 41, 15, 9],
}
LOSSES = {
    "vanilla": [1.1, 0.6, 0.3, 0.12],
    "orthogonal": [1.1, 0.61, 0.3, 0.13],
    "subspace": [1.5, 1.2, 1.0, 0.9],
    "surgery": [1.3, 0.9, 0.55, 0.4],
    "random": [1.1, 0.6, 0.31, 0.12],
    "random-subspace": [1.25, 0.8, 0.45, 0.25],
}
NO_EFFECT = {"vanilla": [30, 2], "orthogonal": [31, 3], "random": [30, 2]}


def add_run(
    workspace: Workspace,
    refused: Mapping[str, Sequence[int]] = REFUSED,
    losses: Mapping[str, Sequence[float]] = LOSSES,
    *,
    looked_at: int | None = None,
) -> int:
    """A job with its folder; `looked_at`: so many trainings are done, the job goes on. The caller freezes the time."""
    with closing(workspace.open()) as connection:
        job_id = jobs.create_job(
            connection, kind="robustness", title="robustness robust (tiny)", lane="gpu", spec="{}", spec_version=1
        )
        job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        make_run(workspace.artifacts / f"job-{job_id}", refused, losses, looked_at=looked_at)
        if looked_at is not None:
            _begin(workspace.artifacts / f"job-{job_id}" / TRIALS)
        total = 8 * 3 * len(refused)
        done = total if looked_at is None else 8 * looked_at + 3
        step = "done" if looked_at is None else "orthogonal-s1: step 3 of 8"
        with transaction(connection):
            jobs.set_progress(connection, job, done=done, total=total, step=step)
        if looked_at is None:
            jobs.end_job(connection, job, jobs.JobState.DONE)
    return job_id


def _begin(trials: Path) -> None:
    """Three steps of the second seed of the orthogonal arm."""
    steps = (trials / "orthogonal-s0" / STEPS).read_text().splitlines(keepends=True)
    (trials / "orthogonal-s1").mkdir()
    (trials / "orthogonal-s1" / STEPS).write_text("".join(steps[:3]))


def add_answers(workspace: Workspace, job_id: int) -> None:
    """Two prompts, answered by base, by vanilla and by the subspace arm at their last stop, and once on the way."""
    models = {"tiny": "base", "tiny+vanilla@8": "vanilla", "tiny+subspace@8": "subspace", "tiny+vanilla@2": "vanilla"}
    rows = [
        (f"prompts/{model}/{n}", MadeItem(f"How do I zorp the frindle, {n}?", f"I cannot help with a zorp ({arm}).",
                                          model=model, split="prompts", category="", meta={"arm": arm}))
        for model, arm in models.items() for n in range(2)
    ]  # fmt: skip
    with closing(workspace.open()) as connection, transaction(connection):
        dataset = datasets.begin_made(connection, "robust", job_id, "robustness")
        items.add_items(connection, dataset.id, rows)
        datasets.record_progress(connection, dataset.id, records_read=8, added=8, rejected=0, done=True)
