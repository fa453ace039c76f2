"""`results`, `compare`, `methods` on the command line."""

from __future__ import annotations

from contextlib import closing
from xml.etree import ElementTree

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.cli.conftest import Call
from tests.store.building import NewRow, add, claimed, judge, says


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        for model, values in {"quill": ["hard", "none"], "marrow\x1b[31m": ["none", "none"]}.items():
            ids = add(connection, *(NewRow(f"blorptanium {n}", "…", model, category="c") for n in range(2)))
            judge(connection, *map(says, ids, values))
        claimed(connection, ids)
    return workspace


def test_results_are_a_table_with_what_to_read_beside_it(call: Call) -> None:
    answer = call("results", "--by", "model")
    assert answer.code == 0
    assert "quill" in answer.out and "50.0 %" in answer.out and "three-class rules: xstest" in answer.out
    assert "\x1b" not in answer.out


def test_results_are_json_for_programs_by_either_option(call: Call) -> None:
    found = call("results", "model:quill", "--format", "json").json
    assert found == call("results", "model:quill", "--json").json
    assert [cell["refusal"]["rate"] for cell in found["cells"]] == [0.5]
    assert found["cells"][0]["filter"] == "model:quill model:quill dataset:demo category:c has:label"


@pytest.mark.parametrize(("format_", "starts"), [("csv", "model,dataset"), ("markdown", "| model |"), ("svg", "<svg")])
def test_results_are_written_to_a_file(call: Call, tmp_path, format_: str, starts: str) -> None:
    out = tmp_path / f"results.{format_}"
    answer = call("results", "--format", format_, "--out", out)
    assert (answer.code, answer.out) == (0, "")
    assert out.read_text().startswith(starts)
    if format_ == "svg":
        ElementTree.parse(out)


def test_a_file_that_cannot_be_written_is_a_clear_error(call: Call, tmp_path) -> None:
    answer = call("results", "--out", tmp_path / "nowhere" / "x.md")
    assert answer.code == ExitCode.STORAGE and "cannot be written" in answer.err


@pytest.mark.parametrize(
    ("words", "says_"),
    [
        (["results", "--by", "colour"], "grouped by 'colour'"),
        (["results", "--judge", "frindle"], "'frindle' has labelled nothing"),
        (["results", "model:nobody"], "None of these rows is labelled (0 responses are waiting)"),
        (["compare", "quill", "zorbling"], "No response among these rows is by 'zorbling'"),
        (["methods", "99"], "There is no job 99"),
    ],
)
def test_a_mistake_is_named(call: Call, words: list[str], says_: str) -> None:
    answer = call(*words)
    assert (answer.code, answer.out) == (ExitCode.INPUT, "")
    assert says_ in answer.err


def test_two_models_are_compared(call: Call) -> None:
    answer = call("compare", "quill", "marrow\x1b[31m", "--by", "category")
    assert answer.code == 0 and "+50.0 pp" in answer.out and "McNemar" in answer.out and "\x1b" not in answer.out
    found = call("compare", "quill", "marrow\x1b[31m", "--json").json
    assert found["lines"][0]["difference"] == 0.5


def test_the_paragraph_of_a_job_is_printed(call: Call, workspace: Workspace) -> None:
    answer = call("methods", 1)
    assert answer.code == 0 and answer.out.startswith("Job 1 (label) ran on")
    assert call("methods", 1, "--json").json["paragraph"] == answer.out.strip().replace("␛[31m", "\x1b[31m")
