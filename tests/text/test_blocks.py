"""How do figures look as text, on the page and in a PDF? Each block in each of the three."""

from __future__ import annotations

import io
import re

import pytest

from refusal_tui.text.block_lines import section_lines
from refusal_tui.text.block_page import section_html
from refusal_tui.text.block_pdf import pdf_report
from refusal_tui.text.blocks import (
    Bars,
    Curves,
    Matrix,
    Passage,
    Rows,
    Section,
    Series,
    Shares,
    Words,
    filled_steps,
    is_empty,
)
from refusal_tui.text.hostile import HOSTILE
from refusal_tui.text.plot import plot
from refusal_tui.text.safe import cell_width

FALL = Series("loss", [(float(n), 1.0 / n) for n in range(1, 50)])
LOOKS = Series("looks", [(10.0, 0.5), (40.0, 0.25)], dots=True)
BLOCKS = [
    Words("A sentence of ours."),
    Rows("table", ("name", "rows"), [("alpha", 1234), ("beta", None)]),
    Bars("bars", {"one": 3, "two": 0.25}, {}),
    filled_steps("steps", ["a", "b", "c", "d"], [0, 2, 4, 0]),
    Shares("shares", {"group": {"yes": 1, "no": 3}}, {}),
    Curves("curves", "step", [FALL, LOOKS]),
    Matrix("matrix", ["none", "hard"], ["none", "hard"], [[50, 2], [3, 21]]),
    Passage("why", "I'm sorry, no blorptanium.", [(4, 9, 0.9), (11, 13, 0.3), (14, 25, -0.5)]),
]
WORDS = ["A sentence of ours.", "1,234", "alpha", "two", "group", "step", "looks", "21", "blorptanium"]


def lines(*blocks: object, width: int = 76) -> list[str]:
    return [line.text for line in section_lines(Section("x", "X", blocks), width)]  # type: ignore[arg-type]


def pdf_text(*blocks: object) -> str:
    pypdf = pytest.importorskip("pypdf")
    made = pdf_report("A report", "of nothing", [Section("x", "Part", blocks)])  # type: ignore[arg-type]
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)


def test_lines_page_and_pdf_say_the_same_words() -> None:
    html = re.sub(r"<[^>]+>", " ", section_html(Section("x", "Part", BLOCKS)))
    for text in ("\n".join(lines(*BLOCKS)), html, pdf_text(*BLOCKS)):
        assert [word for word in WORDS if word not in text] == []


def test_a_falling_curve_begins_at_the_top_left_and_ends_at_the_bottom_right() -> None:
    rows = ["".join(text for text, _ in runs) for runs in plot([FALL, LOOKS], 40, 8)]
    assert rows[0].startswith("     1 │") and rows[6].startswith("0.0204 │")
    assert rows[0][8] != " " and rows[0][-1] == " " and rows[6].rstrip()[-1] not in " │"
    assert sum(row.count("○") for row in rows) == 2
    assert rows[7].strip() == "└1" + "─" * 29 + "49"


def test_curves_of_one_point_or_none_and_of_constants_are_drawn() -> None:
    for points in ([], [(3.0, 2.0)], [(1.0, 5.0), (2.0, 5.0)]):
        for dots in (False, True):
            assert len([*plot([Series("s", points, dots)], 30, 6)]) == 6
    assert is_empty(Curves("c", "x", [Series("s", [])]))


def test_what_weighs_much_is_told_by_signs_by_tags_and_not_by_colour_alone() -> None:
    passage = BLOCKS[-1]
    assert "I'm ++sorry++, +no+ --blorptanium--." in "\n".join(lines(passage))
    html = section_html(Section("x", "X", [passage]))
    assert "<mark class='for much' title='+0.900'>sorry</mark>" in html
    assert "<mark class='against much' title='-0.500'>blorptanium</mark>" in html


def test_steps_lose_their_empty_ends() -> None:
    assert BLOCKS[3] == filled_steps("steps", ["b", "c"], [2, 4])


def test_hostile_text_is_harmless_in_all_three_and_fits_its_lines() -> None:
    for hostile in [one.text[:300] for one in HOSTILE]:
        blocks = [
            Words(hostile),
            Rows(hostile, ("a", "b"), [(hostile, 1)]),
            Matrix("m", [hostile], [hostile], [[1]]),
            Passage("p", hostile, [(0, 2, 1.0)]),
            Curves(hostile, hostile, [Series(hostile, [(0.0, 1.0)], dots=True)]),
        ]
        assert all(cell_width(line) <= 60 and "\x1b" not in line for line in lines(*blocks, width=60))
        html = section_html(Section("x", "X", blocks))
        assert "\x1b" not in html and "<script" not in html
    assert pdf_report("x", "x", [Section("x", "X", blocks)]).startswith(b"%PDF")


def test_a_cell_that_is_broken_into_lines_keeps_its_letters() -> None:
    text = pdf_text(Rows("t", ("name", "rows"), [("“dashes” – and so on… " * 9, 12)]))
    assert text.count("“dashes” – and so on…") >= 6 and "12" in text


def test_letters_that_the_fonts_lack_are_counted_not_lost_in_silence() -> None:
    text = pdf_text(Words("“naïve” – 我们"))
    assert "“naïve” – ??" in text
    assert "2 characters that these fonts do not have" in text
