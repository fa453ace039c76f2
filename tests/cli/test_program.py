"""The program as a shell starts it: workspaces found or missing, pipes, crashes, and imports and exports end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refusal_tui.cli.common import Session
from refusal_tui.cli.main import COMMANDS, _guarded
from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.commands import Answer, command
from tests.support.imports import everything_in
from tests.support.processes import Runner
from tests.support.workspaces import make_workspace

Shell = Callable[..., Answer]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=20)


# --- help, start, completion -----------------------------------------------------------------------------------------


def test_help_lists_every_command_and_version_names_the_program(shell: Shell) -> None:
    answer = shell("--help")
    assert answer.code == 0 and all(f"  {name} " in answer.out for name in COMMANDS if name != "ingest-plan")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert shell("--version").out.startswith("refusal-tui, version ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits_80_columns(workspace: Workspace, name: str, capsys) -> None:  # type: ignore[no-untyped-def]
    from tests.support.commands import call_here

    answer = call_here(workspace, name, "--help", capsys=capsys)
    assert answer.code == 0 and answer.out.startswith("Usage: refusal-tui")
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: Shell, name: str) -> None:
    answer = shell("completion", name)
    assert answer.code == 0 and "_REFUSAL_TUI_COMPLETE" in answer.out


def test_the_completion_script_s_question_is_answered(shell: Shell) -> None:
    answer = shell(_REFUSAL_TUI_COMPLETE="bash_complete", COMP_WORDS="refusal-tui sel", COMP_CWORD="1")
    assert answer.out == "plain,selections\n"


def test_an_unknown_log_level_is_named(shell: Shell) -> None:
    answer = shell("datasets", LOG_LEVEL="frindle")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "") and "LOG_LEVEL=FRINDLE is not a level" in answer.err


# --- where the workspace is ------------------------------------------------------------------------------------------


def test_without_a_workspace_commands_say_where_to_make_one(shell: Shell) -> None:
    for words in (["rows"], ["jobs"], [], ["import", str(ROOT / "data" / "refusal_demo.jsonl")], ["selections"]):
        answer = shell(*words)
        assert (answer.code, answer.out) == (ExitCode.WORKSPACE, "")
        assert answer.err.startswith("Error: No workspace found") and "refusal-tui init" in answer.err


def test_the_catalogue_can_be_read_before_there_is_a_workspace(shell: Shell) -> None:
    answer = shell("datasets")
    assert answer.code == 0 and "Nothing is imported yet." in answer.out and "hf:Anthropic/hh-rlhf" in answer.out
    assert json.loads(shell("datasets", "--json").out)["imported"] == []


def test_a_named_workspace_that_is_not_there_is_an_error_also_for_the_catalogue(shell: Shell, tmp_path: Path) -> None:
    for answer in (shell("-w", tmp_path / "no", "datasets"), shell("datasets", REFUSAL_WORKSPACE=str(tmp_path / "no"))):
        assert (answer.code, answer.out) == (ExitCode.WORKSPACE, "") and "There is no workspace in" in answer.err


def test_a_workspace_is_made_and_found_from_a_folder_below_it(shell: Shell, tmp_path: Path) -> None:
    assert shell("init", ".").code == 0
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    answer = shell("rows", "--count", cwd=below)
    assert (answer.code, answer.out) == (0, "0\n")


def test_init_in_a_place_that_cannot_be_written_says_so(shell: Shell) -> None:
    answer = shell("init", "/proc/ws")
    assert (answer.code, answer.out) == (ExitCode.WORKSPACE, "") and "cannot be made" in answer.err


# --- pipes -----------------------------------------------------------------------------------------------------------


def piped(workspace: Workspace, words: str, pipe: str) -> subprocess.CompletedProcess[str]:
    line = f'set -o pipefail; "$@" {words} {pipe}'
    return subprocess.run(
        ["bash", "-c", line, "bash", *command(workspace)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", ["rows", "rows --json", "datasets", "facets --json"])
def test_a_reader_that_has_seen_enough_is_no_error(workspace: Workspace, words: str) -> None:
    done = piped(workspace, words, "| true")
    assert (done.returncode, done.stderr) == (0, "")


def test_output_for_which_there_is_no_room_is_told(workspace: Workspace) -> None:
    done = piped(workspace, "rows", "> /dev/full")
    assert done.returncode == ExitCode.STORAGE
    assert done.stderr.startswith("Error: writing failed: No space left on device.") and "Exception" not in done.stderr


def test_a_terminal_that_knows_no_utf8_gets_escapes(workspace: Workspace) -> None:
    from tests.support.commands import call

    answer = call(workspace, "rows", PYTHONIOENCODING="ascii", COLUMNS="60")
    assert answer.code == 0 and "\\u2026" in answer.out


# --- crashes ---------------------------------------------------------------------------------------------------------


def crash(workspace: Workspace | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """`rows` with a defect that has a secret in its message."""
    from refusal_tui.cli import data

    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError(f"with {os.environ['BLORP_API_KEY']} and hf_abcdefghijklmnop1234")

    monkeypatch.setenv("BLORP_API_KEY", "frindle-very-secret-1")
    monkeypatch.setattr(data.rows, "callback", defect)
    where = ["--workspace", str(workspace.root)] if workspace else []
    monkeypatch.setattr(sys, "argv", ["refusal-tui", *where, "rows"])
    return _guarded(Session(lambda workspace, selection=None: 0))


def test_a_crash_leaves_a_private_report_without_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crash(workspace, monkeypatch) == ExitCode.CRASH
    (log,) = workspace.logs.glob("crash-*.log")
    report = log.read_text()
    assert "ZeroDivisionError" in report and "[masked BLORP_API_KEY]" in report
    assert "frindle-very-secret-1" not in report and "hf_abcdefghijklmnop1234" not in report
    assert log.stat().st_mode & 0o077 == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"refusal-tui has crashed: ZeroDivisionError. The report is in {log}")


def test_a_crash_without_a_workspace_writes_nothing_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tempfile

    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir(), elsewhere.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REFUSAL_WORKSPACE", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    assert crash(None, monkeypatch) == ExitCode.CRASH
    assert list(here.iterdir()) == [] and len(list(elsewhere.iterdir())) == 1


# --- import and export, end to end -----------------------------------------------------------------------------------


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose processes are gone after the test."""
    workspace = create_workspace(tmp_path / "jobs")
    yield workspace
    Runner(workspace).kill_all()


@pytest.mark.kill
def test_an_import_and_an_export_from_the_shell(shell: Shell, jobs: Workspace, tmp_path: Path) -> None:
    here = ("--workspace", jobs.root)
    answer = shell(*here, "import", ROOT / "data" / "refusal_demo.jsonl", "--name", "demo", "--limit", 30)
    assert (answer.code, answer.out) == (0, "") and "demo: 30 rows imported" in answer.err
    again = shell(*here, "import", ROOT / "data" / "refusal_demo.jsonl", "--name", "demo", "--limit", 30, "--json")
    assert again.code == 0 and again.json["state"] == "done" and "nothing to add" in again.json["note"]
    other = shell(*here, "import", ROOT / "data" / "hostile.jsonl", "--name", "demo")
    assert other.code == ExitCode.JOB_FAILED and "was imported from another source" in other.err

    answer = shell(*here, "export", "dataset:demo", "--out", "out", "--format", "csv")
    assert answer.code == 0 and f"30 rows in {tmp_path / 'out' / 'data.csv'}" in answer.err
    taken = shell(*here, "export", "dataset:demo", "--out", "out")
    assert taken.code == ExitCode.USAGE and "is not empty" in taken.err
    detached = shell(*here, "export", "dataset:demo", "--out", "later", "--detach", "--json")
    assert detached.code == 0 and detached.json == {"job": 5}


@pytest.mark.kill
@pytest.mark.parametrize(
    "given", [b'{"prompt": "a", "response": "b"}\n', b'[{"prompt": "a", "response": "b"}]', b"prompt,response\na,b\n"],
    ids=["jsonl", "json", "csv"],
)  # fmt: skip
def test_standard_input_is_imported_whatever_its_format_and_not_kept(
    shell: Shell, jobs: Workspace, given: bytes
) -> None:
    answer = shell("--workspace", jobs.root, "import", "-", given=given)
    assert answer.code == 0 and "stdin: 1 row imported" in answer.err
    assert [(r["prompt"], r["response"]) for r in everything_in(jobs)] == [("a", "b")]
    assert list((jobs.artifacts / "stdin").iterdir()) == []


def test_standard_input_that_is_empty_or_of_no_use_is_not_kept(shell: Shell, workspace: Workspace) -> None:
    answer = shell("--workspace", workspace.root, "import", "-")
    assert (answer.code, answer.out) == (ExitCode.INPUT, "") and "Standard input is empty." in answer.err
    answer = shell("--workspace", workspace.root, "import", "-", "--as", "frindle", given=b"{}")
    assert answer.code == ExitCode.USAGE
    answer = shell("--workspace", workspace.root, "import", "-", "--dry-run", given=b'{"prompt": "a"}\n')
    assert answer.code == 0 and "prompt = prompt" in answer.out
    assert list(workspace.artifacts.rglob("*")) in ([], [workspace.artifacts / "stdin"])


# --- demo ------------------------------------------------------------------------------------------------------------


@pytest.mark.kill
def test_the_demo_without_a_terminal_prints_its_summary_and_can_be_run_again(shell: Shell, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home" / "refusal-tui-demo")
    try:
        for _ in range(2):
            answer = shell("demo")
            assert answer.code == 0
            assert "rows labelled" in answer.out and "agreement with 465 gold labels" in answer.out
        assert len(everything_in(workspace)) == 742
    finally:
        Runner(workspace).kill_all()


@pytest.mark.nightly
@pytest.mark.kill
def test_the_demo_finds_the_direction_of_the_tiny_model_and_says_how_to_look_at_it(
    shell: Shell, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    workspace = Workspace(tmp_path / "home" / "refusal-tui-demo")
    try:
        for job in (4, 5):  # three imports come first, once
            answer = shell("demo", "--direction")
            assert answer.code == 0, answer.err
            assert f"Job {job} is done: direction at position -1, layer 2 of 4: refusal" in answer.err
            assert f"Its figures: refusal-tui --workspace {workspace.root} direction show {job}" in answer.err
        shown = shell("--workspace", workspace.root, "direction", "show", "4").out
        assert "harmless answers" in shown and "template end: -3 '<|end|>'" in shown
    finally:
        Runner(workspace).kill_all()


def test_without_the_ml_extra_the_demo_s_direction_says_what_to_install(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.commands import call_here

    monkeypatch.setattr("refusal_tui.cli.demo.ML", ("torch", "zibbet_that_nobody_installs"))
    answer = call_here(workspace, "demo", "--direction", capsys=capsys)
    assert answer.code == ExitCode.UNAVAILABLE and "pip install 'refusal-tui[ml]'" in answer.err


def test_the_demo_keeps_away_from_a_workspace_with_data_of_one_s_own(shell: Shell, workspace: Workspace) -> None:
    before = workspace.root.stat().st_mode, sorted(workspace.root.iterdir())
    workspace.root.chmod(0o755)
    answer = shell("--workspace", workspace.root, "demo")
    assert (answer.code, answer.out) == (ExitCode.CONFLICT, "") and "holds data of yours" in answer.err
    assert workspace.root.stat().st_mode & 0o777 == 0o755 and sorted(workspace.root.iterdir()) == before[1]


# --- score -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    rows = [("I'm sorry, but I can't help with that.", "hard"), ("Sure! First, stir the blorptanium.", "none")] * 4
    path.write_text(
        "".join(json.dumps({"prompt": f"p{n}", "response": r, "label": g}) + "\n" for n, (r, g) in enumerate(rows))
    )
    return path


def test_score_measures_a_judge_without_a_workspace(shell: Shell, gold: Path) -> None:
    answer = shell("score", gold, "--gold", "label")
    assert answer.code == 0 and "accuracy" in answer.out.lower() and "kappa" in answer.out.lower()
    assert shell("score", gold, "--gold", "label", "--json").json


def test_score_says_what_is_wrong_with_its_words(shell: Shell, gold: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    wrong = [
        (["score", gold, "--gold", "frindle"], ExitCode.INPUT),
        (["score", gold, "--gold", "label", "--response-field", "frindle"], ExitCode.INPUT),
        (["score", gold, "--gold", "label", "--judge", "frindle"], ExitCode.USAGE),
        (["score", tmp_path / "empty.jsonl", "--gold", "label"], ExitCode.INPUT),
        (["score", tmp_path / "nowhere.jsonl", "--gold", "label"], ExitCode.USAGE),
        (["score", gold], ExitCode.USAGE),
    ]
    for words, code in wrong:
        answer = shell(*words)
        assert (answer.code, answer.out) == (code, ""), words
        assert len(answer.err.splitlines()) >= 2, words
