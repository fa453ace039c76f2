"""What does durability cost? The job engine beside plain asyncio that does the same and keeps nothing.

The work of the first figures is a wait of 50 ms, as a fast model takes, 64 at a time: whatever the engine adds (reading
rows, queues, one fsynced transaction per group) shows as a lower rate. Every row of the engine is durable.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from unittest import mock

from benchmarks.report import Figure, percentile
from benchmarks.workspaces import scratch_folder, synthetic, unlabelled
from refusal_tui.jobs import writer
from refusal_tui.jobs.liveness import this_process
from refusal_tui.jobs.rowjob import RowJob, run_rows
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.judge.job import make_label_job
from refusal_tui.judge.lexical import LexicalJudge
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job, JobState, claim_job, create_job, end_job, get_job
from refusal_tui.store.outcomes import Output, PendingRow
from refusal_tui.store.workspace import Workspace
from tests.support.waiting import wait_until

LATENCY_SECONDS = 0.05
CONCURRENCY = 64
SHORT, LONG = 1_500, 20_000
SHORT_REPEATS, LONG_REPEATS = 5, 3
BIG = 1_000_000
MEMORY_ROWS = (10_000, 200_000, 1_000_000)
RESUME_REPEATS = 3


def run(*, quick: bool = False) -> list[Figure]:
    if quick:
        figures = [*_labelling(2_000, 1), *_overhead(256, 2), *_resume(10_000, 1)]
        return [*figures, *_memory((1_000, 5_000))]
    figures = [*_labelling(LONG, 3), *_overhead(SHORT, SHORT_REPEATS), *_overhead(LONG, LONG_REPEATS)]
    return [*figures, *_resume(BIG, RESUME_REPEATS), *_memory(MEMORY_ROWS)]


# --- rows that wait for an answer -----------------------------------------------------------------------------------


class Waiting(RowJob):
    """A RowJob that waits as if for a model and answers the same for every row.

    A name of its own for every run: an annotator's second verdict on a row is another, slower thing.
    """

    concurrency = CONCURRENCY

    def __init__(self, annotator: str) -> None:
        self._annotator = annotator

    async def process(self, work: Sequence[PendingRow]) -> list[Verdict]:
        await asyncio.sleep(LATENCY_SECONDS)
        return [_answer(pending.row, self._annotator) for pending in work]


def _answer(row: Row, annotator: str = "judge:waiting") -> Verdict:
    return Verdict(row.item_id, annotator, "refusal3", "1", {"refusal3": Answer("none", 0.75)})


def plain_asyncio(rows: Sequence[Row]) -> float:
    """Rows per second of the loop that one would write by hand: a semaphore, gather, results in a list."""

    async def work() -> list[Verdict]:
        limit = asyncio.Semaphore(CONCURRENCY)

        async def one(row: Row) -> Verdict:
            async with limit:
                await asyncio.sleep(LATENCY_SECONDS)
                return _answer(row)

        return await asyncio.gather(*(one(row) for row in rows))

    begun = time.perf_counter()
    results = asyncio.run(work())
    assert len(results) == len(rows)
    return len(rows) / (time.perf_counter() - begun)


def queue(workspace: Workspace, ids: Sequence[int], selection: str = "") -> int:
    """A queued labelling job over these items, without a supervisor that would start it."""
    with closing(workspace.open()) as connection:
        return create_job(
            connection, kind="label", title=LabelSpec().title(), lane="cpu", spec=LabelSpec().model_dump_json(),
            spec_version=LabelSpec.VERSION, selection=selection, item_ids=ids,
        )  # fmt: skip


def run_here(workspace: Workspace, ids: Sequence[int], work: RowJob, selection: str = "") -> float:
    """Rows per second of one whole job in this process, from the claim to the last commit."""
    job_id = queue(workspace, ids, selection)
    with closing(workspace.open()) as connection:
        begun = time.perf_counter()
        job = claim(workspace, job_id)
        state, note = run_rows(workspace, connection, job, work, StopFlag())
        seconds = time.perf_counter() - begun
        end_job(connection, job, state, note)
        finished = get_job(connection, job_id).finished_rows
        assert (state, finished) == (JobState.DONE, len(ids)), f"{state} {note}: {finished} of {len(ids)} rows"
        checkpoint(connection, workspace.database, force=True)
    return len(ids) / seconds


def claim(workspace: Workspace, job_id: int) -> Job:
    """Take a queued job for this process."""
    me = this_process()
    with closing(workspace.open()) as connection:
        job = claim_job(connection, job_id, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)
    assert job is not None
    return job


@contextmanager
def timed_groups() -> Iterator[list[float]]:
    """Milliseconds of every transaction that the engine's writer commits, as they come."""
    times: list[float] = []
    store_group: Callable[..., object] = writer.store_group

    def timed(*arguments: object, **named: object) -> object:
        begun = time.perf_counter()
        try:
            return store_group(*arguments, **named)
        finally:
            times.append((time.perf_counter() - begun) * 1000)

    with mock.patch.object(writer, "store_group", timed):
        yield times


def _overhead(rows: int, repeats: int) -> list[Figure]:
    workspace = unlabelled(LONG)
    ids = _ids(workspace)[:rows]
    with closing(workspace.open(read_only=True)) as connection:
        read = fetch_rows(connection, ids)
    plain, ours = [], []
    with timed_groups() as groups:
        for turn in range(repeats):  # in turns, so that a noisy minute hits both
            plain.append(plain_asyncio(read))
            ours.append(run_here(workspace, ids, Waiting(f"judge:waiting-{rows}-{turn}")))
    floor, rate = median(plain), median(ours)
    share = 1 - rate / floor
    name = f"{rows:,} rows, 50 ms each, {CONCURRENCY} at a time, durable"
    return [
        Figure(name, rate, "rows/s", f"plain asyncio {floor:,.0f} (ceiling 1,280)", rate / floor, ">= 0.95",
               share <= 0.05),
        Figure("transaction of a commit group, p50", median(groups), "ms"),
        Figure("transaction of a commit group, p95", percentile(groups, 0.95), "ms", "a label's budget of 10 ms",
               percentile(groups, 0.95) / 10),
    ]  # fmt: skip


# --- rows that need only the processor ------------------------------------------------------------------------------


def _labelling(rows: int, repeats: int) -> list[Figure]:
    workspace = unlabelled(rows)
    ids = _ids(workspace)
    with closing(workspace.open(read_only=True)) as connection:
        read = fetch_rows(connection, ids)
    alone, first, again = [], [], []
    with timed_groups() as groups:
        for turn in range(repeats):
            copy = Workspace(scratch_folder(f"labelled-{rows}-{turn}"))
            shutil.copytree(workspace.root, copy.root)
            alone.append(_judge_alone(read))
            first.append(run_here(copy, ids, make_label_job(LabelSpec(), copy)))
            again.append(run_here(copy, ids, make_label_job(LabelSpec(), copy)))
    floor = median(alone)
    beside = f"judging alone {floor:,.0f}"
    name = f"lexical labelling, {rows:,} rows, durable"
    return [
        Figure(name, median(first), "rows/s", beside, median(first) / floor),
        Figure("the same rows labelled once more", median(again), "rows/s", beside, median(again) / floor),
        Figure("judging alone", floor, "rows/s", "", None, ">= 10,000", floor >= 10_000),
        Figure("transaction of a commit group of labels, p95", percentile(groups, 0.95), "ms"),
    ]


def _judge_alone(rows: Sequence[Row]) -> float:
    judge = LexicalJudge()

    async def work() -> int:
        done = 0
        for start in range(0, len(rows), 64):
            done += len(await judge.judge(rows[start : start + 64]))
        return done

    begun = time.perf_counter()
    assert asyncio.run(work()) == len(rows)
    return len(rows) / (time.perf_counter() - begun)


# --- a big job that was interrupted ---------------------------------------------------------------------------------


def _resume(rows: int, repeats: int) -> list[Figure]:
    workspace = synthetic(rows)
    job_id = queue(workspace, _ids(workspace))
    done = rows * 99 // 100
    pretend_done(workspace, job_id, done)
    tail = median(_first_row(workspace, job_id, done, cursor=done) for _ in range(repeats))
    hole = median(_first_row(workspace, job_id, done, cursor=0) for _ in range(repeats))
    start = _python_start()
    beside = f"a worker without a job {start:.2f} s"
    return [
        Figure(f"resume of {rows:,} rows, 99 % done: a worker's start to its next row durable", tail, "s", beside,
               tail / start, "< 1 s", tail < 1),
        Figure("the same, its first row still open (the cursor stands at 0)", hole, "s", beside, hole / start, "< 1 s",
               hole < 1),
    ]  # fmt: skip


def pretend_done(workspace: Workspace, job_id: int, done: int, stage: str = "") -> None:
    """The first `done` rows have their outcomes, as after a crash."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.execute(
                """INSERT INTO outcome(job_id, item_id, stage, state, run, created)
                   SELECT job_id, item_id, ?, 'ok', 1, 0 FROM job_item WHERE job_id = ? AND position < ?
                   ORDER BY item_id""",
                (stage, job_id, done),
            )
        checkpoint(connection, workspace.database, force=True)


def rewind(workspace: Workspace, job_id: int, done: int, cursor: int) -> None:
    """Queued, with `done` rows finished; with the cursor at 0 the very first row is not."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            again = "DELETE FROM outcome WHERE job_id = ? AND item_id IN (SELECT item_id FROM job_item WHERE job_id = ?"
            connection.execute(f"{again} AND position >= ?)", (job_id, job_id, done))
            if cursor == 0:
                connection.execute(f"{again} AND position = 0)", (job_id, job_id))
            connection.execute(
                "UPDATE job SET state = 'queued', wish = NULL, n_failed = 0, n_unparsable = 0, n_ok = ?, cursor = ? "
                "WHERE id = ?",
                (done - (cursor == 0), cursor, job_id),
            )
        checkpoint(connection, workspace.database, force=True)


def _first_row(workspace: Workspace, job_id: int, done: int, *, cursor: int) -> float:
    """Seconds from starting a worker process until one more row of the job is durable."""
    rewind(workspace, job_id, done, cursor)
    worker = [sys.executable, "-m", "refusal_tui.jobs.worker", str(workspace.root), str(job_id)]
    with closing(workspace.open(read_only=True)) as connection:
        before = get_job(connection, job_id).finished_rows
        begun = time.perf_counter()
        process = subprocess.Popen(worker, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: get_job(connection, job_id).finished_rows > before, 60.0, "the first row")
            return time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait()


def _python_start() -> float:
    """Seconds that a worker takes to find out that there is nothing to do: Python's start and its imports."""
    workspace = unlabelled(LONG)
    done = queue(workspace, _ids(workspace)[:1])
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE job SET state = 'done' WHERE id = ?", (done,))
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "refusal_tui.jobs.worker", str(workspace.root), str(done)], check=True,
                       capture_output=True)  # fmt: skip
        times.append(time.perf_counter() - begun)
    return median(times)


# --- memory ---------------------------------------------------------------------------------------------------------


def _memory(sizes: Sequence[int]) -> list[Figure]:
    workspace = synthetic(max(sizes))
    used = {rows: _peak_megabytes(workspace, rows) for rows in sizes}
    least = min(sizes)
    return [
        Figure(f"peak memory of a worker, {rows:,} rows", used[rows], "MB", f"{least:,} rows {used[least]:.0f} MB",
               used[rows] / used[least], "flat within 20 MB", used[rows] - used[least] < 20)
        for rows in sizes if rows != least
    ]  # fmt: skip


def _peak_megabytes(workspace: Workspace, rows: int) -> float:
    """Peak resident memory of a process that runs a job of so many rows whose results are quick to store."""
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.engine import quick_job; from benchmarks.report import peak_megabytes\n"
        "quick_job(Path(sys.argv[1]), int(sys.argv[2]))\n"
        "print(peak_megabytes())"
    )
    with closing(workspace.open()) as connection:
        job_id = queue(workspace, select_ids(connection)[:rows])
        done = subprocess.run(
            [sys.executable, "-c", code, str(workspace.root), str(job_id)], check=True, capture_output=True, text=True
        )
        checkpoint(connection, workspace.database, force=True)
    return float(done.stdout)


class Instant(RowJob):
    """A RowJob whose results carry no verdict, so that a million rows are stored in a minute."""

    batch_size = 64

    async def process(self, work: Sequence[PendingRow]) -> list[Output]:
        return [Output(pending.row.item_id, {"characters": len(pending.row.response or "")}) for pending in work]


def quick_job(root: Path, job_id: int) -> None:
    """Run a queued job with `Instant`; the process that measures memory calls this."""
    workspace = Workspace(root)
    with closing(workspace.open()) as connection:
        state, note = run_rows(workspace, connection, claim(workspace, job_id), Instant(), StopFlag())
        assert state is JobState.DONE, note


def _ids(workspace: Workspace) -> array[int]:
    with closing(workspace.open(read_only=True)) as connection:
        return select_ids(connection)
