"""What exactly is stored when a judge or a human answers?"""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile, Span, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts, label_pairs, labels_of, rebuild_labels, verdicts_of
from tests.store.building import NewRow, add, judge, says

FULL = Verdict(
    ItemId(1), "human:hannah", "guideline", "3",
    {"refusal3": Answer("soft", 0.7), "prompt_harmful": Answer(True, 0.9), "response_harmful": Answer(None)},
    spans=(Span("response", 0, 5, "opening"),), raw="<soft>", rationale="Sorry comes first.", seen_judge=True,
    profile=Profile.ROBERTA,
)  # fmt: skip


@pytest.fixture(autouse=True)
def three_items(connection: sqlite3.Connection) -> None:
    add(connection, NewRow("one", "Sorry."), NewRow("two", "Sure."), NewRow("three", "No."))


def labels(connection: sqlite3.Connection, item_id: int = 1) -> dict[tuple[str, str], str]:
    return {(label.annotator, label.head): label.value for label in labels_of(connection, item_id)}


def all_labels(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute("SELECT * FROM label ORDER BY 1, 2, 3, 4")]


def test_a_verdict_comes_out_as_it_went_in(connection: sqlite3.Connection) -> None:
    judge(connection, FULL)
    (stored,) = verdicts_of(connection, 1)
    assert stored.verdict == FULL


def test_labels_follow_from_a_verdict_and_an_open_answer_gives_none(connection: sqlite3.Connection) -> None:
    judge(connection, FULL)
    assert labels(connection) == {
        ("human:hannah", "refusal3"): "soft",
        ("human:hannah", "prompt_harmful"): "yes",
    }


def test_a_verdict_is_never_edited(connection: sqlite3.Connection) -> None:
    judge(connection, FULL)
    with pytest.raises(sqlite3.IntegrityError, match="never edited"), transaction(connection):
        connection.execute("UPDATE verdict SET answers = '{}'")


def test_a_new_verdict_replaces_the_labels_and_keeps_the_history(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"))
    judge(connection, says(1, "soft"))
    assert labels(connection) == {("judge:lexical", "refusal3"): "soft"}
    history = [(v.verdict.answers["refusal3"].value, v.superseded) for v in verdicts_of(connection, 1)]
    assert history == [("hard", True), ("soft", False)]


def test_annotators_do_not_replace_each_other(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"), says(1, "none", "human:hannah"), says(1, "soft", "judge:other"))
    assert labels(connection) == {
        ("judge:lexical", "refusal3"): "hard",
        ("human:hannah", "refusal3"): "none",
        ("judge:other", "refusal3"): "soft",
    }
    assert not any(v.superseded for v in verdicts_of(connection, 1))


def test_two_profiles_of_one_judge_stand_side_by_side(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"), replace(says(1, "soft"), profile=Profile.ROBERTA))
    assert {(label.profile, label.value) for label in labels_of(connection, 1)} == {
        ("xstest", "hard"),
        ("roberta", "soft"),
    }


def test_an_empty_verdict_retracts_the_labels_and_keeps_the_history(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"), says(1, "soft", "judge:other"))
    judge(connection, replace(says(1, None), answers={}))
    assert labels(connection) == {("judge:other", "refusal3"): "soft"}
    assert len(verdicts_of(connection, 1)) == 3


def test_an_open_answer_takes_the_earlier_label_back(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"))
    judge(connection, says(1, None))
    assert labels(connection) == {}


def test_of_two_verdicts_in_one_batch_the_later_counts(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"), replace(says(1, None), answers={}))
    assert labels(connection) == {}


def test_retracting_one_question_set_brings_the_other_one_back(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"))
    judge(connection, replace(says(1, "soft"), question_set="atoms"))
    assert labels(connection) == {("judge:lexical", "refusal3"): "soft"}
    judge(connection, replace(says(1, None), question_set="atoms"))
    assert labels(connection) == {("judge:lexical", "refusal3"): "hard"}


def test_an_answer_that_is_no_class_stores_nothing_at_all(connection: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="blorp"):
        judge(connection, says(2, "hard"), says(1, "blorp"))
    assert verdicts_of(connection, 1) == verdicts_of(connection, 2) == []


def test_a_lone_surrogate_in_a_raw_answer_is_kept_as_its_escape(connection: sqlite3.Connection) -> None:
    judge(connection, replace(says(1, "hard"), raw="a\ud800", rationale="b\udfff"))
    (stored,) = verdicts_of(connection, 1)
    assert (stored.verdict.raw, stored.verdict.rationale) == ("a\\ud800", "b\\udfff")


def test_a_verdict_of_no_item_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        judge(connection, says(99, "hard"))


def test_two_annotators_are_compared_over_the_items_that_both_have_labelled(connection: sqlite3.Connection) -> None:
    judge(connection, says(1, "hard"), says(2, "none"), says(3, "soft"))
    judge(connection, says(1, "hard", "human:hannah"), says(2, "soft", "human:hannah"))
    assert sorted(label_pairs(connection, "judge:%", "human:%")) == [("hard", "hard"), ("none", "soft")]
    assert label_pairs(connection, "judge:%", "human:%", "id:2") == [("none", "soft")]


def test_rebuilding_gives_the_same_labels(connection: sqlite3.Connection) -> None:
    dice = random.Random(1)
    for _ in range(30):
        judge(connection, *(random_verdict(dice) for _ in range(dice.randrange(1, 6))))
    before = all_labels(connection)
    with transaction(connection):
        assert rebuild_labels(connection) == len(before)
    assert all_labels(connection) == before


def random_verdict(dice: random.Random) -> Verdict:
    heads = dice.sample(["refusal3", "prompt_harmful"], dice.randrange(3))
    answers = {
        h: Answer(dice.choice(["hard", "soft", None]) if h == "refusal3" else dice.choice([True, None])) for h in heads
    }
    return Verdict(
        ItemId(dice.randrange(1, 4)), dice.choice(["judge:a", "human:b"]), dice.choice(["q1", "q2"]), "1", answers,
        profile=dice.choice(list(Profile)),
    )  # fmt: skip


verdicts = st.builds(
    Verdict,
    item_id=st.sampled_from([ItemId(1), ItemId(2)]),
    annotator=st.sampled_from(["judge:a", "human:b"]),
    question_set=st.sampled_from(["q1", "q2"]),
    version=st.just("1"),
    answers=st.fixed_dictionaries(
        {},
        optional={
            "refusal3": st.builds(Answer, st.sampled_from(["hard", "soft", None]), st.none() | st.floats(0, 1)),
            "prompt_harmful": st.builds(Answer, st.sampled_from([True, False, None])),
        },
    ),
    profile=st.sampled_from(list(Profile)),
)


@settings(deadline=None, max_examples=60)
@given(batches=st.lists(st.lists(verdicts, max_size=4), max_size=5))
def test_after_any_history_the_labels_are_those_of_a_rebuild(
    empty_memory: sqlite3.Connection, batches: list[list[Verdict]]
) -> None:
    connection = empty_memory
    connection.execute("BEGIN")
    try:
        into = begin_dataset(connection, "demo", Provenance("generic", "1", "x"))
        add_items(connection, into.id, [("a", NewRow("1")), ("b", NewRow("2"))])
        for batch in batches:
            add_verdicts(connection, batch)
        before = all_labels(connection)
        rebuild_labels(connection)
        assert all_labels(connection) == before
    finally:
        connection.execute("ROLLBACK")
