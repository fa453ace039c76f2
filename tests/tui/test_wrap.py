"""Where long texts break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.text.hostile import HOSTILE
from refusal_tui.text.safe import cell_width, safe_text
from refusal_tui.tui.wrap import wrap


def lines(text: str, width: int) -> list[str]:
    found = wrap(text, width)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("exactly8 then", ["exactly8", "then"]),
        ("anunbreakableword", ["anunbrea", "kablewor", "d"]),
        ("a\n\nb", ["a", "", "b"]),
        ("    indented more", ["   ", "indented", "more"]),
        ("漢字漢字漢字", ["漢字漢字", "漢字"]),
        ("漢字 漢字 漢字", ["漢字", "漢字", "漢字"]),
    ],
)
def test_lines_break_at_blanks_where_there_are_any(text: str, expected: list[str]) -> None:
    assert lines(text, 8) == expected


@given(st.text(), st.integers(2, 30))
def test_nothing_is_lost_but_the_blanks_and_newlines_at_the_breaks(raw: str, width: int) -> None:
    text = safe_text(raw)
    found = wrap(text, width)
    at = 0
    for start, end in zip(found.starts, found.ends, strict=True):
        assert text[at:start] in ("", " ", "\n")
        assert start <= end
        at = end
    assert at == len(text)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=200), st.integers(2, 30))
def test_no_line_is_wider_than_asked(raw: str, width: int) -> None:
    assert all(cell_width(line) <= width for line in lines(safe_text(raw), width))


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda h: h.name)
def test_hostile_texts_wrap_to_lines_that_fit(hostile) -> None:
    shown = lines(safe_text(hostile.text)[:20_000], 40)
    assert max(cell_width(line) for line in shown) <= 40


def test_an_offset_is_found_in_its_line() -> None:
    found = wrap("one two three\nfour", 8)
    assert [found.at(offset) for offset in (0, 4, 8, 14, 99)] == [0, 0, 1, 2, 2]
