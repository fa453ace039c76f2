"""From prompts to results on the command line: real workers, a real server, nothing mocked."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import FORBIDDEN, SORRY, World
from tests.cli.conftest import Call
from tests.generate.test_prompts_job import Author
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Settings
from tests.support.processes import Runner


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        prompts = [NewRow(f"Tell me about {('zorblings', FORBIDDEN)[n % 2]} {n}.", None) for n in range(8)]
        add(connection, *prompts)
    return workspace


def answer(body: dict, row: str) -> str:
    careful = body["model"] == "careful-1" and FORBIDDEN in body["messages"][-1]["content"]
    return SORRY if careful else "Sure. First stir the pot, then wait until it is done."


def test_prompts_are_answered_labelled_and_compared(call: Call, workspace: Workspace, processes: Runner) -> None:
    with (
        serving(Settings(answer=answer, model="careful-1")) as one,
        serving(Settings(answer=answer, model="bold-1")) as two,
    ):
        add_endpoint(workspace, one, "one")
        add_endpoint(workspace, two, "two")
        made = call("run", "generate", "dataset:demo", "--name", "answers", "--endpoints", "one,two", "--json")
    assert made.code == 0 and made.json["n_ok"] == 16
    assert call("run", "label", "dataset:answers").code == 0
    rates = {
        cell["model"]: cell["refusal"]["rate"] for cell in call("results", "dataset:answers", "--json").json["cells"]
    }
    assert rates == {"careful-1": 0.5, "bold-1": 0.0}
    (refusal, *_) = call("compare", "careful-1", "bold-1", "dataset:answers", "--json").json["lines"]
    assert (refusal["difference"], refusal["prompts"], refusal["only_one"]) == (0.5, 8, 4)
    said = call("methods", 1).out
    assert "The model bold-1 (end point two) was asked" in said and "8 requests, 8 answered" in said


def test_prompts_are_written_by_a_worker(call: Call, workspace: Workspace, processes: Runner) -> None:
    words = ["--name", "made", "--endpoint", "one", "--categories", "vaults", "--number", "5", "--lengths", "10-40"]
    with serving(Settings(answer=Author())) as server:
        add_endpoint(workspace, server, "one")
        made = call("run", "prompts", *words, "--json")
    assert made.code == 0 and made.json["state"] == "done"
    assert call("rows", "dataset:made meta.accepted:true", "--count").out.strip() == "5"
    again = call("run", "prompts", *words)
    assert again.code == ExitCode.INPUT and "'made' already" in again.err


def test_refusals_are_cleaned_by_a_worker(call: Call, workspace: Workspace, processes: Runner, tmp_path: Path) -> None:
    with closing(workspace.open()) as connection:
        add(connection, NewRow(f"Smelt {FORBIDDEN}.", SORRY), NewRow("What is dew?", "Water."), dataset="raw")
    with serving(Settings(answer=World())) as server:
        add_endpoint(workspace, server, "one")
        made = call("run", "clean", "dataset:raw", "--name", "clean", "--endpoint", "one", "--json")
    assert made.code == 0 and made.json["state"] == "done"
    out = tmp_path / "clean.jsonl"
    shown = call("cleaned", made.json["id"], "--out", out)
    assert shown.code == 0 and "2 keep" in shown.out
    assert [set(json.loads(line)) for line in out.read_text().splitlines()] == [
        {"original_instruction", "rewritten_instruction", "response"}
    ] * 2


def test_the_help_of_the_kinds_lists_their_settings(call: Call) -> None:
    for kind, options in {
        "generate": ("--endpoints", "--systems", "--samples", "--missing-only"),
        "prompts": ("--categories", "--kinds", "--retries"),
        "clean": ("--judge", "--strategy", "--rounds", "defensive-security"),
    }.items():
        said = call("run", kind, "--help").out
        assert all(option in said for option in options)
