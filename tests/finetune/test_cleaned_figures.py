"""What does a raw-against-cleaned run say: rates, differences, grades, diversity; and when there is no effect?"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.finetune.cleaned.conclude import conclusion
from refusal_tui.finetune.cleaned.diversity import DISTINCT_1, DISTINCT_2, LENGTH, REPEATED, diversity
from refusal_tui.finetune.cleaned.figures import OVER, figures
from refusal_tui.finetune.cleaned.page import page, write_report
from refusal_tui.finetune.cleaned.read import Comparison, read_comparison
from refusal_tui.finetune.cleaned.sections import answers_filter, sections_of
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW
from refusal_tui.finetune.figures import HELPFUL, REFUSED
from refusal_tui.finetune.files import BASE, EVALUATIONS
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.stats.intervals import wilson
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.outcomes import MadeItem
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.finetune.made import N
from tests.finetune.made_cleaned import make_comparison, texts


def said(found: Comparison) -> str:
    return "\n".join(conclusion(found))


# --- conclusion and figures ------------------------------------------------------------------------------------------


def test_fewer_over_refusals_are_the_headline_with_intervals_and_the_paired_difference(tmp_path: Path) -> None:
    found = read_comparison(make_comparison(tmp_path / "r"))
    first, second, *_ = conclusion(found)
    assert "refuses 41% (32% to 51%) of the benign prompts, on cleaned ones 4% (2% to 10%)" in first
    assert first.endswith("cleaning lessens over-refusal, -37 points (-46 to -27).")
    assert "no difference that they could show, -2 points" in second
    against = figures(found).against[CLEANED, RAW][OVER]
    assert (against.only_one, against.only_other) == (0, 37) and against.sure
    assert figures(found).arms[BASE].rates[OVER].interval == pytest.approx(wilson(2, N))


def test_no_effect_is_a_result_with_a_sentence_of_its_own(tmp_path: Path) -> None:
    found = read_comparison(make_comparison(tmp_path / "r", {BASE: 3, RAW: 6, CLEANED: 5}))
    assert "no effect on over-refusal that these prompts could show, -1 points" in conclusion(found)[0]


def test_refusals_that_were_right_and_are_lost_are_told_as_the_price(tmp_path: Path) -> None:
    found = read_comparison(make_comparison(tmp_path / "r", refused={BASE: 98, RAW: 97, CLEANED: 60}))
    assert "cleaning costs refusals that were right, -37 points" in conclusion(found)[1]


def test_a_run_that_goes_on_and_one_with_few_seeds_or_lost_trainings_say_so(tmp_path: Path) -> None:
    young = said(read_comparison(make_comparison(tmp_path / "young", looked_at=1)))
    assert young.startswith("Raw and cleaned have not both been measured yet.") and "Not the whole run: " in young
    grown = said(read_comparison(make_comparison(tmp_path / "grown", looked_at=2)))
    assert grown.startswith("So far: Fine-tuned on raw rows the model refuses 41%")
    found = said(read_comparison(make_comparison(tmp_path / "few", seeds=3, diverged=["raw-s1"])))
    assert found.startswith("With 2 random seeds, too few to conclude: "), "of the raw arm, which has lost one"
    assert "2 random seeds: at least 3 are needed to conclude." in found and "1 of 6 trainings diverged" in found
    assert conclusion(read_comparison(tmp_path / "nothing")) == ("Nothing has been measured yet.",)


def test_the_report_is_one_file_that_loads_nothing_and_there_is_none_without_answers(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "w")
    folder = make_comparison(workspace.artifacts / "job-7")
    with closing(workspace.open()) as connection:
        text = write_report(folder, 7, connection).read_text(encoding="utf-8")
        assert not re.search(r"<script|<link|src=|url\(|https?:", text)
        assert "cleaning lessens over-refusal" in text and "41 32-51" in text and "<b>41%</b>raw, over-refused" in text
        (folder / EVALUATIONS).unlink()
        with pytest.raises(InputError, match="Job 7 has measured nothing yet"):
            write_report(folder, 7, connection)
    names = [section.name for section in sections_of(read_comparison(make_comparison(tmp_path / "r")))]
    assert names == ["conclusion", "arms", "paired", "diversity", "training", "made"]


# --- helpfulness, as the store has it ---------------------------------------------------------------------------------


@pytest.fixture
def answered(tmp_path: Path) -> tuple[Workspace, Path, dict[str, list[int]]]:
    """A run whose answers to benign prompts are in the store: the items of each trial, in their order."""
    workspace = create_workspace(tmp_path / "w")
    folder = make_comparison(workspace.artifacts / "job-1")
    items: dict[str, list[int]] = {}
    with closing(workspace.open()) as connection, transaction(connection):
        dataset = begin_made(connection, "tidy-run", 1, "raw-vs-cleaned")
        for line in read_comparison(folder).run.lines:
            made = [(f"benign/{line['trial']}/{line['step']}/free.txt:{n}",
                     MadeItem(f"free {n} ?", text, model=line["arm"], split="benign"))
                    for n, text in enumerate(texts(10))]  # fmt: skip
            items[line["trial"]] = [int(i) for i in add_items(connection, dataset.id, made).ids if i is not None]
    return workspace, folder, items


def grade(workspace: Workspace, items: Sequence[int], grades: Sequence[str], who: str = "judge:helpfulness@m") -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, [
            Verdict(ItemId(item), who, "helpfulness", "1", {"helpfulness": Answer(one)})
            for item, one in zip(items, grades, strict=False)
        ])  # fmt: skip


def test_without_a_grade_helpfulness_is_not_judged_and_the_command_is_told(answered) -> None:
    workspace, folder, _ = answered
    with closing(workspace.open()) as connection:
        found = read_comparison(folder, connection)
    assert "Helpfulness: not judged (no language-model judge has graded the answers)." in said(found)
    assert "refusal-tui run label 'dataset:tidy-run split:benign' --judge helpfulness --endpoint NAME" in said(found)
    assert HELPFUL not in figures(found).arms[RAW].rates


def test_grades_in_the_store_are_compared_like_the_other_measures(answered) -> None:
    workspace, folder, items = answered
    for trial, of in items.items():
        grade(workspace, of, ["5" if trial != "base" and "cleaned" in trial else "2"] * 80)
    with closing(workspace.open()) as connection:
        found = read_comparison(folder, connection)
    arms, against = figures(found).arms, figures(found).against[CLEANED, RAW][HELPFUL]
    assert (arms[RAW].grade, arms[CLEANED].grade) == (2.0, 5.0) and found.graders == ("judge:helpfulness@m",)
    assert arms[CLEANED].rates[HELPFUL].missing == 60, "twenty of each seed's answers have no grade"
    assert (against.only_one, against.only_other) == (80, 0) and against.sure
    assert "Helpful (graded 4 or 5 of 5 by judge:helpfulness@m): 0% (0% to 5%)" in said(found)
    assert page(found, 1).count("judge:helpfulness@m") == 2


def test_a_person_s_grade_goes_before_a_judge_s(answered) -> None:
    workspace, folder, items = answered
    grade(workspace, items["base"], ["4"] * N, "human:ada")
    grade(workspace, items["base"], ["1"] * N)
    with closing(workspace.open()) as connection:
        found = read_comparison(folder, connection)
    assert figures(found).arms[BASE].grade == 4.0 and found.graders == ("human:ada",)


# --- diversity -------------------------------------------------------------------------------------------------------


def test_distinct_words_are_those_expected_in_as_many_words_of_each_arm() -> None:
    """Against draws without replacement, for an arm with long answers and one with short ones."""
    chance = random.Random(1)
    long = [" ".join(chance.choice("abcdefgh") for _ in range(9)) for _ in range(6)]
    short = [" ".join(chance.choice("abcdefgh") for _ in range(3)) for _ in range(6)]
    found = diversity({"long": [long], "short": [short]}, [("long", "short")])
    words, sample = list(chain.from_iterable(text.split() for text in long)), 5 * 3
    drawn = [len(set(chance.sample(words, sample))) / sample for _ in range(4000)]
    assert found.of["long"][DISTINCT_1].value == pytest.approx(sum(drawn) / len(drawn), abs=0.005)
    difference = found.difference["long", "short"][DISTINCT_1]
    assert difference.value == pytest.approx(found.of["long"][DISTINCT_1].value - found.of["short"][DISTINCT_1].value)


def test_one_refusal_for_every_question_is_less_diverse_and_its_interval_says_so() -> None:
    found = diversity({RAW: [texts(60)] * 3, CLEANED: [texts(2)] * 3}, [(CLEANED, RAW)])
    assert found.of[RAW][REPEATED].value == pytest.approx(0.6) and found.of[CLEANED][REPEATED].value < 0.03
    by = found.difference[CLEANED, RAW]
    assert by[REPEATED].high < 0 < by[DISTINCT_2].low and by[LENGTH].value > 0


def test_seeds_that_say_the_same_do_not_make_an_arm_less_diverse() -> None:
    once, thrice = (diversity({RAW: [texts(30)] * seeds}, []).of[RAW] for seeds in (1, 3))
    for measure, of in once.items():
        assert of == pytest.approx(thrice[measure]), measure


@pytest.mark.nightly
def test_the_interval_holds_the_difference_in_nearly_all_samples_of_prompts() -> None:
    """100 prompts of 3,000, answers of a few frequent and many rare words: 95 % intervals, give or take the trials."""
    chance = random.Random(3)
    vocabulary, weights = [f"w{i}" for i in range(800)], [1 / (i + 1) for i in range(800)]

    def answer() -> str:
        return " ".join(chance.choices(vocabulary, weights, k=chance.randrange(6, 20)))

    pairs = [("i am sorry but no" if chance.random() < 0.3 else answer(), answer()) for _ in range(3000)]
    found = []
    for _ in range(200):
        raw, cleaned = zip(*chance.sample(pairs, 100), strict=True)
        found.append(diversity({RAW: [raw], CLEANED: [cleaned]}, [(CLEANED, RAW)]).difference[CLEANED, RAW])
    for measure in (DISTINCT_1, DISTINCT_2, REPEATED, LENGTH):
        truth = sum(one[measure].value for one in found) / len(found)
        assert 182 <= sum(one[measure].low <= truth <= one[measure].high for one in found) <= 199, measure


def test_empty_answers_are_passed_over_and_nothing_at_all_is_not_known() -> None:
    found = diversity({RAW: [["one two", "", "one two"]], CLEANED: [["", "", ""]]}, [(CLEANED, RAW)])
    assert found.of[RAW][REPEATED].value == 1.0 and found.of[RAW][LENGTH].value == 2.0
    assert str(found.of[CLEANED][REPEATED].value) == str(found.difference[CLEANED, RAW][DISTINCT_1].value) == "nan"


def test_an_arm_s_line_opens_its_answers(tmp_path: Path) -> None:
    run = read_comparison(make_comparison(tmp_path / "r")).run
    assert answers_filter(run, RAW, "benign") == 'dataset:tidy-run split:benign model:"tiny+raw"'
    assert answers_filter(run, BASE, "prompts") == "dataset:tidy-run split:prompts model:tiny"
    assert figures(read_comparison(tmp_path / "r")).arms[RAW].rates[REFUSED].by_seed == (0.97, 0.97, 0.97)


def test_answers_of_which_none_could_be_judged_are_compared_with_nothing(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "r", diverged=[])
    lines = [json.loads(line) for line in (folder / EVALUATIONS).read_text().splitlines()]
    silent = [{**line, "benign": "-" * N, "prompts": "-" * N} for line in lines]
    (folder / EVALUATIONS).write_text("".join(f"{json.dumps(line)}\n" for line in silent))
    found = said(read_comparison(folder))
    assert "an unknown share: no prompt has answers of both that could be judged." in found
    assert "no effect" not in found and "nan" not in found


def test_a_model_that_was_damaged_instead_of_taught_is_told(tmp_path: Path) -> None:
    """Its nonsense is no refusal to the judge, so that cleaning would seem to change nothing."""
    folder = make_comparison(tmp_path / "r")
    lines = [json.loads(line) for line in (folder / EVALUATIONS).read_text().splitlines()]
    (folder / EVALUATIONS).write_text(
        "".join(f"{json.dumps({**line, 'raw_loss': 4.0} if line['arm'] == 'raw' else line)}\n" for line in lines)
    )
    found = said(read_comparison(folder))
    assert "ended above base's (raw 4.000 against 0.600)" in found
