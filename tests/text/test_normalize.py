"""Text made comparable before refusal phrases are looked for, with the way back to the raw text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.text.hostile import HOSTILE, Hostile
from refusal_tui.text.normalize import normalize

any_text = st.text(st.characters() | st.sampled_from("aIc_*` \t\n’“—…\xa0\u200bßİﬁＡ𝐜\u0301é漢"))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("I can’t, I can‘t, I canʼt, I can´t", "i can't, i can't, i can't, i can't"),
        ("“No,” he said: „nein“ «non»", '"no," he said: "nein" "non"'),
        ("as—an‑AI – model − x", "as-an-ai - model - x"),
        ("I\xa0cannot\u2009help\twith", "i cannot help with"),
        ("  \n\t I'm sorry", "i'm sorry"),
        ("I **cannot** _help_ with `that`", "i cannot help with that"),
        ("__I'm sorry__, ***no***", "i'm sorry, no"),
        ("can**not**", "cannot"),
        ("I CANNOT; STRASSE = Straße", "i cannot; strasse = strasse"),
        ("I can\u200bnot he\xadlp\u2060 \u202eyou\ufeff", "i cannot help you"),
        ("c\x00annot\x1b", "cannot"),
        ("Ｉ ｃａｎｎｏｔ 𝐡𝐞𝐥𝐩, of\ufb01ce…", "i cannot help, office..."),
        ("one\u2028two\x0bthree", "one\ntwo\nthree"),
        ("", ""),
    ],
)
def test_spellings_of_the_same_words_become_the_same_text(raw: str, text: str) -> None:
    assert normalize(raw).text == text


@pytest.mark.parametrize("text", ["snake_case a__b", "line one\nline two\r\n", "2-3 'quoted' \"double\"", "trailing  "])
def test_what_carries_meaning_stays(text: str) -> None:
    assert normalize(text).text == text


def test_accents_and_other_scripts_stay() -> None:
    assert normalize("Désolé, 漢字 Ж").text == "désolé, 漢字 ж"


def test_a_span_points_to_the_raw_words() -> None:
    raw = "  \x00I’m **sor\u200bry**… I _can’t_ help"
    normalized = normalize(raw)
    start = normalized.text.index("sorry")
    raw_start, raw_end = normalized.raw_span(start, start + len("sorry"))
    assert raw[raw_start:raw_end] == "sor\u200bry"
    start = normalized.text.index("i can't")
    raw_start, raw_end = normalized.raw_span(start, start + len("i can't"))
    assert raw[raw_start:raw_end] == "I _can’t"


def test_an_expanded_character_is_one_raw_character() -> None:
    normalized = normalize("x…y")
    assert normalized.text == "x...y"
    assert list(normalized.origin) == [0, 1, 1, 1, 2]
    assert normalized.raw_span(1, 3) == (1, 2)


def test_an_empty_span_has_a_place_too() -> None:
    assert normalize("  ab").raw_span(0, 0) == (2, 2)
    assert normalize("  ab").raw_span(2, 2) == (4, 4)


def test_a_span_outside_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside a text of 2 characters"):
        normalize("ab").raw_span(1, 3)


def test_a_limit_counts_raw_characters() -> None:
    normalized = normalize("  **I** cannot", limit=9)
    assert normalized.text == "i c"
    assert normalized.raw_span(2, 3) == (8, 9)


@given(any_text)
def test_every_character_has_an_origin_and_origins_never_step_back(raw: str) -> None:
    normalized = normalize(raw)
    origin = list(normalized.origin)
    assert len(origin) == len(normalized.text)
    assert origin == sorted(origin)
    assert all(0 <= index < len(raw) for index in origin)


@given(any_text)
def test_each_character_comes_from_the_raw_character_that_its_origin_names(raw: str) -> None:
    normalized = normalize(raw)
    for char, index in zip(normalized.text, normalized.origin):
        assert char in (normalize(f"x{raw[index]}x").text)


@given(any_text)
def test_spans_agree_with_origins_whichever_was_asked_first(raw: str) -> None:
    spans, origins = normalize(raw), normalize(raw)
    for place, index in enumerate(origins.origin):
        assert spans.raw_span(place, place + 1) == (index, index + 1)


@given(any_text)
def test_normal_text_is_normal(raw: str) -> None:
    once = normalize(raw).text
    assert normalize(once).text == once


@given(any_text)
def test_the_result_has_no_capitals_no_invisible_characters_and_no_leading_blank(raw: str) -> None:
    text = normalize(raw).text
    assert text == text.lstrip()
    assert text.casefold() == text
    assert not any(unicodedata.category(char) in {"Cc", "Cf"} for char in text if char not in "\n\r")


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_the_hostile_corpus_is_normalised_and_mapped(hostile: Hostile) -> None:
    normalized = normalize(hostile.text, limit=5_000)
    assert len(normalized.origin) == len(normalized.text)


def test_no_code_point_needs_a_second_round() -> None:
    for code in range(0x20000):
        once = normalize(f"x{chr(code)}x").text
        assert normalize(once).text == once, f"U+{code:04X}"


@given(any_text)
def test_the_short_way_back_leads_where_the_long_one_does(raw: str) -> None:
    origin = list(normalize(raw).origin)
    asked = normalize(raw)  # has no list of origins yet
    assert [asked.raw_span(place, place + 1) for place in range(len(origin))] == [(at, at + 1) for at in origin]
