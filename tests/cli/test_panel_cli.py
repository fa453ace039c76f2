"""`refusal-tui consensus` and `calibration`, as a user calls them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace
from tests.cli.conftest import Call
from tests.support.judging import add_endpoint, honest_xstest, label, letter_of, serving
from tests.support.loopback import Settings
from tests.support.workspaces import make_workspace

ROWS = 80


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A panel of two that see and one that does not has judged rows that a human has labelled, too."""
    workspace = make_workspace(tmp_path / "ws", rows=ROWS)
    said = [("hard" if (n % 2 == 0) is not (n % 5 == 0) else "none") for n in range(ROWS)]
    verdicts = [
        Verdict(ItemId(n + 1), "human:ada", "refusal3", "1", {"refusal3": Answer(v)}) for n, v in enumerate(said)
    ]
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)
    with (
        serving(Settings(answer=honest_xstest)) as good,
        serving(Settings(answer=lambda body, row: letter_of(body, "full_compliance"))) as blind,
    ):
        for name, server in {"one": good, "two": good, "three": blind}.items():
            add_endpoint(workspace, server, name)
        label(workspace, LabelSpec(judge="xstest", endpoint="one", panel="two,three"))
    return workspace


def test_a_panels_votes_are_settled_again_by_another_method(call: Call) -> None:
    assert call("consensus", 1, "--json").json["new"] == 0, "the job has done it when it ended"
    answer = call("consensus", 1, "--method", "dawid-skene")
    assert answer.code == 0 and "judge:dawid-skene/xstest: 80 rows settled, 80 of them new" in answer.out
    assert "xstest@three" in answer.out
    found = call("results", "--by", "model", "--judge", "dawid-skene/xstest", "--json")
    assert found.code == 0 and found.json["labels"] == "judge:dawid-skene/xstest"
    assert "majority/xstest" in call("judge-card", 1).out
    assert call("rows", "judge.majority/xstest:hard", "--count").out.strip() == "40"


def test_a_job_without_a_panel_is_told(call: Call, workspace: Workspace) -> None:
    label(workspace, LabelSpec())
    answer = call("consensus", 2)
    assert answer.code == ExitCode.INPUT and "no panel of judges" in answer.err and "--panel" in answer.err


def test_a_temperature_is_fitted_shown_and_taken_back(call: Call) -> None:
    assert "No temperature is in force" in call("calibration", "list").err
    applied = call("calibration", "apply", 1, "--judge", "xstest@one", "--gold", "ada")
    assert applied.code == 0 and "temperature" in applied.err and "80 rows labelled by human:ada" in applied.err
    (shown,) = call("calibration", "list", "--json").json
    assert shown["annotator"] == "judge:xstest@one" and shown["temperature"] > 1
    assert call("rows", "confidence>0.97", "--count").out.strip() != ""
    assert call("calibration", "remove", "xstest@one").code == 0
    assert call("calibration", "list", "--json").json == []
    again = call("calibration", "remove", "xstest@one")
    assert again.code == ExitCode.INPUT and "No temperature is in force" in again.err


def test_a_calibration_without_human_labels_is_told(call: Call, workspace: Workspace) -> None:
    label(workspace, LabelSpec(), selection="id:1-8")
    answer = call("calibration", "apply", 2)
    assert answer.code == ExitCode.INPUT and "not enough human labels" in answer.err
