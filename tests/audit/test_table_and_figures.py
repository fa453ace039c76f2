"""Whose label counts, what the figures say, and that a sample stands for all rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from refusal_tui.audit.figures import coverage, distributions, drift
from refusal_tui.audit.sampling import draw
from refusal_tui.audit.table import HeadColumn, Table, coded, load_table
from refusal_tui.audit.toxicity import is_toxic
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.stats.association import chi_squared_tail, cramers_v, jensen_shannon
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.charts import bars, histogram, stacked
from tests.audit.planted import clean, table_of
from tests.store.building import NewRow, add, judge, says


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


# --- whose label counts ----------------------------------------------------------------------------------------------


def test_a_person_counts_before_a_judge_whoever_came_last(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        ids = add(connection, *[NewRow(f"p{n}", "r") for n in range(4)])
        judge(connection, says(ids[0], "hard", "human:ann"), says(ids[1], "soft", "judge:early"))
        judge(connection, says(ids[0], "none", "judge:late", 0.9), says(ids[1], "none", "judge:late", 0.75))
        judge(connection, says(ids[2], "none", "human:majority/refusal3"), says(ids[2], "hard", "judge:late"))
        table = load_table(connection, list(reversed(ids)))
    column = table.heads["refusal3"]
    assert column.label.values() == ["hard", "none", "hard", None]
    assert column.human.tolist() == [True, False, False, False]
    assert column.probability[1] == pytest.approx(0.75)
    assert column.annotators == {"human:ann": 1, "judge:early": 1, "judge:late": 3, "human:majority/refusal3": 1}


def test_rows_that_are_gone_or_have_no_response_are_told_apart(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        ids = add(connection, NewRow("a", "answer", "m1"), NewRow("b", None), NewRow("c", ""))
        table = load_table(connection, [*ids, 99])
    assert table.response_chars.tolist() == [6, -1, 0]
    assert table.model.values() == ["m1", None, None]


# --- figures ---------------------------------------------------------------------------------------------------------


def test_coverage_counts_harms_of_several_and_says_which_targets_are_missed(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        ids = add(connection, *[NewRow(f"p{n}", "r") for n in range(4)])
        rows = [("REFUSAL.DIRECT", "weapons,fraud", True), ("REFUSAL.OVER", "none", False),
                ("COMPLY.BENIGN", "fraud", False), ("COMPLY.BENIGN", "weapons,fraud", True)]  # fmt: skip
        with transaction(connection):
            add_verdicts(connection, [
                Verdict(ItemId(i), "human:ann", "q", "1",
                        {"head_a": Answer(a), "head_c_a": Answer(c), "prompt_harmful": Answer(p)})
                for i, (a, c, p) in zip(ids, rows, strict=True)
            ])  # fmt: skip
        found = coverage(load_table(connection, ids))
    assert found["harms"] == {"fraud": 3, "weapons": 2}
    assert found["harms_together"] == [{"harms": ["fraud", "weapons"], "rows": 2}]
    assert found["quadrants"] == {
        "harmful prompt, refused": 1, "harmful prompt, answered": 1,
        "harmless prompt, refused": 1, "harmless prompt, answered": 1,
    }  # fmt: skip
    met = {target["name"]: target["met"] for target in found["targets"]}
    assert met["refusals"] is True and met["REFUSAL.OVER"] is True
    assert met["COMPLY.TRANSFORM"] is False and met["harm categories"] is False
    assert met["topics"] is None  # nobody was asked


def test_entropy_is_largest_where_all_classes_are_alike() -> None:
    even = table_of(clean(1, 9))
    label = coded(["none", "hard", "soft"] * 3)
    column = HeadColumn(label, np.full(9, np.nan, np.float32), np.zeros(9, bool), {})
    even = Table(even.ids, even.prompt, even.source, even.model, even.split, even.prompt_chars, even.response_chars,
                 {"refusal3": column})  # fmt: skip
    head = distributions(even)["heads"]["refusal3"]
    assert head["evenness"] == 1.0
    assert head["entropy_bits"] == pytest.approx(np.log2(3), abs=1e-4)


def test_a_source_like_the_others_drifts_less_than_one_with_other_labels() -> None:
    rows = clean(2)
    table = table_of(rows)
    label = coded(["soft" if s == "source-2" else value for s, value in zip(rows.source, rows.label, strict=True)])
    table.heads["refusal3"] = HeadColumn(label, np.full(480, np.nan, np.float32), np.zeros(480, bool), {})
    found = {entry["source"]: entry["labels"] for entry in drift(table)}
    assert found["source-2"] > 0.8
    assert max(found["source-0"], found["source-1"]) < found["source-2"]


def test_the_measures_agree_with_their_textbook_values() -> None:
    assert jensen_shannon(np.array([5, 0]), np.array([0, 9])) == pytest.approx(1.0)
    assert jensen_shannon(np.array([1, 2]), np.array([2, 4])) == pytest.approx(0.0)
    assert cramers_v(np.array([[10, 0, 0], [0, 10, 0]]))[0] == pytest.approx(1.0, abs=0.02)


def test_chi_squared_tails_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 4, 10):
        for chi in (1.0, 5.0, 15.0, 40.0):
            exact = float(stats.chi2.sf(chi, freedom))
            ours = chi_squared_tail(chi, freedom)
            assert ours == pytest.approx(exact, abs=0.01)
            assert (ours < 0.001) == (exact < 0.001)


def test_cramers_v_is_that_of_the_correction_computed_by_hand() -> None:
    """[[30, 10], [15, 45]]: chi2 = 24.24, phi2 = .2424 - 1/99, k~ = 2 - 1/99."""
    value, p_value = cramers_v(np.array([[30, 10], [15, 45]]))
    assert value == pytest.approx(np.sqrt((24.2424 / 100 - 1 / 99) / (1 - 1 / 99)), abs=1e-3)
    assert p_value < 1e-5


# --- the sample ------------------------------------------------------------------------------------------------------


def test_a_mean_over_the_weighted_sample_is_unbiased() -> None:
    strata = ["rare"] * 30 + ["common"] * 970
    value = np.array([1.0] * 30 + [0.1] * 970)
    means = []
    for seed in range(200):
        drawn = draw(coded(strata), 60, seed)
        means.append(sum(value[one.place] / one.inclusion for one in drawn) / len(strata))
    assert np.mean(means) == pytest.approx(value.mean(), rel=0.005)


def test_with_more_strata_than_rows_the_weights_still_stand_for_all() -> None:
    strata = [f"s{n % 50}" for n in range(500)]
    totals = [sum(1 / one.inclusion for one in draw(coded(strata), 20, seed)) for seed in range(20)]
    assert np.mean(totals) == pytest.approx(500)


def test_the_same_seed_draws_the_same_rows() -> None:
    strata = coded(["a", "b"] * 50)
    assert draw(strata, 10, 3) == draw(strata, 10, 3) != draw(strata, 10, 4)


# --- words and pictures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["It takes skill.", "Go diet.", "He shut the window up there.", "kill the process", ""]
)
def test_parts_of_words_and_harmless_verbs_are_no_insult(text: str) -> None:
    assert not is_toxic(text)


@pytest.mark.parametrize("text", ["You are an IDIOT.", "shut up", "We will find you", "such disgusting people"])
def test_insults_and_threats_are_found(text: str) -> None:
    assert is_toxic(text)


def test_charts_escape_names_and_show_every_value() -> None:
    pictures = (
        bars({"<b>&": 3, "plain": 12.0}, title="<t>"),
        stacked({"<b>": {"none": 2, "<i>": 1}}, title="t"),
        histogram([1, 2], ["<a>", "b"], title="t"),
    )
    for picture in pictures:
        assert "<b>" not in picture and "<i>" not in picture and "<a>" not in picture
    assert ">12<" in pictures[0] and ">3<" in pictures[0]
