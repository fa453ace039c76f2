"""The state behind Clean review, without an app."""

from __future__ import annotations

from array import array

from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.store.clean_review import Choice, Decided, Queue
from refusal_tui.tui.state.clean_review import AHEAD, Card, CleanReviewState


def card(item_id: int = 1, *decided: Decided, **meta: object) -> Card:
    row = Row(ItemId(item_id), "What is a frindle?", "A thing.", meta={"original_instruction": "Frindle!", **meta})
    return Card(row, {one.annotator: one for one in decided})


def said(choice: Choice, number: int = 1, who: str = "human:ada", text: str | None = None) -> Decided:
    return Decided(number, 1, who, choice, text, 0.0)


def state(rows: int) -> CleanReviewState:
    made = CleanReviewState(2, "human:ada")
    made.opened(array("q", range(1, rows + 1)))
    return made


def test_the_wording_is_the_models_until_somebody_edits_it() -> None:
    assert card().wording == "What is a frindle?"
    assert card(1, said(Choice.EDIT, text="Why frindles?")).wording == "Why frindles?"
    assert card(1, said(Choice.REJECT)).wording == "What is a frindle?"


def test_the_latest_of_several_people_counts_and_a_skip_does_not() -> None:
    both = card(1, said(Choice.REJECT, 3), said(Choice.EDIT, 2, "human:ben", "Why?"), said(Choice.SKIP, 9, "human:cy"))
    assert both.decided is not None and both.decided.choice is Choice.REJECT and both.edited is None


def test_a_reason_that_is_not_known_is_said_in_its_own_words() -> None:
    assert card(reason="off_topic").why == "the last attempt: it had left the subject of the instruction"
    assert card(reason="blorped_twice").why == "blorped twice"


def test_stepping_stops_at_both_ends() -> None:
    made = state(2)
    assert not made.step(-1) and made.step(1) and not made.step(1)
    assert made.place() == "2 of 2"


def test_cards_are_wanted_when_half_of_those_ahead_are_gone() -> None:
    made = state(100)
    assert len(made.missing) == AHEAD + 1
    made.put({n: card(n) for n in made.missing})
    assert made.missing == []
    made.step(AHEAD // 2)
    assert made.missing == []
    made.step(1)
    assert made.missing == list(range(AHEAD + 2, 2 * AHEAD - AHEAD // 2 + 3))


def test_only_cards_near_the_one_at_hand_are_kept() -> None:
    made = state(1000)
    made.index = 500
    made.put({n: card(n) for n in range(1, 1001)})
    assert min(made.cards) == 481 and max(made.cards) == 540


def test_the_queues_come_one_after_the_other_and_round_again() -> None:
    made = state(1)
    seen = []
    for _ in Queue:
        seen.append(made.queue)
        made.queue = made.next_queue()
    assert set(seen) == set(Queue) and made.queue is Queue.UNDECIDED
