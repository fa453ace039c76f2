"""Are two classifiers told apart by the right tests, folds summed up rightly, and perturbed rows measured in pairs?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from refusal_tui.classify.compare import compare
from refusal_tui.classify.perturb import PERTURBATIONS, perturbed
from refusal_tui.classify.predictions import Predicted, Predictions
from refusal_tui.classify.robustness import Perturbed, robustness
from refusal_tui.classify.validation import Measurement, cross_validation
from refusal_tui.errors import InputError
from refusal_tui.stats.paired import mcnemar
from tests.classify.test_evaluate import CLASSES, predictions


def worse(of: Predictions, every: int) -> Predictions:
    """The same rows; of every so many rows one is answered wrongly."""
    rows = [
        replace(row, logits=tuple(-x for x in row.logits)) if n % every == 0 else row for n, row in enumerate(of.rows)
    ]
    return Predictions(of.classes, tuple(rows))


def test_a_classifier_does_not_differ_from_itself() -> None:
    found = compare(predictions(), predictions(), draws=50, exchanges=200)
    assert found["p_values"] == {"mcnemar": 1.0, "permutation_accuracy": 1.0, "permutation_macro_f1": 1.0}
    assert found["accuracy_change"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_one_that_is_often_wrong_differs_by_every_test() -> None:
    good, bad = predictions(450), worse(predictions(450), 3)
    found = compare(good, bad, draws=200, exchanges=2000)
    assert max(found["p_values_holm"].values()) < 0.01
    assert found["macro_f1_change"]["high"] < 0
    assert found["p_values"]["mcnemar"] == mcnemar(found["only_first_right"], found["only_second_right"])
    cells = ("both_right", "only_first_right", "only_second_right", "both_wrong")
    assert sum(found[name] for name in cells) == found["rows"] == len(good.of("test"))
    other_way = compare(bad, good, draws=200, exchanges=2000)
    assert other_way["accuracy_change"]["value"] == -found["accuracy_change"]["value"]
    assert other_way["p_values"] == found["p_values"]


def test_whole_groups_are_exchanged() -> None:
    """Two groups that hold all differences: however many rows they have, chance cannot be ruled out."""
    base = predictions(400, seed=1)
    rows = tuple(replace(row, part="test", group=f"g{n // 200}") for n, row in enumerate(base.rows))
    good = Predictions(CLASSES, rows)
    found = compare(good, worse(good, 4), draws=50, exchanges=2000)
    assert found["p_values"]["mcnemar"] < 0.001
    assert found["p_values"]["permutation_accuracy"] == pytest.approx(0.5, abs=0.05)


def test_classifiers_without_a_shared_test_row_or_class_cannot_be_compared() -> None:
    one = predictions(90)
    elsewhere = Predictions(CLASSES, tuple(replace(row, hash=f"x{row.hash}") for row in one.rows))
    with pytest.raises(InputError, match="No row is a test row of both"):
        compare(one, elsewhere)
    with pytest.raises(InputError, match="the other a, b"):
        compare(one, Predictions(("a", "b"), ()))


def test_the_classes_of_two_classifiers_may_stand_in_another_order() -> None:
    one = predictions(90)
    turned = tuple(replace(row, logits=(row.logits[1], row.logits[2], row.logits[0])) for row in one.rows)
    found = compare(one, Predictions((CLASSES[1], CLASSES[2], CLASSES[0]), turned), draws=20, exchanges=20)
    assert found["only_first_right"] == found["only_second_right"] == 0


def folds(*shares: float) -> list[Measurement]:
    """Per fold twenty rows of two classes, of which this share is right."""
    found = []
    for number, share in enumerate(shares, 1):
        rows = [
            Predicted(n, f"{number}-{n}", part, f"{number}-{n}", ("a", "b")[n % 2], "human", "d", None,
                      (1.0, 0.0) if (n % 2 == 0) == (n < 20 * share) else (0.0, 1.0))
            for part in ("fold", "test") for n in range(20)
        ]  # fmt: skip
        found.append(Measurement(f"f{number}", 0, 1, number, "fold", 80, Predictions(("a", "b"), tuple(rows))))
    return found


def test_folds_have_mean_deviation_and_the_corrected_interval() -> None:
    shares = [0.9, 0.8, 1.0, 0.7]
    found = cross_validation(folds(*shares), draws=50)
    one = found["summary"]["accuracy"]
    assert (one["mean"], one["deviation"]) == (pytest.approx(np.mean(shares)), pytest.approx(np.std(shares, ddof=1)))
    half = 3.182446 * np.std(shares, ddof=1) * math.sqrt(1 / 4 + 20 / 80)  # Student's t, 3 degrees of freedom
    assert one["mean"] - one["corrected_low"] == pytest.approx(half, rel=2e-3)
    assert one["mean"] - one["low"] == pytest.approx(half / math.sqrt(2), rel=2e-3)
    assert one["high"] <= one["corrected_high"] == 1.0  # as far as a share goes
    assert found["pooled"]["rows"] == 80
    assert found["pooled"]["accuracy"]["value"] == pytest.approx(np.mean(shares))
    assert found["test_summary"]["accuracy"]["corrected_low"] is None


def test_one_fold_has_no_deviation() -> None:
    one = cross_validation(folds(0.9), draws=20)["summary"]["accuracy"]
    assert (one["mean"], one["deviation"], one["low"]) == (0.9, None, None)


TEXT = "I'm sorry, but I can't help with the frindle ritual. Nobody \"here\" may smelt blorptanium! Ask me of lamps."


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_changes_the_form_the_same_way_each_time(name: str) -> None:
    found = perturbed(name, TEXT, "row")
    assert found == perturbed(name, TEXT, "row") != TEXT
    if name not in ("typos", "cut off"):
        letters = [c for c in found.casefold() if c.isalpha()]
        assert "".join(letters).endswith("".join(c for c in TEXT.casefold() if c.isalpha()))


def test_perturbations_look_as_they_are_called() -> None:
    assert "I’m sorry, but I can’t help" in perturbed("curly quotes", TEXT, "r") and "“here”" in perturbed(
        "curly quotes", TEXT, "r"
    )
    assert perturbed("markdown", TEXT, "r").startswith("**I'm sorry") and "\n- Ask me" in perturbed(
        "markdown", TEXT, "r"
    )
    assert TEXT.startswith(perturbed("cut off", TEXT, "r"))
    typos = perturbed("typos", TEXT * 9, "r")
    assert sorted(typos) == sorted(TEXT * 9)
    assert perturbed("typos", TEXT * 9, "other") != typos
    assert perturbed("cut off", "", "r") == "" and perturbed("markdown", "", "r") == ""


def test_the_drop_is_of_the_rows_that_a_perturbation_changes() -> None:
    of = predictions(120)
    tests = of.of("test")
    changed = [Perturbed("typos", row.item_id, (*(-x for x in row.logits), 9.0, 9.0)) for row in tests[:20]]
    changed.append(Perturbed("typos", 10**6, (0.0,) * 5))  # of another head's rows
    found = robustness(of, changed, slice(0, 3), draws=100)["typos"]
    right = sum(CLASSES[int(np.argmax(row.logits))] == row.label for row in tests[:20]) / 20
    after = sum(CLASSES[int(np.argmin(row.logits))] == row.label for row in tests[:20]) / 20
    assert (found["rows"], found["flips"]["value"]) == (20, 1.0)
    assert found["accuracy_before"]["value"] == pytest.approx(right)
    assert found["accuracy_change"]["value"] == pytest.approx(after - right)
