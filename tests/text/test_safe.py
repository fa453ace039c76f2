"""`safe_text`: what a reader sees is all there is, and the terminal obeys none of it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_tui.text.hostile import HOSTILE, Hostile
from refusal_tui.text.safe import cell_width, safe_text, safe_text_map, shorten

# Unicode 17, DerivedCoreProperties.txt, Default_Ignorable_Code_Point (written here again as an oracle).
DEFAULT_IGNORABLE = {
    code
    for first, last in (
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
        (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
}  # fmt: skip
# Arabic number signs and their like are format characters that are seen (Prepended_Concatenation_Mark).
VISIBLE_FORMAT = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x8E2, 0x890, 0x891, 0x110BD, 0x110CD}
FAMILY = "👨\u200d👩\u200d👧\u200d👦"

any_char = st.characters()  # surrogates, controls and unassigned code points included
tricky_char = st.sampled_from(
    "a1#e[]漢ךبमक्👩❤🎉🇩🏽\u0301\u0489\u0e47\u1161\ufe0f\ufe0e\u20e3\u200d\u200c\u200b\u202e\u2066\ufeff\xad\x00\x07\x1b\x7f\x9b"
    "\t\r\n\x0b\x85\u2028\ud83d\udc4d\ue000\ufdd0\U000e0041\U0001ffff·•─…⟨ "
)
any_text = st.text(st.one_of(any_char, tricky_char)) | st.text(tricky_char)


def shows_all(text: str, newlines: bool) -> bool:
    """Is there nothing in `text` that hides or acts? Joiners and selectors may stand inside sequences."""
    for index, char in enumerate(text):
        before = text[index - 1] if index else ""
        after = text[index + 1 : index + 2]
        code = ord(char)
        if char == "\n" and newlines:
            continue
        if char == "\u200d":
            in_place = unicodedata.category(before or " ") in {"So", "Mn", "Sk"} and ord(after or " ") > 0xA8
        elif char in "\ufe0e\ufe0f":
            in_place = unicodedata.category(before or " ") in {"So", "Po", "Sm", "Cn", "Nd", "Ll"} or before == "〰"
        elif char == "\u200c":
            in_place = before > "\u0600" and after > "\u0600"
        elif code in VISIBLE_FORMAT:
            in_place = True
        else:
            category = unicodedata.category(char)
            in_place = category not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and code not in DEFAULT_IGNORABLE
        if not in_place:
            return False
    return True


def longest_run_of_marks(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if unicodedata.category(char).startswith("M") or "\u1161" <= char <= "\u11ff" else 0
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("a\x00b\x7f", "a␀b␡"),
        ("a\tb", "a    b"),
        ("bell\x07 back\x08", "bell␇ back␈"),
        ("user\u202etxt", "user⟨U+202E⟩txt"),
        ("\u2066x\u2069\u200e\u061c", "⟨U+2066⟩x⟨U+2069⟩⟨U+200E⟩⟨U+061C⟩"),
        ("can\u200bnot\u2060\ufeff\xad", "can⟨U+200B⟩not⟨U+2060⟩⟨U+FEFF⟩⟨U+00AD⟩"),
        ("hi\U000e0069", "hi⟨U+E0069⟩"),
        ("one\u2028two\u2029\x85", "one⟨U+2028⟩two⟨U+2029⟩⟨U+0085⟩"),
        ("half \ud83d", "half ⟨U+D83D⟩"),
        ("\ue000\ufdd0\U0010ffff", "⟨U+E000⟩⟨U+FDD0⟩⟨U+10FFFF⟩"),
        ("a\ufe0f \u3164", "a⟨U+FE0F⟩ ⟨U+3164⟩"),
        ("pass\u200dword", "pass⟨U+200D⟩word"),
        ("🏽 alone", "⟨U+1F3FD⟩ alone"),
    ],
)
def test_what_acts_or_hides_becomes_a_glyph(raw: str, shown: str) -> None:
    assert safe_text(raw) == shown


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with the frindle ritual.",
        "[INST] hi [/INST] {braces} arr[i=0] <<SYS>>",
        "curly ’ “quotes” — and … ©®™",
        "two\nlines\n\nand a gap",
        "漢字カナ 한국어 ＡＢＣ",
        "مرحبا بالعالم שלום",
        "शुभ प्रभात",
        "می\u200cخواهم",
        FAMILY,
        "👩🏽\u200d🚀 👍🏽 ❤\ufe0f 👁\ufe0f\u200d🗨\ufe0f 1\ufe0f\u20e3 #\ufe0f\u20e3",
        "👩\u200d❤\ufe0f\u200d💋\u200d👨",
        "🇩🇪🇯🇵",
        "e\u0301 שָׁלוֹם",
        "────────👨\u200d👩\u200d👧 • → ☐☐☐☐☐☐",
    ],
)
def test_ordinary_text_of_any_script_comes_back_as_the_same_object(text: str) -> None:
    assert safe_text(text) is text


def test_crlf_is_one_new_line_and_a_lone_cr_is_seen() -> None:
    assert safe_text("one\r\ntwo\rthree\r\r\n") == "one\ntwo␍three␍\n"


def test_a_table_cell_is_one_line_with_its_line_ends_shown() -> None:
    assert safe_text("one\ntwo\r\nthree", newlines=False) == "one↵two↵three"


def test_a_flood_of_marks_is_cut_and_counted() -> None:
    assert safe_text("e" + "\u0301" * 16 + "!") == "e" + "\u0301" * 4 + "⟨+12 marks⟩!"
    assert safe_text("ส" + "\u0e47" * 9) == "ส" + "\u0e47" * 4 + "⟨+5 marks⟩"
    assert safe_text("ᄒ" + "\u1161" * 6) == "ᄒ" + "\u1161" * 4 + "⟨+2 marks⟩"


def test_four_marks_on_a_letter_are_left_alone() -> None:
    text = "e\u0301\u0302\u0303\u0304 o\u0301\u0302\u0303\u0304"
    assert safe_text(text) == text


def test_a_mark_that_starts_a_line_gets_a_seat() -> None:
    assert safe_text("\u0301a\n\u0302b\rc") == "◌\u0301a\n◌\u0302b␍c"


def test_an_endless_emoji_sequence_is_broken_visibly_after_four() -> None:
    assert safe_text("\u200d".join("👩" * 6)) == "\u200d".join("👩" * 4) + "⟨U+200D⟩👩\u200d👩"


def test_a_flag_cannot_smuggle_tag_characters() -> None:
    assert safe_text("🏴\U000e0067\U000e007f") == "🏴⟨U+E0067⟩⟨U+E007F⟩"


def test_every_control_invisible_private_and_surrogate_code_point_is_shown() -> None:
    planes = (range(0x20000), range(0xE0000, 0xE1000), range(0xF0000, 0xF0100), range(0x10FF00, 0x110000))
    for code in (code for plane in planes for code in plane):
        char = chr(code)
        hides = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or code in DEFAULT_IGNORABLE
        if char == "\n" or code in VISIBLE_FORMAT:
            continue
        shown = safe_text(f"x{char}x")
        if hides:
            assert char not in shown, f"U+{code:04X}"
            assert len(shown) > 2, f"U+{code:04X} was removed"


def test_every_combining_mark_known_to_python_can_flood_no_line() -> None:
    for code in range(0x20000):
        if unicodedata.category(chr(code)).startswith("M") and code not in DEFAULT_IGNORABLE:
            assert "marks⟩" in safe_text("x" + chr(code) * 12) or code == 0x16FE4, f"U+{code:04X}"


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_nothing_of_the_hostile_corpus_passes_the_door(hostile: Hostile) -> None:
    for newlines in (True, False):
        shown = safe_text(hostile.text, newlines=newlines)
        assert shows_all(shown, newlines)
        assert longest_run_of_marks(shown) <= 4
        shown.encode("utf-8")  # a lone surrogate would raise


@given(any_text, st.booleans())
def test_no_text_at_all_passes_with_something_hidden(text: str, newlines: bool) -> None:
    shown = safe_text(text, newlines=newlines)
    assert shows_all(shown, newlines)
    assert longest_run_of_marks(shown) <= 4
    assert "\x1b" not in shown and "\r" not in shown


@given(any_text)
def test_safe_text_is_clean(text: str) -> None:
    shown = safe_text(text)
    assert safe_text(shown) == shown


@given(any_text, st.booleans())
def test_the_map_gives_the_same_text_and_offsets_that_never_step_back(text: str, newlines: bool) -> None:
    shown = safe_text_map(text, newlines=newlines)
    assert shown.text == safe_text(text, newlines=newlines)
    offsets = [shown.offset(index) for index in range(len(text) + 1)]
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(shown.text)


@given(any_text)
def test_every_raw_character_has_its_own_place_in_the_safe_text(text: str) -> None:
    shown = safe_text_map(text)
    covered: set[int] = set()
    for index, char in enumerate(text):
        start, end = shown.span(index, index + 1)
        assert start < end
        glyph = shown.text[start:end]
        assert glyph in {char, safe_text(f"x{char}")[1:]} or "marks⟩" in glyph or char in "\r\n"
        covered.update(range(start, end))
    seats = {i for i, char in enumerate(shown.text) if char == "◌"}
    assert set(range(len(shown.text))) - covered <= seats


def test_an_evidence_span_is_painted_on_the_same_words() -> None:
    raw = "\x1b[1m\tI\u200b can\u2019t\r\nhelp"
    start = raw.index("can")
    shown = safe_text_map(raw)
    safe_start, safe_end = shown.span(start, start + len("can’t\r\nhelp"))
    assert shown.text[safe_start:safe_end] == "can’t\nhelp"


def test_an_offset_outside_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside a text of 3 characters"):
        safe_text_map("abc").offset(4)


@given(any_text, st.integers(-1, 30))
def test_a_shortened_line_never_takes_more_cells_than_asked(text: str, width: int) -> None:
    line = shorten(text, width)
    assert cell_width(line) <= max(width, 0)
    assert shows_all(line, newlines=False)


@given(any_text, st.integers(1, 30))
def test_a_line_that_fits_is_whole_and_one_that_does_not_says_so(text: str, width: int) -> None:
    whole = safe_text(text, newlines=False)
    line = shorten(text, width)
    if cell_width(whole) <= width:
        assert line == whole
    else:
        assert line.endswith("…")
        assert whole.startswith(line[:-1])


@pytest.mark.parametrize(("width", "line"), [(2, "…"), (3, FAMILY + "…"), (4, FAMILY + "…"), (5, FAMILY * 2 + "…")])
def test_an_emoji_family_is_never_cut_apart(width: int, line: str) -> None:
    assert shorten(FAMILY * 3, width) == line


def test_a_wide_character_that_would_stand_half_outside_is_left_out() -> None:
    assert shorten("漢字漢字", 6) == "漢字…"
    assert shorten("漢字漢字", 8) == "漢字漢字"


def test_a_flag_is_two_letters_or_none() -> None:
    assert shorten("🇩🇪🇯🇵🇫🇷", 4) == "🇩🇪…"


class Counted(str):
    """A string that notes how much of it was asked for."""

    longest = 0

    def __getitem__(self, key: object) -> str:
        part = str.__getitem__(self, key)  # type: ignore[index]
        Counted.longest = max(Counted.longest, len(part))
        return part


@pytest.mark.parametrize("unit", ["x", "漢", "\u0301", "\x00", "\n", "👩\u200d"])
def test_shortening_looks_only_at_the_beginning_of_a_huge_line(unit: str) -> None:
    Counted.longest = 0
    line = shorten(Counted("a" + unit * 1_000_000), 80)
    assert line.endswith("…")
    assert 0 < Counted.longest < 1_000


def test_brackets_stay_brackets_because_the_result_is_text_and_not_markup() -> None:
    assert safe_text("[/INST]") == "[/INST]"
