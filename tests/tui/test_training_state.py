"""What does the Training screen know and say? Without an app, on runs whose predictions we wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.classify.crossing import crossing
from refusal_tui.classify.document import page, quoted_texts, report_sections
from refusal_tui.classify.evaluate import evaluate
from refusal_tui.classify.files import PERTURBED, PREDICTIONS, STEPS, TRIALS
from refusal_tui.classify.predictions import read_predictions
from refusal_tui.classify.report import Run
from refusal_tui.classify.robustness import read_perturbed, robustness
from refusal_tui.classify.splits import FOLD
from refusal_tui.classify.validation import Measurement, cross_validation
from refusal_tui.errors import InputError
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.training_lines import below, head, tabs, training_lines
from refusal_tui.tui.screens.training_mistake_lines import facts_of, text_of
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.training import TABS, TrainingState, compare_runs, ids_behind
from tests.classify.written_run import BEGAN, DRAWS
from tests.tui.test_hostile_screens import OBEYED

WIDTH = 76


@pytest.fixture
def states(built_runs: Path) -> Iterator[object]:
    """`states(job, tab)`: a state that has read that run."""
    workspace = Workspace(built_runs)
    with closing(workspace.open(read_only=True)) as connection:

        def read(job_id: int | None = None, tab: str = TABS[0]) -> TrainingState:
            state = TrainingState(job_id=job_id, tab=tab)
            state.read(connection, workspace.artifacts, JobWatch(), BEGAN)
            state.read_mistakes(connection)
            return state

        yield read


def shown(state: TrainingState, at: str | None = None, width: int = WIDTH) -> list[str]:
    return [line.content.plain for line in training_lines(state, at, width, 18)]


def keys(state: TrainingState) -> list[str]:
    return [line.key for line in training_lines(state, None, WIDTH, 18) if line.key]


def test_every_figure_of_screen_and_report_follows_from_the_stored_predictions(built_runs: Path, states) -> None:
    state = states(1)
    folder, workspace = built_runs / "artifacts" / "job-1", Workspace(built_runs)
    found = read_predictions(folder / PREDICTIONS)
    changed = read_perturbed(folder / PERTURBED)
    folds = [
        Measurement(t.name, t.seed, t.repeat, t.fold, FOLD, t.rows["train"],
                    read_predictions(folder / TRIALS / t.name / PREDICTIONS))
        for t in state.run.trials[:-1]
    ]  # fmt: skip
    again: Run = replace(
        state.run,
        **json.loads(json.dumps({
            "metrics": {"refusal3": evaluate(found, DRAWS)},
            "robustness": {"refusal3": robustness(found, changed, slice(0, 3), DRAWS)},
            "validation": {"refusal3": cross_validation(folds, DRAWS)},
            "crossing": crossing("refusal3", found),
        })),
    )  # fmt: skip
    with closing(workspace.open(read_only=True)) as connection:
        texts = quoted_texts(connection, state.run)
    assert page("t", "", report_sections(again, texts)) == page("t", "", report_sections(state.run, texts))
    recomputed = states(1)
    recomputed.run = again
    for tab in TABS[1:-1]:  # training shows the steps, runs the other folders
        state.tab = recomputed.tab = tab
        assert shown(state) == shown(recomputed) and len(shown(state)) > 5


def test_a_run_that_goes_on_says_where_it_is(states) -> None:
    lines = shown(states(3))
    assert "step 72 of 120" in lines[0] and "loss 0.2" in lines[0] and "lr 8.9e-05" in lines[0]
    assert "212 rows/s" in lines[0] and "0.7 GiB" in lines[0]
    assert any("validation rows, final" in line for line in lines)
    assert any(line.startswith("final") and line.endswith("training") for line in lines)
    assert any("a batch went in two parts" in line for line in lines)
    assert shown(states(3, "result"))[1].startswith("No figures yet")


def test_the_newest_run_is_shown_first_and_brackets_lead_to_the_others(states) -> None:
    state = states()
    assert state.job_id == 3 and state.next_job(1) == 2 and state.next_job(-1) is None
    state.show_job(2)
    assert state.run == Run() and state.next_job(-1) == 3


def test_a_run_that_has_ended_is_read_once_and_one_that_goes_on_again(built_runs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(built_runs, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    with closing(workspace.open(read_only=True)) as connection:
        young, mine = TrainingState(job_id=3), TrainingState(job_id=1)
        watch = JobWatch()
        for state in (young, mine):
            state.read(connection, workspace.artifacts, watch, BEGAN)
        before = mine.run
        for job in (1, 3):
            steps = workspace.artifacts / f"job-{job}" / TRIALS / "final" / STEPS
            last = json.loads(steps.read_text().splitlines()[-1])
            with steps.open("a") as file:
                file.write(json.dumps({**last, "step": last["step"] + 1}) + "\n")
        for state in (young, mine):
            state.read(connection, workspace.artifacts, watch, BEGAN)
    assert young.run.now is not None and young.run.now.steps[-1].step == 73
    assert mine.run is before


def test_what_limits_the_headline_stands_right_below_it(states) -> None:
    lines = shown(states(1, "result"))
    assert lines[0].startswith("macro-F1 0.894 [")
    assert lines[1] == "△ mind    fewer than 30 test rows are 'none' (25)"
    assert sum(line.startswith("△ mind") for line in lines) == 8


def test_the_cell_that_enter_opens_stands_in_brackets_and_names_its_command(states) -> None:
    state = states(1, "result")
    state.move_column(1)
    lines = shown(state, "cell:0")
    assert [line for line in lines if "[2]" in line] == [next(line for line in lines if line.startswith("none "))]
    assert state.opens("cell:0") == "--label none --said hard"
    assert "refusal-tui classifiers rows 1 --label none --said hard" in below(state, "cell:0", WIDTH).plain
    state.move_column(9)
    assert state.column == 2


def test_of_many_classes_the_columns_around_the_chosen_one_are_seen(states) -> None:
    state = states(1, "result")
    names = [f"class {n}" for n in range(30)]
    balance = {**state.metrics["balance"], "counts": {"test": dict.fromkeys(names, 1)}}
    many = {**state.metrics, "classes": names, "confusion": [[n] * 30 for n in range(30)], "balance": balance}
    state.run = replace(state.run, metrics={"refusal3": many})
    for column in (0, 29):
        state.column = column
        lines = shown(state, "cell:5")
        assert all(cell_width(line) <= WIDTH for line in lines) and any("[5]" in line for line in lines)


def test_lines_of_slices_and_bins_open_the_rows_that_they_count(built_runs: Path, states) -> None:
    artifacts = built_runs / "artifacts"
    for tab, wanted in (("slices", "quill-7b"), ("calibration", "0.9 to 1.0")):
        state = states(1, tab)
        place = next(n for n, line in enumerate(shown(state)) if line.startswith(wanted))
        key = f"line:{place}"
        assert key in keys(state)
        options = state.opens(key)
        rows = ids_behind(artifacts, 1, state.run, state.head, options)
        assert f" {len(rows)} " in shown(state)[place]


def test_mistakes_show_how_sure_it_was_and_the_words(states) -> None:
    state = states(1, "mistakes")
    assert shown(state)[1].startswith("0.978  soft  hard  ") and "I can't say" in shown(state)[1]
    assert state.mistake("mistake:0") == 0 and state.selection == "@classifier-1-mistakes"
    assert below(state, "mistake:0", WIDTH).plain.startswith("enter: why")


def test_what_a_word_weighs_is_told_without_colour(states) -> None:
    state = states(1, "mistakes")
    mistake = state.metrics["mistakes"][0]
    found, row = state.explained(mistake["item_id"]), state.rows[mistake["item_id"]]
    content = text_of(row, found)
    assert "words for it, against it" in content.plain and row.response in content.plain
    styles = {str(span.style) for span in content.spans}
    assert any("underline" in style for style in styles) and any("italic" in style for style in styles)
    assert "said ● hard  0.978" in facts_of(mistake, found, WIDTH).plain
    assert "Why was not looked at" in text_of(row, None).plain
    assert "no longer in the workspace" in text_of(None, found).plain


def test_two_runs_are_compared_on_the_rows_that_both_have(built_runs: Path, states) -> None:
    state = states(1, "runs")
    assert [one.name for one in state.runs] == ["young", "other", "mine"]
    assert state.other("run:2") == 2 and state.other("run:1") is None
    state.compared = "other", compare_runs(built_runs / "artifacts", 1, 2, "refusal3")
    lines = shown(state)
    assert any(line.startswith("other against mine  75 shared") for line in lines)
    assert any(line.startswith("McNemar") and "corrected (Holm)" in line for line in lines)
    with pytest.raises(InputError, match="has no predictions"):
        compare_runs(built_runs / "artifacts", 1, 3, "refusal3")


def test_everything_fits_into_80_cells_and_nothing_is_obeyed(states) -> None:
    for job in (1, 3):
        state = states(job)
        assert tabs(state).cell_length <= WIDTH and head(state, WIDTH).cell_length <= WIDTH
        for tab in TABS:
            state.tab = tab
            for line in training_lines(state, None, WIDTH, 18):
                assert line.content.cell_length <= WIDTH, line.content.plain
                assert not OBEYED.search(line.content.plain)
                assert cell_width(below(state, line.key, WIDTH).plain) <= WIDTH


def test_without_a_run_it_says_what_to_press() -> None:
    assert any("g n" in line for line in shown(TrainingState()))
    state = TrainingState(job_id=9, error=InputError("There is no job 9.", "See: refusal-tui jobs"))
    assert shown(state)[1:] == ["There is no job 9.", "See: refusal-tui jobs"]
