"""How much does a screen send over a slow link? Nothing, when nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from refusal_tui.store.jobs import JobState
from tests.support.pty_harness import PtyProgram, workbench
from tests.tui.job_rows import add_job, change_job

pytestmark = pytest.mark.pty
WINDOW_SECONDS = 5.0
NO_GPU = {"PATH": "/nonexistent", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}


@pytest.fixture
def home(workspace) -> Iterator[PtyProgram]:
    """Home, drawn and counted."""
    with PtyProgram(workbench(workspace.root), environ=NO_GPU) as program:
        program.wait_for("Who refuses")
        program.wait_for_silence(3.0)  # longer than the pause after which Home looks again
        yield program


def test_an_idle_home_sends_nothing(home: PtyProgram) -> None:
    assert home.pump(WINDOW_SECONDS) == 0


def test_other_people_writing_what_home_does_not_show_sends_nothing(workspace, home: PtyProgram) -> None:
    with closing(workspace.open()) as connection:
        connection.execute("CREATE TABLE elsewhere (x)")
        assert home.pump(2.0) == 0


def test_a_step_of_a_job_sends_a_line_and_not_a_screen(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=1, active_seconds=1.0)
    with PtyProgram(workbench(workspace.root), environ=NO_GPU) as program, closing(workspace.open()) as connection:
        program.wait_for("Who refuses")
        program.wait_for_silence(3.0)
        sent = 0
        for done in range(2, 12):
            change_job(connection, job_id, n_ok=done)
            sent += program.pump(0.6)
        assert 0 < sent / 10 < 1000


def test_an_open_form_has_no_blinking_cursor(workspace, home: PtyProgram) -> None:
    home.send("n")
    home.wait_for("max rate")
    home.send("\x1b[B")  # down, into the selection
    home.wait_for_silence(1.0)
    assert home.pump(2.0) == 0
