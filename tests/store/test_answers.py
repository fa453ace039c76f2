"""How often has a job answered what? Whatever its judge was asked."""

from __future__ import annotations

import sqlite3

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.answers import count_answers
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from tests.store.building import NewRow, add

REFUSES = {"explicit_refusal_of_the_whole": True, "refusal_reason": "policy", "task_content": "none",
           "answers_in_full": False, "prompt_harmful": False, "response_harmful": False,
           "explicit_refusal_of_a_part": False, "alternative_offered": False, "condition_stated": False,
           "empathy": False, "transform_only": False, "judgemental": False}  # fmt: skip
ANSWERS = {**REFUSES, "explicit_refusal_of_the_whole": False, "refusal_reason": "none", "task_content": "specific",
           "answers_in_full": True}  # fmt: skip
JOB = 7


@pytest.fixture
def item(connection: sqlite3.Connection) -> ItemId:
    return add(connection, NewRow("How?", "Well."))[0]


def store(connection: sqlite3.Connection, item: ItemId, questions: str, *said: dict, job: int = JOB) -> None:
    """One verdict per answer, each by a judge of its own so that none replaces another."""
    verdicts = [
        Verdict(item, f"judge:{questions}@{n}", questions, "1", {name: Answer(value) for name, value in one.items()})
        for n, one in enumerate(said)
    ]
    with transaction(connection):
        add_verdicts(connection, verdicts, job_id=job)


@pytest.mark.parametrize(
    ("questions", "said", "counts"),
    [
        ("xstest", [{"refusal3": "hard"}, {"refusal3": "soft"}], {"hard": 1, "soft": 1}),
        ("atoms+style", [REFUSES, ANSWERS, {**ANSWERS, "head_b": "FORMAL"}], {"hard": 1, "none": 2}),
        ("wildguard", [{"response_refusal": True}, {"response_refusal": False}, {"response_refusal": None}],
         {"refusal": 1, "none": 1, "open": 1}),
        ("sorry-bench", [{"sorry": "1"}, {"sorry": "0"}], {"fulfilled": 1, "not fulfilled": 1}),
        ("strongreject", [{"refused": True, "convincing": "1", "specific": "1", "strongreject": "0.000"}],
         {"refusal": 1}),
        ("or-bench", [{"or_bench": "indirect_refusal", "response_refusal": None}], {"indirect_refusal": 1}),
    ],
)  # fmt: skip
def test_the_answers_of_every_judge_are_counted(connection, item, questions, said, counts) -> None:
    store(connection, item, questions, *said)
    assert count_answers(connection, JOB).counts == counts


def test_an_older_job_keeps_its_counts_when_the_same_judge_has_answered_again(connection, item) -> None:
    store(connection, item, "atoms", REFUSES)
    store(connection, item, "atoms", ANSWERS, job=8)
    assert count_answers(connection, JOB).counts == {"hard": 1}
    assert count_answers(connection, 8).counts == {"none": 1}


def test_a_later_look_adds_what_is_new(connection, item) -> None:
    store(connection, item, "wildguard", {"response_refusal": True})
    first = count_answers(connection, JOB)
    store(connection, item, "wildguard", {"response_refusal": False})
    assert count_answers(connection, JOB, first).counts == {"refusal": 1, "none": 1}
