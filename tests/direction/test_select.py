"""How is the direction chosen? The published rule, exhaustively and lazily, on made-up and on published grids."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.direction.select import (
    Cell,
    Grid,
    Reason,
    Rule,
    Score,
    Scores,
    choose,
    empty_grid,
    next_need,
    remaining_needs,
)

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "arditi_grids"
# name -> layers, position and layer of the pick, survivors (the table of the paper's repository)
EXPECTED = {
    "gemma-2b-it": (18, Cell(-2, 10), 13),
    "llama-2-7b-chat-hf": (32, Cell(-1, 14), 5),
    "meta-llama-3-8b-instruct": (32, Cell(-5, 12), 25),
    "qwen-1_8b-chat": (24, Cell(-2, 15), 12),
    "yi-6b-chat": (32, Cell(-5, 20), 7),
}


def published(name: str) -> dict[Cell, Scores]:
    path = PUBLISHED / f"{name}.direction_evaluations.json"
    if not path.exists():
        pytest.skip("the published grids are not here")
    return {
        Cell(row["position"], row["layer"]): Scores(row["refusal_score"], row["steering_score"], row["kl_div_score"])
        for row in json.loads(path.read_text())
    }


def lazily(full: Grid, rule: Rule) -> tuple[Cell | None, dict[Score, int]]:
    """The choice when every score is looked up only when it is asked for, and how many were asked for."""
    known = {cell: Scores() for cell in full}
    asked = dict.fromkeys(Score, 0)
    while need := next_need(known, rule):
        asked[need.score] += len(need.cells)
        for cell in need.cells:
            value = full[cell].get(need.score)
            assert value is not None
            known[cell] = known[cell].having(need.score, value)
    return choose(known, rule).pick, asked


@pytest.mark.parametrize("name", EXPECTED)
def test_the_published_scores_give_the_published_pick_and_survivors(name: str) -> None:
    layers, pick, survivors = EXPECTED[name]
    choice = choose(published(name), Rule(layers))
    assert choice.pick == pick
    assert len(choice.survivors) == survivors


@pytest.mark.parametrize("name", EXPECTED)
def test_the_lazy_order_gives_the_published_pick_for_less_than_half_of_the_scores(name: str) -> None:
    layers, pick, _ = EXPECTED[name]
    grid = published(name)
    found, asked = lazily(grid, Rule(layers))
    assert found == pick
    assert sum(asked.values()) < 0.5 * 3 * len(grid)
    assert asked[Score.ABLATION] + asked[Score.KL] < 0.3 * 2 * len(grid), "the passes that cannot start midway"


numbers = st.one_of(st.just(math.nan), st.sampled_from([-2.0, -1.0, 0.0, 0.05, 0.1, 0.11, 1.0]))
grids = st.lists(st.builds(Scores, numbers, numbers, numbers), min_size=12, max_size=12)


@given(grids, st.sets(st.integers(0, 11), max_size=3))
@settings(deadline=None, max_examples=200)
def test_lazy_and_exhaustive_choice_are_the_same(rows: list[Scores], zero: set[int]) -> None:
    cells = sorted(empty_grid((-3, -2, -1), 4))
    grid = dict(zip(cells, rows, strict=True))
    rule = Rule(4, frozenset(cells[place] for place in zero))
    assert lazily(grid, rule)[0] == choose(grid, rule).pick


GOOD = Scores(-5.0, 1.0, 0.01)


@pytest.mark.parametrize(
    ("cell", "scores", "reason"),
    [
        (Cell(-1, 3), GOOD, Reason.PICKED),
        (Cell(-1, 8), GOOD, Reason.LAYER),  # int(0.8 * 10)
        (Cell(-1, 3), Scores(-5.0, -0.001, 0.01), Reason.STEERING),
        (Cell(-1, 3), Scores(-5.0, 0.0, 0.01), Reason.PICKED),  # equal passes
        (Cell(-1, 3), Scores(-5.0, 1.0, 0.1001), Reason.KL),
        (Cell(-1, 3), Scores(-5.0, 1.0, 0.1), Reason.PICKED),  # equal passes
        (Cell(-1, 3), Scores(math.nan, 1.0, 0.01), Reason.NAN),
        (Cell(-1, 0), GOOD, Reason.ZERO),
        (Cell(-1, 3), Scores(-5.0, 1.0, None), Reason.UNKNOWN),
    ],
)
def test_every_cell_has_a_reason(cell: Cell, scores: Scores, reason: Reason) -> None:
    choice = choose({cell: scores}, Rule(10, zero=frozenset([Cell(-1, 0)])))
    assert choice.reasons[cell] is reason
    assert choice.pick == (cell if reason is Reason.PICKED else None)


def test_ties_go_to_the_earlier_position_and_then_to_the_lower_layer() -> None:
    cells = [Cell(-1, 2), Cell(-2, 5), Cell(-2, 3), Cell(-1, 1)]
    assert choose(dict.fromkeys(cells, GOOD), Rule(10)).pick == Cell(-2, 3)


def test_nothing_passing_is_a_result_with_a_reason_for_every_cell() -> None:
    grid = {Cell(-1, 1): Scores(3.0, -1.0, 0.0), Cell(-1, 2): Scores(3.0, 1.0, 4.0), Cell(-1, 3): Scores(3.0, 1.0, 0.0)}
    choice = choose(grid, Rule(4))
    assert choice.pick is None and choice.survivors == []
    assert list(choice.reasons.values()) == [Reason.STEERING, Reason.KL, Reason.LAYER]


def test_after_the_choice_the_rest_of_the_grid_is_filled_late_layers_last() -> None:
    grid = {**empty_grid((-1,), 5), Cell(-1, 1): GOOD}
    needs = remaining_needs(grid, Rule(5, frozenset([Cell(-1, 0)])), late_layers=True)
    assert [(need.score, [cell.layer for cell in need.cells]) for need in needs] == [
        (Score.ABLATION, [2, 3]), (Score.KL, [2, 3]), (Score.STEERING, [2, 3]),
        (Score.ABLATION, [4]), (Score.KL, [4]), (Score.STEERING, [4]),
    ]  # fmt: skip
