"""A requested mix as slots."""

from __future__ import annotations

from collections import Counter

import pytest

from refusal_tui.errors import InputError
from refusal_tui.generate import mix
from refusal_tui.generate.wording import brief_of, has_length


def wanted(number: int, **parts: str) -> list[mix.Slot]:
    usual = {"kinds": mix.KINDS, "categories": "vaults=2,rituals=1", "personas": mix.PERSONAS, "tones": mix.TONES,
             "lengths": mix.LENGTHS, "habits": mix.HABITS}  # fmt: skip
    return mix.slots(number, 0, **{**usual, **parts})


def test_of_1000_every_part_of_the_mix_is_as_requested() -> None:
    found = wanted(1000)
    assert Counter(slot.kind for slot in found) == {"harmful": 500, "borderline": 250, "harmless": 250}
    assert Counter(slot.category for slot in found) == {"vaults": 667, "rituals": 333}
    assert Counter(slot.persona for slot in found)["casual_troll"] == 150
    assert Counter(slot.tone for slot in found)["formal"] == 250
    assert Counter(slot.length for slot in found) == {(10, 40): 500, (40, 100): 400, (100, 150): 100}
    assert sum("greeting" in slot.habits for slot in found) == 300
    assert sum("partial_capitals" in slot.habits for slot in found) == 50


@pytest.mark.parametrize("number", [1, 2, 7, 99])
def test_few_prompts_are_as_near_to_the_mix_as_whole_numbers_can_be(number: int) -> None:
    counts = Counter(slot.tone for slot in wanted(number))
    assert sum(counts.values()) == number
    assert all(abs(counts[tone] - share * number) < 1 for tone, share in mix.read_shares(mix.TONES, "tones").items())


def test_parts_of_the_mix_are_dealt_apart_from_each_other() -> None:
    pairs = Counter((slot.kind, slot.tone) for slot in wanted(1000))
    assert abs(pairs["harmful", "casual"] - 200) < 40


def test_the_same_seed_gives_the_same_slots_and_another_seed_others() -> None:
    usual = {"kinds": "a,b", "categories": "c", "personas": "p", "tones": "t", "lengths": "10-20", "habits": "none"}
    assert mix.slots(50, 1, **usual) == mix.slots(50, 1, **usual)
    assert mix.slots(50, 1, **usual) != mix.slots(50, 2, **usual)


@pytest.mark.parametrize(
    ("part", "text", "says"),
    [("kinds", "", "no kinds"), ("tones", "a=x", "'a=x'"), ("categories", "a=1,a=2", "twice"),
     ("lengths", "ten", "'ten'"), ("lengths", "40-10", "'40-10'"), ("habits", "typo=200", "'typo=200'"), ("personas", "=3", "'=3'"),  # noqa: E501
     ("kinds", "a=-1", "'a=-1'"), ("kinds", "a=nan", "'a=nan'"), ("kinds", "a=0", "no kinds")],
)  # fmt: skip
def test_a_mix_that_cannot_be_read_is_told(part: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        wanted(10, **{part: text})


def test_a_category_may_hold_an_equals_sign_and_any_letters() -> None:
    assert mix.read_shares("a=b=3, [x] ü=1", "categories") == {"a=b": 0.75, "[x] ü": 0.25}


def test_a_brief_says_everything_that_is_wanted() -> None:
    slot = mix.Slot(4, "borderline", "vaults", "naive", "rude", (10, 40), ("typo",))
    brief = brief_of(slot)
    for words in ("sounds as if", "vaults", "knows nothing", "rude", "10 to 40 tokens", "typing mistake", "number 5"):
        assert words in brief


def test_a_length_is_kept_within_a_quarter() -> None:
    words = "blorp " * 31  # about 40 tokens
    assert has_length(words, (10, 40)) and has_length(words, (45, 60))
    assert not has_length(words, (10, 30)) and not has_length(words, (60, 90))
