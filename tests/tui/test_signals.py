"""How does the workbench end? By key, by signal, by a cut link, by a defect: terminal and jobs stay in order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from refusal_tui.store.jobs import JobState
from tests.support.processes import Runner
from tests.support.pty_harness import ENTER_ALTERNATE_SCREEN, LEAVE_ALTERNATE_SCREEN, SHOW_CURSOR, PtyProgram, workbench

pytestmark = pytest.mark.pty


@pytest.fixture
def home(workspace) -> Iterator[PtyProgram]:
    with PtyProgram(workbench(workspace.root), environ={"PATH": "/nonexistent"}) as program:
        program.wait_for("Who refuses")
        assert ENTER_ALTERNATE_SCREEN in program.output
        yield program


@pytest.fixture
def runner(workspace) -> Iterator[Runner]:
    found = Runner(workspace)
    yield found
    found.kill_all()


def restored(program: PtyProgram) -> bool:
    """The last word about the alternate screen and the cursor gives the terminal back."""
    output = bytes(program.output)
    return output.rfind(LEAVE_ALTERNATE_SCREEN) > output.rfind(ENTER_ALTERNATE_SCREEN) and SHOW_CURSOR in output


@pytest.mark.parametrize("key", ["q", "\x11"], ids=["q", "ctrl+q"])
def test_a_key_quits_with_exit_code_0(home: PtyProgram, key: str) -> None:
    home.send(key)
    assert home.wait() == 0
    assert restored(home)


@pytest.mark.parametrize("key", ["\x1b", "\x03"], ids=["escape", "ctrl+c"])
def test_escape_and_ctrl_c_do_not_quit(home: PtyProgram, key: str) -> None:
    home.send(key)
    home.wait_for_silence(0.5)  # escape and a letter at once would be alt and that letter
    home.send("J")
    home.wait_for("Show [all]")
    assert home.process.poll() is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_signal_restores_the_terminal_and_is_told_by_the_exit_code(home: PtyProgram, number, code) -> None:
    home.signal(number)
    assert home.wait() == code
    assert restored(home)


def test_a_cut_link_ends_the_workbench(home: PtyProgram) -> None:
    home.hang_up()
    assert home.wait() == 129


def test_a_terminal_that_takes_no_more_bytes_cannot_hold_the_workbench(workspace) -> None:
    with PtyProgram(workbench(workspace.root), environ={"PATH": "/nonexistent"}) as program:
        program.wait_for("Who refuses")
        for _ in range(300):  # nobody reads: screens pile up until the terminal's buffer is full
            program.send("Jq")
            program.send("?")
            program.send("q")
        program.signal(signal.SIGTERM)
        assert program.wait_unread() == 143


def test_a_running_job_survives_the_hangup_of_its_terminal(workspace, home: PtyProgram, runner: Runner) -> None:
    home.send("n")
    home.wait_for("Label refusals")
    home.send("\x1b[A")  # up from the first field: the last one, the rate
    home.wait_for("leave empty for full speed")
    home.send("10")  # rows per second
    home.wait_for("--max-rate 10")
    home.send("\x13")  # ctrl+s
    home.wait_for("Jobs › Job 2")
    runner.wait_for_rows(2, 1)
    home.hang_up()
    assert home.wait() == 129
    assert runner.job(2).state is JobState.RUNNING
    assert runner.wait(2, JobState.DONE).finished_rows == 44


_CRASH = """
import os, sys
from refusal_tui.__main__ import main
from refusal_tui.tui.screens.home import HomeScreen

def store_changed(self):
    raise ZeroDivisionError("frindle " + os.environ["BLORP_API_KEY"])

HomeScreen.store_changed = store_changed
main()
"""


def test_a_defect_ends_with_a_redacted_log_and_exit_code_1(workspace) -> None:
    command = [sys.executable, "-c", _CRASH, "--workspace", str(workspace.root)]
    secret = "v3ry-s3cret-v4lue"
    with PtyProgram(command, environ={"BLORP_API_KEY": secret}) as program:
        assert program.wait() == 1
        assert restored(program)
        assert "refusal-tui has crashed (ZeroDivisionError)" in program.text
        assert secret not in program.text
    logs = list(workspace.logs.glob("crash-*.log"))
    assert len(logs) == 1
    log = logs[0].read_text()
    assert "ZeroDivisionError: frindle [masked BLORP_API_KEY]" in log
    assert secret not in log
    assert logs[0].stat().st_mode & 0o777 == 0o600
