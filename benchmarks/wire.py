"""What does the workbench send over a slow link? Bytes of the real program on an 80x24 terminal with 256 colours.

The figures beside ours were measured with Textual's own widgets in the same kind of terminal (a DataTable's cursor and
page, a ProgressBar updated twice a second, a LoadingIndicator); they are exact, not medians.
"""

from __future__ import annotations

import time
from statistics import median

from benchmarks.report import Figure
from benchmarks.screen import Paint, press, settle, start, until, workbench
from benchmarks.workspaces import synthetic, unlabelled
from refusal_tui.jobs.control import cancel, submit
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.workspace import Workspace
from tests.support.pty_harness import PtyProgram
from tests.support.waiting import wait_until

ROWS = 100_000
JOB_ROWS = 20_000
JOB_RATE = 50.0  # rows per second: the job outlives the measurement and changes at every look
IDLE_SECONDS = 10.0
JOB_SECONDS = 20.0
PRESSES = 30
COUNTED = 3.0  # silence after which Home has counted everything
PAGE_DOWN = "\x1b[6~"
# Figures of Textual's own widgets, bytes (design notes of this project, measured with Textual 8.2.8 at 80x24).
TABLE_CURSOR, TABLE_PAGE, PROGRESS_TWICE_A_SECOND, LOADING_INDICATOR = 416, 7_100, 940, 49_400


def run(*, quick: bool = False) -> list[Figure]:
    rows, presses = (2_000, 10) if quick else (ROWS, PRESSES)
    idle, working = (3.0, 6.0) if quick else (IDLE_SECONDS, JOB_SECONDS)
    return [*_idle_and_keys(rows, idle, presses), *_running_job(working)]


def _idle_and_keys(rows: int, idle: float, presses: int) -> list[Figure]:
    root = synthetic(rows).root
    with start(workbench(root)) as program:
        first = settle(program, time.perf_counter(), quiet=COUNTED)
        home = program.pump(idle) / idle
        opened = press(program, "b", quiet=1.0)
        browse = program.pump(idle) / idle
        down = _median_sent([press(program, "j") for _ in range(presses)])
        page = _median_sent([press(program, PAGE_DOWN) for _ in range(presses)])
        shown = press(program, "p", quiet=0.5)
        reading = program.pump(idle) / idle
    quiet = f"LoadingIndicator {LOADING_INDICATOR:,} B/s"
    return [
        Figure("idle Home", home, "B/s", quiet, home / LOADING_INDICATOR, "0", home == 0),
        Figure("idle Browse", browse, "B/s", quiet, browse / LOADING_INDICATOR, "0", browse == 0),
        Figure("idle Browse with the text open", reading, "B/s", quiet, reading / LOADING_INDICATOR, "0", reading == 0),
        Figure("Browse: cursor down", down, "B", f"DataTable {TABLE_CURSOR} B", down / TABLE_CURSOR),
        Figure("Browse: page down", page, "B", f"DataTable {TABLE_PAGE:,} B", page / TABLE_PAGE),
        Figure("Browse: open the text of a row", shown.sent, "B"),
        Figure("Home: start until everything is counted", first.sent, "B"),
        Figure("Home to Browse", opened.sent, "B"),
    ]


def _median_sent(paints: list[Paint]) -> float:
    return float(median(paint.sent for paint in paints))


def _running_job(seconds: float) -> list[Figure]:
    workspace = unlabelled(JOB_ROWS)
    job_id = submit(workspace, "label", LabelSpec(max_rate=JOB_RATE))
    try:
        wait_until(lambda: _state(workspace, job_id) is JobState.RUNNING, what="the job to run")
        with start(workbench(workspace.root)) as program:
            until(program, time.perf_counter(), "running")
            home = _watched(program, seconds)
            press(program, "J", quiet=0.3)
            jobs = _watched(program, seconds)
            press(program, "\r", quiet=0.3)
            job = _watched(program, seconds)
    finally:
        cancel(workspace, job_id)
        wait_until(lambda: _state(workspace, job_id) is not JobState.RUNNING, what="the job to end")
    bar = f"ProgressBar at 2 Hz {PROGRESS_TWICE_A_SECOND} B/s"
    return [
        Figure(f"{name}, a job at {JOB_RATE:.0f} rows/s", rate, "B/s", bar, rate / PROGRESS_TWICE_A_SECOND,
               "at most 2 updates/s")
        for name, rate in (("Home", home), ("Jobs", jobs), ("Job", job))
    ]  # fmt: skip


def _watched(program: PtyProgram, seconds: float) -> float:
    """Bytes per second while the job goes on."""
    program.pump(3.0)  # what opening the screen costs is not counted
    return program.pump(seconds) / seconds


def _state(workspace: Workspace, job_id: int) -> JobState:
    connection = workspace.open(read_only=True)
    try:
        return get_job(connection, job_id).state
    finally:
        connection.close()
