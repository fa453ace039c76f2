"""`refusal-tui pipeline`: what it prints, and with which code it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace
from tests.cli.conftest import Call
from tests.support.pipelines import copy_examples, run_jobs_here
from tests.support.workspaces import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", 12)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text('audit = false\nexport = false\n[[datasets]]\nname = "blorp"\n')
    return path


def test_run_does_it_and_a_second_run_does_nothing(
    call: Call, workspace: Workspace, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_jobs_here(monkeypatch)
    first = call("pipeline", "run", config)
    assert first.code == 0 and "label blorp  done     2  12" in first.out
    again = call("pipeline", "run", config)
    assert again.code == 0 and again.err == "Nothing to do: its only step is up to date.\n"
    assert call("pipeline", "show", "--json").json["steps"][0]["state"] == "done"
    assert call("pipeline", "plan", config).out.splitlines()[1].split() == [
        "label", "blorp", "up", "to", "date", "job", "2", "12"
    ]  # fmt: skip


def test_plan_says_what_would_run_and_starts_nothing(call: Call, workspace: Workspace) -> None:
    plan = call("pipeline", "plan", "--json").json
    assert [(one["step"], one["does"]) for one in plan["steps"]] == [
        ("label blorp", "runs"), ("audit", "runs"), ("review", "runs"), ("export", "runs")
    ]  # fmt: skip
    assert call("jobs", "--json").json == []


def test_validate_names_every_mistake_with_its_line(call: Call, workspace: Workspace, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('sed = 1\n[label]\njudge = "lexcal"\n[audit]\nsample_rate = 2\n')
    said = call("pipeline", "validate", bad)
    assert said.code == ExitCode.INPUT
    assert "3 mistakes; nothing was started" in said.err
    assert [line.strip().partition(": ")[0] for line in said.err.splitlines() if line.startswith("  ")] == [
        "bad.toml:1", "bad.toml:3", "bad.toml:5"
    ]  # fmt: skip
    assert [one["line"] for one in call("pipeline", "validate", bad, "--json").json["mistakes"]] == [1, 3, 5]


def test_validate_looks_up_what_the_workspace_must_have(call: Call, workspace: Workspace, tmp_path: Path) -> None:
    examples = copy_examples(tmp_path)
    asks = call("pipeline", "validate", examples / "models.toml")
    assert asks.code == ExitCode.INPUT and "there is no end point 'local'" in asks.err
    fine = call("pipeline", "validate", examples / "dataset_pipeline_config.json", "--offline")
    assert fine.code == 0 and "note: generation.jailbreak_wrappers is not used" in fine.out


def test_without_a_run_show_says_how_to_start_one(call: Call, workspace: Workspace) -> None:
    said = call("pipeline", "show")
    assert said.code == ExitCode.INPUT and "refusal-tui pipeline run" in said.err
