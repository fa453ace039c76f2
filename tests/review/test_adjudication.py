"""Disagreements by value, the queue that settles them, whose label holds, and the consensus of people."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.review.adjudication import (
    Disagreement,
    Kind,
    Wanted,
    adjudication_of,
    by_value,
    candidates,
    disagreement,
    find_disagreements,
    make_adjudication,
    what_holds,
)
from refusal_tui.review.agreement import agreement
from refusal_tui.review.agreement_report import Asked
from refusal_tui.review.consensus import consensus_of_people
from refusal_tui.review.questions import sheet
from refusal_tui.store.adjudication import Voice, voices_of
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import labels_of, verdicts_of
from refusal_tui.store.review_queues import Purpose, Queue, QueueItem, QueueSettings, create_queue
from refusal_tui.store.review_work import Place, Said, decide, skip
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add, judge, says

ADA, BOB, CLEO, EVE = "human:ada", "human:bob", "human:cleo", "human:eve"
QUILL, MARROW = "judge:quill", "judge:marrow"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "ws").open()) as opened:
        yield opened


def worth(*voices: Voice, head: str = "refusal3") -> Disagreement | None:
    return disagreement(ItemId(1), voices, head)


def v(who: str, value: str, probability: float | None = None) -> Voice:
    return Voice(who, value, probability)


# --- what kind, and how much it is worth ---------------------------------------------------------------------------


def test_people_who_differ_come_before_a_judge_that_differs_from_them() -> None:
    found = worth(v(ADA, "hard"), v(BOB, "none"), v(QUILL, "soft", 0.99))
    assert found is not None and found.kind is Kind.PEOPLE and found.score == 1.0


def test_a_neighbouring_class_is_half_as_far() -> None:
    near, far = worth(v(ADA, "hard"), v(BOB, "soft")), worth(v(ADA, "hard"), v(BOB, "none"))
    assert near is not None and far is not None and (near.score, far.score) == (0.5, 1.0)


def test_two_against_one_is_worth_less_than_one_against_one() -> None:
    split = worth(v(ADA, "hard"), v(BOB, "none"), v(CLEO, "none"))
    assert split is not None and split.score == pytest.approx(2 / 3)


def test_a_confident_judge_that_contradicts_a_person_comes_before_a_hesitating_one() -> None:
    sure, unsure, silent = (worth(v(ADA, "hard"), v(QUILL, "none", p)) for p in (0.98, 0.6, None))
    assert sure and unsure and silent and sure.kind is Kind.PERSON_JUDGE
    assert (sure.score, unsure.score, silent.score) == (0.98, 0.6, 0.5)


def test_judges_that_differ_matter_only_where_no_person_has_spoken() -> None:
    alone = worth(v(QUILL, "hard", 0.9), v(MARROW, "none", 0.8))
    assert alone is not None and alone.kind is Kind.JUDGES and alone.score == pytest.approx(0.72)
    with_ada = worth(v(ADA, "hard"), v(QUILL, "hard", 0.9), v(MARROW, "none", 0.8))
    assert with_ada is not None and with_ada.kind is Kind.PERSON_JUDGE and with_ada.score == pytest.approx(0.4)


def test_a_judge_that_is_unsure_comes_last_and_by_its_margin() -> None:
    found = worth(v(QUILL, "hard", 0.55))
    assert found is not None and found.kind is Kind.UNSURE and found.score == pytest.approx(0.9)
    assert worth(v(QUILL, "hard", 0.6)) is None
    assert worth(v(QUILL, "hard", 0.55), v(ADA, "hard")) is None, "a person has said so"


def test_labels_without_an_order_are_all_equally_far() -> None:
    found = worth(v(ADA, "yes"), v(BOB, "no"), head="prompt_harmful")
    assert found is not None and found.score == 1.0


VOICES = st.lists(
    st.builds(
        Voice, st.sampled_from([ADA, BOB, CLEO, QUILL, MARROW]), st.sampled_from(["none", "soft", "hard"]),
        st.none() | st.floats(0, 1),
    ),
    unique_by=lambda voice: voice.annotator,
)  # fmt: skip


@given(VOICES, st.randoms())
def test_a_score_is_a_share_and_does_not_depend_on_the_order_of_the_voices(voices, chance) -> None:
    found = worth(*voices)
    shuffled = list(voices)
    chance.shuffle(shuffled)
    again = worth(*shuffled)
    assert (found is None) == (again is None)
    if found is not None and again is not None:
        assert found.kind is again.kind and found.score == pytest.approx(again.score) and 0 <= found.score <= 1


def test_the_order_is_by_kind_then_score_then_row() -> None:
    found = [
        Disagreement(ItemId(i), kind, score, ())
        for i, kind, score in [
            (1, Kind.UNSURE, 1.0), (2, Kind.JUDGES, 0.2), (3, Kind.JUDGES, 0.9), (4, Kind.PEOPLE, 0.1),
            (6, Kind.PERSON_JUDGE, 0.5), (5, Kind.PERSON_JUDGE, 0.5),
        ]
    ]  # fmt: skip
    assert [one.item_id for one in by_value(found)] == [4, 5, 6, 3, 2, 1]


# --- out of the store ----------------------------------------------------------------------------------------------


def contested(connection: sqlite3.Connection) -> list[int]:
    """Rows on which: people differ; a judge contradicts a person; judges differ; a judge is unsure; all agree."""
    ids = [int(i) for i in add(connection, *(NewRow(f"p{n}", f"r{n}") for n in range(5)))]
    people, person, judges, unsure, agreed = ids
    judge(
        connection,
        says(people, "hard", ADA), says(people, "none", BOB),
        says(person, "hard", ADA), says(person, "none", QUILL, 0.9),
        says(judges, "hard", QUILL, 0.9), says(judges, "soft", MARROW, 0.9), says(unsure, "hard", QUILL, 0.5),
        says(agreed, "hard", ADA), says(agreed, "hard", QUILL, 0.5),
    )  # fmt: skip
    return ids


def listed(connection: sqlite3.Connection, **wanted) -> list[tuple[int, Kind]]:
    return [(one.item_id, one.kind) for one in find_disagreements(connection, Wanted(**wanted))]


def settle(connection: sqlite3.Connection, queue: Queue, card: int, value: str, who: str = EVE) -> None:
    with transaction(connection):
        decide(connection, Place(queue, card, who), Said({"refusal3": Answer(value)}))


def test_all_kinds_are_found_in_their_order(connection) -> None:
    people, person, judges, unsure, _ = contested(connection)
    assert listed(connection) == [
        (people, Kind.PEOPLE), (person, Kind.PERSON_JUDGE), (judges, Kind.JUDGES), (unsure, Kind.UNSURE),
    ]  # fmt: skip


def test_a_filter_a_queue_and_annotators_choose(connection) -> None:
    people, person, judges, *_ = contested(connection)
    with transaction(connection):
        queue = create_queue(connection, "q", QueueSettings(), [QueueItem(1, ItemId(judges), "random", 1.0)])
    assert listed(connection, selection=f"id:{person}") == [(person, Kind.PERSON_JUDGE)]
    assert listed(connection, queue=queue) == [(judges, Kind.JUDGES)]
    assert listed(connection, annotators=(ADA, BOB)) == [(people, Kind.PEOPLE)]


def test_the_latest_label_counts_and_a_computed_one_is_no_voice(connection) -> None:
    people, person, *_ = contested(connection)
    judge(connection, says(people, "hard", BOB), says(person, "soft", "judge:majority/atoms"))
    assert (people, Kind.PEOPLE) not in listed(connection)
    assert [one.annotator for one in find_disagreements(connection, Wanted(selection=f"id:{person}"))[0].voices] == [
        ADA, QUILL,
    ]  # fmt: skip


def test_a_queue_keeps_the_order_and_shows_the_names(connection) -> None:
    contested(connection)
    found = find_disagreements(connection, Wanted())
    queue = make_adjudication(connection, found, Wanted(), "disputes")
    settings = queue.settings
    assert settings.purpose is Purpose.ADJUDICATE and not settings.blind and settings.questions == "refusal3"
    rows = connection.execute("SELECT position, item_id, stratum, inclusion FROM queue_item ORDER BY 1").fetchall()
    assert [tuple(row) for row in rows] == [(n, d.item_id, d.kind.value, None) for n, d in enumerate(found, 1)]
    with pytest.raises(InputError, match="no disagreement left"):
        make_adjudication(connection, [], Wanted())
    with pytest.raises(InputError, match="Nobody can be asked"):
        make_adjudication(connection, found, Wanted(head="or_bench"))


def test_what_is_settled_is_not_listed_again_until_it_is_taken_back(connection) -> None:
    people, person, *_ = contested(connection)
    queue = make_adjudication(connection, find_disagreements(connection, Wanted())[:2], Wanted(), "disputes")
    settle(connection, queue, 1, "soft")
    assert people not in [row for row, _ in listed(connection)] and person in [row for row, _ in listed(connection)]
    with transaction(connection):
        skip(connection, Place(queue, 1, EVE))
    assert listed(connection)[0] == (people, Kind.PEOPLE)


def test_the_same_rows_are_gone_on_with_where_they_were_left(connection) -> None:
    contested(connection)
    first = adjudication_of(connection, find_disagreements(connection, Wanted()), Wanted(), EVE)
    settle(connection, first, 1, "soft")
    assert adjudication_of(connection, find_disagreements(connection, Wanted()), Wanted(), EVE) == first
    with transaction(connection):
        skip(connection, Place(first, 2, EVE))
    other = adjudication_of(connection, find_disagreements(connection, Wanted()), Wanted(), EVE)
    assert other.name == "settle-2", "a skipped row is not shown again in its queue"


def test_voices_come_with_their_reasons_and_without_the_settlement(connection) -> None:
    people, *_ = contested(connection)
    noted = Verdict(
        ItemId(people), CLEO, "refusal3", "1", {"refusal3": Answer("soft")}, rationale="half", seen_judge=True
    )
    judge(connection, noted, says(people, "hard", "human:majority/refusal3"))
    queue = make_adjudication(connection, find_disagreements(connection, Wanted())[:1], Wanted(), "disputes")
    expected = (Voice(ADA, "hard"), Voice(BOB, "none"), Voice(CLEO, "soft", None, "half", True))
    assert voices_of(connection, people, "refusal3") == expected
    settle(connection, queue, 1, "none", ADA)  # one of those who differ may settle it
    assert voices_of(connection, people, "refusal3") == expected


# --- whose label holds ---------------------------------------------------------------------------------------------

VOICED = (v(ADA, "none"), v(BOB, "hard"), v(CLEO, "hard"), v(QUILL, "soft", 0.9), v("judge:ada", "soft"))


def test_candidates_are_the_labels_of_people_first_and_each_once() -> None:
    assert [(c.value, [one.name for one in c.voices]) for c in candidates(VOICED)] == [
        ("hard", ["bob", "cleo"]), ("none", ["ada"]), ("soft", ["ada", "quill"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "value"),
    [("1", "hard"), ("2", "none"), ("bob", "hard"), ("quill", "soft"), ("human:ada", "none"), ("soft", "soft")],
)
def test_a_label_is_picked_by_number_by_name_or_given(said: str, value: str) -> None:
    assert what_holds(sheet("refusal3"), VOICED, said) == Answer(value)


@pytest.mark.parametrize("said", ["4", "0", "ada", "dora", "maybe"])
def test_what_is_neither_is_told_with_what_there_is(said: str) -> None:
    with pytest.raises(InputError) as told:
        what_holds(sheet("refusal3"), VOICED, said)
    assert told.value.next_step


def test_yes_and_no_are_answers_of_their_own_kind() -> None:
    voices = (v(ADA, "yes"), v(BOB, "no"))
    assert what_holds(sheet("prompt_harmful"), voices, "bob") == Answer(False)


# --- consensus of people -------------------------------------------------------------------------------------------


def labelled(connection: sqlite3.Connection) -> list[int]:
    """Two agree; two against one; one against one; one alone."""
    ids = [int(i) for i in add(connection, *(NewRow(f"p{n}", f"r{n}") for n in range(4)))]
    both, most, even, alone = ids
    judge(
        connection,
        says(both, "hard", ADA), says(both, "hard", BOB), says(most, "hard", ADA), says(most, "none", BOB),
        says(most, "none", CLEO), says(even, "hard", ADA), says(even, "soft", BOB), says(alone, "hard", ADA),
        says(both, "none", QUILL),
    )  # fmt: skip
    return ids


def stored(connection: sqlite3.Connection, item_id: int, who: str = "human:majority/refusal3") -> list[tuple]:
    return [(one.value, one.probability) for one in labels_of(connection, item_id) if one.annotator == who]


def test_a_majority_is_stored_as_an_annotator_of_its_own(connection) -> None:
    both, most, even, alone = labelled(connection)
    found = consensus_of_people(connection)
    assert (found.rows, found.new, found.even, found.people) == (2, 2, 1, (ADA, BOB, CLEO))
    assert stored(connection, both) == [("hard", 1.0)]
    assert stored(connection, most) == [("none", pytest.approx(2 / 3))]
    assert stored(connection, even) == stored(connection, alone) == []


def test_it_may_be_repeated_and_only_what_has_changed_is_stored(connection) -> None:
    both, *_ = labelled(connection)
    consensus_of_people(connection)
    before = len(verdicts_of(connection, both))
    assert consensus_of_people(connection).new == 0 and len(verdicts_of(connection, both)) == before
    judge(connection, says(both, "soft", BOB))
    found = consensus_of_people(connection)
    assert (found.rows, found.new, found.withdrawn, found.even) == (1, 0, 1, 2) and stored(connection, both) == []


def test_rows_that_were_settled_have_no_consensus(connection) -> None:
    both, most, *_ = labelled(connection)
    consensus_of_people(connection)
    found = [Disagreement(ItemId(most), Kind.PEOPLE, 1.0, ())]
    settle(connection, make_adjudication(connection, found, Wanted(), "disputes"), 1, "hard")
    again = consensus_of_people(connection)
    assert (again.rows, again.settled, again.withdrawn) == (1, 1, 1)
    assert stored(connection, most) == [] and stored(connection, both) == [("hard", 1.0)]


def test_dawid_and_skene_say_who_is_right_how_often(connection) -> None:
    ids = [int(i) for i in add(connection, *(NewRow(f"p{n}", f"r{n}") for n in range(30)))]
    truth = ["hard", "none", "soft"] * 10
    for n, (row, value) in enumerate(zip(ids, truth, strict=True)):
        wrong = "none" if value == "hard" else "hard"
        judge(connection, says(row, value, ADA), says(row, value, BOB), says(row, wrong if n % 3 else value, CLEO))
    found = consensus_of_people(connection, "dawid-skene")
    assert found.annotator == "human:dawid-skene/refusal3" and found.rows == 30
    assert [stored(connection, row, found.annotator)[0][0] for row in ids] == truth
    assert found.accuracy["ada"] > 0.95 > 0.5 > found.accuracy["cleo"]


def test_consensus_is_no_person_whose_agreement_is_measured(connection) -> None:
    labelled(connection)
    consensus_of_people(connection)
    (report,) = agreement(connection, Asked())
    assert not any("majority" in name for name in report.annotators)


def test_without_two_people_there_is_no_consensus(connection) -> None:
    (row,) = add(connection, NewRow("p", "r"))
    judge(connection, says(row, "hard", ADA))
    with pytest.raises(InputError, match="two people"):
        consensus_of_people(connection)
    with pytest.raises(InputError, match="no consensus on head_a"):
        consensus_of_people(connection, head="head_a")
