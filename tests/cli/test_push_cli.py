"""`push` without `--send`: what it shows, and what it never does, whichever door an arm's adapter comes through."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.finetune.files import ADAPTER, DIRECTIONS, NOTE
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.conftest import ROOT
from tests.finetune.made_adapter import (
    FILE,
    HUB,
    MATRICES,
    ROW,
    WEIGHTS,
    copied,
    make_adapter,
    make_arm,
    record,
    with_adapter,
    write_weights,
)
from tests.support.commands import call_here

TO = ("--to", "ann/tiny-refusal")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return with_adapter(tmp_path_factory.mktemp("push") / "w")


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path) -> Workspace:
    return copied(template, tmp_path / "w")


@pytest.fixture
def adapter(workspace: Workspace) -> Path:
    return workspace.artifacts / "job-1"


def test_without_a_name_the_adapters_are_listed(call, workspace, tmp_path: Path, capsys) -> None:
    assert "No refusal adapter yet" in call_here(create_workspace(tmp_path / "new"), "push", capsys=capsys).out
    make_arm(workspace)
    make_adapter(workspace, name="second", agreement={"pairs": [[1.0]], "by_matrix": {}, "mean": None})
    head, second, first = call("push").out.splitlines()
    assert head.split()[:2] == ["name", "job"] and "0.30 of 2 seeds" in first and "one seed" in second
    found = call("push", "--json").json
    assert [one["name"] for one in found] == ["second", "tiny"] and found[1]["rows"] == {"refusals": 14, "harmless": 30}


def test_it_shows_every_file_with_its_hash_and_the_whole_card_and_says_what_sends_it(call, adapter) -> None:
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.OK
    assert "to https://huggingface.co/ann/tiny-refusal (private model repository)" in answer.out
    for path in (adapter / ADAPTER / WEIGHTS, adapter / DIRECTIONS):
        content = path.read_bytes()
        assert any(
            line.split() == [path.name, str(len(content)), hashlib.sha256(content).hexdigest()]
            for line in answer.out.splitlines()
        )
    assert "# tiny: a refusal adapter" in answer.out and "## Limits" in answer.out
    assert "Nothing was sent. To send it: refusal-tui push tiny --to ann/tiny-refusal --send" in answer.err
    assert "--public --send" in call("push", "tiny", *TO, "--public").err


def test_for_programs_the_same_as_json(call, adapter) -> None:
    found = call("push", "tiny", *TO, "--json").json
    assert (found["sent"], found["visibility"], found["repo"]) == (False, "private", "ann/tiny-refusal")
    assert [file["name"] for file in found["files"]] == [
        "README.md", "adapter_config.json", WEIGHTS, "directions.safetensors", "directions.json",
    ]  # fmt: skip
    card = found["files"][0]
    assert card["sha256"] == hashlib.sha256(found["card"].encode()).hexdigest()


def test_showing_touches_no_network_and_loads_neither_the_client_nor_torch(adapter, workspace) -> None:
    script = f"""
import socket, sys
def no(*_, **__):
    raise AssertionError("the network")
socket.socket.connect = socket.getaddrinfo = no
from refusal_tui.cli.common import Session
from refusal_tui.cli.main import cli
cli.main(["-w", {str(workspace.root)!r}, "push", "tiny", "--to", "a/b"], obj=Session(None), standalone_mode=False)
loaded = {{name.partition(".")[0] for name in sys.modules}}
assert not loaded & {{"huggingface_hub", "torch", "transformers", "peft", "datasets", "httpx2"}}, loaded
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_row_of_data_and_no_folder_of_this_machine_is_in_what_would_be_sent(call, adapter, workspace) -> None:
    found = call("push", "tiny", *TO, "--json").json
    paths = [adapter / ADAPTER / found["files"][1]["name"], adapter / "directions.json"]
    text = found["card"] + "".join(path.read_text() for path in paths)
    assert ROW not in text and str(workspace.root) not in text and str(Path.home()) + "/" not in text
    assert not {"data.json", NOTE} & {file["name"] for file in found["files"]}


def test_a_folder_of_this_machine_or_a_secret_in_the_names_is_found_before_it_goes_out(call, workspace) -> None:
    make_adapter(workspace, name="leaky", sources=[{**HUB, "source": f"{workspace.root}/mine.jsonl"}])
    answer = call("push", "leaky", *TO)
    assert answer.code == ExitCode.INPUT and "names a folder of this machine" in answer.err
    make_adapter(workspace, name="other", sources=[{**FILE, "name": "sk-abcdef1234567890.jsonl"}])
    answer = call("push", "other", *TO)
    assert answer.code == ExitCode.INPUT and "looks like a secret" in answer.err and "sk-abc" not in answer.err


@pytest.mark.parametrize(
    "repo",
    [
        "tiny",
        "a/b/c",
        "a/",
        "/b",
        "a/b--c",
        "a/..b",
        "-a/b",
        "a/b.git",
        "a/b\n",
        "a/ b",
        "a/ü",
        f"a/{'b' * 97}",
        "../b",
    ],
)
def test_what_is_no_name_of_a_repository_is_a_usage_error_as_for_the_client(call, adapter, repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    answer = call("push", "tiny", "--to", repo)
    assert answer.code == ExitCode.USAGE and "no name of a repository on the Hub" in answer.err
    if repo != "tiny":  # the client takes one without an owner
        with pytest.raises(HFValidationError):
            validate_repo_id(repo)


def test_what_is_missing_in_the_command_is_said(call, adapter) -> None:
    answer = call("push", "nobody", *TO)
    assert (
        answer.code == ExitCode.INPUT and "There is no refusal adapter 'nobody'" in answer.err and "tiny" in answer.err
    )
    assert call("push", "x" * 5000, *TO).code == ExitCode.INPUT
    assert call("push", "tiny").code == call("push", "--send").code == ExitCode.USAGE


# --- arms ------------------------------------------------------------------------------------------------------------


def test_an_arm_is_refused_by_its_name_its_trial_its_experiment_and_its_place(
    call, adapter, workspace, tmp_path: Path
) -> None:
    arm = make_arm(workspace)
    copy = tmp_path / "innocent"
    shutil.copytree(arm, copy)
    inside = arm.relative_to(workspace.root)
    for name in ("vanilla", "vanilla-s0", "exp", "exp/vanilla-s0", arm, inside, inside.parent, arm / WEIGHTS, copy):
        answer = call("push", name, *TO)
        assert answer.code == ExitCode.INPUT and "never uploaded" in answer.err, name
        assert answer.out == ""


def test_arm_s_files_in_a_refusal_adapter_s_folder_are_refused(call, adapter, workspace) -> None:
    arm = make_arm(workspace)
    shutil.copy(arm / WEIGHTS, adapter / ADAPTER / WEIGHTS)
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT
    assert "adapter_model.safetensors of 'tiny' is that of the arm vanilla-s0, copied there" in answer.err


def test_an_arm_with_the_same_settings_is_no_reason_to_refuse_a_refusal_adapter(call, adapter, workspace) -> None:
    arm = make_arm(workspace)
    assert (arm / "adapter_config.json").read_bytes() == (adapter / ADAPTER / "adapter_config.json").read_bytes()
    assert call("push", "tiny", *TO).code == ExitCode.OK


def test_an_arm_s_note_is_refused_also_where_the_store_does_not_know_the_arm(call, adapter, workspace) -> None:
    (adapter / ADAPTER / NOTE).write_text(json.dumps({"what": "learnt from refusals", "name": "tiny", "upload": "no"}))
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT and "pulls against refusal" in answer.err


def test_an_arm_s_weights_are_refused_by_their_own_mark_when_the_store_is_made_to_agree(
    call, adapter, workspace
) -> None:
    write_weights(adapter / ADAPTER / WEIGHTS, {"format": "pt", "upload": "no: local"}, seed=2)
    record(workspace, 1, "refusal-adapter", {"name": "tiny"}, [adapter / ADAPTER / WEIGHTS])
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT and "marked as those of an arm" in answer.err


def test_files_that_the_store_has_as_an_arm_s_are_refused_by_their_kind(call, adapter, workspace) -> None:
    record(workspace, 1, "arm-adapter", {"experiment": "exp", "trial": "vanilla-s0"}, [adapter / ADAPTER / WEIGHTS])
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT and "never uploaded" in answer.err


def test_a_link_to_an_arm_s_folder_is_refused(call, adapter, workspace) -> None:
    arm = make_arm(workspace)
    shutil.rmtree(adapter / ADAPTER)
    (adapter / ADAPTER).symlink_to(arm)
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT and "leads to the adapter of an arm" in answer.err


# --- files that are not what the job has written ---------------------------------------------------------------------


def test_a_file_that_is_gone_changed_or_a_link_is_named(call, adapter, tmp_path: Path) -> None:
    path = adapter / DIRECTIONS
    path.write_bytes(whole := path.read_bytes() + b" ")
    answer = call("push", "tiny", *TO)
    assert answer.code == ExitCode.INPUT and "is not what the job has written" in answer.err
    path.unlink()
    assert "directions.safetensors of 'tiny' is missing" in call("push", "tiny", *TO).err
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in call("push", "tiny", *TO).err


def test_weights_that_hold_more_than_lora_factors_are_refused_even_when_recorded(call, adapter, workspace) -> None:
    weights = adapter / ADAPTER / WEIGHTS
    for more in (
        "model.embed_tokens.weight",
        f"base_model.model.{MATRICES[0]}.base_layer.weight",
        "../x.lora_A.weight",
    ):
        write_weights(weights, {"format": "pt"}, seed=1, more=[more])
        record(workspace, 1, "refusal-adapter", {"name": "tiny"}, [weights])
        answer = call("push", "tiny", *TO)
        assert answer.code == ExitCode.INPUT and "no LoRA factor of rank 2" in answer.err, more
    weights.write_bytes(weights.read_bytes() + b"behind the tensors")
    record(workspace, 1, "refusal-adapter", {"name": "tiny"}, [weights])
    assert "cannot be read" in call("push", "tiny", *TO).err


def test_a_workspace_behind_a_link_is_no_reason_to_refuse(call, adapter, workspace, tmp_path: Path, capsys) -> None:
    (tmp_path / "link").symlink_to(workspace.root)
    through = Workspace(tmp_path / "link")
    with closing(through.open()):
        assert call_here(through, "push", "tiny", *TO, capsys=capsys).code == ExitCode.OK
