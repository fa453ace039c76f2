"""What does the report of a run say, and which rows stand behind its figures? On a run whose predictions we wrote."""

from __future__ import annotations

import io
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.classify.behind import Which, rows_behind, which_of
from refusal_tui.classify.document import PAGE, PDF, page, quoted_texts, report_sections, write_report
from refusal_tui.classify.report import Run, read_run
from refusal_tui.classify.sections import sections_of
from refusal_tui.classify.sections_why import weights
from refusal_tui.errors import InputError
from refusal_tui.store.connect import transaction
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.classify.written_run import add_rows, add_run
from tests.support.commands import call_here

FIGURE = re.compile(r"\b\d\.\d{3}\b")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Job 1 has ended, job 2 goes on."""
    workspace = create_workspace(tmp_path_factory.mktemp("reports") / "w")
    ids = add_rows(workspace)
    add_run(workspace, ids)
    add_run(workspace, ids, name="young", share=0.6)
    return workspace


@pytest.fixture(scope="module")
def folder(workspace: Workspace) -> Path:
    return workspace.artifacts / "job-1"


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return read_run(folder)


@pytest.fixture(scope="module")
def written(workspace: Workspace, folder: Path) -> tuple[str, str]:
    """The words of the page and of the PDF."""
    pypdf = pytest.importorskip("pypdf")
    with closing(workspace.open()) as connection:
        html, pdf = write_report(folder, 1, connection)
    pages = pypdf.PdfReader(io.BytesIO(pdf.read_bytes())).pages
    return html.read_text(), "\n".join(one.extract_text() for one in pages)


def test_the_pdf_has_every_figure_of_the_page_and_no_other(written: tuple[str, str]) -> None:
    html, pdf = written
    words = re.sub(r"<style.*?</style>", "", html, flags=re.S)
    figures = set(FIGURE.findall(re.sub(r"<[^>]+>", " ", words)))
    assert len(figures) > 60
    assert set(FIGURE.findall(pdf)) == figures


def test_both_have_the_three_parts_and_the_limits_beside_the_headline(written: tuple[str, str]) -> None:
    for text in written:
        words = " ".join(text.split())
        for part in ("Executive summary", "Performance: result", "Interpretability: why"):
            assert part in words
    assert "fewer than 30 test rows are &#x27;none&#x27; (25)" in written[0]
    assert "fewer than 30 test rows are 'none' (25)" in " ".join(written[1].split())


def test_the_page_needs_nothing_from_elsewhere_and_obeys_no_data(written: tuple[str, str]) -> None:
    html = written[0]
    assert not re.search(r"<script|https?:|src=|@import|url\(", html)
    assert "\x1b" not in html and "[b]odd␛[31m" in html
    assert html.count("<svg") >= 4 and "<mark class='for" in html


def test_texts_that_may_not_be_passed_on_are_not_quoted(workspace: Workspace, run: Run) -> None:
    with closing(workspace.open()) as connection:
        assert quoted_texts(connection, run).keys() == {one["item_id"] for one in run.explanations}
        with transaction(connection):
            connection.execute("UPDATE dataset SET redistribution = 'labels-only'")
        closed = quoted_texts(connection, run)
        with transaction(connection):
            connection.execute("UPDATE dataset SET redistribution = NULL")
    assert closed == {}
    assert "<mark" not in page("t", "", report_sections(run, closed))
    assert not any(share.name.startswith("“") for share in weights(run.explanations, closed))


def test_of_two_heads_each_has_its_sections_and_the_training_stands_once(run: Run) -> None:
    metrics = dict.fromkeys(("refusal3", "other"), run.metrics["refusal3"])
    assert run.provenance is not None
    heads = {"heads": {head: {"by": {}} for head in metrics}}
    provenance = {**run.provenance, "data": {**run.provenance["data"], **heads}}
    both = replace(run, metrics=metrics, provenance=provenance)
    names = [section.name for section in report_sections(both, {})]
    assert names.count("training") == 1 and {"result", "result-2", "calibration-2"} <= set(names)
    assert len(names) == len(set(names))


def test_a_run_without_explanations_folds_or_provenance_is_reported(run: Run) -> None:
    bare = replace(run, explanations=(), validation={}, robustness={}, crossing=None, provenance=None)
    names = [section.name for section in sections_of(bare, "refusal3")]
    assert names == ["summary", "training", "result", "calibration", "slices", "mistakes"]


def test_the_rows_behind_the_cells_are_as_many_as_the_matrix_says(folder: Path, run: Run) -> None:
    metrics = run.metrics["refusal3"]
    found: list[int] = []
    for label, counts in zip(metrics["classes"], metrics["confusion"], strict=True):
        for said, count in zip(metrics["classes"], counts, strict=True):
            rows = rows_behind(folder, run, "refusal3", Which(label=label, said=said))
            assert len(rows) == count
            found += rows
    assert len(found) == len(set(found)) == metrics["rows"]
    wrong = rows_behind(folder, run, "refusal3", Which(wrong=True))
    assert set(wrong) == {one["item_id"] for one in metrics["mistakes"]}


def test_every_line_that_opens_rows_opens_as_many_as_it_counts(folder: Path, run: Run) -> None:
    checked = 0
    for section in sections_of(run, "refusal3"):
        for block in section.blocks:
            place = block.columns.index("rows") if "rows" in getattr(block, "columns", ()) else None
            for row, options in zip(getattr(block, "rows", ()), getattr(block, "opens", ()), strict=False):
                if place is not None and isinstance(options, str):
                    assert len(rows_behind(folder, run, "refusal3", which_of(options))) == row[place]
                    checked += 1
    assert checked > 8


def test_what_there_is_not_is_said(folder: Path, run: Run) -> None:
    for which, says in (
        (Which(label="odd"), "'odd' is no class of mine"),
        (Which(slice="topic=x"), "no slices by 'topic'"),
        (Which(slice="model=x"), "No test row has the model 'x'"),
    ):
        with pytest.raises(InputError, match=says):
            rows_behind(folder, run, "refusal3", which)


def test_the_commands_write_print_and_find_rows(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object) -> str:
        done = call_here(workspace, "classifiers", *words, capsys=capsys)
        assert done.code == 0, done.err
        return done.out

    assert str(folder / PAGE) in call("report", 1) and (folder / PDF).read_bytes().startswith(b"%PDF")
    printed = call("report", 1, "--text")
    assert "Executive summary" in printed and "\x1b" not in printed
    assert "test rows: refusal-tui browse id:" in call("rows", 1, "--label", "hard", "--said", "none")
    young = call_here(workspace, "classifiers", "report", 2, capsys=capsys)
    assert young.code != 0 and "has no finished classifier" in young.err
