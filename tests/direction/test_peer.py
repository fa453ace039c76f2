"""Does the reference mode give the numbers of the published procedure, written out plainly?"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from benchmarks import direction_naive as naive
from refusal_tui.direction.anatomy import study
from refusal_tui.direction.extract import mean_differences
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.score import Scorer
from refusal_tui.direction.search import Search
from refusal_tui.direction.select import Cell, Rule, Scores, choose, empty_grid
from tests.direction.conftest import Planted
from tests.direction.families import LAYERS, prompt_ids, text_model
from tests.direction.planted import LAYERS as PLANTED_LAYERS

END = [5, 6, 7]
TOKENS = [14]


def ours(passes: Passes, parts: Any, positions: int) -> tuple[Any, dict[Cell, Scores]]:
    """Candidates and whole grid, with every short cut."""
    harmful, harmless = (passes.baseline(part, positions=positions).ends for part in parts[:2])
    candidates = mean_differences(harmful, harmless)
    scorer = Scorer(passes, TOKENS, *(passes.baseline(part, streams=True) for part in parts[2:]))
    layers = passes.anatomy.n_layers
    grid = empty_grid(range(-positions, 0), layers)
    search = Search(scorer, candidates, Rule(layers), grid, {})
    for _ in search.fill(late_layers=True):
        pass
    return candidates, search.grid


def require_same(
    grid: dict[Cell, Scores], peer: dict[tuple[int, int], tuple[float, float, float]], within: float
) -> None:
    for cell, expected in peer.items():
        scores = grid[Cell(*cell)]
        assert (scores.ablation, scores.steering, scores.kl) == pytest.approx(expected, abs=within), cell


@pytest.mark.parametrize("family", ["LlamaConfig", "Qwen3Config", "Gemma2Config"])
def test_a_random_model_has_the_scores_of_the_published_procedure(family: str) -> None:
    model = text_model(family)
    lengths = (8, 11, 15, 11, 8, 9)
    parts = [
        [[*prompt_ids(length=n, seed=100 * part + place)[0].tolist(), *END] for place, n in enumerate(lengths)]
        for part in range(4)
    ]
    candidates, grid = ours(Passes(model, study(model), "reference"), parts, positions=3)
    peer = naive.mean_differences(model, parts[0], parts[1], (-3, -2, -1), pad=0)
    assert (candidates - peer).abs().max() < 1e-5
    require_same(grid, naive.whole_grid(model, peer, parts[2], parts[3], TOKENS, pad=0), 1e-3)
    assert len(grid) == 3 * LAYERS


def test_the_planted_model_has_the_same_scores_and_the_same_pick(planted: Planted) -> None:
    parts = [part[:24] for part in planted.prompts]
    candidates, grid = ours(planted.passes(mode="reference"), parts, positions=3)
    peer = naive.mean_differences(planted.model, parts[0], parts[1], (-3, -2, -1), pad=0)
    assert torch.nn.functional.cosine_similarity(candidates[:, 3:], peer[:, 3:], dim=-1).min() > 1 - 1e-9
    expected = naive.whole_grid(planted.model, peer, parts[2], parts[3], TOKENS, pad=0)
    require_same(grid, expected, 1e-3)
    rule = Rule(PLANTED_LAYERS)
    assert choose(grid, rule).pick == choose({Cell(*cell): Scores(*row) for cell, row in expected.items()}, rule).pick
