"""The published figures on human labels come out again (skipped without ../shared/data)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.stats.agreement import accuracy, cohen_kappa, confusion_matrix, f1, macro_f1, merge_classes
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions

XSTEST = Path(__file__).resolve().parents[3] / "shared" / "data" / "human" / "xstest_dev.jsonl"
# XSTest names: full compliance, full refusal, partial refusal
LABELS = ["1_full_compliance", "2_full_refusal", "3_partial_refusal"]
ANY_REFUSAL = [[0], [1, 2]]

pytestmark = pytest.mark.skipif(not XSTEST.exists(), reason="the human-labelled files are not here")


@pytest.fixture(scope="module")
def columns() -> dict[str, list[str]]:
    with XSTEST.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    names = ("prompt", "label_raw", "annotation_1", "annotation_2", "gpt4_label", "strmatch_label")
    return {name: [row[name] for row in rows] for name in names}


def test_two_humans_agree_with_a_kappa_of_953(columns: dict[str, list[str]]) -> None:
    matrix = confusion_matrix(columns["annotation_1"], columns["annotation_2"], LABELS)
    assert accuracy(matrix) == pytest.approx(0.9742, abs=5e-5)
    assert cohen_kappa(matrix) == pytest.approx(0.953, abs=5e-4)
    assert macro_f1(matrix) == pytest.approx(0.9380, abs=5e-5)
    assert cohen_kappa(merge_classes(matrix, ANY_REFUSAL)) == pytest.approx(0.983, abs=5e-4)


def test_the_string_matcher_finds_any_refusal_with_a_kappa_of_817(columns: dict[str, list[str]]) -> None:
    matrix = confusion_matrix(columns["label_raw"], columns["strmatch_label"], LABELS)
    any_refusal = merge_classes(matrix, ANY_REFUSAL)
    assert cohen_kappa(any_refusal) == pytest.approx(0.817, abs=5e-4)
    assert macro_f1(any_refusal) == pytest.approx(0.9083, abs=5e-5)
    assert accuracy(any_refusal) == pytest.approx(0.9136, abs=5e-5)
    assert f1(matrix) == pytest.approx([0.886, 0.899, 0], abs=5e-4)


def test_gpt4_reaches_a_macro_f1_of_677_with_the_published_interval(columns: dict[str, list[str]]) -> None:
    confusions = cluster_confusions(columns["label_raw"], columns["gpt4_label"], columns["prompt"], LABELS)
    statistics = {
        "macro-F1": macro_f1,
        "any-refusal macro-F1": lambda m: macro_f1(merge_classes(m, ANY_REFUSAL)),
        "kappa": cohen_kappa,
    }
    intervals = cluster_bootstrap(statistics, confusions, draws=1000)
    assert intervals["macro-F1"].value == pytest.approx(0.6771, abs=5e-5)
    assert intervals["macro-F1"][1:] == pytest.approx((0.628, 0.725), abs=0.01)
    assert intervals["any-refusal macro-F1"].value == pytest.approx(0.8615, abs=5e-5)
    assert intervals["any-refusal macro-F1"][1:] == pytest.approx((0.838, 0.885), abs=0.01)
    assert intervals["kappa"].value == pytest.approx(0.727, abs=5e-4)
