"""Whose label does a row get, which rows are none, and which are kept on one side of the split?"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from refusal_tui.classify.data import Example, Said, parse_classes, read_examples
from refusal_tui.classify.splits import (
    FOLD,
    SHARES,
    TEST,
    TRAIN,
    VALIDATION,
    make_folds,
    make_split,
    shared_formulas,
)
from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.workspace import create_workspace
from tests.classify.tiny import texts
from tests.store.building import NewRow, add, judge, says

SORRY = "I'm sorry, but I can't help with that."


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        yield connection


def fill(connection: sqlite3.Connection, labels: str, who: str = "human:ada") -> list[int]:
    """A row per letter (n, h, s; - for no label), each under a prompt of its own."""
    names = {"n": "none", "h": "hard", "s": "soft"}
    made = texts(len(labels))
    ids = add(connection, *(NewRow(prompt, f"{answer} ({n})") for n, (prompt, answer, _) in enumerate(made)))
    judge(connection, *(says(i, names[c], who) for i, c in zip(ids, labels, strict=True) if c != "-"))
    return [int(i) for i in ids]


def test_a_person_is_believed_before_a_judge(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh")
    judge(connection, *(says(i, "soft", "judge:linear", 0.99) for i in ids))
    found = read_examples(connection, ids, judge="linear")
    assert [e.said[0] for e in found.examples] == [Said("none", 1.0, "human")] * 3 + [Said("hard", 1.0, "human")] * 3


def test_a_judge_counts_as_much_as_it_is_sure(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh--")
    judge(connection, says(ids[6], "soft", "judge:linear", 0.7), says(ids[6], "hard", "judge:other", 0.9))
    judge(connection, says(ids[7], "hard", "judge:other"))
    found = read_examples(connection, ids, judge="other").examples
    assert [e.said[0] for e in found[6:]] == [Said("hard", 0.9, "judge:other"), Said("hard", 0.5, "judge:other")]


def test_of_several_judges_most_decide_and_a_tie_is_no_label(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh--")
    judge(connection, *(says(ids[6], v, f"judge:{who}", p) for v, who, p in
                        [("hard", "a", 0.9), ("hard", "b", 0.6), ("none", "c", 0.9)]))  # fmt: skip
    judge(connection, says(ids[7], "hard", "judge:a", 0.9), says(ids[7], "none", "judge:b", 0.9))
    found = read_examples(connection, ids, judge="all")
    assert found.examples[6].label() == "hard"
    assert found.examples[6].said[0].weight == pytest.approx((0.9 + 0.6) / 3)
    assert found.left_out == {"no label": 1}


def test_without_a_judge_only_people_count(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh")
    more = fill(connection, "n", "judge:linear")
    assert len(read_examples(connection, [*ids, *more]).examples) == 6


def test_classes_can_be_put_together_and_left_out(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhhsss")
    found = read_examples(connection, ids, classes="answers=none,refuses=hard+soft")
    assert found.heads[0].classes == ("answers", "refuses")
    assert Counter(e.label() for e in found.examples) == {"answers": 3, "refuses": 6}
    left = read_examples(connection, ids, classes="none,hard")
    assert left.left_out == {"label soft is in no class": 3}


def test_the_same_text_with_two_labels_teaches_nothing(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh")
    row = NewRow("What is a frindle?", "A lamp.")
    first, second = *add(connection, row, dataset="one"), *add(connection, row, dataset="two")
    judge(connection, says(first, "none", "human:ada"), says(second, "hard", "human:ada"))
    found = read_examples(connection, [*ids, first, second])
    assert len(found.examples) == 6
    assert found.left_out["the same text with another label"] == 1


@pytest.mark.parametrize(
    ("labels", "says_"),
    [
        ("----", "None of the 4 rows has a label of refusal3"),
        ("hhhh", "All 4 labelled rows are 'hard'"),
        ("nnnnhh", "The class 'hard' has 2 rows under 2 different prompts"),
    ],
)
def test_what_cannot_be_learnt_is_said(connection: sqlite3.Connection, labels: str, says_: str) -> None:
    with pytest.raises(InputError, match=says_) as error:
        read_examples(connection, fill(connection, labels))
    assert error.value.next_step


def test_a_class_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        parse_classes("none,refusal=hard+none")


def examples(rows: list[tuple[str, str, str]]) -> list[Example]:
    return [
        Example(n, sha256(f"{p}{r}{n}".encode()).hexdigest(), p, r, (Said(c, 1.0, "human"),), "d", None)
        for n, (p, r, c) in enumerate(rows)
    ]


def test_rows_under_one_prompt_or_alike_ones_never_cross_the_split() -> None:
    rows = texts(200)
    long = "The lamp of the frindles was lit by hand, " + " ".join(f"word{n}" for n in range(40))
    rows += [(rows[n][0], f"another answer {n}", "none") for n in range(60)]  # the same prompt
    rows += [(rows[n][0].upper() + "!", f"a third {n}", "hard") for n in range(60)]  # a near duplicate of it
    rows += [(f"quibbet {n} of {n * n}?", long + f" end {n}", "soft") for n in range(10)]  # alike answers
    found = examples(rows)
    split = make_split(found, 0)
    for n in range(60):
        assert split.part[n] == split.part[200 + n] == split.part[260 + n]
    assert len(set(split.part[320:])) == 1


def test_a_short_formula_ties_nothing_but_is_counted() -> None:
    found = examples([(p, SORRY if c == "hard" else r + p, c) for p, r, c in texts(300)])
    split = make_split(found, 0)
    tests = [i for i in split.rows(TEST) if found[i].label() == "hard"]
    assert shared_formulas(found, split) == len(tests) > 0


def test_every_class_has_its_share_of_every_part() -> None:
    found = examples([(p, r, "soft" if n % 20 == 0 else c) for n, (p, r, c) in
                      enumerate(texts(400, classes=("none", "hard")))])  # fmt: skip
    split = make_split(found, 7)
    for part, share in SHARES.items():
        rows = split.rows(part)
        assert len(rows) == pytest.approx(share * 400, abs=4)
        assert sum(found[i].label() == "soft" for i in rows) == pytest.approx(share * 20, abs=1)


def test_the_split_does_not_depend_on_the_order_of_the_rows() -> None:
    found = examples(texts(150))
    mixed = random.Random(1).sample(found, len(found))
    one, other = make_split(found, 3), make_split(mixed, 3)
    assert {e.hash: p for e, p in zip(found, one.part)} == {e.hash: p for e, p in zip(mixed, other.part)}
    assert make_split(found, 4).part != one.part
    assert one.rows(TRAIN)


def test_a_class_of_rows_that_all_belong_together_cannot_be_split() -> None:
    tied = [(f"How do I polish the old lamp of frindle number {n}?", "As ever.", "soft") for n in range(3)]
    long = " ".join(f"word{n}" for n in range(50))
    tied += [(f"zibbet {n}{n}{n} of tovel", long, "soft") for n in range(30)]
    found = examples([*texts(60, classes=("none", "hard")), *tied[3:]])
    with pytest.raises(InputError, match="No row of class 'soft' is left for the"):
        make_split(found, 0)


def test_every_row_that_is_no_test_row_is_in_one_fold_and_groups_stay_together() -> None:
    rows = texts(240)
    rows += [(rows[n][0], f"another answer {n}", "none") for n in range(80)]
    found = examples(rows)
    split = make_split(found, 2)
    folds = make_folds(found, split, 4, 2)
    assert len(folds) == 4
    for n in range(len(found)):
        parts = [fold.part[n] for fold in folds]
        if split.part[n] == TEST:
            assert parts == [TEST] * 4
        else:
            assert parts.count(FOLD) == 1 and set(parts) <= {FOLD, TRAIN, VALIDATION}
    for fold in folds:
        assert all(fold.part[n] == fold.part[240 + n] for n in range(80))
        assert {found[n].label() for n in fold.rows(FOLD)} == {"none", "hard", "soft"}
    assert make_folds(found, split, 4, 2) == folds != make_folds(found, split, 4, 3)


def test_more_folds_than_a_class_has_prompts_are_refused() -> None:
    found = examples([*texts(60, classes=("none", "hard")), *(row for row in texts(66, 9) if row[2] == "soft")][:69])
    with pytest.raises(InputError, match="With 40 folds no row of class") as error:
        make_folds(found, make_split(found, 0), 40, 0)
    assert "fewer folds" in error.value.next_step


def test_two_heads_take_rows_that_have_a_label_of_either(connection: sqlite3.Connection) -> None:
    ids = fill(connection, "nnnhhh---")
    for place, value in zip((0, 1, 2, 6, 7, 8), (True, False) * 3, strict=True):
        asked = {"response_harmful": Answer(value)}
        judge(connection, Verdict(ItemId(ids[place]), "human:ada", "response_harmful", "1", asked))
    found = read_examples(connection, ids, head="refusal3,response_harmful")
    assert [head.head for head in found.heads] == ["refusal3", "response_harmful"]
    assert found.heads[1].classes == ("no", "yes")
    assert [(e.label(0), e.label(1)) for e in found.examples][3:7] == [
        ("hard", None), ("hard", None), ("hard", None), (None, "no")]  # fmt: skip
    assert found.examples[0].beside_of(0) == "yes" and found.examples[0].beside_of(1) == "none"
    with pytest.raises(InputError, match="names 3 heads"):
        read_examples(connection, ids, head="a,b,c")
