"""Gold: what was settled, else what most people say; and the filters that follow it."""

from __future__ import annotations

import sqlite3

import pytest

from refusal_tui.labels.verdict import Answer
from refusal_tui.store.connect import transaction
from refusal_tui.store.gold import Gold, gold_of
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_queues import Purpose, Queue, QueueItem, QueueSettings, create_queue
from refusal_tui.store.review_work import Place, Said, decide, undo
from tests.store.building import NewRow, add, judge, says

ADA, BOB, CLEO, EVE = "human:ada", "human:bob", "human:cleo", "human:eve"


def rows(connection: sqlite3.Connection, count: int = 3) -> list[int]:
    return [int(i) for i in add(connection, *(NewRow(f"p{n}", f"r{n}") for n in range(count)))]


def disputes(connection: sqlite3.Connection, *ids: int, name: str = "disputes", head: str = "refusal3") -> Queue:
    settings = QueueSettings(questions=head, blind=False, purpose=Purpose.ADJUDICATE)
    with transaction(connection):
        cards = [QueueItem(n, i, "people") for n, i in enumerate(ids, 1)]
        return create_queue(connection, name, settings, cards)


def settle(connection: sqlite3.Connection, queue: Queue, card: int, value: str | bool, who: str = EVE) -> None:
    with transaction(connection):
        decide(connection, Place(queue, card, who), Said({queue.settings.questions: Answer(value)}))


def found(connection: sqlite3.Connection, text: str) -> list[int]:
    condition = compile_filter(connection, text)
    sql = f"SELECT item.id FROM item WHERE {condition.sql} ORDER BY 1"
    return [row[0] for row in connection.execute(sql, condition.parameters)]


def test_what_most_people_say_is_gold_until_somebody_settles_it(connection) -> None:
    (row, *_) = rows(connection)
    judge(connection, says(row, "hard", ADA), says(row, "hard", BOB), says(row, "none", CLEO))
    assert gold_of(connection, [row]) == {row: Gold("hard", False, (ADA, BOB))}
    settle(connection, disputes(connection, row), 1, "soft")
    assert gold_of(connection, [row]) == {row: Gold("soft", True, (EVE,))}


def test_rows_that_are_split_or_unlabelled_have_no_gold(connection) -> None:
    split, unlabelled, judged = rows(connection)
    judge(connection, says(split, "hard", ADA), says(split, "none", BOB), says(judged, "hard"))
    assert gold_of(connection, [split, unlabelled, judged]) == {}


def test_a_judge_and_a_computed_consensus_have_no_vote(connection) -> None:
    (row, *_) = rows(connection)
    judge(connection, says(row, "hard", ADA), says(row, "none"), says(row, "none", "human:majority/refusal3"))
    assert gold_of(connection, [row])[row] == Gold("hard", False, (ADA,))


def test_the_latest_settlement_counts_and_an_undone_one_does_not(connection) -> None:
    (row, *_) = rows(connection)
    judge(connection, says(row, "hard", ADA), says(row, "none", BOB))
    first, second = disputes(connection, row), disputes(connection, row, name="again")
    settle(connection, first, 1, "soft")
    settle(connection, second, 1, "none", CLEO)
    assert gold_of(connection, [row])[row].value == "none"
    with transaction(connection):
        undo(connection, second, CLEO)
    assert gold_of(connection, [row])[row] == Gold("soft", True, (EVE,))
    with transaction(connection):
        undo(connection, first, EVE)
    assert gold_of(connection, [row]) == {}


def test_a_later_label_elsewhere_does_not_unsettle_a_row(connection) -> None:
    (row, *_) = rows(connection)
    settle(connection, disputes(connection, row), 1, "soft")
    judge(connection, says(row, "hard", EVE))
    assert gold_of(connection, [row])[row].value == "soft"
    assert found(connection, "gold:soft") == [row] and found(connection, "gold:hard") == []


def test_yes_and_no_are_settled_too(connection) -> None:
    (row, other, _) = rows(connection)
    queue = disputes(connection, row, other, head="prompt_harmful")
    settle(connection, queue, 1, True)
    settle(connection, queue, 2, False)
    gold = gold_of(connection, [row, other], "prompt_harmful")
    assert {i: g.value for i, g in gold.items()} == {row: "yes", other: "no"}
    assert gold_of(connection, [row]) == {}, "another head"
    assert found(connection, "gold.prompt_harmful:no") == [other]


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("gold:hard", [1, 2], [2]),
        ("gold:none", [1], [1]),
        ("-gold:hard", [3], [1, 3]),
        ("gold.ada:hard", [1, 2], [1, 2]),  # by name: that person's own label
        ("has:gold", [1, 2], [1, 2]),
        ("is:disagreement", [1, 2], [2]),  # the judge says none of both
        ("is:settled", [], [1]),
        ("-is:settled", [1, 2, 3], [2, 3]),
        ("is:settled,disagreement", [1, 2], [1, 2]),
    ],
)
def test_filters_follow_what_was_settled(connection, text: str, before: list[int], after: list[int]) -> None:
    one, two, _ = rows(connection)
    judge(connection, says(one, "hard", ADA), says(one, "none", BOB), says(two, "hard", ADA))
    judge(connection, says(one, "none"), says(two, "none"))
    assert found(connection, text) == before
    settle(connection, disputes(connection, one), 1, "none")
    assert found(connection, text) == after
