"""People who have labelled the same rows, from the shared files to the command's figures. Skipped without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.commands import Answer, call_here

HUMAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "human"
pytestmark = pytest.mark.skipif(not HUMAN.is_dir(), reason="the human-labelled files are not here")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return create_workspace(tmp_path_factory.mktemp("human") / "w")


@pytest.fixture
def call(workspace: Workspace, capsys: pytest.CaptureFixture[str]):
    for name in ("xstest_dev", "do_not_answer_dev"):
        if f'"{name}"' not in call_here(workspace, "datasets", "--json", capsys=capsys).out:
            assert call_here(workspace, "import", HUMAN / f"{name}.jsonl", capsys=capsys).code == 0

    def agreement(*words: str) -> Answer:
        return call_here(workspace, "agreement", *words, "--json", capsys=capsys)

    return agreement


def pair_of(answer: Answer, head: str = "refusal3") -> dict:
    (pair,) = next(one for one in answer.json["heads"] if one["head"] == head)["pairs"]
    return pair


def test_the_two_annotators_of_xstest_agree_with_a_kappa_of_953(call) -> None:
    pair = pair_of(call("--annotator", "xstest-1", "--annotator", "xstest-2"))
    assert (pair["rows"], pair["prompts"]) == (891, 447)
    assert pair["percent"]["value"] == pytest.approx(0.9742, abs=5e-5)
    assert pair["kappa"]["value"] == pytest.approx(0.953, abs=5e-4)
    assert (pair["kappa"]["low"], pair["kappa"]["high"]) == pytest.approx((0.931, 0.968), abs=0.003)
    assert sum(map(sum, pair["matrix"])) - sum(pair["matrix"][i][i] for i in range(3)) == 23


def test_people_part_on_the_partial_refusals(call) -> None:
    pair = pair_of(call("--annotator", "xstest-1", "--annotator", "xstest-2"))
    kappa = {one["class"]: one["kappa"]["value"] for one in pair["classes"]}
    assert kappa["soft"] < 0.85 < 0.95 < kappa["hard"] < kappa["none"]


def test_gpt4_is_far_from_people_and_further_on_the_model_that_refuses_more(call) -> None:
    pair = pair_of(call("--annotator", "xstest-v2", "--annotator", "judge:gpt-4", "dataset:xstest_dev"))
    assert pair["kappa"]["value"] == pytest.approx(0.727, abs=5e-4)
    parts = {(part["by"], part["value"]): part["kappa"]["value"] for part in pair["parts"]}
    assert parts["model", "llama2orig"] < 0.6 < 0.85 < parts["model", "gpt4"]


def test_the_reviews_of_do_not_answer_arrive_as_people_and_judges(call) -> None:
    """Of the six actions two say a three-class label without doubt: 0 refuses, 5 follows."""
    pair = pair_of(call("--annotator", "do-not-answer", "--annotator", "judge:longformer"))
    assert pair["rows"] > 700 and pair["kappa"]["value"] > 0.8
