"""An annotator's desk, without an app: answering, looking back, taking back, pace, and what the New queue form says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.review.questions import sheet
from refusal_tui.store.labels import StoredLabel, StoredVerdict
from refusal_tui.store.review_answers import Decision, OwnProgress
from refusal_tui.store.review_cards import Card
from refusal_tui.store.review_queues import Queue, QueueItem, QueueSettings, View
from refusal_tui.store.review_work import CardState
from refusal_tui.tui.state.review import NewQueueState
from refusal_tui.tui.state.review_card import BREAK_SECONDS, PAUSE_SECONDS, Desk, JudgeSays, judges_of

NOW = 1_000_000.0


def card(position: int, *, judged: str | None = "soft", **changes: object) -> Card:
    row = Row(ItemId(position), f"prompt {position}", "an answer")
    verdict = Verdict(ItemId(position), "judge:lexical", "refusal3", "1", {"refusal3": Answer(judged, 0.7)})
    judges = (StoredVerdict(position, verdict, None, 0.0, False),) if judged else ()
    labels = (StoredLabel("refusal3", "judge:lexical", judged, 0.7, "xstest", position),) if judged else ()
    made = Card(QueueItem(position, ItemId(position), "random"), row, (), judges, labels, None, False, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def desk(questions: str = "refusal3", cards: int = 5, **settings: object) -> Desk:
    queue = Queue(1, "q", QueueSettings(questions=questions, **settings), 0.0)  # type: ignore[arg-type]
    made = Desk(queue, "human:ada", sheet(questions), OwnProgress(0, 0, 0, cards))
    made.arrived([card(n) for n in range(1, cards + 1)], made.progress, NOW)
    return made


def answer(it: Desk, key: str, now: float = NOW) -> None:
    assert it.press(key)
    it.answered(now)


def labelled(made: Card, value: str) -> Card:
    verdict = Verdict(made.row.item_id, "human:ada", "refusal3", "1", {"refusal3": Answer(value)})
    own = Decision(made.item, "human:ada", CardState.LABEL, 9, verdict, False, False, None, 1.0, 0.0)
    return replace(made, own=own)


def test_one_key_answers_and_the_next_card_is_there() -> None:
    it = desk()
    answer(it, "h")
    assert it.card.item.position == 2 and it.trail == [1]
    assert (it.progress.labelled, it.progress.left) == (1, 4)


def test_a_key_that_is_no_answer_changes_nothing() -> None:
    it = desk()
    assert not it.press("w") and it.given == {} and it.card.item.position == 1


def test_several_questions_are_answered_one_after_the_other_and_kept_together() -> None:
    it = desk("head_d,head_c_a")
    assert [it.press(key) for key in "yxy"] == [False] * 3
    it.press(next(option.key for option in it.asked.options if option.word == "fraud"))
    assert it.enter()
    answers = {name: given.value for name, given in it.answers().items()}
    assert answers == {"prompt_harmful": True, "response_refusal": False, "response_harmful": True, "head_c_a": "fraud"}


def test_backspace_goes_to_the_question_before() -> None:
    it = desk("head_d")
    it.press("y")
    assert it.step_back() and it.step == 0 and it.given == {}
    assert not it.step_back()


def test_an_answer_with_no_label_at_all_is_none_and_not_open() -> None:
    it = desk("head_c_a")
    assert it.enter() and it.answers()["head_c_a"].value == "none"


def test_a_letter_pressed_twice_is_taken_away_again() -> None:
    it = desk("head_c_a")
    it.press("w")
    it.press("w")
    assert it.picked == set()


def test_judges_are_told_after_the_answer_but_not_where_the_row_comes_again() -> None:
    it = desk(cards=2)
    answer(it, "h")
    assert it.last.judges == (JudgeSays("lexical", "refusal3", "soft", 0.7),)
    it.card = replace(it.card, comes_again=True)
    answer(it, "h")
    assert it.last.judges == ()


def test_blind_until_asked_and_open_in_an_assisted_queue() -> None:
    assert not desk().judges_seen
    assert desk(blind=False).judges_seen
    assert not replace(desk(blind=False), card=card(1, judged=None)).judges_seen


def test_looking_back_lights_the_answer_and_comes_back_to_the_card_that_waits() -> None:
    it = desk()
    answer(it, "h")
    answer(it, "s")
    assert it.back_to() == 2
    it.look_back(labelled(card(2), "soft"), NOW)
    assert it.marked == {"s"} and it.revealed
    it.look_back(labelled(card(1), "hard"), NOW)
    assert it.back_to() is None
    it.next(NOW)
    assert it.card.item.position == 3 and it.looking_at is None


def test_answering_an_earlier_card_anew_counts_it_once() -> None:
    it = desk()
    answer(it, "h")
    it.look_back(labelled(card(1), "hard"), NOW)
    answer(it, "o")
    assert (it.progress.labelled, it.progress.left) == (1, 4)
    assert it.card.item.position == 2 and it.trail == [1]


def test_a_card_taken_back_is_answered_before_the_one_that_lay_there() -> None:
    it = desk()
    answer(it, "h")
    it.taken_back(card(1), NOW)
    assert it.card.item.position == 1 and it.trail == [] and it.ahead[0].item.position == 2


def test_cards_in_hand_are_not_laid_out_twice() -> None:
    it = desk(cards=3)
    it.arrived([card(2), card(4)], it.progress, NOW)
    assert [one.item.position for one in it.ahead] == [2, 3, 4]


def test_a_card_that_was_answered_while_it_was_fetched_is_not_laid_out_again() -> None:
    it = desk(cards=2)
    answer(it, "h")
    it.arrived([card(1), card(3)], it.progress, NOW)
    assert [one.item.position for one in it.ahead] == [3]


def test_an_empty_desk_takes_the_first_card_that_arrives() -> None:
    it = desk(cards=1)
    answer(it, "h")
    assert it.card is None
    assert it.arrived([card(7)], it.progress, NOW) and it.card.item.position == 7


def test_more_cards_are_wanted_before_they_run_out_and_not_when_none_is_left() -> None:
    it = desk(cards=3)
    assert not it.runs_low
    it.progress = OwnProgress(0, 0, 0, 50)
    assert it.runs_low


def test_pace_is_that_of_the_last_cards_and_a_pause_is_none() -> None:
    it = desk()
    for n, spent in enumerate((4.0, 6.0, 8.0, PAUSE_SECONDS + 1)):
        it.shown_at = NOW + 1000 * n
        it.press("h")
        it.answered(it.shown_at + spent)
    assert it.per_hour == 600 and it.median_seconds == 6.0


def test_a_break_is_suggested_after_long_work_and_not_after_a_pause() -> None:
    it = desk()
    answer(it, "h", NOW + 5)
    assert not it.wants_break(NOW + BREAK_SECONDS - 1) and it.wants_break(NOW + BREAK_SECONDS + 1)
    it.shown_at = NOW + BREAK_SECONDS
    answer(it, "h", NOW + BREAK_SECONDS + PAUSE_SECONDS)
    assert not it.wants_break(NOW + BREAK_SECONDS + PAUSE_SECONDS + 1)


def test_text_is_veiled_until_a_key_unless_a_judge_calls_it_harmless() -> None:
    it = desk(blur=True, view=View.RESPONSE)
    assert it.veiled and it.view is View.RESPONSE
    it.lifted = True
    assert not it.veiled
    it.show(card(2, harmless=True), NOW)
    assert not it.veiled


def test_judges_who_gave_no_such_label_are_quoted_about_refusal() -> None:
    assert judges_of(card(1), ["head_b"]) == (JudgeSays("lexical", "refusal3", "soft", 0.7),)
    assert judges_of(card(1, judged=None), ["refusal3"]) == ()


# --- the New queue form --------------------------------------------------------------------------------------------


def test_the_form_says_the_command_that_does_the_same() -> None:
    form = NewQueueState.with_defaults("label:hard model:gpt 4")
    assert form.command == "refusal-tui review new 'label:hard model:gpt 4'"
    form.put("size", "50")
    form.put("blind", False)
    assert form.command.endswith("--size 50 --no-blind")
    assert form.spec().size == 50


@pytest.mark.parametrize(("name", "value"), [("size", "many"), ("questions", "mood"), ("random_share", "0")])
def test_a_wrong_value_is_told_at_its_field(name: str, value: str) -> None:
    form = NewQueueState.with_defaults()
    form.put(name, value)
    assert form.spec() is None and name in form.errors and form.problem
