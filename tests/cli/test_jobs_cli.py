"""`refusal-tui jobs`: list, look at and steer jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.jobs import control
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, cancel_job, claim_job, get_job, pause_job
from refusal_tui.store.outcomes import Unit
from refusal_tui.store.workspace import Workspace
from tests.support.commands import Answer, call_here
from tests.support.judging import add_endpoint, honest_atoms, label, serving
from tests.support.loopback import Settings
from tests.support.processes import Runner
from tests.support.rowjobs import Scripted, error, queue_job, run_here, verdict
from tests.support.workspaces import make_workspace

Call = Callable[..., Answer]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=40)


@pytest.fixture
def call(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Call:
    return lambda *words: call_here(workspace, *words, capsys=capsys)


@pytest.fixture
def done(workspace: Workspace) -> int:
    """A job that is done, with three failed rows of two kinds and one that could not be read."""
    failures = {3: ErrorClass.BAD_REQUEST, 4: ErrorClass.BAD_REQUEST, 5: ErrorClass.JUDGE_REFUSAL, 6: ErrorClass.PARSE}

    def answer(row, tries):  # type: ignore[no-untyped-def]
        known = failures.get(row.item_id)
        return error(row, known, "\x1b[31mno [frindle]") if known else verdict(row)

    job_id = queue_job(workspace)
    run_here(workspace, job_id, Scripted(answer))
    return job_id


@pytest.fixture
def queued(workspace: Workspace) -> int:
    return queue_job(workspace)


@pytest.fixture
def processes(workspace: Workspace) -> Iterator[Runner]:
    """For commands that start a worker: it is gone after the test."""
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


# --- looking ---------------------------------------------------------------------------------------------------------


def test_without_a_subcommand_jobs_lists_them_newest_first(call: Call, done: int, queued: int) -> None:
    answer = call("jobs")
    assert answer.code == 0
    assert re.search(r"^ *2 +label +scripted +queued +0% +0/40", answer.out, re.M)
    assert re.search(r"^ *1 +label +scripted +done +100% +40/40 .* 4$", answer.out, re.M)
    assert answer.out.index(" queued ") < answer.out.index(" 100% ")


def test_an_empty_list_is_an_empty_list(call: Call) -> None:
    assert call("jobs", "--json").json == []
    assert call("jobs").code == 0


def test_the_list_as_json(call: Call, done: int, queued: int) -> None:
    for words in (["jobs", "--json"], ["jobs", "list", "--json"]):
        found = call(*words).json
        assert [(job["id"], job["state"], job["n_ok"]) for job in found] == [(2, "queued", 0), (1, "done", 36)]


def test_show_tells_where_it_stands_and_what_went_wrong(call: Call, done: int) -> None:
    answer = call("jobs", "show", done)
    assert "job 1  label: scripted  done  (4 rows failed)" in answer.out
    assert "done 40 of 40" in answer.out
    assert "ok 36  failed 3  unparsable 1" in answer.out
    assert "refusal-tui run label" in answer.out
    assert "2 failed (bad_request): " in answer.out and "1 unparsable (parse): " in answer.out
    assert "\x1b" not in answer.out and "no [frindle]" in answer.out


def test_show_as_json_holds_the_troubles_and_the_files(call: Call, done: int) -> None:
    shown = call("jobs", "show", done, "--json").json
    assert (shown["id"], shown["kind"], shown["state"], shown["total"]) == (1, "label", "done", 40)
    assert sorted((t["error_class"], t["count"]) for t in shown["trouble"])[0] == ("bad_request", 2)
    assert shown["artifacts"] == []


def test_a_job_of_a_newer_program_can_still_be_looked_at(workspace: Workspace, call: Call, done: int) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE job SET kind = 'frindle', spec_version = 99")
    answer = call("jobs", "show", done)
    assert answer.code == 0 and "frindle: scripted" in answer.out and "ok 36" in answer.out


def test_the_log_tells_what_happened(call: Call, done: int) -> None:
    answer = call("jobs", "log", done)
    assert [line.split()[2] for line in answer.out.splitlines()] == ["info"] * 3
    assert "scripted: queued" in answer.out and "(run 1)" in answer.out and "4 rows failed" in answer.out
    assert [event["code"] for event in call("jobs", "log", done, "--json").json] == ["created", "started", "done"]


def test_the_log_of_the_worker_is_shown_with_secrets_masked(workspace: Workspace, call: Call, done: int) -> None:
    assert "has no log file yet" in call("jobs", "log", done, "--worker").err
    (workspace.logs / "job-1.log").write_bytes(b"key sk-abcdefghijklmnopqrstuvwxyz012345 \x1b[2J \xff\n")
    answer = call("jobs", "log", done, "--worker")
    assert "abcdefghij" not in answer.out and "\x1b" not in answer.out and "key " in answer.out


def test_watching_a_job_that_has_ended_tells_how(call: Call, done: int) -> None:
    answer = call("jobs", "watch", done)
    assert answer.code == 0 and "100% 40/40" in answer.err and "4 rows failed" in answer.err
    answer = call("jobs", "watch", done, "--json")
    assert answer.json["state"] == "done"


# --- steering --------------------------------------------------------------------------------------------------------


def test_pause_and_cancel_act_on_a_queued_job_at_once(call: Call, queued: int) -> None:
    assert "Job 1 is paused." in call("jobs", "pause", queued).err
    assert call("jobs", "pause", queued, "--json").json["state"] == "paused", "asking twice is harmless"
    assert "Job 1 is cancelled." in call("jobs", "cancel", queued).err
    assert call("jobs", "cancel", queued, "--json").json["state"] == "cancelled"


def test_a_running_job_is_asked_to_pause(workspace: Workspace, call: Call, queued: int) -> None:
    from refusal_tui.jobs.liveness import this_process

    me = this_process()
    with closing(workspace.open()) as connection:
        claim_job(connection, queued, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)
    assert "Job 1 is running, asked to pause." in call("jobs", "pause", queued).err
    with closing(workspace.open()) as connection:
        assert get_job(connection, queued).wish == "pause"


WRONG_STATES = [
    ("pause", "done", "Job 1 is done: it cannot be paused."),
    ("cancel", "done", "Job 1 is done: it cannot be cancelled."),
    ("resume", "done", "Job 1 is done; there is nothing to resume."),
    ("resume", "cancelled", "Job 1 is cancelled; there is nothing to resume."),
    ("retry", "queued", "Job 1 is queued."),
    ("retry", "fine", "Job 1 has no failed rows to try again."),
]


@pytest.mark.parametrize(("what", "state", "sentence"), WRONG_STATES)
def test_what_a_state_does_not_allow_is_a_conflict(
    workspace: Workspace, call: Call, what: str, state: str, sentence: str
) -> None:
    job_id = queue_job(workspace)
    if state in ("done", "fine"):
        run_here(workspace, job_id, Scripted())
    elif state == "cancelled":
        with closing(workspace.open()) as connection:
            cancel_job(connection, job_id)
    answer = call("jobs", what, job_id)
    assert (answer.code, answer.out) == (ExitCode.CONFLICT, "")
    assert answer.err.startswith(f"Error: {sentence}")


@pytest.mark.parametrize("what", ["show", "watch", "log", "pause", "resume", "cancel", "retry"])
def test_a_number_that_no_job_has_is_an_error_of_the_input(call: Call, what: str) -> None:
    answer = call("jobs", what, 99)
    assert (answer.code, answer.out) == (ExitCode.INPUT, "")
    assert answer.err == "Error: There is no job 99.\nSee them all with: refusal-tui jobs\n"


@pytest.mark.parametrize(
    "words", [["show", "zero"], ["show", "0"], ["show"], ["frindle"], ["resume"], ["resume", 1, "--all"]]
)
def test_words_that_make_no_sense_are_an_error_of_usage(call: Call, words: list[object]) -> None:
    answer = call("jobs", *words)
    assert answer.code == ExitCode.USAGE and "Error:" in answer.err


def test_resume_all_with_nothing_to_do_says_so(call: Call, done: int) -> None:
    assert "none was waiting" in call("jobs", "resume", "--all").err
    assert call("jobs", "resume", "--all", "--json").json == []


# --- with workers ----------------------------------------------------------------------------------------------------


@pytest.mark.kill
def test_resume_goes_on_and_waits_when_asked_to(
    workspace: Workspace, call: Call, queued: int, processes: Runner
) -> None:
    with closing(workspace.open()) as connection:
        pause_job(connection, queued)
    answer = call("jobs", "resume", queued, "--wait", "--json")
    assert answer.code == 0 and answer.json["state"] == "done" and answer.json["n_ok"] == 40


def test_what_is_tried_again_is_told_in_what_the_job_counts(
    workspace: Workspace, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ensure_supervisor", lambda *_: None)
    job_id, panel = queue_job(workspace), [Unit("", k) for k in range(3)]
    run_here(workspace, job_id, Scripted(lambda row, tries: error(row, ErrorClass.AUTH), units=panel, max_attempts=1))
    assert "Watch it with" in (said := call("jobs", "retry", job_id).err)
    assert re.search(r"\d+ votes of job 1 are tried again", said)


@pytest.mark.kill
def test_retry_does_the_failed_rows_again(workspace: Workspace, call: Call, done: int, processes: Runner) -> None:
    assert call("jobs", "retry", done, "--class", "bad_request", "--json").json == {
        "job": 1, "retried": 2, "unit": "rows"
    }  # fmt: skip
    assert processes.wait(done, JobState.DONE).n_failed == 1
    answer = call("jobs", "retry", done)
    assert "2 rows of job 1 are tried again" in answer.err
    assert processes.wait(done, JobState.DONE).n_ok == 40


@pytest.mark.kill
def test_the_exit_code_of_a_watched_job_that_fails_tells_so(
    workspace: Workspace, call: Call, queued: int, processes: Runner
) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE job SET spec = ?, state = 'paused'", (json.dumps({"judge": "frindle"}),))
    answer = call("jobs", "resume", queued, "--wait")
    assert answer.code == ExitCode.JOB_FAILED
    assert "Job 1 is failed: These settings cannot be used: --judge " in answer.err
    assert "See why with: refusal-tui jobs log 1" in answer.err


# --- jobs that ask language models -----------------------------------------------------------------------------------


@pytest.fixture
def asked(workspace: Workspace) -> Iterator[int]:
    """A finished labelling job by a model, with its prices."""
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, price_in=1.0, price_out=2.0)
        yield label(workspace, LabelSpec(judge="atoms", endpoint="local")).id


def test_show_says_what_a_job_has_asked_and_what_it_has_cost(call: Call, asked: int) -> None:
    shown = call("jobs", "show", asked).out
    assert "requests 40 sent" in shown and "tokens   " in shown
    assert re.search(r"cost     \d\.\d+ USD", shown)
    assert " → " in shown, "a sample of the newest answers"
    asking = call("jobs", "show", asked, "--json").json["asking"]
    assert (asking["requests"], asking["answered"], asking["failed_tries"]) == (40, 40, {})
    assert asking["cost_usd"] == pytest.approx((asking["prompt_tokens"] + 2 * asking["completion_tokens"]) / 1e6)


def test_show_of_a_queued_job_says_why_it_waits(workspace: Workspace, call: Call, queued: int) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE event SET created = created - 60")
    assert "Nobody starts it: no supervisor runs for its lane 'cpu'" in call("jobs", "show", queued).out


def test_a_dry_run_says_what_it_takes_and_makes_no_job(workspace: Workspace, call: Call, asked: int) -> None:
    answer = call("run", "label", "--judge", "atoms", "--endpoint", "local", "--dry-run")
    assert answer.out.startswith("all 40 rows: about 40 requests, ")
    assert (
        "a pilot of 20 rows: about 20 requests, " in answer.out and "prices: the end point's own options" in answer.out
    )
    record = call("run", "label", "--judge", "atoms", "--endpoint", "local", "--dry-run", "--json").json
    assert record["whole"]["requests"] == 40 and record["pilot"]["usd"] < record["whole"]["usd"]
    assert call("run", "label", "--dry-run").out == "It sends no request: nobody is asked.\n"
    assert [job["id"] for job in call("jobs", "--json").json] == [asked]


def test_a_dry_run_of_what_cannot_be_started_says_so(call: Call) -> None:
    answer = call("run", "label", "--judge", "atoms", "--endpoint", "nowhere", "--dry-run")
    assert (answer.code, answer.out) == (ExitCode.INPUT, "") and "nowhere" in answer.err
