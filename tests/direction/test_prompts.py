"""Which prompts does a run work on, and how are they put into batches?"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.direction.batches import plan
from refusal_tui.direction.prompts import Prompt, draw, read_prompts
from refusal_tui.errors import InputError
from refusal_tui.labels.rows import Message
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def read(workspace: Workspace, source: object) -> list[Prompt]:
    with closing(workspace.open()) as connection:
        return read_prompts(connection, str(source))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "How is a zibbet kept?\n\nHow is blorptanium stirred?\n"),
        ("p.json", json.dumps(["How is a zibbet kept?", {"goal": "How is blorptanium stirred?"}])),
        (
            "p.jsonl",
            '{"instruction": "How is a zibbet kept?", "category": "x"}\n{"prompt": "How is blorptanium stirred?"}\n',
        ),
    ],
)
def test_prompts_are_read_from_files_of_three_kinds(workspace: Workspace, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read(workspace, path)
    assert [p.text for p in found] == ["How is a zibbet kept?", "How is blorptanium stirred?"]
    assert found[0].key == f"{name}:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [('[{"id": 3}]', "entry 1, holds no prompt"), ("{}", "is not a list of prompts"), ("[", "is not JSON")],
)
def test_a_file_without_prompts_says_what_is_missing(
    workspace: Workspace, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(workspace, path)


def test_of_a_selection_the_single_questions_count(workspace: Workspace) -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "How is a zibbet kept?"))
    briefed = (Message("system", "Be brief."), Message("user", "How is a frindle lit?"))
    with closing(workspace.open()) as connection:
        add(connection, NewRow("How is blorptanium stirred?"), NewRow(turns), NewRow(briefed), dataset="demo")
    found = read(workspace, "dataset:demo")
    assert [(p.key, p.text) for p in found] == [
        ("item:1", "How is blorptanium stirred?"), ("item:3", "How is a frindle lit?"),
    ]  # fmt: skip


def some(count: int, word: str) -> list[Prompt]:
    return [Prompt(str(n), f"{word} {n}") for n in range(count)]


def test_a_seed_draws_the_same_prompts_again_and_no_prompt_twice() -> None:
    bad, good = some(60, "frindle"), some(60, "lamp")
    drawn = draw(bad, good, n_train=20, n_val=10, seed=42)
    assert draw(bad, good, n_train=20, n_val=10, seed=42) == drawn
    assert draw(bad, good, n_train=20, n_val=10, seed=43) != drawn
    texts = [p.text for part in drawn.parts().values() for p in part]
    assert len(set(texts)) == len(texts) == 60


def test_repeats_and_prompts_of_both_sets_do_not_count() -> None:
    bad = [*some(6, "frindle"), *some(6, "frindle"), Prompt("x", "both")]
    good = [*some(8, "lamp"), Prompt("y", "both")]
    drawn = draw(bad, good, n_train=4, n_val=2, seed=0)
    assert not any(p.text == "both" for part in drawn.parts().values() for p in part)
    with pytest.raises(InputError, match=r"6 different prompts \(1 are in both sets\); 5 to train and 2 to validate"):
        draw(bad, good, n_train=5, n_val=2, seed=0)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.floats(0, 200), st.integers(30, 500), st.booleans())
@settings(deadline=None, max_examples=150)
def test_batches_hold_every_prompt_once_and_fit(lengths: list[int], cost: float, most: int, pad: bool) -> None:
    batches = plan(lengths, pass_cost=cost, most_tokens=most, pad=pad)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= most
        assert pad or {lengths[row] for row in batch} == {longest}


@given(st.lists(st.integers(1, 60), min_size=2, max_size=40))
@settings(deadline=None, max_examples=50)
def test_sorted_batches_never_cost_more_than_one_big_one(lengths: list[int]) -> None:
    batches = plan(lengths, pass_cost=10, most_tokens=10**6)
    cost = sum(max(lengths[row] for row in batch) * len(batch) + 10 for batch in batches)
    assert cost <= max(lengths) * len(lengths) + 10
