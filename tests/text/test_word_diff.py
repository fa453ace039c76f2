"""Which words differ between two texts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.text.hostile import HOSTILE
from refusal_tui.text.word_diff import MOST_CHARACTERS, MOST_WORDS, word_diff


def parts(old: str, new: str) -> tuple[list[str], list[str]]:
    gone, come = word_diff(old, new)
    return [old[a:b] for a, b in gone], [new[a:b] for a, b in come]


def test_the_words_that_went_and_the_words_that_came() -> None:
    assert parts("Tell me how to smelt blorptanium.", "How was blorptanium smelted?") == (
        ["Tell me", "to smelt", "."],
        ["was", "smelted?"],
    )


def test_texts_that_are_the_same_but_for_case_and_blanks_do_not_differ() -> None:
    assert parts("The  frindle ritual", "the frindle\nRITUAL") == ([], [])


def test_everything_is_new_beside_an_empty_text() -> None:
    assert parts("", "Hum twice.") == ([], ["Hum twice."])


def test_of_texts_too_long_to_compare_the_equal_ends_are_found() -> None:
    middle = " ".join(f"w{n}" for n in range(MOST_WORDS + 50))
    assert parts(f"alike {middle} alike", f"alike {middle[::-1]} alike") == ([middle], [middle[::-1]])


def test_what_lies_beyond_the_limit_is_not_compared() -> None:
    assert word_diff("a" * 5_000_000, "a" * 4_000_000) == ([], [])
    gone, come = word_diff("x " * 1_000_000, "y " * 1_000_000)
    assert gone[0][1] <= MOST_CHARACTERS >= come[0][1]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_texts_are_compared(hostile) -> None:
    gone, come = word_diff(hostile.text, "plain words")
    assert all(0 <= a < b <= len(hostile.text) for a, b in gone) and all(0 <= a < b <= 11 for a, b in come)


WORDS = st.lists(st.sampled_from(["frindle", "ritual", "?", "hum", "two"]), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_without_the_differing_words_both_texts_are_the_same(old: str, new: str) -> None:
    gone, come = word_diff(old, new)
    for text, spans in ((old, gone), (new, come)):
        assert all(a < b for a, b in spans) and sorted(spans) == spans
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), text
    assert _rest(old, gone) == _rest(new, come)


def _rest(text: str, spans: list[tuple[int, int]]) -> list[str]:
    for a, b in reversed(spans):
        text = text[:a] + " " + text[b:]
    return text.split()
