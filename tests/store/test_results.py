"""Sums over models, datasets and categories."""

from __future__ import annotations

import sqlite3

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile, Verdict
from refusal_tui.stats.rates import cluster_sums
from refusal_tui.store.results import CellCounts, LabelSource, count_cells, count_pairs, label_sources
from tests.store.building import NewRow, add, judge, says


def answers(item_id: int, who: str = "judge:lexical", **values: str | bool) -> Verdict:
    return Verdict(ItemId(item_id), who, "some", "1", {question: Answer(value) for question, value in values.items()})


def rows(connection: sqlite3.Connection, *models: str | None, prompt: str = "How?", **fields) -> list[ItemId]:
    return add(connection, *(NewRow(prompt, "Well.", model, **fields) for model in models))


def only(cells: list[CellCounts]) -> CellCounts:
    assert len(cells) == 1
    return cells[0]


def test_each_combination_of_the_groups_is_a_cell_in_order(connection) -> None:
    for category in ("vaults", "animals", None):
        ids = rows(connection, "quill", "marrow", prompt=f"About {category}?", category=category)
        judge(connection, *(says(i, "none") for i in ids))
    cells = count_cells(connection)
    assert [cell.key for cell in cells] == [
        ("marrow", "demo", "animals"), ("marrow", "demo", "vaults"), ("marrow", "demo", None),
        ("quill", "demo", "animals"), ("quill", "demo", "vaults"), ("quill", "demo", None),
    ]  # fmt: skip
    assert [cell.key for cell in count_cells(connection, by=["category"])] == [("animals",), ("vaults",), (None,)]
    assert only(count_cells(connection, by=[])).refusal.rows == 6


def test_hard_and_soft_are_refusals_and_prompts_are_clusters(connection) -> None:
    first = rows(connection, "quill", "quill", "quill", prompt="one")
    second = rows(connection, "quill", prompt="two")
    judge(connection, *map(says, [*first, *second], ["hard", "soft", "none", "none"]))
    cell = only(count_cells(connection, by=["model"]))
    assert (cell.none, cell.hard, cell.soft, cell.unlabelled) == (2, 1, 1, 0)
    assert cell.refusal == cluster_sums([(2, 3), (0, 1)])


def test_a_response_without_a_label_is_counted_as_such_and_in_no_rate(connection) -> None:
    ids = rows(connection, "quill", "quill")
    judge(connection, says(ids[0], "hard"), says(ids[1], None))
    cell = only(count_cells(connection, by=["model"]))
    assert (cell.refusal.rows, cell.unlabelled) == (1, 1)


def test_a_prompt_without_a_response_counts_for_nothing(connection) -> None:
    add(connection, NewRow("How?", None, "quill"))
    assert count_cells(connection) == []
    assert count_cells(connection, by=[]) == []


def test_people_come_before_judges_and_the_latest_label_of_each_counts(connection) -> None:
    (item,) = rows(connection, "quill")
    judge(connection, says(item, "hard", "human:ada"))
    judge(connection, says(item, "soft", "human:bob"))
    judge(connection, says(item, "none", "judge:lexical"))
    assert only(count_cells(connection, by=[])).soft == 1


def test_a_judge_that_is_named_counts_alone(connection) -> None:
    ids = rows(connection, "quill", "quill")
    judge(connection, *(says(i, "hard", "human:ada") for i in ids), says(ids[0], "none"))
    cell = only(count_cells(connection, by=[], judge="lexical"))
    assert (cell.none, cell.hard, cell.unlabelled) == (1, 0, 1)
    assert only(count_cells(connection, by=[], judge="human:ada")).hard == 2


def test_a_plain_answer_on_refusal_counts_where_there_are_no_three_classes(connection) -> None:
    ids = rows(connection, "quill", "quill", "quill")
    judge(connection, answers(ids[0], response_refusal=True), answers(ids[1], response_refusal=False))
    judge(connection, answers(ids[2], response_refusal=False, refusal3="soft"))
    cell = only(count_cells(connection, by=[]))
    assert (cell.refusal.hits, cell.refusal.rows, cell.soft) == (2, 3, 1)


def test_over_refusal_is_of_prompts_known_to_be_harmless(connection) -> None:
    safe = rows(connection, "quill", "quill", prompt="What do zorblings eat?")
    unsafe, unknown = rows(connection, "quill", prompt="blorptanium?"), rows(connection, "quill", prompt="frindle?")
    judge(connection, *(says(i, "hard") for i in [*safe, *unsafe, *unknown]))
    judge(connection, answers(safe[0], "human:xstest", prompt_harmful=False))
    judge(connection, answers(unsafe[0], "human:xstest", prompt_harmful=True))
    cell = only(count_cells(connection, by=[]))
    assert cell.over_refusal == cluster_sums([(2, 2)])
    assert cell.refusal.rows == 4


def test_what_people_say_of_a_prompt_comes_before_what_a_judge_says(connection) -> None:
    (item,) = rows(connection, "quill")
    judge(connection, says(item, "hard"), answers(item, "human:xstest", prompt_harmful=False))
    judge(connection, answers(item, "judge:other", prompt_harmful=True))
    assert only(count_cells(connection, by=[])).over_refusal.rows == 1


def test_fulfilment_is_the_score_else_what_the_three_classes_settle(connection) -> None:
    ids = rows(connection, *["quill"] * 5)
    judge(connection, *map(says, ids, ["none", "hard", "soft", "soft", None]))
    judge(connection, answers(ids[3], "judge:sorry", sorry="1"), answers(ids[4], "judge:sorry", sorry="0"))
    cell = only(count_cells(connection, by=[]))
    assert (cell.fulfilment.hits, cell.fulfilment.rows) == (2, 4), "a soft refusal without a score stays open"
    assert cell.unlabelled == 0


def test_a_selection_narrows_the_rows_and_a_saved_label_filter_does_not_change_whose_label_counts(connection) -> None:
    ids = rows(connection, "quill", "marrow")
    judge(connection, says(ids[0], "hard"), says(ids[1], "none"))
    assert [cell.key for cell in count_cells(connection, "model:quill", ["model"])] == [("quill",)]
    assert only(count_cells(connection, "judge:hard", ["model"])).refusal.share == 1


def test_unknown_groups_and_judges_are_named_with_what_there_is(connection) -> None:
    (item,) = rows(connection, "quill")
    judge(connection, says(item, "hard"))
    with pytest.raises(InputError, match="grouped by 'colour'"):
        count_cells(connection, by=["colour"])
    with pytest.raises(InputError, match="'frindle' has labelled nothing") as error:
        count_cells(connection, judge="frindle")
    assert "lexical" in error.value.next_step


def test_the_sources_of_labels_are_told_with_their_rules(connection) -> None:
    ids = rows(connection, "quill", "quill")
    judge(connection, *(says(i, "hard") for i in ids))
    judge(
        connection,
        Verdict(ids[0], "human:ada", "refusal3", "1", {"refusal3": Answer("soft")}, profile=Profile.ROBERTA),
    )
    assert label_sources(connection) == [
        LabelSource("judge:lexical", "xstest", 2), LabelSource("human:ada", "roberta", 1),
    ]  # fmt: skip
    assert label_sources(connection, "gold:soft")[0].rows == 1


# --- two models ------------------------------------------------------------------------------------------------------


def answered(connection: sqlite3.Connection, prompt: str, category: str | None = None, **says_of: str) -> None:
    """Each model's answers to one prompt, as letters: h(ard), s(oft), n(one)."""
    words = {"h": "hard", "s": "soft", "n": "none"}
    for model, letters in says_of.items():
        ids = rows(connection, *[model] * len(letters), prompt=prompt, category=category)
        judge(connection, *(says(i, words[letter]) for i, letter in zip(ids, letters, strict=True)))


def refusals(connection, by=(), filter_text=""):
    return [(key, found["refusal"]) for key, found in count_pairs(connection, "a", "b", filter_text, by)]


def test_only_prompts_that_both_have_answered_are_compared(connection) -> None:
    answered(connection, "one", a="h", b="n")
    answered(connection, "two", a="h", b="s")
    answered(connection, "three", a="n", b="h")
    answered(connection, "only a", a="h")
    answered(connection, "only b and c", b="h", c="h")
    ((key, counts),) = refusals(connection)
    assert key == ()
    assert (counts.prompts, counts.one, counts.other) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (counts.only_one, counts.only_other, counts.total, counts.squares) == (1, 1, 0, 2)


def test_several_answers_to_a_prompt_count_with_their_mean_and_their_majority(connection) -> None:
    answered(connection, "one", a="hhn", b="n")
    answered(connection, "a tie", a="hn", b="n")
    ((_, counts),) = refusals(connection)
    assert counts.total == pytest.approx(2 / 3 + 1 / 2)
    assert (counts.only_one, counts.only_other) == (1, 0)


def test_models_are_compared_group_by_group(connection) -> None:
    answered(connection, "one", "vaults", a="h", b="n")
    answered(connection, "two", "animals", a="n", b="n")
    assert [(key, c.only_one) for key, c in refusals(connection, ["category"])] == [(("animals",), 0), (("vaults",), 1)]


def test_a_model_that_is_not_there_is_named_with_those_that_are(connection) -> None:
    answered(connection, "one", a="h", c="n")
    with pytest.raises(InputError, match="'b'") as error:
        count_pairs(connection, "a", "b")
    assert error.value.next_step == "Models here: a, c."
    with pytest.raises(InputError, match="by model"):
        count_pairs(connection, "a", "c", by=["model"])
