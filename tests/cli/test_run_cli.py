"""`refusal-tui run KIND`: submit a job, wait for it, leave it, come back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.jobs import JobState
from refusal_tui.store.workspace import Workspace
from tests.support.commands import Answer, call, call_here, command
from tests.support.ledger import check_books
from tests.support.processes import Runner
from tests.support.pty_harness import PtyProgram
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace

ROWS = 120


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=ROWS)


@pytest.fixture
def runner(workspace: Workspace) -> Iterator[Runner]:
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


# --- asking for it wrongly -------------------------------------------------------------------------------------------


def test_the_help_of_a_kind_shows_the_options_that_its_spec_generates(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = call_here(workspace, "run", "label", "--help", capsys=capsys)
    assert answer.code == 0
    generated = ("--judge [linear", "[default: linear]", "--max-rate", "at most so many rows per second")
    shown = " ".join(answer.out.split())
    for words in ("[SELECTION]...", *generated, "--pilot", "--detach", "--json"):
        assert words in shown


def test_the_help_of_run_lists_the_kinds(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call_here(workspace, "run", "--help", capsys=capsys)
    assert all(re.search(rf"^  {kind} ", answer.out, re.M) for kind in ("import", "label", "export"))


MISTAKES = [
    (["label", "--max-rate", "fast"], ExitCode.USAGE, "--max-rate input should be a valid number"),
    (["label", "--max-rate", "0"], ExitCode.USAGE, "--max-rate input should be greater than 0"),
    (["label", "--judge", "frindle"], ExitCode.USAGE, "--judge"),
    (["label", "--pilot", "0"], ExitCode.USAGE, "--pilot"),
    (["label", "--frindle"], ExitCode.USAGE, "--frindle"),
    (["frindle"], ExitCode.USAGE, "frindle"),
    (["label", "dataset:nowhere"], ExitCode.INPUT, "nowhere"),
    (["label", "key:row-999999"], ExitCode.INPUT, "holds no rows"),
]


@pytest.mark.parametrize(("words", "code", "says"), MISTAKES)
def test_a_mistake_is_named_and_makes_no_job(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], words: list[str], code: ExitCode, says: str
) -> None:
    answer = call_here(workspace, "run", *words, capsys=capsys)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err and "Traceback" not in answer.err
    assert call_here(workspace, "jobs", "--json", capsys=capsys).json == []


def test_a_level_that_is_none_is_refused(workspace: Workspace) -> None:
    answer = call(workspace, "jobs", LOG_LEVEL="loud")
    assert answer.code == ExitCode.USAGE and "LOG_LEVEL=LOUD is not a level" in answer.err


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.kill
def test_without_a_terminal_it_waits_with_plain_lines(workspace: Workspace, runner: Runner) -> None:
    answer = call(workspace, "run", "label")
    assert (answer.code, answer.out) == (0, "")
    assert "\r" not in answer.err and "\x1b" not in answer.err
    lines = answer.err.splitlines()
    assert lines[0].startswith("job 1 queued") and lines[-1].startswith(f"job 1 done {'█' * 24} 100% {ROWS}/{ROWS}")
    assert check_books(workspace, 1).n_ok == ROWS


@pytest.mark.kill
def test_the_json_of_a_finished_run_is_all_that_standard_output_holds(workspace: Workspace, runner: Runner) -> None:
    answer = call(workspace, "run", "label", "dataset:blorp", "--json")
    assert answer.code == 0
    assert (answer.json["state"], answer.json["n_ok"], answer.json["selection"]) == ("done", ROWS, "dataset:blorp")


@pytest.mark.kill
def test_a_pilot_stops_and_says_how_to_go_on(workspace: Workspace, runner: Runner) -> None:
    answer = call(workspace, "run", "label", "--pilot", 20)
    assert answer.code == 0
    assert "20/20" in answer.err and "pilot of 20 rows done" in answer.err
    assert "Go on with: refusal-tui jobs resume 1" in answer.err
    assert call(workspace, "jobs", "resume", 1, "--wait", "--json").json["n_ok"] == ROWS


@pytest.mark.kill
def test_detached_it_returns_at_once_and_the_job_runs_on_its_own(workspace: Workspace, runner: Runner) -> None:
    answer = call(workspace, "run", "label", "--max-rate", 400, "--detach", "--json")
    assert (answer.code, answer.json) == (0, {"job": 1})
    assert "Watch it with: refusal-tui jobs watch 1" in answer.err
    assert runner.wait(1, JobState.DONE).n_ok == ROWS


@pytest.mark.kill
def test_ctrl_c_on_a_waiting_run_detaches_and_the_job_finishes(workspace: Workspace, runner: Runner) -> None:
    words = command(workspace, "run", "label", "--max-rate", 50)
    waiting = subprocess.Popen(
        words, stderr=subprocess.PIPE, start_new_session=True, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # the suite may run where it is ignored
    )  # fmt: skip
    runner.wait_for_rows(1, 1)
    os.killpg(waiting.pid, signal.SIGINT)  # the whole foreground group, as a terminal does
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == ExitCode.DETACHED
    assert "Detached: job 1 goes on. Come back with: refusal-tui jobs watch 1" in said and "Traceback" not in said
    assert runner.wait(1, JobState.DONE).run == 1
    check_books(workspace, 1)


@pytest.mark.kill
@pytest.mark.pty
def test_a_terminal_shows_a_bar_that_moves_and_a_cut_link_leaves_the_job_alone(
    workspace: Workspace, runner: Runner
) -> None:
    with PtyProgram(command(workspace, "run", "label", "--max-rate", "150")) as program:
        program.wait_until(lambda: len(set(re.findall(r"\d+/120", program.text))) >= 3)
        assert "█" in program.text and "░" in program.text and "/s" in program.text and "left" in program.text
        assert all(len(line) <= 79 for line in re.split("[\r\n]", program.text))
        program.hang_up()
        wait_until(lambda: program.process.poll() is not None, what="the command to end")
    assert runner.wait(1, JobState.DONE).run == 1
    check_books(workspace, 1)


@pytest.mark.kill
def test_verbose_tells_more_here_and_in_the_worker(workspace: Workspace, runner: Runner) -> None:
    def worker_log(number: int) -> str:
        return (workspace.logs / f"job-{number}.log").read_text()

    assert _verbose(workspace, "run", "label", "--pilot", 1).code == 0
    assert call(workspace, "run", "label", "--pilot", 1, LOG_LEVEL="error").code == 0
    assert " DEBUG " in worker_log(1), "asyncio tells which selector it uses"
    assert worker_log(2) == "", "nothing went wrong"


def _verbose(workspace: Workspace, *words: object) -> Answer:
    program = command(workspace)
    done = subprocess.run([*program, "--verbose", *map(str, words)], capture_output=True, text=True, timeout=60)
    return Answer(done.returncode, done.stdout, done.stderr)
