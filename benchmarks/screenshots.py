"""The pictures of the README: the workbench on the sample data of `data/`, 100x30, the same every time.

python -m benchmarks.screenshots docs/images          (or: make screenshots)

The data is imported and labelled by the real jobs, in this process. The second job is shown on its way: 60 % of its
rows are done, by a clock that stands still at the pace of `refusal-tui demo`.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from array import array
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot

from benchmarks.engine import claim, run_here
from benchmarks.night import add_night
from refusal_tui.cli.demo import LABELLED, LIVE_ROWS_PER_SECOND, SAMPLES, sample_folder
from refusal_tui.ingest.job import ImportJob
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.rowjob import PAGE
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.judge.job import make_label_job
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.review.queues import new_queue
from refusal_tui.review.spec import QueueSpec
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, create_job, end_job
from refusal_tui.store.outcomes import Finished, commit_group, pending_rows
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.tui.app import RefusalApp

SIZE = (100, 30)
NOW = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
DONE_SHARE = 0.6
BROWSED = "judge:hard,soft"
RUNNING_JOB = 5  # three imports, one labelling job that is done, and this one


def demo_workspace(root: Path) -> Workspace:
    """The samples imported, the dialogues labelled, the labelling of the rest under way."""
    with mock.patch("time.time", lambda: NOW):
        workspace = create_workspace(root)
        for name, file in SAMPLES.items():
            _import(workspace, name, sample_folder() / file)
        with closing(workspace.open()) as connection:
            dialogues = select_ids(connection, "dataset:demo-dialogues has:response")
        run_here(workspace, dialogues, make_label_job(LabelSpec(), workspace), selection="dataset:demo-dialogues")
        asyncio.run(_label_some(workspace))
    return workspace


def _import(workspace: Workspace, name: str, source: Path) -> None:
    spec = ImportSpec(source=str(source), name=name)
    with closing(workspace.open()) as connection:
        job_id = create_job(
            connection, kind="import", title=spec.title(), lane="free", spec=spec.model_dump_json(),
            spec_version=spec.VERSION,
        )  # fmt: skip
        job = claim(workspace, job_id)
        note = ImportJob(spec, workspace).run(ComputeContext(workspace, connection, job, StopFlag()))
        end_job(connection, job, JobState.DONE, note or "")


async def _label_some(workspace: Workspace) -> None:
    """A labelling job of this process that never ends: a part of its rows is committed."""
    spec = LabelSpec(max_rate=LIVE_ROWS_PER_SECOND)
    selection = f"dataset:{LABELLED}"
    with closing(workspace.open()) as connection:
        ids = select_ids(connection, selection)
        job_id = create_job(
            connection, kind="label", title=spec.title(), lane="cpu", spec=spec.model_dump_json(),
            spec_version=spec.VERSION, selection=selection, item_ids=ids,
        )  # fmt: skip
        assert job_id == RUNNING_JOB
        job, work = claim(workspace, job_id), make_label_job(spec, workspace)
        done, cursor = 0, 0
        while done < int(len(ids) * DONE_SHARE):
            pending, cursor = pending_rows(connection, job, cursor, min(PAGE, int(len(ids) * DONE_SHARE) - done))
            results = await work.process(pending)
            finished = [Finished(p.position, result) for p, result in zip(pending, results, strict=True)]
            commit_group(connection, job, finished, cursor=cursor)
            done += len(finished)
        with transaction(connection):
            connection.execute("UPDATE event SET text = replace(text, ?, '4242')", (str(os.getpid()),))
            connection.execute(
                "UPDATE worker SET started_monotonic = heartbeat_monotonic - ?, started = ? WHERE job_id = ?",
                (done / LIVE_ROWS_PER_SECOND, NOW - done / LIVE_ROWS_PER_SECOND, job_id),
            )


async def take(workspace: Workspace, folder: Path) -> None:
    """home, browse, job, dossier, new-job and review-card, as SVG."""
    app = RefusalApp(workspace, clock=lambda: NOW, start="home", gpu_line=lambda: "")
    with closing(workspace.open()) as connection:
        shown = select_ids(connection, BROWSED)
    async with app.run_test(size=SIZE) as pilot:
        await _save(pilot, folder, "home")
        app.push("browse", filter=BROWSED)
        await _settle(pilot)
        await pilot.press("p", "down", "down", "down")
        await _save(pilot, folder, "browse")
        app.push("dossier", ids=shown, index=_telling(workspace, shown))
        await _save(pilot, folder, "dossier")
        app.push("job", job_id=RUNNING_JOB)
        await _save(pilot, folder, "job")
        app.push("new_job", selection="dataset:refusal-demo -has:judge")
        await _save(pilot, folder, "new-job")
        with closing(workspace.open()) as connection:
            queue = new_queue(connection, f"dataset:{LABELLED} {BROWSED}", QueueSpec(size=120, aims="label-error"))
        app.push("review_card", queue=queue.name, annotator="ada")
        await _settle(pilot)
        await pilot.press("h", "h", "s")
        await _save(pilot, folder, "review-card")


async def take_night(workspace: Workspace, folder: Path, labelled: int, cleaned: int) -> None:
    """judge-job and clean-review, as SVG: jobs that ask a language model (`benchmarks/night.py`)."""
    app = RefusalApp(workspace, clock=lambda: NOW, start="home", gpu_line=lambda: "")
    async with app.run_test(size=SIZE) as pilot:
        app.push("job", job_id=labelled)
        await _settle(pilot)
        app.store_changed()  # the next look: a running job shows its details then
        await _save(pilot, folder, "judge-job")
        app.push("clean_review", job_id=cleaned)
        await _save(pilot, folder, "clean-review")


def _telling(workspace: Workspace, ids: array[int]) -> int:
    """The index of the first row that a person has labelled, too."""
    with closing(workspace.open()) as connection:
        gold = set(select_ids(connection, "has:gold judge:hard"))
    return next(index for index, item_id in enumerate(ids) if item_id in gold)


async def _save(pilot: Pilot[None], folder: Path, name: str) -> None:
    await _settle(pilot)
    picture = pilot.app.export_screenshot(title="refusal-tui")
    picture = re.sub(r"terminal-\d+-", "terminal-", picture)  # a random id
    (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


async def _settle(pilot: Pilot[None]) -> None:
    """Wait for what runs beside (queries in threads) and for what follows from it."""
    for _ in range(3):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0]) if arguments else Path("docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        workspace = demo_workspace(Path(scratch) / "demo")
        asyncio.run(take(workspace, folder))
        asyncio.run(take_night(workspace, folder, *add_night(workspace, NOW)))
    sys.stdout.write(f"{folder}: home, browse, dossier, job, new-job, review-card, judge-job, clean-review\n")


if __name__ == "__main__":
    main(sys.argv[1:])
