"""Figures of agreement, beside scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from refusal_tui.errors import InputError
from refusal_tui.stats.agreement import (
    accuracy,
    cohen_kappa,
    confusion_matrix,
    f1,
    macro_f1,
    merge_classes,
    precision,
    recall,
)

LABELS = ["none", "hard", "soft"]

label_pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=40)


def columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [gold for gold, _ in pairs], [predicted for _, predicted in pairs]


def test_gold_labels_are_rows_and_predicted_labels_are_columns() -> None:
    matrix = confusion_matrix(["none", "hard", "hard", "soft"], ["none", "hard", "soft", "hard"], LABELS)
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 0]]


def test_integer_arrays_hold_positions_of_labels() -> None:
    by_name = confusion_matrix(["none", "soft"], ["hard", "soft"], LABELS)
    by_position = confusion_matrix(np.array([0, 2]), np.array([1, 2], np.int8), LABELS)
    assert (by_name == by_position).all()


@settings(deadline=None)
@given(label_pairs)
def test_every_figure_equals_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = columns(pairs)
    matrix = confusion_matrix(gold, predicted, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kappa of a single label is nan, and says so
        theirs = metrics.precision_recall_fscore_support(gold, predicted, labels=LABELS, zero_division=0)
        kappa = metrics.cohen_kappa_score(gold, predicted, labels=LABELS)
    assert (matrix == metrics.confusion_matrix(gold, predicted, labels=LABELS)).all()
    assert accuracy(matrix) == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert precision(matrix) == pytest.approx(theirs[0])
    assert recall(matrix) == pytest.approx(theirs[1])
    assert f1(matrix) == pytest.approx(theirs[2])
    assert macro_f1(matrix) == pytest.approx(np.mean(theirs[2]))
    assert cohen_kappa(matrix) == pytest.approx(kappa, nan_ok=True)


def test_a_stack_of_matrices_gives_a_figure_for_each() -> None:
    random = np.random.default_rng(1)
    stack = random.integers(0, 9, size=(4, 5, 3, 3))
    for figure in (accuracy, precision, recall, f1, macro_f1, cohen_kappa):
        assert figure(stack)[2, 3] == pytest.approx(figure(stack[2, 3]))


def test_an_unparsable_answer_is_wrong_and_no_class_of_its_own() -> None:
    labels = [*LABELS, "unparsable"]
    gold = ["none", "none", "hard", "soft"]
    matrix = confusion_matrix(gold, ["none", "unparsable", "hard", "soft"], labels)
    assert accuracy(matrix) == pytest.approx(0.75)
    assert recall(matrix)[0] == pytest.approx(0.5)
    assert macro_f1(matrix, classes=3) == pytest.approx((2 / 3 + 1 + 1) / 3)


def test_kappa_is_not_defined_when_both_sides_always_say_the_same() -> None:
    assert np.isnan(cohen_kappa(confusion_matrix(["none"] * 5, ["none"] * 5, LABELS)))


def test_kappa_of_perfect_agreement_is_one_and_of_chance_is_zero() -> None:
    assert cohen_kappa([[5, 0], [0, 7]]) == pytest.approx(1)
    assert cohen_kappa([[4, 4], [4, 4]]) == pytest.approx(0)


def test_no_rows_have_no_accuracy_and_no_kappa() -> None:
    empty = confusion_matrix([], [], LABELS)
    assert np.isnan(accuracy(empty))
    assert np.isnan(cohen_kappa(empty))
    assert f1(empty).tolist() == [0, 0, 0]


def test_merged_classes_answer_the_coarser_question() -> None:
    gold, predicted = ["none", "hard", "soft", "soft"], ["none", "soft", "none", "soft"]
    merged = merge_classes(confusion_matrix(gold, predicted, LABELS), [[0], [1, 2]])
    yes_no = {"none": "no", "hard": "yes", "soft": "yes"}
    asked = confusion_matrix([yes_no[x] for x in gold], [yes_no[x] for x in predicted], ["no", "yes"])
    assert (merged == asked).all()


def test_an_unknown_label_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="'maybe' is not one of the labels none, hard, soft"):
        confusion_matrix(["none"], ["maybe"], LABELS)
    with pytest.raises(InputError, match="between 0 and 2"):
        confusion_matrix(np.array([3]), np.array([0]), LABELS)


def test_lists_of_different_length_are_an_error() -> None:
    with pytest.raises(InputError, match="2 gold labels do not pair with 1 predicted"):
        confusion_matrix(["none", "none"], ["none"], LABELS)


def test_a_label_named_twice_is_an_error() -> None:
    with pytest.raises(InputError, match="occurs twice"):
        confusion_matrix(["none"], ["none"], ["none", "none"])
