"""What does the report of a run hold, for a reader without this program?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.finetune.document import PAGE, page, write_report
from refusal_tui.finetune.figures import figures
from refusal_tui.finetune.files import EVALUATIONS, RUN
from refusal_tui.finetune.report import read_run
from refusal_tui.finetune.sections import arms_table, curve_of, invariants_table, paired_table, sections_of
from refusal_tui.stats.intervals import wilson
from refusal_tui.text.hostile import HOSTILE
from tests.finetune.made import make_run

REFUSED = {"vanilla": [40, 2], "orthogonal": [42, 3], "random": [41, 2]}
LOSSES = {arm: [1.0, 0.1] for arm in REFUSED}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "job-7", REFUSED, LOSSES)


def test_the_report_is_one_file_that_loads_nothing_and_holds_conclusion_curve_and_intervals(folder: Path) -> None:
    text = write_report(folder, 7).read_text(encoding="utf-8")
    assert (folder / PAGE).exists() and not re.search(r"<script|<link|src=|url\(|https?:", text)
    assert "No effect: no arm that was tried protects refusal better than vanilla" in text
    assert "98 93-99" in text and "-96 (-99 -89)" in text
    names = [section.name for section in sections_of(read_run(folder))]
    assert names == ["conclusion", "retention", "arms", "paired", "training", "curves", "made"]
    whiskers = 1 + 3 * 2  # of base, and of three arms at two stops
    picture = text[text.index("<h2 id=retention>") : text.index("<h2 id=arms>")]
    assert picture.count("<polyline") == 3  # base is a point
    assert picture.count('class="mark"') == whiskers + 4  # and beside the names
    assert picture.count("<line") == whiskers + 5  # two axes and three lines of the grid


def test_curve_and_table_have_the_intervals_of_the_figures(folder: Path) -> None:
    run = read_run(folder)
    curve = curve_of(run, figures(run), "")
    base, vanilla = curve.series[:2]
    assert base.points == [(2.0, 0.98)] and base.intervals == [pytest.approx(tuple(wilson(98, 100))[1:])]
    assert [x for x, _ in vanilla.points] == pytest.approx([1.0, 0.1]) and len(vanilla.intervals) == 2
    rows = arms_table(run, figures(run), "")
    assert [row[0] for row in rows.rows] == ["base", "vanilla", "orthogonal", "random"]
    assert rows.opens[0] == "dataset:robust split:prompts model:tiny"
    assert rows.opens[2] == 'dataset:robust split:prompts model:"tiny+orthogonal@8"'
    assert [row[1] for row in paired_table(run, figures(run), "").rows if row[0] == "orthogonal"] == [
        "base", "vanilla", "random",
    ]  # fmt: skip


def test_a_constraint_that_did_not_hold_is_told_in_the_tables(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "r", REFUSED, LOSSES, violation=1e-3))
    assert [row[-1] for row in arms_table(run, figures(run), "").rows] == ["", "", "✗ broken", "✗ broken"]
    assert [row[-1] for row in invariants_table(run).rows] == ["", "✗ broken", "✗ broken"]


def test_names_of_a_run_are_text_and_nothing_else_on_the_page(folder: Path) -> None:
    about = json.loads((folder / RUN).read_text())
    about["model"] = "<img onerror=x>" + "".join(trap.text for trap in HOSTILE)[:900]
    about["name"] = "<b>bold</b>"
    (folder / RUN).write_text(json.dumps(about))
    text = page(read_run(folder), 7)
    assert "<img" not in text and "<b>bold" not in text and "\x1b" not in text


def test_a_run_without_a_single_answer_has_no_report(folder: Path) -> None:
    (folder / EVALUATIONS).unlink()
    with pytest.raises(InputError, match="has measured nothing yet"):
        write_report(folder, 7)
    assert not (folder / PAGE).exists()
