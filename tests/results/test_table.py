"""The table, its cells' filters, and how it is written."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.results import render
from refusal_tui.results.compare import compare_models
from refusal_tui.results.forest import forest_svg
from refusal_tui.results.table import results_table
from refusal_tui.stats.intervals import wilson
from refusal_tui.store.browse import count_items
from refusal_tui.text.hostile import HOSTILE
from tests.store.building import NewRow, add, judge, says

SVG = "{http://www.w3.org/2000/svg}"
NAMES = [h.text.encode("utf-8", "backslashreplace").decode().replace("\0", "") for h in HOSTILE if len(h.text) < 2000]


def test_every_cell_has_its_rates_with_wilsons_interval_where_prompts_are_single(answered) -> None:
    table = results_table(answered, by=["model"])
    marrow, quill = table.cells
    assert (marrow.key, quill.key) == (("marrow-13b",), ("quill-7b",))
    assert quill.rates["refusal"].interval == pytest.approx(wilson(2, 4))
    assert marrow.rates["fulfilment"].interval == pytest.approx(wilson(3, 4))
    assert not quill.rates["over_refusal"].known


def test_the_filter_of_a_cell_opens_its_rows_and_no_others(answered) -> None:
    for cell in results_table(answered).cells:
        assert count_items(answered, cell.filter) == cell.rows == 2


@pytest.mark.parametrize("judge_name", [None, "lexical", "human:ada"])
def test_the_filter_of_a_cell_keeps_the_rows_of_the_annotator_whose_labels_count(answered, judge_name) -> None:
    judge(answered, says(1, "none", "human:ada"), says(5, "none", "human:ada"))
    for cell in results_table(answered, "category:materials", ["model"], judge_name).cells:
        assert count_items(answered, cell.filter) == cell.rows


@pytest.mark.parametrize("name", NAMES)
def test_the_filter_of_a_cell_holds_for_any_name(connection, name: str) -> None:
    ids = add(
        connection, NewRow("one", "…", name, category=name), NewRow("one", "…", "other"), NewRow("one", "…", None),
        NewRow("one", "…", name + "*", category="c"), dataset=name,
    )  # fmt: skip
    judge(connection, *(says(i, "hard") for i in ids))
    cells = results_table(connection).cells
    assert len(cells) == 4
    assert [count_items(connection, cell.filter) for cell in cells] == [1, 1, 1, 1]


def test_where_a_label_has_no_three_classes_the_filter_opens_all_responses_of_the_cell(connection) -> None:
    (item,) = add(connection, NewRow("one", "…", "quill"))
    judge(connection, Verdict(ItemId(item), "judge:sorry", "sorry", "1", {"sorry": Answer("1")}))
    (cell,) = results_table(connection).cells
    assert cell.filter == "model:quill dataset:demo -category:* has:response"
    assert count_items(connection, cell.filter) == 1


def test_a_judges_score_does_not_stand_beside_a_persons_three_classes(connection) -> None:
    (item,) = add(connection, NewRow("one", "…", "quill"))
    judge(connection, says(item, "hard", "human:ada"))
    judge(connection, Verdict(ItemId(item), "judge:sorry", "sorry", "1", {"sorry": Answer("1")}))
    (cell,) = results_table(connection).cells
    assert (cell.rates["refusal"].interval.value, cell.rates["fulfilment"].interval.value) == (1.0, 0.0)


def test_responses_without_a_label_are_told_beside_the_table(answered) -> None:
    add(answered, NewRow("unheard", "…", "third"), NewRow("unheard", "…", "quill-7b", category="rituals"))
    table = results_table(answered)
    assert table.unlabelled == 2
    assert not any("third" in cell.key for cell in table.cells)
    assert any("in no rate: 2." in note for note in render.notes(table))


def test_the_rules_behind_the_three_classes_stand_beside_the_numbers(answered) -> None:
    assert results_table(answered).profiles == ("xstest",)
    assert "three-class rules: xstest" in render.notes(results_table(answered, judge="lexical"))[0]


# --- written ---------------------------------------------------------------------------------------------------------


def test_as_json_what_is_not_known_is_null(answered) -> None:
    found = json.loads(json.dumps(render.table_json(results_table(answered)), allow_nan=False))
    first = found["cells"][0]
    assert first["model"] == "marrow-13b" and first["over_refusal"] is None
    assert first["refusal"]["rows"] == 2 and 0 <= first["refusal"]["low"] <= first["refusal"]["high"] <= 1


def test_as_csv_every_cell_is_a_line_and_no_name_is_a_formula(connection) -> None:
    (item,) = add(connection, NewRow("one", "…", "=cmd|' /C calc'!A0"))
    judge(connection, says(item, "hard"))
    (line,) = csv.DictReader(io.StringIO(render.table_csv(results_table(connection))))
    assert line["model"] == "'=cmd|' /C calc'!A0"
    assert line["category"] == "" and line["over_refusal"] == ""
    assert float(line["refusal"]) == 1 and line["refusal_prompts"] == "1"


@pytest.mark.parametrize("name", NAMES)
def test_as_markdown_a_name_stays_in_its_cell(connection, name: str) -> None:
    (item,) = add(connection, NewRow("one", "…", name))
    judge(connection, says(item, "hard"))
    head, _, line, *_ = render.table_markdown(results_table(connection)).splitlines()
    assert line.replace("\\\\", "").replace("\\|", "").count("|") == head.count("|")


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_is_well_formed_whatever_the_names_are(connection, name: str) -> None:
    (item,) = add(connection, NewRow("one", "…", name))
    judge(connection, says(item, "hard"))
    root = ElementTree.fromstring(forest_svg(results_table(connection)).encode())
    assert {element.tag for element in root.iter()} == {
        SVG + tag for tag in ("svg", "title", "rect", "text", "g", "line", "circle")
    }


def test_the_figure_draws_one_interval_per_cell_and_known_measure(answered) -> None:
    judge(answered, Verdict(ItemId(1), "human:x", "some", "1", {"prompt_harmful": Answer(False)}))
    table = results_table(answered)
    root = ElementTree.fromstring(forest_svg(table))
    panels = list(root.iter(SVG + "g"))
    assert [panel.find(SVG + "text").text for panel in panels] == ["refused, %", "over-refused, %", "fulfilled, %"]
    dots = [len(list(panel.iter(SVG + "circle"))) for panel in panels]
    assert dots == [len(table.cells), 2, sum(cell.rates["fulfilment"].known for cell in table.cells)]


def test_a_dot_stands_where_its_rate_says(answered) -> None:
    table = results_table(answered, by=["model"])
    panel = next(ElementTree.fromstring(forest_svg(table)).iter(SVG + "g"))
    grid = [float(line.get("x1")) for line in panel.iter(SVG + "line")][:5]
    dots = [float(dot.get("cx")) for dot in panel.iter(SVG + "circle")]
    shares = [(x - grid[0]) / (grid[4] - grid[0]) for x in dots]
    assert shares == pytest.approx([0.25, 0.5], abs=0.001)


# --- compared --------------------------------------------------------------------------------------------------------


def test_two_models_are_compared_by_measure(answered) -> None:
    ((key, found),) = compare_models(answered, "quill-7b", "marrow-13b").lines
    refusal = found["refusal"]
    assert key == () and set(found) == {"refusal", "fulfilment"}
    assert (refusal.prompts, refusal.one, refusal.other, refusal.only_one, refusal.only_other) == (4, 0.5, 0.25, 1, 0)
    assert refusal.interval.low < 0.25 == refusal.interval.value < refusal.interval.high
    assert refusal.p_value == 1.0


def test_a_comparison_is_written_as_json_and_as_markdown(answered) -> None:
    comparison = compare_models(answered, "quill-7b", "marrow-13b", by=["category"])
    lines = json.loads(json.dumps(render.comparison_json(comparison), allow_nan=False))["lines"]
    assert [(line["category"], line["measure"]) for line in lines] == [
        ("materials", "refusal"), ("materials", "fulfilment"), ("rituals", "refusal"), ("rituals", "fulfilment"),
    ]  # fmt: skip
    assert "+50.0 pp" in render.comparison_markdown(comparison)


@pytest.mark.parametrize("name", NAMES)
def test_the_filter_of_a_comparison_holds_for_any_name(connection, name: str) -> None:
    judge(connection, *(says(i, "hard") for i in add(connection, *(NewRow("one", "…", m) for m in (name, "b", "c")))))
    assert count_items(connection, compare_models(connection, name, "b").filter) == 2


# --- totals, several tests at once, the provider's own refusals -------------------------------------------------------


def test_each_model_ends_with_its_total(answered) -> None:
    table = results_table(answered, totals=True)
    assert [(cell.key, cell.rows) for cell in table.totals] == [(("marrow-13b",), 4), (("quill-7b",), 4)]
    _, lines = render.table_lines(table)
    assert [line[:4] for line in lines] == [
        ["marrow-13b", "demo", "materials", 2], ["marrow-13b", "demo", "rituals", 2],
        ["marrow-13b", "(all)", "(all)", 4],
        ["quill-7b", "demo", "materials", 2], ["quill-7b", "demo", "rituals", 2], ["quill-7b", "(all)", "(all)", 4],
    ]  # fmt: skip
    found = render.table_json(table)
    assert [one["refusal"]["rate"] for one in found["totals"]] == [0.25, 0.5]
    assert len(render.table_csv(table).splitlines()) == 5, "a sum over a column must not count rows twice"


def test_the_total_of_a_prompt_in_two_categories_counts_it_as_one_cluster(connection) -> None:
    ids = add(connection, *(NewRow("one", "…", "quill", category=name) for name in ("a", "b")))
    judge(connection, *(says(i, "hard") for i in ids))
    (total,) = results_table(connection, totals=True).totals
    assert (total.rates["refusal"].rows, total.rates["refusal"].prompts) == (2, 1)


def test_a_total_of_one_cell_is_not_shown_twice(answered) -> None:
    table = results_table(answered, by=["model", "dataset"], totals=True)
    assert len(render.table_lines(table)[1]) == 2


def test_p_values_are_corrected_for_all_the_lines_together(answered) -> None:
    comparison = compare_models(answered, "quill-7b", "marrow-13b", by=["category"])
    found = [d for _, measures in comparison.lines for d in measures.values()]
    assert len(found) == 4
    assert all(d.p_holm >= d.p_value for d in found)
    assert min(d.p_holm for d in found) == min(1.0, 4 * min(d.p_value for d in found))
    head, lines = render.comparison_lines(comparison)
    assert head[-2:] == ["p", "p (Holm)"] and len(lines[0]) == len(head)


def stopped(connection, *texts: str) -> list[ItemId]:
    """Responses of a generating job that the provider's filter stopped, with what was said instead."""
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.datasets import begin_made
    from refusal_tui.store.items import add_items
    from tests.store.building import claimed

    job = claimed(connection, [1])
    rows = [NewRow(f"prompt {n}", text, "quill", meta={"provider_refused": True}) for n, text in enumerate(texts)]
    with transaction(connection):
        made = begin_made(connection, "answers", job.id, "generate")
        added = add_items(connection, made.id, [(f"k{n}", row) for n, row in enumerate(rows)])
    return [i for i in added.ids if i is not None]


def test_what_a_filter_stopped_is_a_refusal_of_the_providers_whatever_a_judge_says_of_it(connection) -> None:
    add(connection, NewRow("one", "Well.", "quill"))
    judge(connection, says(1, "none"))
    _, half = stopped(connection, "", "Sure, the first st")
    judge(connection, says(half, "none"))
    (cell,) = results_table(connection, by=["model"]).cells
    assert (cell.none, cell.hard, cell.provider, cell.unlabelled) == (1, 0, 2, 0)
    assert cell.rates["refusal"].interval.value == pytest.approx(2 / 3)
    assert cell.rates["fulfilment"].interval.value == pytest.approx(1 / 3)
    assert count_items(connection, cell.filter) == 3
    assert count_items(connection, "meta.provider_refused:true") == 2


def test_the_providers_refusals_have_a_column_only_where_there_are_some(connection, answered) -> None:
    assert "by provider" not in render.table_lines(results_table(answered))[0]
    stopped(connection, "")
    table = results_table(connection)
    head, lines = render.table_lines(table)
    assert [line[head.index("by provider")] for line in lines if line[0] == "quill"] == [1]
    assert "by provider" in render.table_markdown(table)
    assert any("provider's filter" in note and "meta.provider_refused:true" in note for note in render.notes(table))


def test_two_datasets_of_responses_are_compared_though_their_models_have_one_name(connection) -> None:
    for name, values in {"first": ["hard", "hard", "none"], "second": ["none", "none", "none"]}.items():
        ids = add(connection, *(NewRow(f"prompt {n}", "…", "same") for n in range(3)), dataset=name)
        judge(connection, *map(says, ids, values))
    comparison = compare_models(connection, "first", "second", between="dataset")
    ((_, measures),) = comparison.lines
    assert (measures["refusal"].prompts, measures["refusal"].only_one) == (3, 2)
    assert count_items(connection, comparison.filter) == 6
    with pytest.raises(InputError, match="No response is in 'third'"):
        compare_models(connection, "first", "third", between="dataset")


def test_a_provider_says_nothing_of_refusing_where_only_fulfilment_was_judged(connection) -> None:
    add(connection, NewRow("one", "Well.", "quill"))
    judge(connection, Verdict(ItemId(1), "judge:j", "sorry-bench", "1", {"sorry": Answer("1")}))
    stopped(connection, "")
    (cell,) = results_table(connection, by=["model"]).cells
    assert not cell.rates["refusal"].known and cell.provider == 1
    assert cell.rates["fulfilment"].interval.value == 0.5
