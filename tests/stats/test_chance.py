"""Agreement beyond chance: published worked examples, and krippendorff, statsmodels, scikit-learn as oracles."""

from __future__ import annotations

import warnings

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss_kappa

from refusal_tui.errors import InputError
from refusal_tui.stats.agreement import accuracy, cohen_kappa, confusion_matrix, linear_weights, merge_classes
from refusal_tui.stats.chance import (
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    ordinal_alpha,
    pair_matrix,
    percent_agreement,
)
from refusal_tui.stats.raters import MISSING, class_counts, coincidences, row_pairs

# Fleiss 1971, table 1: 30 patients, 6 psychiatrists; depression, personality disorder, schizophrenia, neurosis, other.
FLEISS = [
    (0, 0, 0, 6, 0), (0, 3, 0, 0, 3), (0, 1, 4, 0, 1), (0, 0, 0, 0, 6), (0, 3, 0, 3, 0), (2, 0, 4, 0, 0),
    (0, 0, 4, 0, 2), (2, 0, 3, 1, 0), (2, 0, 0, 4, 0), (0, 0, 0, 0, 6), (1, 0, 0, 5, 0), (1, 1, 0, 4, 0),
    (0, 3, 3, 0, 0), (1, 0, 0, 5, 0), (0, 2, 0, 3, 1), (0, 0, 5, 0, 1), (3, 0, 0, 1, 2), (5, 1, 0, 0, 0),
    (0, 2, 0, 4, 0), (1, 0, 2, 0, 3), (0, 0, 0, 0, 6), (0, 1, 0, 5, 0), (0, 2, 0, 1, 3), (2, 0, 0, 4, 0),
    (1, 0, 0, 4, 1), (0, 5, 0, 1, 0), (4, 0, 0, 0, 2), (0, 2, 0, 4, 0), (1, 0, 5, 0, 0), (0, 0, 0, 0, 6),
]  # fmt: skip
# Krippendorff 2011, example D: 4 observers, 12 units, values 1 to 5, some missing (0 here).
KRIPPENDORFF = [
    (1, 1, 0, 1), (2, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3), (2, 2, 2, 2), (1, 2, 3, 4),
    (4, 4, 4, 4), (1, 1, 2, 1), (2, 2, 2, 2), (0, 5, 5, 5), (0, 0, 1, 1), (0, 0, 3, 0),
]  # fmt: skip
# Gwet 2002 and 2008: two raters who nearly always say "yes".
GWET = [[118, 5], [2, 0]]


def all_of(matrices):
    return matrices.sum(axis=0)


def observers():
    return np.array(KRIPPENDORFF) - 1  # 0 becomes MISSING


def test_fleiss_own_example_has_a_kappa_of_430() -> None:
    pairs = all_of(row_pairs(np.array(FLEISS), range(30)))
    assert fleiss_kappa(pairs) == pytest.approx(0.430, abs=5e-4)
    assert percent_agreement(pairs) == pytest.approx(0.556, abs=1e-3)
    # and the classes apart, each against the rest, as the paper gives them
    each = [fleiss_kappa(merge_classes(pairs, [[c], [x for x in range(5) if x != c]])) for c in range(5)]
    assert each == pytest.approx([0.245, 0.245, 0.520, 0.471, 0.566], abs=1e-3)


def test_krippendorffs_own_example_has_the_published_alphas() -> None:
    matrix = all_of(coincidences(class_counts(observers(), 5), range(12)))
    interval = np.square(np.arange(5.0)[:, None] - np.arange(5.0))
    assert krippendorff_alpha(matrix) == pytest.approx(0.743, abs=5e-4)
    assert ordinal_alpha(matrix) == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(matrix, interval) == pytest.approx(0.849, abs=5e-4)


def test_gwets_own_example_of_a_frequent_class_has_no_kappa_but_an_ac1_of_941() -> None:
    assert accuracy(GWET) == pytest.approx(0.944)
    assert cohen_kappa(GWET) == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac1(pair_matrix(GWET)) == pytest.approx(0.9408, abs=5e-5)


def test_a_rare_class_moves_kappa_and_leaves_ac1_with_the_share_of_agreement() -> None:
    """94 % agreement twice: with a class of 5 % and with halves."""
    rare, halves = [[920, 30], [30, 20]], [[470, 30], [30, 470]]
    assert cohen_kappa(rare) == pytest.approx(0.368, abs=1e-3)
    assert cohen_kappa(halves) == pytest.approx(0.880, abs=1e-3)
    assert gwet_ac1(pair_matrix(rare)) == pytest.approx(0.934, abs=1e-3)
    assert gwet_ac1(pair_matrix(halves)) == pytest.approx(0.880, abs=1e-3)


ratings = st.integers(2, 5).flatmap(
    lambda annotators: st.lists(st.lists(st.integers(-1, 3), min_size=annotators, max_size=annotators), min_size=2)
)


@settings(deadline=None, max_examples=150)
@given(ratings)
def test_alpha_equals_the_krippendorff_package_with_any_labels_missing(rows: list[list[int]]) -> None:
    table = np.array(rows)
    matrix = all_of(coincidences(class_counts(table, 4), range(len(rows))))
    if np.count_nonzero(matrix.sum(axis=0)) < 2:
        assert np.isnan(krippendorff_alpha(matrix))
        return
    data = np.where(table == MISSING, np.nan, table).T
    for level, ours in (("nominal", krippendorff_alpha), ("ordinal", ordinal_alpha)):
        theirs = krippendorff.alpha(reliability_data=data, level_of_measurement=level, value_domain=[0, 1, 2, 3])
        assert ours(matrix) == pytest.approx(theirs, abs=1e-9)


counts = st.integers(2, 6).flatmap(
    lambda annotators: st.lists(
        st.lists(st.integers(0, 2), min_size=annotators, max_size=annotators), min_size=1, max_size=20
    )
)


@settings(deadline=None)
@given(counts)
def test_fleiss_kappa_equals_statsmodels(rows: list[list[int]]) -> None:
    table = class_counts(np.array(rows), 3)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = statsmodels_fleiss_kappa(table)
    ours = fleiss_kappa(all_of(row_pairs(table, range(len(rows)))))
    assert ours == pytest.approx(theirs, nan_ok=True)


label_pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


@settings(deadline=None)
@given(label_pairs)
def test_weighted_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs).T
    names = ["none", "soft", "hard"]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = cohen_kappa_score(one, other, labels=[0, 1, 2], weights="linear")
    assert cohen_kappa(confusion_matrix(one, other, names), linear_weights(3)) == pytest.approx(theirs, nan_ok=True)


@settings(deadline=None)
@given(label_pairs)
def test_two_annotators_may_be_given_as_a_confusion_matrix_or_as_ratings(pairs: list[tuple[int, int]]) -> None:
    table = np.array(pairs)
    of_two = pair_matrix(confusion_matrix(table[:, 0], table[:, 1], ["none", "soft", "hard"]))
    of_many = all_of(row_pairs(class_counts(table, 3), range(len(pairs))))
    for figure in (percent_agreement, fleiss_kappa, gwet_ac1):
        assert figure(of_two) == pytest.approx(figure(of_many), nan_ok=True)
    assert (of_two == all_of(coincidences(class_counts(table, 3), range(len(pairs))))).all()


def test_linear_weights_make_ac2_forgive_a_neighbouring_class_half() -> None:
    near, far = [[40, 10, 0], [0, 40, 0], [0, 0, 10]], [[40, 0, 10], [0, 40, 0], [0, 0, 10]]
    weights = linear_weights(3)
    assert gwet_ac1(pair_matrix(near), weights) > gwet_ac1(pair_matrix(near))
    assert gwet_ac1(pair_matrix(far), weights) < gwet_ac1(pair_matrix(near), weights)


def test_a_row_with_a_single_label_changes_nothing() -> None:
    with_it = class_counts(np.array([[0, 0], [0, 1], [1, 1], [2, MISSING]]), 3)
    assert (all_of(row_pairs(with_it, range(4))) == all_of(row_pairs(with_it[:3], range(3)))).all()
    assert (all_of(coincidences(with_it, range(4))) == all_of(coincidences(with_it[:3], range(3)))).all()


def test_every_row_counts_once_however_many_have_labelled_it() -> None:
    table = class_counts(np.array([[0, 0, 0, 1], [0, 1, MISSING, MISSING]]), 2)
    assert row_pairs(table, ["a", "b"]).sum(axis=(1, 2)).tolist() == pytest.approx([1, 1])
    assert coincidences(table, ["a", "b"]).sum(axis=(1, 2)).tolist() == pytest.approx([4, 2])


def test_rows_of_one_cluster_are_added_up() -> None:
    table = class_counts(np.array([[0, 0], [1, 1], [0, 1]]), 2)
    assert row_pairs(table, ["a", "b", "a"]).tolist() == [[[1, 0.5], [0.5, 0]], [[0, 0], [0, 1]]]


def test_a_stack_of_matrices_gives_a_figure_for_each() -> None:
    stack = pair_matrix(np.random.default_rng(1).integers(0, 9, size=(4, 5, 3, 3)))
    for figure in (percent_agreement, fleiss_kappa, gwet_ac1, krippendorff_alpha, ordinal_alpha):
        assert figure(stack)[2, 3] == pytest.approx(figure(stack[2, 3]))


def test_what_is_not_defined_is_nan() -> None:
    nothing = np.zeros((3, 3))
    for figure in (percent_agreement, fleiss_kappa, gwet_ac1, krippendorff_alpha, ordinal_alpha):
        assert np.isnan(figure(nothing))
    only_one_class = [[7, 0], [0, 0]]
    assert np.isnan(fleiss_kappa(only_one_class)) and np.isnan(krippendorff_alpha(only_one_class))
    assert gwet_ac1(only_one_class) == 1
    assert np.isnan(gwet_ac1([[3.0]]))


def test_ratings_that_are_no_class_and_rows_without_a_cluster_are_errors() -> None:
    with pytest.raises(InputError, match="positions of 2 classes"):
        class_counts(np.array([[0, 2]]), 2)
    with pytest.raises(InputError, match="1 cluster names do not pair with 2 rows"):
        row_pairs(class_counts(np.array([[0, 1], [1, 1]]), 2), ["a"])
