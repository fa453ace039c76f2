"""`clean-review` and what `cleaned` writes after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.cleaned import cleaned_job
from tests.support.commands import call_here


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


@pytest.fixture
def made(workspace: Workspace) -> list[int]:
    return cleaned_job(workspace)[1]


@pytest.fixture
def call(workspace: Workspace, made: list[int], capsys: pytest.CaptureFixture[str]):
    return lambda *words: call_here(workspace, *words, capsys=capsys)


def rows(call, queue: str = "undecided") -> list[int]:
    return [record["row"] for record in call("clean-review", 1, "--queue", queue, "--json").json]


def test_rows_are_listed_accepted_rejected_edited_and_taken_back(call, made: list[int]) -> None:
    one, two, _, three, four = made
    assert rows(call) == [one, two, three, four]
    said = call("clean-review", 1, "--accept", f"{one}-{two}", "--reject", four, "--annotator", "ada")
    assert "3 of 4 rows decided: 2 accepted, 0 edited, 1 rejected" in said.out
    assert rows(call) == [three]
    assert (
        call("clean-review", 1, "--edit", three, "What is it for?", "--annotator", "ada", "--json").json["edited"] == 1
    )
    assert f"Row {three}: edit is taken back." in call("clean-review", 1, "--undo", "--annotator", "ada").err
    assert rows(call) == [three]


def test_the_cleaned_file_holds_what_people_have_decided(call, made: list[int], tmp_path: Path) -> None:
    one, two, _, _, doubtful = made
    call("clean-review", 1, "--reject", two, "--accept", doubtful, "--edit", one, "Who smelted it?")
    assert call("cleaned", 1, "--out", tmp_path / "tidy.jsonl").code == 0
    found = [json.loads(line) for line in (tmp_path / "tidy.jsonl").read_text().splitlines()]
    assert [(r["rewritten_instruction"], r["response"] is None, r.get("answer_again")) for r in found] == [
        ("Who smelted it?", True, True),
        ("What do frindles drink?", False, None),
        ("How is the glimmer vault kept safe?", False, None),
    ]


def test_an_edit_that_is_accepted_keeps_its_wording_and_its_answer(call, made: list[int], tmp_path: Path) -> None:
    call("clean-review", 1, "--edit", made[0], "Who smelted it?")
    call("clean-review", 1, "--accept", made[0])
    call("cleaned", 1, "--out", tmp_path / "tidy.jsonl")
    first = json.loads((tmp_path / "tidy.jsonl").read_text().splitlines()[0])
    assert first["rewritten_instruction"] == "Who smelted it?" and first["response"] and "answer_again" not in first


def test_what_is_no_row_no_cleaning_job_or_no_number_is_told(call) -> None:
    assert call("clean-review", 1, "--accept", "1").code == ExitCode.INPUT  # a row of the source
    assert call("clean-review", 77).code == ExitCode.INPUT
    said = call("clean-review", 1, "--accept", "first")
    assert said.code == ExitCode.USAGE and "Example" in said.err


def test_nothing_is_decided_when_one_of_the_rows_is_wrong(call, made: list[int]) -> None:
    assert call("clean-review", 1, "--accept", f"{made[0]},1").code == ExitCode.INPUT
    assert made[0] in rows(call)
