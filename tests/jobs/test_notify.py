"""Who is told when a job ends: the terminal of an open face, and a webhook."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import WorkspaceError
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.files import log_file
from refusal_tui.jobs.liveness import this_process
from refusal_tui.jobs.notify import EVENT, Notify, read_notify, tell_end
from refusal_tui.jobs.supervisor import _LaneKeeper
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import file_lock
from refusal_tui.store.events import events_of
from refusal_tui.store.jobs import JobState, claim_job, end_job, get_job
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.notices import notice_sequence
from tests.support.processes import Runner
from tests.support.rowjobs import Scripted, error, queue_job, run_here, verdict
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace


@dataclass
class Hook:
    """A web server of our own that keeps what it was told."""

    port: int
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/s3cret"


@contextmanager
def hook(status: int = 200) -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Hook(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=8)


def configure(workspace: Workspace, text: str) -> None:
    workspace.config.write_text(f"[notify]\n{text}\n", encoding="utf-8")


def complaints(workspace: Workspace, job_id: int) -> list[str]:
    with closing(workspace.open()) as connection:
        return [event.text for event in events_of(connection, job_id) if event.code == EVENT]


# --- the webhook -----------------------------------------------------------------------------------------------------


def test_a_job_that_is_done_is_posted_with_its_counts_and_no_text_of_a_row(workspace) -> None:
    with hook() as server:
        configure(workspace, f'webhook = "{server.url}"')
        job = run_here(workspace, queue_job(workspace), Scripted())
    (told,) = server.told
    assert told["rows"] == {"total": 8, "ok": 8, "failed": 0, "unparsable": 0}
    assert (told["job"], told["kind"], told["state"], told["workspace"]) == (job.id, "label", "done", "ws")
    assert (told["requests"], told["tokens"], told["cost_usd"]) == (0, 0, 0.0)
    assert "row" not in told["text"].replace("rows", "") and "blorptanium" not in json.dumps(told)
    assert complaints(workspace, job.id) == []


def test_a_failed_job_says_why_without_quoting_what_a_row_has_caused(workspace) -> None:
    scripted = Scripted(lambda row, tries: error(row, ErrorClass.BAD_REQUEST, f"cannot take {row.prompt}"))
    with hook() as server:
        configure(workspace, f'webhook = "{server.url}"')
        job = run_here(workspace, queue_job(workspace), scripted)
    assert job.state is JobState.FAILED and "How does the" in job.note
    (told,) = server.told
    assert (told["state"], told["rows"]["failed"]) == ("failed", 8)
    assert told["reason"].startswith("Every row failed so far") and "How does the" not in json.dumps(told)


def test_a_pilot_that_waits_is_posted_with_its_reason(workspace) -> None:
    with hook() as server:
        configure(workspace, f'webhook = "{server.url}"')
        run_here(workspace, queue_job(workspace, pilot=4), Scripted())
    assert [(told["state"], told["reason"]) for told in server.told] == [
        ("paused", "pilot of 4 rows done; resume to go on with the rest")
    ]


def test_the_address_may_come_from_a_variable(workspace, monkeypatch) -> None:
    with hook() as server:
        configure(workspace, 'webhook = "$BLORP_HOOK"')
        monkeypatch.setenv("BLORP_HOOK", server.url)
        run_here(workspace, queue_job(workspace), Scripted())
        monkeypatch.delenv("BLORP_HOOK")
        (workspace.root / ".env").write_text(f"BLORP_HOOK={server.url}\n")
        run_here(workspace, queue_job(workspace), Scripted())
    assert [told["job"] for told in server.told] == [1, 2]


BROKEN = [
    ('webhook = "http://127.0.0.1:9/s3cret"', "ConnectionRefusedError"),
    ('webhook = "ftp://somewhere/s3cret"', "no http or https address"),
    ('webhook = "$NOT_SET_ANYWHERE"', "$NOT_SET_ANYWHERE is not set"),
    ("webhook = 3", "webhook = 3"),
    ("sound = true", "sound = True"),
    ("bell = ", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_a_webhook_that_fails_is_an_event_and_never_fails_the_job(workspace, text, says) -> None:
    configure(workspace, text)
    job = run_here(workspace, queue_job(workspace), Scripted())
    assert job.state is JobState.DONE
    (complaint,) = complaints(workspace, job.id)
    assert complaint.startswith("the webhook was not told: ") and says in complaint and "s3cret" not in complaint


def test_a_webhook_that_refuses_is_an_event_with_its_status(workspace) -> None:
    with hook(status=503) as server:
        configure(workspace, f'webhook = "{server.url}"')
        job = run_here(workspace, queue_job(workspace), Scripted())
    assert complaints(workspace, job.id) == ["the webhook was not told: it answered with status 503"]


def test_what_a_user_does_is_not_posted(workspace) -> None:
    from refusal_tui.store.jobs import cancel_job

    with hook() as server:
        configure(workspace, f'webhook = "{server.url}"')
        job_id = queue_job(workspace)
        with closing(workspace.open()) as connection:
            cancel_job(connection, job_id)
        tell_end(workspace, job_id)
    assert server.told == []


def test_nothing_is_asked_of_a_workspace_without_a_webhook(workspace) -> None:
    job = run_here(workspace, queue_job(workspace), Scripted(lambda row, tries: verdict(row)))
    assert complaints(workspace, job.id) == []


@pytest.mark.kill
def test_a_worker_that_is_killed_is_told_once_by_its_supervisor(tmp_path) -> None:
    workspace = make_workspace(tmp_path / "big", rows=400)
    runner = Runner(workspace)
    with hook() as server:
        configure(workspace, f'webhook = "{server.url}"')
        try:
            job_id = runner.label(rate=50)
            runner.wait_for_rows(job_id, 1)
            runner.kill_worker(job_id)
            runner.wait(job_id, JobState.INTERRUPTED)
            wait_until(lambda: server.told, what="the webhook to be told")
            wait_until(lambda: not runner.supervisors(), what="the supervisor to leave")
        finally:
            runner.kill_all()
    assert [(told["state"], "SIGKILL" in told["reason"]) for told in server.told] == [("interrupted", True)]


def test_a_worker_that_died_with_its_supervisor_is_told_once_by_whoever_notices(workspace) -> None:
    job_id, other, me = queue_job(workspace), queue_job(workspace), this_process()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with hook() as server, closing(workspace.open()) as connection:
        configure(workspace, f'webhook = "{server.url}"')
        claim_job(connection, job_id, host=me.host, boot_id=me.boot_id, pid=child.pid, start_ticks=1)
        assert (reap(connection), reap(connection)) == ([job_id], [])
        wait_until(lambda: server.told, what="the webhook to be told")
        claim_job(connection, other, host=me.host, boot_id=me.boot_id, pid=child.pid, start_ticks=1)
        with file_lock(log_file(workspace, "lane-cpu.lock")):  # as a supervisor holds it, who tells it himself
            assert reap(connection) == [other]
        for thread in threading.enumerate():
            if thread.name.startswith("webhook-"):
                thread.join()
    assert [(told["job"], told["state"]) for told in server.told] == [(job_id, "interrupted")]


def test_a_supervisor_tells_of_a_worker_that_another_one_had_started_and_a_face_has_reaped(workspace) -> None:
    job_id, ended, me = queue_job(workspace), queue_job(workspace), this_process()
    with hook() as server, closing(workspace.open()) as connection:
        configure(workspace, f'webhook = "{server.url}"')
        for job in (job_id, ended):
            claim_job(connection, job, host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks)
        keeper = _LaneKeeper(workspace, connection, "cpu")
        assert keeper._look()
        end_job(connection, get_job(connection, job_id), JobState.INTERRUPTED, "its worker died")  # as `reap` does
        end_job(connection, get_job(connection, ended), JobState.DONE, exit_code=0)  # as a worker does, who tells it
        assert (keeper._look(), keeper._look()) == (False, False)
        for thread in threading.enumerate():
            if thread.name.startswith("webhook-"):
                thread.join()
    assert [told["job"] for told in server.told] == [job_id]


def test_where_no_lock_can_be_held_every_dead_job_is_reaped_and_told(workspace) -> None:
    first, second, me = queue_job(workspace), queue_job(workspace), this_process()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    log_file(workspace, "lane-cpu.lock").symlink_to("nowhere/lane.lock")  # may not be opened, by root neither
    with hook() as server, closing(workspace.open()) as connection:
        configure(workspace, f'webhook = "{server.url}"')
        for job in (first, second):
            claim_job(connection, job, host=me.host, boot_id=me.boot_id, pid=child.pid, start_ticks=1)
        assert reap(connection) == [first, second]
        wait_until(lambda: len(server.told) == 2, what="the webhook to be told")


# --- the terminal ----------------------------------------------------------------------------------------------------


def test_the_bell_is_the_default(workspace) -> None:
    assert read_notify(workspace) == Notify(bell=True, osc9=False, webhook="")
    configure(workspace, "bell = false\nosc9 = true")
    assert read_notify(workspace) == Notify(bell=False, osc9=True)


def test_settings_that_are_none_are_refused_with_a_next_step(workspace) -> None:
    configure(workspace, 'bell = "loud"')
    with pytest.raises(WorkspaceError, match="bell = 'loud'") as caught:
        read_notify(workspace)
    assert "bell = true" in caught.value.next_step


def test_inside_tmux_the_notice_is_wrapped_and_the_bell_is_not() -> None:
    said = notice_sequence("Job 3 is done.", bell=True, osc9=True, tmux=True)
    assert said == "\a\x1bPtmux;\x1b\x1b]9;Job 3 is done.\a\x1b\\"
    assert notice_sequence("x", bell=False, osc9=False, tmux=True) == ""


def test_a_sentence_cannot_end_the_sequence_early() -> None:
    said = notice_sequence("a\x07b\x1b\\c\n", bell=False, osc9=True, tmux=False)
    assert said.startswith("\x1b]9;") and said.endswith("\x07") and said.count("\x07") == 1 and said.count("\x1b") == 1
