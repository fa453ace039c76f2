"""Raw-against-cleaned runs as a job leaves them behind: jobs in the store, folders written by hand, some answers."""

from __future__ import annotations

from contextlib import closing

from refusal_tui.finetune.cleaned.read import KIND
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store import datasets, items, jobs, labels
from refusal_tui.store.connect import transaction
from refusal_tui.store.outcomes import MadeItem
from refusal_tui.store.workspace import Workspace
from tests.finetune.made import N
from tests.finetune.made_cleaned import OVER, STEP_COUNT, make_comparison, texts


def add_run(workspace: Workspace, *, looked_at: int | None = None, **changes: object) -> int:
    """A job with its folder; `looked_at`: so many trainings are done, the job goes on. The caller freezes the time."""
    with closing(workspace.open()) as connection:
        job_id = jobs.create_job(
            connection, kind=KIND, title="raw against cleaned tidy-run (tiny)", lane="gpu", spec="{}", spec_version=1
        )
        job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        make_comparison(workspace.artifacts / f"job-{job_id}", looked_at=looked_at, **changes)
        total = 6 * STEP_COUNT
        done = total if looked_at is None else STEP_COUNT * looked_at
        step = "done" if looked_at is None else "raw-s1: asking"
        with transaction(connection):
            jobs.set_progress(connection, job, done=done, total=total, step=step)
        if looked_at is None:
            jobs.end_job(connection, job, jobs.JobState.DONE)
    return job_id


def add_answers(workspace: Workspace, job_id: int, *, graded: bool) -> None:
    """The answers to the benign prompts, refused where the run says so; `graded`: by a language model, 1 or 5."""
    trials = {"base": "base"} | {f"{arm}-s{seed}": arm for seed in range(3) for arm in ("raw", "cleaned")}
    with closing(workspace.open()) as connection, transaction(connection):
        dataset = datasets.begin_made(connection, "tidy-run", job_id, KIND)
        for trial, arm in trials.items():
            model = "tiny" if arm == "base" else f"tiny+{arm}"
            rows = [(f"benign/{trial}/8/free.txt:{n}", MadeItem(f"How does frindle {n} sing?", text, model=model,
                                                                split="benign"))
                    for n, text in enumerate(texts(OVER[arm]))]  # fmt: skip
            added = items.add_items(connection, dataset.id, rows)
            if graded:
                labels.add_verdicts(connection, [_grade(i, n < OVER[arm]) for n, i in enumerate(added.ids) if i])
        datasets.record_progress(connection, dataset.id, records_read=7 * N, added=7 * N, rejected=0, done=True)


def _grade(item: ItemId, refused: bool) -> Verdict:
    return Verdict(item, "judge:helpfulness@m", "helpfulness", "1", {"helpfulness": Answer("1" if refused else "5")})
