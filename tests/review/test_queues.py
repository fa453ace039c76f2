"""What is asked, with which keys, what the guidelines say, and how a queue is made from a selection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.constitution import from_mapping
from refusal_tui.labels.taxonomy import HARMS, STYLES
from refusal_tui.labels.verdict import Profile
from refusal_tui.review.guidelines import guidelines
from refusal_tui.review.questions import ASKABLE, CARD_KEYS, sheet
from refusal_tui.review.queues import new_queue, population_of
from refusal_tui.review.sampling import Aim
from refusal_tui.review.spec import QueueSpec
from refusal_tui.store.review_facts import row_facts
from refusal_tui.store.review_queues import queue_items
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add, judge, says


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        yield connection


# --- questions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [*ASKABLE, ",".join(ASKABLE), "empathy", "prompt_harmful"])
def test_every_answer_has_a_key_of_its_own_that_the_card_does_not_need(names: str) -> None:
    for asked in sheet(names).asked:
        keys = [option.key for option in asked.options]
        assert len(set(keys)) == len(keys) and not set(keys) & CARD_KEYS


def test_three_classes_are_h_s_o_and_one_two_three() -> None:
    (asked,) = sheet("refusal3").asked
    assert [asked.option(key).value for key in "hso123"] == ["hard", "soft", "none"] * 2
    assert asked.option("4") is None and asked.option("w") is None


def test_the_profile_chooses_the_meaning_of_the_classes() -> None:
    meanings = {profile: sheet("refusal3", profile).asked[0].options[1].meaning for profile in Profile}
    assert meanings[Profile.XSTEST] != meanings[Profile.ROBERTA]


def test_harms_take_several_letters_and_are_stored_in_the_taxonomys_order() -> None:
    (harms,) = sheet("head_c_a").asked
    key = {option.word: option.key for option in harms.options}
    assert set(key) == set(HARMS) and harms.several
    assert harms.value_of([key["fraud"], key["weapons"]]) == "weapons,fraud"
    assert harms.value_of([]) == "none"
    assert harms.chosen("weapons,fraud") == (key["weapons"], key["fraud"])


def test_a_constitution_says_which_harms_are_asked_and_what_they_mean() -> None:
    mine = from_mapping({"harm_categories": {"fraud": "taking money by a lie"}})
    (harms,) = sheet("head_c_a", constitution=mine).asked
    assert next((option.word, option.meaning) for option in harms.options) == ("fraud", "taking money by a lie")
    assert len(harms.options) == 2  # and other


def test_answers_are_read_as_words_keys_or_numbers() -> None:
    three = sheet("refusal3")
    assert [three.read([said])["refusal3"].value for said in ("hard", "s", "3")] == ["hard", "soft", "none"]
    both = sheet("head_d")
    read = both.read(["prompt_harmful=yes", "response_refusal=no"])
    assert {name: answer.value for name, answer in read.items()} == {
        "prompt_harmful": True, "response_refusal": False, "response_harmful": None,
    }  # fmt: skip
    assert sheet("head_c_a").read(["fraud, weapons"])["head_c_a"].value == "weapons,fraud"
    assert sheet("head_c_a").read(["none"])["head_c_a"].value == "none"


@pytest.mark.parametrize(("names", "said"), [("refusal3", "maybe"), ("refusal3", "hard,soft"), ("head_d", "yes"),
                                              ("head_d", "empathy=yes"), ("head_b", "STYLE.SHOUTING")])  # fmt: skip
def test_an_answer_that_does_not_fit_is_told_with_what_does(names: str, said: str) -> None:
    with pytest.raises(InputError) as told:
        sheet(names).read([said])
    assert told.value.next_step


def test_the_version_changes_with_the_wording_alone() -> None:
    mine = from_mapping({"atoms": {"empathy": "Is it kind?"}})
    assert sheet("empathy").version == sheet("empathy").version != sheet("empathy", constitution=mine).version


def test_an_unknown_question_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match="Nobody can be asked about 'mood'"):
        sheet("mood")


def test_guidelines_hold_every_label_with_its_key_and_the_rules_of_the_profile() -> None:
    text = guidelines("refusal3,head_b", Profile.ROBERTA)
    assert "h  hard" in text and "RoBERTa" in text and "XSTest" not in text
    assert all(str(style) in text for style in STYLES)
    assert "the first of these counts" in guidelines("head_a")


# --- making a queue ------------------------------------------------------------------------------------------------


def rows(connection: sqlite3.Connection, count: int = 60) -> None:
    ids = add(connection, *(NewRow(f"prompt {n}", f"answer {n}", f"m{n % 2}") for n in range(count)))
    add(connection, NewRow("no answer yet"))
    kinds = ["none", "none", "hard", "soft"]
    judge(connection, *(says(i, kinds[n % 4], probability=0.5 + n % 50 / 100) for n, i in enumerate(ids)))
    judge(connection, *(says(i, "hard", "judge:strict", 0.9) for i in ids[:10]), says(ids[20], "soft", "human:ada"))


def test_a_queue_keeps_its_design_its_population_and_its_probabilities(connection) -> None:
    rows(connection)
    queue = new_queue(connection, "dataset:demo", QueueSpec(size=20, aims="outcome,disagreement", seed=5))
    items = queue_items(connection, queue.id)
    assert queue.name == "review-1"
    assert queue.settings.population == 60  # the row without a response cannot be judged
    assert queue.settings.design["aims"] == "outcome,disagreement" and queue.settings.seed == 5
    assert [item.position for item in items] == list(range(1, len(items) + 1))
    assert all(0 < item.inclusion <= 1 for item in items)
    assert {item.stratum.partition("=")[0] for item in items} >= {"random"}
    assert all(i.repeat_of is None or items[i.repeat_of - 1].item_id == i.item_id for i in items)


def test_questions_about_the_prompt_alone_take_rows_without_a_response(connection) -> None:
    rows(connection)
    assert new_queue(connection, "", QueueSpec(questions="head_c_a", size=999)).settings.population == 61


def test_names_count_on_and_a_taken_one_is_refused(connection) -> None:
    rows(connection)
    new_queue(connection, "", QueueSpec(name="review-4"))
    assert new_queue(connection, "", QueueSpec()).name == "review-5"
    with pytest.raises(ConflictError):
        new_queue(connection, "", QueueSpec(name="review-4"))


def test_a_selection_without_rows_is_told(connection) -> None:
    with pytest.raises(InputError, match="holds no rows with a response"):
        new_queue(connection, "", QueueSpec())


def test_what_is_known_of_the_rows(connection) -> None:
    rows(connection)
    facts = row_facts(connection, "")
    people = population_of(facts)
    assert people.groups[Aim.OUTCOME][:4].tolist() == ["hard"] * 4  # the later judge's
    assert people.disagree[:4].tolist() == [True, True, False, True] and people.disagree[20]
    assert people.fit[20] < 0.5 < people.fit[2]


@pytest.mark.parametrize("values", [{"questions": "mood"}, {"aims": "luck"}, {"random_share": 0}, {"size": 0}])
def test_settings_that_cannot_be_are_told_by_name(values: dict[str, object]) -> None:
    with pytest.raises(SpecError) as told:
        build_spec(QueueSpec, values)
    assert list(told.value.fields) == list(values)
