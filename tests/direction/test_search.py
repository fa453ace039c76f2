"""Is the planted direction found, and do all the short cuts give what the long way gives?"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.evidence import dose_response, gather, mean_interval, rivals_within_noise
from refusal_tui.direction.extract import mean_differences, random_directions, shuffled_differences, zero_cells
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.reliability import auroc, bootstrap_floor, split_half
from refusal_tui.direction.score import Scorer
from refusal_tui.direction.search import Search
from refusal_tui.direction.select import Cell, Reason, Rule, Score, Scores, choose, empty_grid
from refusal_tui.errors import InputError, UnavailableError
from tests.direction.conftest import Planted, plant
from tests.direction.planted import LAYERS, PLANTED_BLOCK

TOLERANCE = 2e-4  # float32: other kernels for other batch sizes, at scores of up to 18


@dataclass
class Found:
    planted: Planted
    passes: Passes
    candidates: Any
    harmful: Any
    harmless: Any
    rule: Rule

    def search(self, scorer: Scorer, known: dict[Cell, Scores] | None = None) -> Search:
        return Search(scorer, self.candidates, self.rule, empty_grid((-3, -2, -1), LAYERS), known or {})


def find(planted: Planted, **settings: Any) -> Found:
    passes = planted.passes(**settings)
    harmful, harmless = (passes.baseline(part, positions=3).ends for part in planted.prompts[:2])
    candidates = mean_differences(harmful, harmless)
    zero = frozenset(Cell(*cell) for cell in zero_cells(candidates, harmful))
    return Found(planted, passes, candidates, harmful, harmless, Rule(LAYERS, zero))


@pytest.fixture(scope="module")
def found(planted: Planted) -> Found:
    return find(planted)


def whole_grid(search: Search) -> dict[Cell, Scores]:
    for _ in search.fill(late_layers=True):
        pass
    return search.grid


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_planted_direction_and_layer_are_found(seed: int) -> None:
    planted = plant(seed)
    run = find(planted)
    search = run.search(planted.scorer(run.passes))
    for _ in search.decide():
        pass
    pick = search.choice().pick
    assert pick is not None and pick.layer == PLANTED_BLOCK + 1 and pick.position in (-3, -2, -1)
    cosines = torch.nn.functional.cosine_similarity(run.candidates, planted.truth.double(), dim=-1)
    assert cosines[:, PLANTED_BLOCK + 1 :].min() > 0.999
    assert cosines[:, : PLANTED_BLOCK + 1].abs().max() < 0.3
    scores = search.grid[pick]
    assert scores.ablation < -7.5 and scores.steering > 18 and scores.kl < 0.05  # type: ignore[operator]


def test_the_first_layer_holds_no_candidate_and_costs_no_pass(found: Found) -> None:
    assert found.rule.zero == {Cell(-3, 0), Cell(-2, 0), Cell(-1, 0)}
    assert torch.equal(found.candidates[:, 0], torch.zeros_like(found.candidates[:, 0]))
    scorer = found.planted.scorer(found.passes)
    harmful, harmless = (float(values.mean()) for values in scorer.baseline())
    search = found.search(scorer)
    assert search.grid[Cell(-1, 0)] == Scores(harmful, harmless, 0.0)
    assert scorer.ablation(torch.zeros(1, 64).double()).mean() == pytest.approx(harmful, abs=TOLERANCE)
    assert search.choice().reasons[Cell(-1, 0)] is Reason.ZERO


def test_the_lazy_choice_is_that_of_the_whole_grid_for_a_fraction_of_the_tokens(found: Found) -> None:
    passes = found.planted.passes()
    scorer = found.planted.scorer(passes)
    lazy = found.search(scorer)
    before = passes.tokens
    for _ in lazy.decide():
        pass
    spent_lazily = passes.tokens - before
    pick = lazy.choice().pick
    grid = whole_grid(lazy)
    assert choose(grid, found.rule).pick == pick
    assert all(None not in (s.ablation, s.steering, s.kl) for s in grid.values())
    assert spent_lazily < 0.45 * (passes.tokens - before)


def test_every_short_cut_gives_the_scores_of_one_candidate_at_a_time(found: Found) -> None:
    """Many candidates per pass, padded batches and cached streams, against one candidate and prompt after the other."""
    few = replace(found.planted, prompts=tuple(part[:8] for part in found.planted.prompts))
    quick = whole_grid(found.search(few.scorer()))
    plain = whole_grid(found.search(few.scorer(few.passes(tokens_per_pass=1), cached=False)))
    assert choose(quick, found.rule).pick is not None
    for cell, scores in plain.items():
        for score in Score:
            assert quick[cell].get(score) == pytest.approx(scores.get(score), abs=TOLERANCE), (cell, score)


@pytest.mark.parametrize("where", ["cpu", "disk"])
def test_a_model_that_is_offloaded_has_the_same_scores(found: Found, tmp_path: Path, where: str) -> None:
    accelerate = pytest.importorskip("accelerate")
    model = copy.deepcopy(found.planted.model)
    if where == "cpu":
        accelerate.cpu_offload(model, execution_device="cpu")
    else:
        accelerate.disk_offload(model, tmp_path, execution_device="cpu")
    away = replace(found.planted, model=model)
    assert all(parameter.device.type == "meta" for parameter in model.parameters())
    for vectors in (found.candidates[:, 3], found.candidates[:, 1]):
        quick, slow = away.scorer(), found.planted.scorer()
        assert torch.allclose(quick.ablation(vectors), slow.ablation(vectors), atol=TOLERANCE)
        assert torch.allclose(quick.steering(3, vectors), slow.steering(3, vectors), atol=TOLERANCE)
        assert torch.allclose(quick.kl(vectors), slow.kl(vectors), atol=TOLERANCE)


def test_a_search_goes_on_with_what_is_known_and_ends_with_the_same_numbers(found: Found) -> None:
    scorer = found.planted.scorer(found.passes)
    whole = found.search(scorer)
    groups = [*whole.decide(), *whole.fill(late_layers=True)]
    for cut in (1, 4, len(groups) - 1):
        known: dict[Cell, Scores] = {}
        for measured in (m for group in groups[:cut] for m in group):
            known[measured.cell] = known.get(measured.cell, Scores()).having(measured.score, measured.value)
        resumed = found.search(scorer, known)
        rest = [*resumed.decide(), *resumed.fill(late_layers=True)]
        assert rest == groups[cut:], "no finished cell again, and the others to the last digit"
        assert resumed.grid == whole.grid


def test_memory_that_is_full_halves_the_batch_and_the_work_goes_on(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = found.planted.passes()
    scorer = found.planted.scorer(passes)
    expected = scorer.ablation(found.candidates[:, 3])
    forward = passes.logits
    refused = []

    def small_device(batch: Any, *, copies: int = 1, **settings: Any) -> Any:
        if batch.tokens * copies > 300:
            refused.append(batch.tokens * copies)
            raise RuntimeError("CUDA out of memory")
        return forward(batch, copies=copies, **settings)

    monkeypatch.setattr(passes, "logits", small_device)
    assert torch.allclose(scorer.ablation(found.candidates[:, 3]), expected, atol=TOLERANCE)
    assert refused and passes.tokens_per_pass <= 300


def test_a_prompt_that_does_not_fit_the_memory_alone_is_told(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = found.planted.passes()
    scorer = found.planted.scorer(passes)

    def full_device(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(passes, "logits", full_device)
    with pytest.raises(UnavailableError, match="does not have the memory for one prompt") as raised:
        scorer.ablation(found.candidates[:, 3])
    assert "--dtype bfloat16" in raised.value.next_step


def test_activations_that_overflow_are_told(found: Found) -> None:
    harmful = found.harmful.clone()
    harmful[0, 0, 1, 0] = float("inf")
    with pytest.raises(InputError, match="too large for its number format"):
        mean_differences(harmful, found.harmless)


def test_a_random_direction_does_nothing_and_the_dose_has_its_effect(found: Found) -> None:
    scorer = found.planted.scorer(found.passes)
    vector = found.candidates[-1, 3]
    harmful, harmless = (float(values.mean()) for values in scorer.baseline())
    random = random_directions(vector, times=4, seed=1)
    assert scorer.ablation(random).mean(dim=1).tolist() == pytest.approx([harmful] * 4, abs=0.1)
    dose = dose_response(scorer, 3, vector)
    middle = next(point for point in dose if point["coefficient"] == 0)
    assert (middle["harmful"], middle["harmless"]) == pytest.approx((harmful, harmless), abs=TOLERANCE)
    assert dose[0]["harmful"] < -18 and dose[-1]["harmless"] > 18


def test_the_evidence_tells_the_planted_direction_from_its_controls(found: Found) -> None:
    scorer = found.planted.scorer(found.passes)
    pick = Cell(-1, 3)
    shuffled = shuffled_differences(found.harmful, found.harmless, times=4, seed=0)
    vector = found.candidates[-1, 3]
    evidence = gather(scorer, pick, vector, shuffled[:, -1, 3], scorer.ablation(vector[None])[0].tolist(), seed=0)
    assert evidence.effect > 1 and not evidence.weak
    assert all(abs(arm["cosine"]) < 0.5 for arm in evidence.random)
    steered = sorted(arm["steering"] for arm in evidence.shuffled)
    assert steered[1] < 0, f"directions of shuffled labels are short: {steered}"
    assert evidence.interval[0] < evidence.interval[1] < -7.5
    assert evidence.leak_final < 1e-6 and evidence.leak_middle is not None and evidence.leak_middle < 1e-6


def test_a_direction_that_does_nothing_is_called_weak(found: Found) -> None:
    scorer = found.planted.scorer(found.passes)
    nothing = random_directions(found.candidates[-1, 3], times=1, seed=9)[0]
    values = scorer.ablation(nothing[None])[0].tolist()
    assert gather(scorer, Cell(-1, 3), nothing, nothing[None], values, seed=0).weak


def test_reliability_says_where_the_direction_becomes_real(found: Found) -> None:
    halves, floor = split_half(found.harmful, found.harmless), bootstrap_floor(found.harmful, found.harmless)
    assert torch.equal(halves[:, 0], torch.zeros(3).double()) and torch.equal(floor[:, 0], torch.zeros(3).double())
    assert halves[:, 1:3].max() < 0.9
    assert halves[:, 3:].min() > 0.999 and floor[:, 3:].min() > 0.999


def test_the_bootstrap_through_the_gram_matrix_is_the_bootstrap() -> None:
    generator = torch.Generator().manual_seed(0)
    harmful, harmless = (
        torch.randn(12, 1, 1, 6, generator=generator) + 0.5,
        torch.randn(9, 1, 1, 6, generator=generator),
    )
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.randint(count, (400, count), generator=generator) for count in (12, 9)]
    directions = harmful[drawn[0], 0, 0].mean(dim=1) - harmless[drawn[1], 0, 0].mean(dim=1)
    whole = (harmful.mean(dim=0) - harmless.mean(dim=0))[0]
    expected = torch.nn.functional.cosine_similarity(directions, whole).quantile(0.05)
    assert bootstrap_floor(harmful, harmless, seed=3, draws=400)[0, 0] == pytest.approx(expected.item(), abs=1e-5)


def test_equal_projections_separate_nothing() -> None:
    assert auroc(torch.ones(5), torch.ones(7)) == 0.5
    assert auroc(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0])) == 0.75


def test_rivals_are_those_whose_difference_is_within_the_noise_of_the_prompts() -> None:
    pick, near, far = Cell(-1, 3), Cell(-2, 3), Cell(-3, 3)
    values = {pick: [-5.0, -6.0, -7.0, -6.0], near: [-5.2, -5.9, -6.9, -6.1], far: [-3.0, -4.0, -5.0, -4.0]}
    assert rivals_within_noise(values, pick, [pick, near, far]) == [(-2, 3)]
    low, high = mean_interval(values[pick])
    assert -7 <= low < -6 < high <= -5
