"""`review adjudicate`, `settle` and `consensus` on the command line."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.cli.conftest import Call
from tests.store.building import NewRow, add, judge, says

ADA, BOB = "human:ada", "human:bob"


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """Rows on which a judge contradicts a person (1), people differ (2), all agree (3)."""
    monkeypatch.setenv("REFUSAL_ANNOTATOR", "eve")
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        one, two, three = add(connection, *(NewRow(f"[blorp] {n}\x1b[31m", f"answer {n}") for n in range(3)))
        judge(
            connection,
            says(one, "hard", ADA), says(one, "none", probability=0.9), says(two, "hard", ADA), says(two, "none", BOB),
            says(three, "hard", ADA), says(three, "hard", BOB),
        )  # fmt: skip
    return workspace


def test_disagreements_are_listed_by_value(call: Call) -> None:
    told = call("review", "adjudicate", "--json").json
    assert [(d["row"], d["kind"], d["score"]) for d in told["disagreements"]] == [
        (2, "people", 1.0), (1, "person-judge", 0.9),
    ]  # fmt: skip
    assert told["found"] == 2 and told["queue"] is None
    shown = call("review", "adjudicate").out
    assert "hard: ada  none: bob" in shown and "[blorp] 1" in shown and "\x1b" not in shown
    assert [d["row"] for d in call("review", "adjudicate", "id:1", "--json").json["disagreements"]] == [1]
    between = call("review", "adjudicate", "--annotator", "ada", "--annotator", "bob", "--json").json
    assert [d["row"] for d in between["disagreements"]] == [2]


def test_a_queue_is_made_shown_and_settled(call: Call) -> None:
    made = call("review", "adjudicate", "--make", "disputes", "--size", "1")
    assert "disputes: 1 rows to settle" in made.err and "review open disputes" in made.err
    shown = call("review", "settle", "disputes")
    assert "card 1 of disputes (people)" in shown.out and "\x1b" not in shown.out
    assert "review settle disputes 1 1" in shown.err
    assert call("review", "settle", "disputes", "1", "bob", "--note", "it helps").err == "Card 1: refusal3 none\n"
    assert call("review", "settle", "disputes").err == "Nothing is left to settle in disputes.\n"
    assert call("rows", "is:settled", "--count").out.strip() == "1"
    assert call("rows", "gold:none", "--count").out.strip() == "1"
    assert [d["row"] for d in call("review", "adjudicate", "--json").json["disagreements"]] == [1]
    (said,) = call("review", "show", "disputes", "--json").json["decisions"]
    assert (said["annotator"], said["answers"], said["note"]) == ("human:eve", {"refusal3": "none"}, "it helps")
    assert call("review", "undo", "disputes").err == "The answer of card 1 is taken back.\n"
    assert call("rows", "is:settled", "--count").out.strip() == "0"


def test_a_card_is_told_as_json_and_takes_a_label_of_ones_own(call: Call) -> None:
    call("review", "adjudicate", "--make", "disputes")
    told = call("review", "settle", "disputes", "2", "--json").json
    assert (told["row"], told["kind"]) == (1, "person-judge")
    assert [(v["annotator"], v["value"]) for v in told["voices"]] == [(ADA, "hard"), ("judge:lexical", "none")]
    assert call("review", "settle", "disputes", "2", "soft", "--json").json == {"card": 2, "row": 1, "value": "soft"}
    assert call("review", "show", "disputes", "--json").json["decisions"][0]["seen_judge"]


@pytest.mark.parametrize(
    "words",
    [
        ("settle", "nowhere"), ("settle", "disputes", "1", "dora"), ("settle", "disputes", "9", "hard"),
        ("settle", "plain", "1", "hard"), ("adjudicate", "--head", "or_bench", "--make", "x"),
        ("adjudicate", "id:3", "--make", "x"), ("adjudicate", "--annotator", "nobody"), ("consensus", "id:1"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_with_what_to_do(call: Call, words: tuple[str, ...]) -> None:
    call("review", "adjudicate", "--make", "disputes")
    call("review", "new", "--name", "plain")
    told = call("review", *words)
    assert told.code == ExitCode.INPUT and len(told.err.splitlines()) > 1, told.err


def test_a_name_is_taken_once(call: Call) -> None:
    call("review", "adjudicate", "--make", "disputes")
    assert call("review", "adjudicate", "--make", "disputes").code == ExitCode.CONFLICT


def test_where_all_agree_there_is_nothing_to_settle(call: Call) -> None:
    assert "no disagreement left" in call("review", "adjudicate", "id:3").err


def test_consensus_is_made_and_repeated(call: Call) -> None:
    first = call("review", "consensus")
    assert "human:majority/refusal3, of ada, bob: 1 rows agreed, 1 of them new" in first.out
    assert "1 rows are split evenly" in first.out
    again = call("review", "consensus", "--json").json
    assert (again["rows"], again["new"], again["even"]) == (1, 0, 1)
    assert call("rows", "label.majority/refusal3:hard", "--count").out.strip() == "1"
    other = call("review", "consensus", "--method", "dawid-skene")
    assert "person" in other.out and "ask a third" in other.err


def test_a_queue_that_has_travelled_without_the_labels_is_settled_by_a_label(call: Call, tmp_path) -> None:
    call("review", "adjudicate", "--make", "disputes")
    call("review", "export", "disputes", tmp_path / "disputes.jsonl")
    other = create_workspace(tmp_path / "other")
    call("-w", other.root, "review", "import", tmp_path / "disputes.jsonl")
    shown = call("-w", other.root, "review", "settle", "disputes")
    assert "Nobody's label of this row is known here" in shown.out and "settle disputes 1 hard" in shown.err
    assert call("-w", other.root, "review", "settle", "disputes", "1", "hard").code == 0
    assert call("-w", other.root, "rows", "is:settled", "--count").out.strip() == "1"
