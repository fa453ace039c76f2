"""`push --send` through the real client, to a Hub on this machine: what arrives, and what is said when it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.finetune.files import ADAPTER, DIRECTIONS
from refusal_tui.store.workspace import Workspace
from tests.finetune.made_adapter import ROW, WEIGHTS, copied, with_adapter
from tests.support.loopback_hub import TOKEN, Hub, serving

REPO = "ann/tiny-refusal"
SEND = ("push", "tiny", "--to", REPO, "--send")
OURS = "---\ntags: [refusal, refusal-tui, refusal-adapter, lora]\nmodel_name: older\n---\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import close_session, constants

    for name in ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setattr(constants, name, True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "login"))  # a stored login is never used
    (tmp_path / "login").write_text("hf_SomebodysStoredLogin0001")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    with serving(Hub()) as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        yield found
    close_session()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return with_adapter(tmp_path_factory.mktemp("push") / "w")


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path) -> Workspace:
    return copied(template, tmp_path / "w")


@pytest.fixture
def adapter(workspace: Workspace) -> Path:
    return workspace.artifacts / "job-1"


def test_what_was_shown_arrives_in_one_commit_of_a_private_repository(call, hub, adapter) -> None:
    shown = call(*SEND[:-1], "--json").json
    assert hub.asked == [], "showing asks nobody"
    answer = call(*SEND)
    assert answer.code == ExitCode.OK, answer.err
    there = hub.repos[REPO]
    assert there.private and there.messages == ["Refusal adapter tiny (refusal_tui 0.1.0)"]
    assert {name: len(content) for name, content in there.files.items()} == {
        file["name"]: file["bytes"] for file in shown["files"]
    }
    assert there.files["README.md"].decode() == shown["card"]
    assert there.files[WEIGHTS] == (adapter / ADAPTER / WEIGHTS).read_bytes()
    assert there.files["directions.safetensors"] == (adapter / DIRECTIONS).read_bytes()
    assert answer.out.splitlines()[0] == f"{hub.address}/{REPO} (private)" and there.commits[-1] in answer.out
    assert not any(ROW.encode() in body or b"zorp" in body for body in hub.received)


def test_public_is_asked_for_and_the_commit_stands_in_the_json(call, hub, adapter) -> None:
    found = call(*SEND, "--public", "--json").json
    assert (found["sent"], found["visibility"], found["replaced"]) == (True, "public", None)
    assert found["commit"] == hub.repos[REPO].commits[-1] and found["commit_url"].endswith(found["commit"])
    assert not hub.repos[REPO].private


def test_the_token_comes_from_the_environment_or_dot_env_and_is_told_to_nobody_else(
    call, hub, adapter, workspace, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (workspace.root / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    answer = call("-v", *SEND)
    assert answer.code == ExitCode.OK and hub.tokens == {TOKEN}
    assert TOKEN not in answer.out + answer.err + caplog.text
    kept = [path for path in workspace.root.rglob("*") if path.is_file() and path.name != ".env"]
    assert not any(TOKEN.encode() in path.read_bytes() for path in kept)


def test_without_a_token_nobody_is_asked_not_even_where_a_login_is_stored(
    call, hub, adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    answer = call(*SEND)
    assert answer.code == ExitCode.UNAVAILABLE and "HF_TOKEN is not set" in answer.err and hub.asked == []


def test_a_token_that_is_not_accepted_is_no_missing_repository_and_is_not_repeated(
    call, hub, adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_WrongTokenOfNobody000002")
    answer = call(*SEND)
    assert answer.code == ExitCode.UNAVAILABLE and "does not accept the token in HF_TOKEN" in answer.err
    assert "hf_WrongTokenOfNobody" not in answer.err and "Invalid credentials" in answer.err and hub.repos == {}


@pytest.mark.parametrize(
    ("step", "status", "code", "said"),
    [
        ("look", 500, ExitCode.UNAVAILABLE, "The Hub has refused it (500: no luck)"),
        ("create", 403, ExitCode.UNAVAILABLE, "This token may not write to ann/tiny-refusal (403: no luck)"),
        ("create", 409, ExitCode.CONFLICT, "ann/tiny-refusal is in use"),
        ("validate", 400, ExitCode.UNAVAILABLE, "Invalid metadata in README.md"),
        ("upload", 403, ExitCode.UNAVAILABLE, "(403: Forbidden)"),
        ("commit", 500, ExitCode.UNAVAILABLE, "The Hub has refused it (500: no luck)"),
        ("commit", 412, ExitCode.CONFLICT, "has changed meanwhile"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence_and_nothing_of_the_adapter_is_there(
    call, hub, adapter, step: str, status: int, code: ExitCode, said: str
) -> None:
    hub.refuses[step] = (status, "no luck")
    answer = call(*SEND)
    assert answer.code == code and said in answer.err and "Nothing of the adapter is there" in answer.err
    made = step not in ("look", "create")
    assert ("has been made and is empty" in answer.err) == made == (REPO in hub.repos)
    assert not made or hub.repos[REPO].files == {}
    hub.refuses.clear()
    assert call(*SEND).code == ExitCode.OK, "the same command, once more, goes on with the empty repository"


def test_a_hub_that_cannot_be_reached_and_offline_mode_are_told_apart(
    call, hub, adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    answer = call(*SEND)
    assert answer.code == ExitCode.UNAVAILABLE and "Sending to http://127.0.0.1:9 failed" in answer.err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    answer = call(*SEND)
    assert answer.code == ExitCode.UNAVAILABLE and "HF_HUB_OFFLINE is set" in answer.err and hub.asked == []


def test_a_repository_that_holds_something_else_is_not_overwritten(call, hub, adapter) -> None:
    before = {"README.md": "---\nlicense: mit\n---\n# my model", "model.safetensors": "weights"}
    there = hub.has(REPO, before)
    answer = call(*SEND)
    assert answer.code == ExitCode.CONFLICT and "holds something else: README.md, model.safetensors" in answer.err
    assert hub.asked == ["look"] and there.files == {name: text.encode() for name, text in before.items()}


def test_an_adapter_of_ours_is_replaced_and_its_name_is_said(call, hub, adapter) -> None:
    there = hub.has(REPO, {"README.md": OURS, "LICENSE": "mine"})
    answer = call(*SEND)
    assert answer.code == ExitCode.OK and "replaced the refusal adapter older" in answer.err
    assert there.files["LICENSE"] == b"mine" and b'model_name: "tiny"' in there.files["README.md"]
    again = call(*SEND)
    assert again.code == ExitCode.OK and "nothing has changed" in again.err and len(there.messages) == 1


def test_a_public_repository_is_written_to_only_when_public_is_said(call, hub, adapter) -> None:
    there = hub.has(REPO, private=False)
    answer = call(*SEND)
    assert answer.code == ExitCode.CONFLICT and "is public" in answer.err and "--public" in answer.err
    assert there.messages == [] and call(*SEND, "--public").code == ExitCode.OK
    hub.has("ann/other")
    answer = call("push", "tiny", "--to", "ann/other", "--send", "--public")
    assert answer.code == ExitCode.OK and "(private)" in answer.out and "stays so" in answer.err


def test_who_was_faster_is_not_overwritten(call, hub, adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    there = hub.has(REPO, {"README.md": OURS})
    whole = HfApi.create_commit

    def late(self: HfApi, *words: object, **settings: object) -> object:
        there.commits.append("f" * 40)  # somebody else, between our look and our commit
        return whole(self, *words, **settings)

    monkeypatch.setattr(HfApi, "create_commit", late)
    answer = call(*SEND)
    assert answer.code == ExitCode.CONFLICT and "has changed meanwhile" in answer.err and there.messages == []


def test_a_commit_whose_answer_is_lost_is_not_said_to_be_missing(call, hub, adapter) -> None:
    hub.hangs_up = True
    answer = call(*SEND)
    assert answer.code == ExitCode.UNAVAILABLE and WEIGHTS in hub.repos[REPO].files
    assert f"Either the whole commit has arrived or nothing of it: look at {hub.address}/{REPO}." in answer.err
    assert "Nothing of the adapter is there" not in answer.err
    hub.hangs_up = False
    assert "nothing has changed" in call(*SEND).err, "the same command, once more, finds it there"


def test_ctrl_c_says_what_may_have_happened(call, hub, adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    def interrupted(self: HfApi, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "create_commit", interrupted)
    answer = call(*SEND)
    assert answer.code == ExitCode.INTERRUPTED and "Either the whole commit has arrived or nothing of it" in answer.err


def test_a_file_that_changes_between_the_look_and_the_sending_is_not_sent(
    call, hub, adapter, workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refusal_tui.llm import keys

    def slowly(*_: object) -> str:
        (adapter / "directions.json").write_text(json.dumps({"rows": [ROW]}))
        return TOKEN

    monkeypatch.setattr(keys, "api_key", slowly)
    answer = call(*SEND)
    assert answer.code == ExitCode.INPUT and "has changed while it was read" in answer.err and hub.asked == []
