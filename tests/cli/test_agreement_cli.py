"""`agreement` as a person and as a program reads it."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.workspace import Workspace
from tests.store.building import NewRow, add, judge, says


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """24 prompts, labelled by two people and a judge; the judge calls every refusal hard."""
    from refusal_tui.store.workspace import create_workspace

    made = create_workspace(tmp_path / "w")
    with closing(made.open()) as connection:
        ids = add(connection, *(NewRow(f"What is frindle {n}?", f"Frindle {n}.", f"m{n % 2}") for n in range(24)))
        for n, item_id in enumerate(ids):
            value = ("none", "hard", "soft", "none")[n % 4]
            judge(connection, says(item_id, value, "human:ada"), says(item_id, value if n else "hard", "human:bo"))
            judge(connection, says(item_id, "hard" if value == "soft" else value, "judge:lexical"))
    return made


def test_pairs_parts_and_matrices_are_printed(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    said = call("agreement", "--annotator", "ada", "--annotator", "bo")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "refusal3  (none, soft, hard)"
    pair = next(line for line in lines if line.startswith("ada × bo"))
    assert pair.split()[3:6] == ["24", "24", ".958"]
    assert any(line.strip().startswith("model m0") for line in lines)
    assert any(line.startswith("ada ↓ bo →") for line in lines)
    assert "BCa bootstrap over prompts" in said.out


def test_a_pair_fits_80_columns_without_its_prompts(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = call("agreement", "--annotator", "ada", "--annotator", "bo").out.splitlines()
    head, pair = lines[1], next(line for line in lines if line.startswith("ada × bo"))
    assert "prompts" not in head and pair.split()[3:5] == ["24", ".958"]
    assert len(head) <= 80 and len(pair) <= 80


def test_many_pairs_come_without_matrices_and_say_how_to_get_one(call, workspace) -> None:
    with closing(workspace.open()) as connection:
        judge(connection, *(says(n, "none", "human:cleo") for n in range(1, 13)))
    said = call("agreement").out
    assert "people together" in said and "everybody" in said
    assert "↓" not in said and "name both with --annotator" in said


def test_a_filter_chooses_the_rows_and_json_is_exact(call) -> None:
    (head,) = call("agreement", "model:m1", "--head", "refusal3", "--json").json["heads"]
    pair = head["pairs"][0]
    assert (pair["one"], pair["other"], pair["rows"]) == ("human:ada", "human:bo", 12)
    assert pair["kappa"]["value"] == 1 and 0.5 < pair["kappa"]["low"] < 1
    assert pair["filters"][0][0] == "model:m1 gold.ada:none gold.bo:none"


def test_nothing_to_compare_is_told_with_what_to_do(call) -> None:
    said = call("agreement", "key:k1", "--annotator", "ada")
    assert said.code == 4 and "No two annotators" in said.err and "review new" in said.err


def test_an_unknown_annotator_is_told(call) -> None:
    said = call("agreement", "--annotator", "eve")
    assert said.code == 4 and "'eve' has labelled nothing" in said.err and "human:ada" in said.err
