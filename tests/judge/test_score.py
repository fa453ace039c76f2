"""How a judge is measured against human labels. Figures of the small fixture are computed by hand in the comments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.judge.lexical import LexicalJudge
from refusal_tui.judge.named import holds_a_model
from refusal_tui.judge.score import ScoreReport, calibration, score_rows
from refusal_tui.judge.score_apart import score_apart
from refusal_tui.judge.score_text import render_text
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.workspace import create_workspace
from refusal_tui.text.safe import cell_width

ANSWER = "Sure! Mix the flour with water and bake it."
REFUSAL = "I'm sorry, but I can't help with that."
PARTLY = "I can explain the history of the frindle ritual, but I won't give instructions. It began as a dance."

# Gold label, response. The judge says: none 5, hard 4, soft 1.
#            none hard soft
#   none      4    1    0
#   hard      1    2    0
#   soft      0    1    1
LABELLED = [
    *[("none", ANSWER)] * 4,
    ("none", REFUSAL),
    ("hard", ANSWER),
    *[("hard", REFUSAL)] * 2,
    ("soft", REFUSAL),
    ("soft", PARTLY),
]
RECORDS = [
    {"prompt": f"question {index % 5}", "response": response, "gold": gold, "model": "ab"[index % 2]}
    for index, (gold, response) in enumerate(LABELLED)
]


def score(records: list[dict[str, object]] | None = None, **options: object) -> ScoreReport:
    fields = {"gold": "gold", "draws": 200, **options}
    return score_rows(RECORDS if records is None else records, LexicalJudge(), **fields)  # type: ignore[arg-type]


def test_the_confusion_matrix_counts_gold_by_answer() -> None:
    three, any_refusal = score().tasks
    assert three.labels == ("none", "hard", "soft")
    assert three.matrix == ((4, 1, 0), (1, 2, 0), (0, 1, 1))
    assert any_refusal.labels == ("no refusal", "refusal")
    assert any_refusal.matrix == ((4, 1), (1, 4))


def test_figures_equal_those_computed_by_hand() -> None:
    three, any_refusal = score().tasks
    assert three.accuracy.value == pytest.approx(0.7)
    # chance: (5*5 + 3*4 + 2*1) / 100 = .39; kappa = (.7 - .39) / (1 - .39)
    assert three.kappa.value == pytest.approx(0.31 / 0.61)
    # F1 = 2 * hits / (gold + answers): 8/10, 4/7, 2/3
    assert [each.f1.value for each in three.classes] == pytest.approx([8 / 10, 4 / 7, 2 / 3])
    assert three.macro_f1.value == pytest.approx((8 / 10 + 4 / 7 + 2 / 3) / 3)
    assert [each.precision.value for each in three.classes] == pytest.approx([4 / 5, 2 / 4, 1 / 1])
    assert [each.recall.value for each in three.classes] == pytest.approx([4 / 5, 2 / 3, 1 / 2])
    assert [(each.support, each.predicted) for each in three.classes] == [(5, 5), (3, 4), (2, 1)]
    assert any_refusal.kappa.value == pytest.approx((0.8 - 0.5) / 0.5)


def test_every_figure_has_an_interval_around_it() -> None:
    for task in score().tasks:
        for figure in (task.accuracy, task.macro_f1, task.kappa, *(each.f1 for each in task.classes)):
            assert figure.low <= figure.value <= figure.high
            assert figure.low < figure.high


def test_the_bootstrap_draws_prompts_and_not_rows() -> None:
    assert score().tasks[0].clusters == 5
    assert score(cluster="model").tasks[0].clusters == 2


def test_the_report_names_the_judge_its_version_and_the_profile() -> None:
    report = score()
    assert (report.judge, report.version, report.profile) == ("lexical", "1", "xstest")
    assert report.rows_per_second > 0


def test_an_open_gold_label_is_left_out_and_never_counted_as_none() -> None:
    open_rows = [{**RECORDS[0], "gold": None}, {**RECORDS[0], "gold": ""}]
    report = score([*RECORDS, *open_rows])
    assert (report.records, report.scored, report.no_gold) == (12, 10, 2)
    assert report.tasks[0].matrix == score().tasks[0].matrix


def test_a_row_without_a_response_is_left_out() -> None:
    report = score([*RECORDS, {**RECORDS[0], "response": ""}, {**RECORDS[0], "response": None}])
    assert (report.records, report.scored, report.no_response) == (12, 10, 2)


class Failing:
    """A judge that fails on every third row, as a remote one may."""

    name = "failing"
    version = "0"

    async def judge(self, batch: Sequence[Row]) -> list[Verdict | RowError]:
        good = await LexicalJudge().judge(batch)
        return [
            RowError(row.item_id, ErrorClass.PARSE, "no label found") if index % 3 == 2 else verdict
            for index, (row, verdict) in enumerate(zip(batch, good))
        ]


def test_a_row_on_which_the_judge_failed_counts_as_wrong() -> None:
    report = score_rows(RECORDS, Failing(), gold="gold", draws=50)
    assert report.errors == {"parse": 3}
    assert report.scored == 10
    three = report.tasks[0]
    assert three.labels == ("none", "hard", "soft", "error")
    # Rows 2, 5 and 8: a right answer (none), two wrong ones (hard, soft).
    assert three.matrix == ((3, 1, 0, 1), (0, 2, 0, 1), (0, 0, 1, 1))
    assert three.accuracy.value == pytest.approx(0.6)


def test_groups_are_scored_on_their_own() -> None:
    report = score(by="model")
    assert [group.value for group in report.groups] == ["a", "b"]
    assert sum(group.tasks[0].rows for group in report.groups) == 10


def test_any_refusal_alone_can_be_asked_for() -> None:
    assert [task.task for task in score(any_refusal=True).tasks] == ["any refusal"]


@pytest.mark.parametrize(
    ("no_refusal", "refusal"),
    [(False, True), ("compliance", "refusal"), ("complied", "refused"), ("Complied", " Refused "), ("false", "true")],
)
def test_two_class_gold_scores_the_two_class_question(no_refusal: object, refusal: object) -> None:
    records = [{**record, "gold": no_refusal if record["gold"] == "none" else refusal} for record in RECORDS]
    report = score(records)
    assert [task.task for task in report.tasks] == ["any refusal"]
    assert report.tasks[0].matrix == ((4, 1), (1, 4))


def test_the_labels_of_xstest_are_understood() -> None:
    names = {"none": "1_full_compliance", "hard": "2_full_refusal", "soft": "3_partial_refusal"}
    report = score([{**record, "gold": names[str(record["gold"])]} for record in RECORDS])
    assert report.tasks[0].matrix == score().tasks[0].matrix


def test_a_class_without_gold_rows_is_left_out_of_macro_f1() -> None:
    without_soft = [record for record in RECORDS if record["gold"] != "soft"]
    task = score(without_soft).tasks[0]
    # none 2*4/(5+5), hard 2*2/(3+3)
    assert task.macro_f1.value == pytest.approx((8 / 10 + 4 / 6) / 2)


def test_unknown_gold_values_are_named() -> None:
    with pytest.raises(InputError, match=r"not refusal labels: 'maybe' \(2\), 'none' \(1\)\.") as failure:
        score([{**RECORDS[0], "gold": value} for value in ("maybe", "none", "maybe")])
    assert "1_full_compliance" in failure.value.next_step


def test_two_and_three_class_names_do_not_mix() -> None:
    with pytest.raises(InputError, match="not refusal labels"):
        score([{**RECORDS[0], "gold": "hard"}, {**RECORDS[0], "gold": True}])


def test_a_missing_field_is_named_with_the_fields_there_are() -> None:
    with pytest.raises(InputError, match=r"'label'. The fields are: prompt, response, gold, model\."):
        score(gold="label")


def test_a_response_that_is_not_text_is_an_error_with_its_record() -> None:
    with pytest.raises(InputError, match="'response' of record 11 holds list, not text"):
        score([*RECORDS, {**RECORDS[0], "response": ["a"]}])


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(InputError, match="no record to score"):
        score([])
    with pytest.raises(InputError, match="No record has a label in the field 'gold'"):
        score([{**RECORDS[0], "gold": None}])
    with pytest.raises(InputError, match="both a gold label and a response"):
        score([{**RECORDS[0], "response": ""}])


def test_calibration_compares_confidence_with_the_share_that_is_right() -> None:
    # 4 answers at .75, half of them right; 2 at .95, both right: (4 * .25 + 2 * .05) / 6
    error, bins = calibration([0.75] * 4 + [0.95] * 2, [True, True, False, False, True, True])
    assert error == pytest.approx(1.1 / 6)
    assert [(each.rows, each.accuracy) for each in bins] == [(4, 0.5), (2, 1.0)]


def test_a_judge_without_probabilities_has_no_calibration_error() -> None:
    assert calibration([None, None], [True, False]) == (None, ())


def test_the_dictionary_is_json_without_nan() -> None:
    only_none = [record for record in RECORDS if record["response"] == ANSWER and record["gold"] == "none"]
    plain = score(only_none, by="model").to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["tasks"][0]["kappa"]["value"] is None
    assert plain["tasks"][0]["classes"][0]["f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_the_text_fits_80_cells_and_holds_no_escape() -> None:
    hostile = [{**record, "model": f"\x1b[31m{record['model']}\n{'漢' * 60}"} for record in RECORDS]
    text = render_text(score(hostile, by="model"))
    assert all(cell_width(line) <= 80 for line in text.split("\n"))
    assert "\x1b" not in text


def test_the_text_shows_figures_classes_matrix_and_groups() -> None:
    text = render_text(score(by="model"))
    assert "judge lexical (version 1), profile xstest" in text
    assert "accuracy .700 [" in text
    assert "kappa    .508 [" in text
    assert "gold / judge         none        hard        soft" in text
    assert "three classes, by model" in text


def test_errors_of_the_judge_are_shown() -> None:
    text = render_text(score_rows(RECORDS, Failing(), gold="gold", draws=50))
    assert "counted as wrong: 3 judge errors (parse)" in text


# --- judges that hold a model ----------------------------------------------------------------------------------------


def test_a_child_process_scores_as_this_one_does_and_its_errors_are_ours(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    rows = [{"prompt": f"frindle {n}?", "response": "I can't help." if n % 2 else "Hum.", "gold": bool(n % 2)}
            for n in range(6)]  # fmt: skip
    apart = score_apart(rows, workspace, "lexical", None, gold="gold")
    here = score_rows(rows, LexicalJudge(), gold="gold")
    assert replace(apart, rows_per_second=0) == replace(here, rows_per_second=0)
    with pytest.raises(InputError, match="There is no end point named 'nobody'") as error:
        score_apart(rows, workspace, "atoms", "nobody", gold="gold")
    assert error.value.next_step == "Add one with: refusal-tui endpoint add"


def test_a_judge_with_a_model_of_this_machine_is_one_for_the_child(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint("mine", "local", ("local",), "/models/quill"))
        save_endpoint(connection, Endpoint("far", "custom", ("http://127.0.0.1:9/v1",), "quill"))
    asked = [("atoms", "mine"), ("classifier:tiny", None), ("atoms", "far"), ("linear", None)]
    assert [holds_a_model(*one, lambda: workspace) for one in asked] == [True, True, False, False]
