"""Queues, leases, decisions: what several people say about rows, and how it is taken back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.verdict import Answer, Span, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import labels_of, verdicts_of
from refusal_tui.store.review_answers import answered_positions, decisions, events, own_progress
from refusal_tui.store.review_cards import fetch_cards
from refusal_tui.store.review_queues import (
    Queue,
    QueueItem,
    QueueSettings,
    create_queue,
    delete_queue,
    get_queue,
    list_queues,
    progress_of,
    queue_items,
    set_guidelines,
)
from refusal_tui.store.review_work import (
    LEASE_SECONDS,
    CardState,
    Place,
    Said,
    TakenError,
    claim,
    claim_one,
    decide,
    flag,
    mark_shown,
    note,
    release,
    require_unchanged,
    skip,
    undo,
)
from tests.store.building import NewRow, add, in_child, judge, says

ADA, BOB, CLEO = "human:ada", "human:bob", "human:cleo"
NOW = 1_790_000_000.0


def hard() -> Said:
    return Said({"refusal3": Answer("hard")})


def soft() -> Said:
    return Said({"refusal3": Answer("soft")})


def a_queue(
    connection: sqlite3.Connection, rows: int = 5, *, wanted: int = 1, repeats: dict[int, int] | None = None
) -> Queue:
    """`rows` items, one card each; `repeats` maps a later position to the earlier one."""
    ids = add(connection, *(NewRow(f"What is frindle {n}?", f"Frindle {n} is a ritual.") for n in range(rows)))
    items = [QueueItem(p, item_id, "random", 0.5, wanted) for p, item_id in enumerate(ids)]
    items += [QueueItem(p, ids[of], "random", 0.5, wanted, of) for p, of in (repeats or {}).items()]
    with transaction(connection):
        return create_queue(connection, "first", QueueSettings("dataset:demo", rows * 2), items)


def label(
    connection: sqlite3.Connection,
    queue: Queue,
    position: int,
    who: str = ADA,
    said: Said | None = None,
    **more: object,
) -> int:
    with transaction(connection):
        return decide(connection, Place(queue, position, who), said or hard(), **more)  # type: ignore[arg-type]


def take_back(connection: sqlite3.Connection, queue: Queue, who: str = ADA) -> int | None:
    with transaction(connection):
        return undo(connection, queue, who)


def label_of(connection: sqlite3.Connection, queue: Queue, position: int, who: str = ADA) -> str | None:
    item_id = queue_items(connection, queue.id)[position].item_id
    return next((one.value for one in labels_of(connection, item_id) if one.annotator == who), None)


# --- queues --------------------------------------------------------------------------------------------------------


def test_a_queue_comes_back_as_it_was_made(connection) -> None:
    made = a_queue(connection)
    assert get_queue(connection, "first") == made
    assert list_queues(connection) == [made]
    assert [item.position for item in queue_items(connection, made.id)] == [0, 1, 2, 3, 4]


def test_a_name_is_given_once_and_has_no_blanks(connection) -> None:
    a_queue(connection)
    with pytest.raises(ConflictError, match="queue 'first' already"):
        a_queue(connection)
    with pytest.raises(InputError, match="cannot be a queue's name"), transaction(connection):
        create_queue(connection, "two words", QueueSettings(), [QueueItem(0, 1, "random")])  # type: ignore[arg-type]


def test_an_unknown_queue_is_answered_with_the_known_ones(connection) -> None:
    a_queue(connection)
    with pytest.raises(InputError) as told:
        get_queue(connection, "second")
    assert "first" in told.value.next_step


def test_a_deleted_queue_leaves_its_verdicts(connection) -> None:
    queue = a_queue(connection)
    label(connection, queue, 0)
    item_id = queue_items(connection, queue.id)[0].item_id
    with transaction(connection):
        delete_queue(connection, queue.id)
    assert list_queues(connection) == []
    assert connection.execute("SELECT count(*) FROM decision").fetchone()[0] == 0
    assert len(verdicts_of(connection, item_id)) == 1


def test_guidelines_of_a_queue_are_its_own_until_they_are_dropped(connection) -> None:
    queue = a_queue(connection)
    with transaction(connection):
        set_guidelines(connection, queue.id, "Read twice.")
    assert get_queue(connection, "first").settings.guidelines == "Read twice."
    with transaction(connection):
        set_guidelines(connection, queue.id, None)
    assert get_queue(connection, "first").settings.guidelines is None


# --- leases --------------------------------------------------------------------------------------------------------


def test_two_annotators_never_hold_the_same_card(connection) -> None:
    queue = a_queue(connection)
    assert claim(connection, queue, ADA, 3) == [0, 1, 2]
    assert claim(connection, queue, BOB, 3) == [3, 4]


def test_a_card_wanted_twice_is_held_by_two_and_not_by_three(connection) -> None:
    queue = a_queue(connection, 2, wanted=2)
    assert claim(connection, queue, ADA) == claim(connection, queue, BOB) == [0, 1]
    assert claim(connection, queue, CLEO) == []


def test_a_lease_runs_out_and_the_card_goes_to_the_next(connection) -> None:
    queue = a_queue(connection, 2)
    assert claim(connection, queue, ADA, now=NOW) == [0, 1]
    assert claim(connection, queue, BOB, now=NOW + LEASE_SECONDS - 1) == []
    assert claim(connection, queue, BOB, now=NOW + LEASE_SECONDS + 1) == [0, 1]


def test_claiming_more_renews_the_cards_in_hand(connection) -> None:
    queue = a_queue(connection, 3)
    assert claim(connection, queue, ADA, 2, now=NOW) == [0, 1]
    assert claim(connection, queue, ADA, 1, holding=[0, 1], now=NOW + LEASE_SECONDS - 1) == [2]
    assert claim(connection, queue, BOB, now=NOW + LEASE_SECONDS + 1) == []


def test_after_a_crash_the_same_annotator_gets_the_same_cards(connection) -> None:
    queue = a_queue(connection)
    assert claim(connection, queue, ADA, 2) == claim(connection, queue, ADA, 2) == [0, 1]


def test_released_cards_are_free_at_once(connection) -> None:
    queue = a_queue(connection, 2)
    claim(connection, queue, ADA)
    with transaction(connection):
        release(connection, queue, ADA)
    assert claim(connection, queue, BOB) == [0, 1]


def test_a_label_after_the_lease_is_taken_where_there_is_room_and_refused_where_others_were_faster(connection) -> None:
    queue = a_queue(connection, 2)
    claim(connection, queue, ADA, now=NOW)
    late = NOW + LEASE_SECONDS + 1
    label(connection, queue, 0, ADA, now=late)
    label(connection, queue, 1, BOB, now=late)
    with pytest.raises(ConflictError, match="Others have labelled card 1"):
        label(connection, queue, 1, ADA, now=late + 1)


def test_a_card_that_others_hold_cannot_be_had_by_its_number(connection) -> None:
    queue = a_queue(connection, 2)
    claim(connection, queue, ADA, 1)
    with pytest.raises(ConflictError), transaction(connection):
        claim_one(connection, queue, 0, BOB)
    with transaction(connection):
        claim_one(connection, queue, 1, BOB)
    assert claim(connection, queue, ADA) == [0]


def test_a_repeat_goes_to_those_who_labelled_the_row_before(connection) -> None:
    queue = a_queue(connection, 2, repeats={2: 0})
    label(connection, queue, 0, ADA)
    label(connection, queue, 1, BOB)
    assert claim(connection, queue, BOB) == []
    assert claim(connection, queue, ADA) == [2]


# --- decisions -----------------------------------------------------------------------------------------------------


def test_a_label_is_a_verdict_of_a_person_and_the_label_of_the_row(connection) -> None:
    queue = a_queue(connection)
    label(connection, queue, 0, seconds=4.5)
    (decision,) = decisions(connection, queue)
    assert (decision.state, decision.seconds, decision.verdict.annotator) == (CardState.LABEL, 4.5, ADA)
    assert decision.verdict.answers["refusal3"].value == "hard"
    assert label_of(connection, queue, 0) == "hard"


def test_labelling_again_supersedes_and_keeps_both(connection) -> None:
    queue = a_queue(connection)
    label(connection, queue, 0)
    label(connection, queue, 0, said=soft())
    history = verdicts_of(connection, queue_items(connection, queue.id)[0].item_id)
    assert [(one.verdict.answers["refusal3"].value, one.superseded) for one in history] == [
        ("hard", True),
        ("soft", False),
    ]
    assert len(decisions(connection, queue)) == 1


def test_an_answer_given_at_another_terminal_is_told_from_the_one_that_was_seen(connection) -> None:
    queue = a_queue(connection)
    place = Place(queue, 1, ADA)
    require_unchanged(connection, place, None)
    seen = label(connection, queue, 1)
    require_unchanged(connection, place, seen)
    with pytest.raises(TakenError, match="another terminal"):
        require_unchanged(connection, place, None)


def test_undo_appends_an_empty_verdict_and_the_label_is_gone(connection) -> None:
    queue = a_queue(connection)
    label(connection, queue, 0)
    assert take_back(connection, queue) == 0
    assert label_of(connection, queue, 0) is None
    history = verdicts_of(connection, queue_items(connection, queue.id)[0].item_id)
    assert [bool(one.verdict.answers) for one in history] == [True, False]
    assert [event.kind for event in events(connection, queue)] == ["label", "undo"]


def test_undo_has_no_limit_and_survives_a_new_session(workspace) -> None:
    with closing(workspace.open()) as connection:
        queue = a_queue(connection)
        for position in range(5):
            label(connection, queue, position)
    with closing(workspace.open()) as connection:
        queue = get_queue(connection, "first")
        assert [take_back(connection, queue) for _ in range(6)] == [4, 3, 2, 1, 0, None]


def test_undo_goes_by_the_order_of_answers_not_of_cards(connection) -> None:
    queue = a_queue(connection)
    for position in (0, 1, 2):
        label(connection, queue, position)
    label(connection, queue, 0, said=soft())
    assert answered_positions(connection, queue, ADA) == [1, 2, 0]
    assert [take_back(connection, queue) for _ in range(3)] == [0, 2, 1]


def test_undo_takes_back_only_ones_own(connection) -> None:
    queue = a_queue(connection, wanted=2)
    label(connection, queue, 0, ADA)
    label(connection, queue, 0, BOB)
    assert take_back(connection, queue, ADA) == 0
    assert (label_of(connection, queue, 0, ADA), label_of(connection, queue, 0, BOB)) == (None, "hard")


def test_undoing_a_repeat_brings_the_first_answer_back(connection) -> None:
    queue = a_queue(connection, 2, repeats={2: 0})
    label(connection, queue, 0)
    label(connection, queue, 2, said=soft())
    assert label_of(connection, queue, 0) == "soft"
    take_back(connection, queue)
    assert label_of(connection, queue, 0) == "hard"
    take_back(connection, queue)
    assert label_of(connection, queue, 0) is None


def test_undo_brings_back_what_was_imported(connection) -> None:
    queue = a_queue(connection)
    item_id = queue_items(connection, queue.id)[0].item_id
    judge(connection, says(item_id, "none", ADA))
    label(connection, queue, 0)
    assert take_back(connection, queue) == 0
    assert label_of(connection, queue, 0) == "none"


def test_a_skipped_card_is_gone_for_one_and_there_for_the_others(connection) -> None:
    queue = a_queue(connection, 2)
    with transaction(connection):
        skip(connection, Place(queue, 0, ADA))
    assert claim(connection, queue, ADA) == [1]
    assert claim(connection, queue, BOB) == [0]
    assert take_back(connection, queue) == 0


def test_skipping_a_labelled_card_takes_the_label_back(connection) -> None:
    queue = a_queue(connection)
    label(connection, queue, 0)
    with transaction(connection):
        skip(connection, Place(queue, 0, ADA))
    assert label_of(connection, queue, 0) is None


def test_a_flag_and_a_note_need_no_label_and_outlive_it(connection) -> None:
    queue = a_queue(connection)
    place = Place(queue, 0, ADA)
    with transaction(connection):
        flag(connection, place)
        note(connection, place, " ask Bob ")
    assert claim(connection, queue, ADA, 1) == [0]
    label(connection, queue, 0)
    take_back(connection, queue)
    (decision,) = decisions(connection, queue)
    assert (decision.flagged, decision.note, decision.state) == (True, "ask Bob", CardState.OPEN)


def test_a_note_is_the_rationale_of_the_label(connection) -> None:
    queue = a_queue(connection)
    with transaction(connection):
        note(connection, Place(queue, 0, ADA), "only a poem")
    label(connection, queue, 0)
    assert decisions(connection, queue)[0].verdict.rationale == "only a poem"


def test_what_was_seen_of_a_judge_is_stored_with_this_label_and_with_later_ones_on_the_row(connection) -> None:
    queue = a_queue(connection, 2, repeats={2: 0})
    label(connection, queue, 0)
    with transaction(connection):
        mark_shown(connection, Place(queue, 0, ADA))
    label(connection, queue, 1, seen_judge=True)
    label(connection, queue, 2)
    assert [d.verdict.seen_judge for d in decisions(connection, queue)] == [False, True, True]
    assert [d.judge_shown for d in decisions(connection, queue)] == [True, True, False]


def test_nothing_is_half_done_when_the_write_fails(connection) -> None:
    queue = a_queue(connection)
    with pytest.raises(RuntimeError), transaction(connection):
        decide(connection, Place(queue, 0, ADA), hard())
        raise RuntimeError
    assert decisions(connection, queue) == []
    assert label_of(connection, queue, 0) is None


def test_progress_counts_rows_once_and_people_by_name(connection) -> None:
    queue = a_queue(connection, 3, wanted=2, repeats={3: 0})
    for who, positions in ((ADA, (0, 1, 3)), (BOB, (0,))):
        for position in positions:
            label(connection, queue, position, who)
    progress = progress_of(connection, queue)
    assert (progress.cards, progress.labelled, progress.done) == (3, 2, 1)
    assert progress.annotators == {ADA: 3, BOB: 1}
    own = own_progress(connection, queue, BOB)
    assert (own.labelled, own.left) == (1, 3)  # two rows, and the repeat of the one labelled


# --- cards ---------------------------------------------------------------------------------------------------------


def test_a_card_holds_the_row_the_evidence_and_who_said_what(connection) -> None:
    queue = a_queue(connection, 2, repeats={2: 0})
    item_id = queue_items(connection, queue.id)[0].item_id
    spans = (Span("response", 2, 5, "cannot"),)
    judge(connection, Verdict(item_id, "judge:old", "refusal3", "1", {"refusal3": Answer("none")}, spans))
    judge(connection, says(item_id, "hard"), says(item_id, "soft", BOB))
    with transaction(connection):
        flag(connection, Place(queue, 0, ADA))
    first, last = fetch_cards(connection, queue, ADA, [0, 2])
    assert first.row.prompt == "What is frindle 0?"
    assert first.spans == spans
    assert [stored.verdict.annotator for stored in first.judges] == ["judge:old", "judge:lexical"]
    assert first.own.flagged
    assert (first.comes_again, last.comes_again, last.item.repeat_of) == (True, False, 0)


# --- two at once ---------------------------------------------------------------------------------------------------


def test_two_processes_make_a_thousand_decisions_without_a_double_or_a_loss(workspace) -> None:
    with closing(workspace.open()) as connection:
        queue = a_queue(connection, 1000)

    def work(who: str, value: str) -> dict[int, int]:
        made: dict[int, int] = {}
        with closing(workspace.open()) as mine:
            while positions := claim(mine, queue, who, 7):
                for position in positions:
                    made[position] = label(mine, queue, position, who, Said({"refusal3": Answer(value)}))
        return made

    one, other = in_child(lambda: work(ADA, "hard")), in_child(lambda: work(BOB, "soft"))
    made = [one(), other()]
    assert made[0].keys().isdisjoint(made[1].keys())
    assert sorted(made[0] | made[1]) == list(range(1000))
    with closing(workspace.open()) as connection:
        stored = decisions(connection, queue)
        assert {(d.annotator, d.item.position): d.verdict_id for d in stored} == {
            (who, position): verdict
            for who, found in zip((ADA, BOB), made, strict=True)
            for position, verdict in found.items()
        }
        assert connection.execute("SELECT count(*), count(DISTINCT item_id) FROM verdict").fetchone()[:] == (1000, 1000)
