"""How much does a screen send over a slow link? Nothing, when nothing changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.store.jobs import JobState
from refusal_tui.store.workspace import Workspace
from tests.support.pty_harness import PtyProgram, workbench
from tests.tui.job_rows import add_job, change_job

pytestmark = pytest.mark.pty
WINDOW_SECONDS = 5.0
LINE_BYTES = 1_000  # the header and one line of Home; a whole screen is 5,000 and more
NO_GPU = {"PATH": "/nonexistent", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}


@pytest.fixture(scope="module")
def quiet_workspace(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("quiet") / "demo"
    shutil.copytree(built, root)
    add_job(Workspace(root), JobState.RUNNING, n_ok=1, active_seconds=1.0)
    return Workspace(root)


@pytest.fixture(scope="module")
def home(quiet_workspace: Workspace) -> Iterator[PtyProgram]:
    """Home, drawn and counted."""
    with PtyProgram(workbench(quiet_workspace.root), environ=NO_GPU) as program:
        program.wait_for("Who refuses")
        program.wait_for_silence(3.0)  # longer than the pause after which Home looks again
        yield program


def test_an_idle_home_sends_nothing(home: PtyProgram) -> None:
    assert home.pump(WINDOW_SECONDS) == 0


def test_what_others_write_and_home_does_not_show_sends_nothing(quiet_workspace, home: PtyProgram) -> None:
    with closing(quiet_workspace.open()) as connection:
        connection.execute("CREATE TABLE elsewhere (x)")
        assert home.pump(2.0) == 0


def test_a_step_of_a_job_sends_a_few_lines_and_not_a_screen(quiet_workspace, home: PtyProgram) -> None:
    with closing(quiet_workspace.open()) as connection:
        for done in range(2, 7):
            change_job(connection, 2, n_ok=done)
            assert 0 < home.pump(1.0) < LINE_BYTES


def test_an_open_form_has_no_blinking_cursor(home: PtyProgram) -> None:
    home.send("n")
    home.wait_for("max rate")
    home.send("\x1b[B")  # down, into the selection
    home.wait_for_silence(1.0)
    assert home.pump(2.0) == 0
