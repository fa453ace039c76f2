"""`review` on the command line: make a queue, label it, look, take back; no screen is needed."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.cli.conftest import Call
from tests.store.building import NewRow, add, judge, says


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("REFUSAL_ANNOTATOR", "ada")
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        ids = add(connection, *(NewRow(f"[blorp] {n}\x1b[31m", f"answer {n}") for n in range(12)))
        judge(connection, *(says(i, ("hard", "none")[n % 2], probability=0.9) for n, i in enumerate(ids)))
    return workspace


def test_a_queue_is_drawn_listed_and_shown(call: Call) -> None:
    made = call("review", "new", "label:hard", "--size", "4", "--name", "first", "--json")
    assert made.json == {"queue": "first", "rows": 4, "repeats": 0, "population": 6}
    assert "review open first" in made.err
    assert "first" in call("review").out
    listed = call("review", "list", "--json").json
    assert listed == [
        {"name": "first", "questions": "refusal3", "cards": 4, "labelled": 0, "done": 0, "annotators": {}}
    ]
    shown = call("review", "show", "first", "--json").json
    assert shown["population"] == 6 and shown["blind"] and sum(shown["strata"].values()) == 4
    assert "drawn from 6 rows of 'label:hard', seed 0: 4 rows and 0 repeats" in call("review", "show", "first").out


def test_a_queue_can_be_labelled_without_a_screen(call: Call) -> None:
    call("review", "new", "--name", "q", "--size", "3", "--repeats", "0")
    first = call("review", "next", "q", "--json").json
    assert first["card"] == 1 and first["questions"] == {"refusal3": ["hard", "soft", "none"]}
    assert call("review", "answer", "q", "1", "soft", "--note", "half of it").err == "Card 1: refusal3 soft\n"
    assert call("review", "skip", "q", "2").code == 0
    assert call("review", "flag", "q", "3", "--note", "odd").code == 0
    said = call("review", "show", "q", "--json").json["decisions"]
    assert [(d["card"], d["state"], d["answers"], d["note"]) for d in said] == [
        (1, "label", {"refusal3": "soft"}, "half of it"), (2, "skip", {}, None), (3, "open", {}, "odd"),
    ]  # fmt: skip
    assert [d["card"] for d in call("review", "show", "q", "--flagged", "--json").json["decisions"]] == [1, 3]
    assert call("review", "undo", "q").err == "The answer of card 2 is taken back.\n"
    assert call("review", "undo", "q").err == "The answer of card 1 is taken back.\n"
    assert call("review", "undo", "q").err == "There is nothing left to take back.\n"


def test_the_next_card_is_safe_text_with_the_command_that_answers(call: Call) -> None:
    call("review", "new", "--name", "q", "--size", "3")
    shown = call("review", "next", "q")
    assert "[blorp]" in shown.out and "\x1b" not in shown.out
    assert "review answer q 1 hard" in shown.err
    bobs = call("review", "next", "q", "--annotator", "bob")
    assert bobs.out.startswith("card 2")  # the first one is leased
    assert bobs.err.rstrip().endswith("--annotator bob")  # else the answer would be somebody else's


def test_several_questions_are_answered_by_name(call: Call) -> None:
    call("review", "new", "--name", "q", "--questions", "head_d,head_c_a")
    assert call("review", "answer", "q", "1", "prompt_harmful=yes", "head_c_a=fraud,weapons").code == 0
    (said,) = call("review", "show", "q", "--json").json["decisions"]
    assert said["answers"]["head_c_a"] == "weapons,fraud" and said["answers"]["response_harmful"] is None


def test_a_queue_that_is_done_says_so(call: Call) -> None:
    call("review", "new", "--name", "q", "--size", "1")
    call("review", "answer", "q", "1", "none")
    assert call("review", "next", "q").err == "Nothing is left for ada in q.\n"
    assert call("review", "next", "q", "--json").json is None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["answer", "q", "1", "maybe"], ExitCode.INPUT, "hard, soft, none"),
        (["answer", "q", "99", "hard"], ExitCode.INPUT, "no card 99"),
        (["answer", "none", "1", "hard"], ExitCode.INPUT, "Queues: q"),
        (["answer", "q", "1", "hard", "-a", "two words"], ExitCode.USAGE, "annotator's name"),
        (["new", "--name", "q"], ExitCode.CONFLICT, "a queue 'q' already"),
        (["new", "--size", "0"], ExitCode.USAGE, "--size"),
        (["new", "label:soft"], ExitCode.INPUT, "holds no rows"),
        (["open", "none"], ExitCode.INPUT, "Queues: q"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(call: Call, words: list[str], code: ExitCode, told: str) -> None:
    call("review", "new", "--name", "q", "--size", "3")
    answer = call("review", *words)
    assert answer.code == code and told in answer.err


def test_a_row_that_others_have_labelled_is_refused(call: Call) -> None:
    call("review", "new", "--name", "q", "--size", "3")
    assert call("review", "answer", "q", "1", "hard").code == 0
    assert call("review", "answer", "q", "1", "hard", "-a", "bob").code == ExitCode.CONFLICT
    assert call("review", "answer", "q", "1", "none").code == 0  # one's own answer may be changed


def test_guidelines_can_be_read_replaced_and_made_anew(call: Call, tmp_path) -> None:
    call("review", "new", "--name", "q")
    assert "How to label" in call("review", "guidelines", "q").out
    (tmp_path / "own.md").write_text("Read twice.", encoding="utf-8")
    assert call("review", "guidelines", "q", "--file", tmp_path / "own.md").code == 0
    assert call("review", "guidelines", "q").out == "Read twice.\n"
    call("review", "guidelines", "q", "--reset")
    assert "How to label" in call("review", "guidelines", "q").out


def test_a_forgotten_queue_leaves_its_labels(call: Call) -> None:
    call("review", "new", "--name", "q")
    call("review", "answer", "q", "1", "hard")
    assert call("review", "delete", "q", "--yes").code == 0
    assert call("review", "list", "--json").json == []
    assert call("rows", "gold:hard", "--json").code == 0
