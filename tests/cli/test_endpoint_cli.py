"""`refusal-tui endpoint`, `constitution`, `judge-card`, `score --endpoint` and `jobs reparse`, as a user calls them."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.outcome import DEFAULT_REFUSAL
from refusal_tui.llm import detect
from refusal_tui.store.jobs import JobState
from refusal_tui.store.workspace import Workspace
from tests.support.commands import call_here
from tests.support.judging import add_endpoint, honest_atoms, honest_xstest, label, serving
from tests.support.ledger import check_books, labels
from tests.support.loopback import Settings
from tests.support.workspaces import make_workspace

ROWS = 16


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=ROWS)


@pytest.fixture
def call(workspace: Workspace, capsys: pytest.CaptureFixture[str]):
    return lambda *words: call_here(workspace, *words, capsys=capsys)


# --- end points ------------------------------------------------------------------------------------------------------


def test_an_end_point_is_added_listed_shown_and_removed(call) -> None:
    added = call(
        "endpoint", "add", "big", "--preset", "vllm", "--url", "http://gpu1:8000/v1", "--url", "http://gpu2:8000/v1",
        "--model", "blorp-70b", "--key-env", "BLORP_KEY", "--rpm", 600, "--price-in", 0.5, "--price-out", 1.5,
    )  # fmt: skip
    assert added.code == 0
    (one,) = call("endpoint", "list", "--json").json
    assert one["base_urls"] == ["http://gpu1:8000/v1", "http://gpu2:8000/v1"] and one["key_env"] == "BLORP_KEY"
    shown = call("endpoint", "show", "big").out
    assert "$BLORP_KEY" in shown and "600" in shown and "not probed" in shown
    assert call("endpoint", "remove", "big").code == 0
    assert call("endpoint", "show", "big").code == ExitCode.INPUT


def test_a_key_in_the_place_of_its_name_is_refused_and_not_stored(call, workspace: Workspace) -> None:
    said = call(
        "endpoint", "add", "x", "--preset", "openai", "--model", "m", "--key-env", "sk-this-is-a-secret-0123456789"
    )
    assert said.code == ExitCode.USAGE and "not the key" in said.err
    said = call("endpoint", "add", "x", "--preset", "custom", "--model", "m", "--url", "http://me:secret@host/v1")
    assert said.code == ExitCode.USAGE and "secret" not in said.err
    assert call("endpoint", "list", "--json").json == []


def test_the_model_of_a_local_server_is_found_by_asking_it(call) -> None:
    with serving(Settings(owned_by="vllm", model="blorp-1b")) as server:
        assert call("endpoint", "add", "here", "--url", server.base_url).code == 0
    (one,) = call("endpoint", "list", "--json").json
    assert (one["preset"], one["model"]) == ("vllm", "blorp-1b")


def test_a_server_that_wants_a_key_is_asked_with_it(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHT_KEY", "blorp")
    monkeypatch.setenv("WRONG_KEY", "frindle")
    with serving(Settings(api_key="blorp")) as server:
        without, wrong, right = (
            call("endpoint", "add", "judge", "--url", server.base_url, *words, "--test")
            for words in ([], ["--key-env", "WRONG_KEY"], ["--key-env", "RIGHT_KEY"])
        )
    assert without.code == wrong.code == ExitCode.USAGE
    assert "wants a key" in without.err and "refused the key in WRONG_KEY" in wrong.err
    assert right.code == 0 and "loopback-1 answers" in right.err


def test_a_server_on_a_usual_port_needs_nothing_but_a_name(call, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Settings(owned_by="llamacpp", model="blorp-8b")) as server:
        monkeypatch.setattr(detect, "USUAL_PORTS", (server.port,))
        monkeypatch.setattr(detect.detect, "__defaults__", ((server.port,),))
        assert call("endpoint", "detect", "--json").json[0]["models"] == ["blorp-8b"]
        assert call("endpoint", "add", "here").code == 0
    assert call("endpoint", "list", "--json").json[0]["preset"] == "llama.cpp"


def test_an_unclear_request_names_what_is_missing(call, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    said = call("endpoint", "add", "x", "--url", f"http://127.0.0.1:{closed}/v1")
    assert said.code == ExitCode.USAGE and "--model" in said.err


def test_probing_prints_and_stores_what_the_server_obeys(call) -> None:
    with serving(Settings(obeys=frozenset({"json_mode", "seed"}))) as server:
        call("endpoint", "add", "here", "--preset", "custom", "--url", server.base_url, "--model", "loopback-1")
        said = call("endpoint", "probe", "here", "--no-concurrency")
    assert said.code == 0
    lines = {" ".join(line.split()[:-1]): line.split()[-1] for line in said.out.splitlines()}
    assert (lines["JSON schema"], lines["JSON mode"], lines["choices"]) == ("no", "yes", "no")
    assert call("endpoint", "list", "--json").json[0]["capabilities"]["json_mode"] is True


def test_a_server_that_is_not_there_is_said_so(call, workspace: Workspace) -> None:
    with serving(Settings()) as server:
        add_endpoint(workspace, server, "gone")
    assert call("endpoint", "probe", "gone", "--no-concurrency").code == ExitCode.UNAVAILABLE


# --- constitution ----------------------------------------------------------------------------------------------------


def test_another_constitution_flips_labels_without_a_request(call, workspace: Workspace, tmp_path: Path) -> None:
    lenient = tmp_path / "lenient.toml"
    lenient.write_text('response_refusal = "explicit_refusal_of_the_whole AND empathy"\n')
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        before = labels(workspace)
        checked = call("constitution", "check", lenient, "--json").json
        assert labels(workspace) == before, "checking changes nothing"
        assert {"head": "response_refusal", "old": "yes", "new": "no", "rows": ROWS // 2} in checked["changes"]
        assert call("constitution", "apply", lenient, "--yes").code == 0
        assert server.stats.requests == ROWS
    refusals = [value for _, head, _, _, value, _ in labels(workspace) if head == "response_refusal"]
    assert refusals == ["no"] * ROWS
    shown = call("constitution", "show", "--json").json
    assert shown["hash"] == checked["hash"] and shown["name"] == "lenient"
    (tmp_path / "written.toml").write_text(call("constitution", "show", "--toml").out)
    assert "the same rules as now: 0 labels would flip" in call("constitution", "check", tmp_path / "written.toml").out
    with closing(workspace.open()) as connection:
        derivations = {row[0] for row in connection.execute("SELECT DISTINCT derivation FROM label")}
    assert derivations == {f"2/{checked['hash']}"}, "a label says under which rules it was derived"


def test_the_way_back_restores_every_label(call, workspace: Workspace, tmp_path: Path) -> None:
    other, back = tmp_path / "other.toml", tmp_path / "back.json"
    other.write_text('response_refusal = "empathy"\n')
    back.write_text(json.dumps({"response_refusal": DEFAULT_REFUSAL}))
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="atoms", endpoint="local"))
    before = labels(workspace)
    call("constitution", "apply", other, "--yes")
    assert labels(workspace) != before
    call("constitution", "apply", back, "--yes")
    assert labels(workspace) == before


def test_a_wrong_constitution_changes_nothing(call, workspace: Workspace, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('response_refusal = "explicit_refusal_of_the_hole"\n')
    said = call("constitution", "apply", wrong, "--yes")
    assert said.code == ExitCode.INPUT and "response_refusal" in said.err
    assert call("constitution", "show", "--json").json["name"] == "built-in"


# --- answers, cards, scores ------------------------------------------------------------------------------------------


def test_kept_answers_are_read_again_without_a_request(call, workspace: Workspace, monkeypatch) -> None:
    """As after an upgrade that understands more: the reader of the first run is a worse one."""
    from refusal_tui.judge import interview
    from refusal_tui.llm.parse import Parsed

    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        with monkeypatch.context() as patch:
            patch.setattr(interview, "parse_object", lambda text, required: Parsed(reason="it is Tuesday"))
            job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        assert job.n_unparsable == ROWS
        assert call("jobs", "reparse", job.id, "--json").json == {
            "job": job.id, "looked_at": ROWS, "mended": ROWS, "to_resume": False
        }  # fmt: skip
        assert server.stats.requests == ROWS
    assert check_books(workspace, job.id).n_ok == ROWS
    assert call("jobs", "reparse", job.id, "--json").json["looked_at"] == 0


def test_a_budget_is_raised_by_resume(call, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from refusal_tui.jobs import control

    monkeypatch.setattr(control, "ensure_supervisor", lambda *_: None)
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, concurrency=2)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local", max_tokens=9_000))
    assert job.state is JobState.PAUSED
    assert call("jobs", "resume", job.id, "--set", "judge=xstest").code == ExitCode.USAGE
    assert call("jobs", "resume", job.id, "--set", "max-tokens=many").code == ExitCode.USAGE
    assert call("jobs", "resume", job.id, "--set", "max-tokens=2000000").code == 0
    spec = json.loads(call("jobs", "show", job.id, "--json").json["spec"])
    assert spec["max_tokens"] == 2_000_000 and spec["judge"] == "atoms"


def test_the_judge_card_of_a_job_is_printed(call, workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local"))
    assert "xstest@local" in call("judge-card", job.id).out
    assert call("judge-card", job.id, "--json").json[0]["asked"] == ROWS
    assert call("judge-card", 99).code == ExitCode.INPUT


def test_score_measures_a_language_model_as_it_measures_the_offline_judge(
    call, workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "gold.jsonl"
    rows = [
        {"prompt": f"frindle {n}?", "response": "I'm sorry, no." if n % 2 else "Sure, hum.", "gold": bool(n % 2)}
        for n in range(10)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        said = call("score", file, "--gold", "gold", "--judge", "atoms", "--endpoint", "local", "--json")
    assert said.code == 0, said.err
    assert said.json["judge"] == "atoms@local" and said.json["tasks"][0]["accuracy"]["value"] == 1.0
    assert call("score", file, "--gold", "gold", "--judge", "atoms").code == ExitCode.USAGE
