"""Real weights through the real program: `transformers serve`, and the job's own process. A tiny random model of ours.

Its answers are noise; what is true of noise is asserted: it becomes rows, it cannot be read as JSON and is kept, and
where the weights are asked for the probabilities of closed choices it is a valid label.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs import control
from refusal_tui.store.jobs import JobState
from refusal_tui.store.ledger import spent_by
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add
from tests.support.commands import Answer, call_here
from tests.support.processes import Runner
from tests.support.tiny_model import write_tiny_model
from tests.support.waiting import wait_until

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.kill
ROWS = 3
Call = Callable[..., Answer]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", context=16_384)


@pytest.fixture(scope="module")
def server(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` on a free port, offline."""
    pytest.importorskip("fastapi")
    with _serving(weights, tmp_path_factory.mktemp("hub")) as url:
        yield url


@contextmanager
def _serving(weights: Path, home: Path) -> Iterator[str]:
    (home / "hub").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "transformers"
    words = ["serve", weights, "--host", "127.0.0.1", "--port", port, "--device", "cpu", "--dtype", "float32"]
    log = home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in (program, *words)], stdout=out, stderr=out,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            wait_until(lambda: _healthy(port) or process.poll() is not None, 90, "transformers serve to answer")
            assert process.poll() is None, log.read_text()[-3000:]
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        add(connection, *(NewRow(f"Tell me about zorbling {n}.", "It is round. " * n + "So.") for n in range(ROWS)))
    return workspace


@pytest.fixture
def call(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Call:
    return lambda *words: call_here(workspace, *words, capsys=capsys)


@pytest.fixture
def runner(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


def requests(workspace: Workspace, job_id: int) -> int:
    with closing(workspace.open(read_only=True)) as connection:
        spent = spent_by(connection, job_id)
    assert spent.prompt_tokens > 0
    return spent.requests


def generated(call: Call, workspace: Workspace, endpoint: str, weights: Path) -> None:
    """Every prompt gets the model's noise as an answer, linked to it."""
    made = call(
        "run", "generate", "dataset:demo", "--name", "said", "--endpoints", endpoint, "--answer-tokens", 8, "--json"
    )
    assert (made.code, made.json["n_ok"]) == (0, ROWS), made.err
    assert requests(workspace, made.json["id"]) == ROWS
    rows = [json.loads(line) for line in call("rows", "dataset:said", "--json").out.splitlines()]
    assert len(rows) == ROWS and {row["model"] for row in rows} == {str(weights)}
    assert all(row["response"] for row in rows)


def unreadable(call: Call, workspace: Workspace, endpoint: str, judge: str) -> None:
    """Noise is no verdict: every row ends as unparsable, with what was said kept to be read again."""
    judged = call("run", "label", "dataset:demo", "--judge", judge, "--endpoint", endpoint, "--json")
    assert judged.code == ExitCode.JOB_FAILED and judged.json["state"] == "failed"
    assert judged.json["n_unparsable"] == ROWS and "Every row failed" in judged.json["note"]
    with closing(workspace.open(read_only=True)) as connection:
        raw = connection.execute("SELECT count(*) FROM outcome WHERE state = 'unparsable' AND raw IS NOT NULL")
        assert raw.fetchone()[0] == ROWS
        assert connection.execute("SELECT count(*) FROM verdict").fetchone()[0] == 0


# --- transformers serve ----------------------------------------------------------------------------------------------


def test_transformers_serve_is_recognised_probed_and_generates(
    server: str, weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    added = call("endpoint", "add", "peer", "--url", server, "--model", weights, "--json")
    assert added.code == 0 and added.json["preset"] == "transformers"
    found = call("endpoint", "probe", "peer", "--no-concurrency", "--json").json
    assert (found["json_schema"], found["choice"], found["json_mode"]) == (False, None, False), "it ignores them"
    generated(call, workspace, "peer", weights)


@pytest.mark.nightly
def test_noise_of_transformers_serve_is_kept_and_is_no_label(
    server: str, weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    call("endpoint", "add", "peer", "--preset", "transformers", "--url", server, "--model", weights, "--concurrency", 2)
    unreadable(call, workspace, "peer", "xstest")


# --- in process ------------------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_weights_in_the_jobs_own_process_are_probed_and_generate(
    weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    assert call("endpoint", "add", "here", "--preset", "local", "--model", weights).code == 0
    found = call("endpoint", "probe", "here", "--json").json
    assert (found["choice"], found["logprobs"], found["context_length"]) == ("scored", True, 16_384)
    generated(call, workspace, "here", weights)


@pytest.mark.nightly
def test_closed_choices_are_labels_with_probabilities_by_one_forward_pass(
    weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    call("endpoint", "add", "here", "--preset", "local", "--model", weights)
    judged = call("run", "label", "dataset:demo", "--judge", "xstest", "--endpoint", "here", "--json")
    assert (judged.code, judged.json["n_ok"]) == (0, ROWS), judged.err
    with closing(workspace.open(read_only=True)) as connection:
        lane, tokens = connection.execute(
            "SELECT lane, (SELECT sum(completion_tokens) FROM attempt) FROM job WHERE kind = 'label'"
        ).fetchone()
        labels = connection.execute("SELECT probability FROM label WHERE annotator = 'judge:xstest@here'").fetchall()
    assert (lane, tokens) == ("gpu", 0), "nothing was decoded"
    assert len(labels) >= ROWS and all(0 < row[0] <= 1 for row in labels if row[0] is not None)


@pytest.mark.nightly
def test_noise_of_weights_in_process_is_kept_and_is_no_label(
    weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    call("endpoint", "add", "here", "--preset", "local", "--model", weights)
    unreadable(call, workspace, "here", "wildguard")


@pytest.mark.nightly
def test_prompts_are_written_and_refusals_cleaned_by_weights_in_process(
    weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    call("endpoint", "add", "here", "--preset", "local", "--model", weights)
    words = ["--name", "made", "--endpoint", "here", "--categories", "vaults", "--number", 2, "--retries", 0]
    made = call("run", "prompts", *words, "--json")
    assert (made.code, made.json["state"]) == (0, "done"), made.err
    words = ["--name", "cleaned", "--endpoint", "here", "--judge", "lexical", "--rounds", 1, "--answer-tokens", 16]
    cleaned = call("run", "clean", "dataset:demo", *words, "--json")
    assert (cleaned.code, cleaned.json["state"]) == (0, "done"), cleaned.err


@pytest.mark.nightly
def test_pausing_is_heard_in_the_middle_of_a_long_answer(
    weights: Path, workspace: Workspace, call: Call, runner: Runner
) -> None:
    call("endpoint", "add", "here", "--preset", "local", "--model", weights)
    spec = GenerateSpec(name="long", endpoints="here", temperature=1.0, answer_tokens=16_000, seed=1)
    job_id = control.submit(workspace, "generate", spec, selection="dataset:demo")
    runner.wait_for_worker(job_id)
    wait_until(lambda: _at_work(workspace, job_id), what="the weights to be at work")
    control.pause(workspace, job_id)
    job = runner.wait(job_id, JobState.PAUSED, timeout=60)
    assert job.n_failed == 0


@pytest.mark.nightly
def test_weights_that_are_gone_fail_the_job_with_a_sentence_and_a_resume_goes_on(
    weights: Path, workspace: Workspace, call: Call, runner: Runner, tmp_path: Path
) -> None:
    moved = tmp_path / "model"
    moved.symlink_to(weights)
    call("endpoint", "add", "here", "--preset", "local", "--model", moved)
    with closing(workspace.open()) as connection, connection:
        connection.execute("UPDATE endpoint SET model = ?", (str(moved),))
    moved.unlink()
    words = ["run", "generate", "dataset:demo", "--name", "said", "--endpoints", "here", "--answer-tokens", 4, "--json"]
    failed = call(*words)
    assert failed.code == ExitCode.JOB_FAILED and "cannot be loaded" in failed.json["note"]
    moved.symlink_to(weights)
    assert call("jobs", "resume", failed.json["id"]).code == 0
    assert runner.wait(failed.json["id"], JobState.DONE, timeout=60).n_ok == ROWS


def _at_work(workspace: Workspace, job_id: int) -> bool:
    with closing(workspace.open(read_only=True)) as connection:
        sql = "SELECT max(value) FROM metric WHERE job_id = ? AND name LIKE 'asking/%' AND value > 0"
        return bool(connection.execute(sql, (job_id,)).fetchone()[0])
