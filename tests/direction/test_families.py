"""Are blocks, writers and padding found right in every family? On tiny random models, without downloads."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.anatomy import study
from refusal_tui.direction.batches import make_batch
from refusal_tui.direction.blocks import find_blocks
from refusal_tui.direction.leak import measure_leak
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.score import Scorer
from refusal_tui.errors import UnavailableError
from tests.direction.families import LAYERS, MORE_TEXT, TEXT, prompt_ids, text_model, vision_model

NORMS_BEHIND = {"Gemma2Config", "Gemma3TextConfig", "Olmo2Config", "Glm4Config"}


@pytest.fixture(scope="module", params=TEXT)
def family(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, text_model(request.param)


def test_the_writers_of_every_block_are_found_and_an_ablation_leaves_nothing(family: tuple[str, Any]) -> None:
    name, model = family
    anatomy = study(model)
    assert (anatomy.n_layers, anatomy.width, anatomy.unexplained) == (LAYERS, 32, ())
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    leak = measure_leak(Passes(model, anatomy), direction, prompt_ids()[0].tolist())
    assert leak.final < 1e-6
    assert leak.middle is None or leak.middle < 1e-6
    norms = any("norm" in part for part in anatomy.shapes[0].writers.names)
    assert norms == (name in NORMS_BEHIND)


@pytest.mark.nightly
@pytest.mark.parametrize("name", MORE_TEXT)
def test_the_sweep_over_other_families(name: str) -> None:
    model = text_model(name)
    anatomy = study(model)
    found = name != "MiniMaxConfig"
    assert anatomy.unexplained == (() if found else tuple(range(LAYERS)))
    assert (anatomy.padding, anatomy.starts_midway) == ("positions", True)
    direction = torch.randn(anatomy.width, generator=torch.Generator().manual_seed(3))
    leak = measure_leak(Passes(model, anatomy), direction, prompt_ids()[0].tolist())
    assert leak.final < 1e-6
    assert leak.middle is None or leak.middle < 1e-6


def test_a_prompt_scores_the_same_alone_and_padded_beside_a_longer_one(family: tuple[str, Any]) -> None:
    _, model = family
    passes = Passes(model, study(model))
    prompts = [prompt_ids(length=length, seed=length)[0].tolist() for length in (7, 12, 19)]
    together = passes.logits(make_batch(prompts, [0, 1, 2], 0))
    for row, prompt in enumerate(prompts):
        alone = model(input_ids=torch.tensor([prompt])).logits[0, -1]
        assert (together[row] - alone).abs().max() < 1e-4 * alone.std() + 1e-4


def test_a_last_part_that_looks_at_other_tokens_is_left_as_it_is() -> None:
    model = text_model("LlamaConfig")
    assert study(model).last_part is model.model.layers[-1].mlp
    mlp = model.model.layers[-1].mlp
    forward = mlp.forward
    mlp.forward = lambda hidden: forward(hidden).cumsum(dim=1)
    assert study(model).last_part is None


def test_starting_at_a_cached_stream_gives_the_same_numbers_as_a_whole_pass(family: tuple[str, Any]) -> None:
    _, model = family
    passes = Passes(model, study(model))
    assert passes.anatomy.starts_midway
    prompts = [prompt_ids(length=length, seed=length)[0].tolist() for length in (9, 14, 14)]
    cached, whole = passes.baseline(prompts, streams=True), passes.baseline(prompts)
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for layer in range(1, LAYERS):
        quick = Scorer(passes, [5, 6], cached, cached).steering(layer, vectors)
        slow = Scorer(passes, [5, 6], whole, whole).steering(layer, vectors)
        assert (quick - slow).abs().max() < 1e-5
    assert "forward" not in find_blocks(model).modules[0].__dict__, "the blocks are what they were"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["LlamaConfig", "Gemma2Config", "FalconConfig", "GraniteConfig", "BloomConfig"])
def test_half_precision_shows_the_same_writers_and_leaks_by_its_rounding_alone(name: str, dtype: torch.dtype) -> None:
    whole, half = study(text_model(name)), text_model(name).to(dtype)
    anatomy = study(half)
    assert [shape.writers.names for shape in anatomy.shapes] == [shape.writers.names for shape in whole.shapes]
    assert (anatomy.padding, anatomy.starts_midway) == (whole.padding, True)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    assert measure_leak(Passes(half, anatomy), direction, prompt_ids()[0].tolist()).final < 5e-3


def test_a_block_that_writes_in_an_unknown_way_is_cleaned_at_its_ends() -> None:
    """As OPT with a norm behind the sum: the whole stream is rewritten, so that no parts add up to the change."""
    anatomy = study(text_model("OPTConfig", do_layer_norm_before=False))
    points = anatomy.points("exact")
    assert anatomy.unexplained == tuple(range(LAYERS))
    assert points.outputs == points.inputs == anatomy.blocks.modules
    assert anatomy.facts()["unexplained_blocks"] == list(range(LAYERS))


@pytest.mark.parametrize("name", sorted(NORMS_BEHIND))
def test_the_published_hook_points_leak_where_a_norm_stands_behind_them(name: str) -> None:
    model = text_model(name)
    with torch.no_grad():  # a norm that is trained has no equal weights; an untrained one leaks less
        for key, parameter in model.named_parameters():
            if "norm" in key:
                parameter.uniform_(0.2, 1.5, generator=torch.Generator().manual_seed(len(key)))
    anatomy = study(model)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    prompt = prompt_ids()[0].tolist()
    published = measure_leak(Passes(model, anatomy, "reference"), direction, prompt)
    exact = measure_leak(Passes(model, anatomy, "exact"), direction, prompt)
    assert published.middle is not None and published.middle > 1e-2
    assert exact.middle is not None and exact.middle < 1e-6


@pytest.mark.parametrize("name", ["LlavaConfig", "PaliGemmaConfig", "Qwen2VLConfig", "Gemma3Config", "Idefics3Config"])
def test_the_text_blocks_of_a_model_with_a_vision_tower_are_told_from_the_tower(name: str) -> None:
    model = vision_model(name)
    blocks = find_blocks(model)
    assert len(blocks) == LAYERS
    assert "vision" not in blocks.path and "visual" not in blocks.path
    assert study(model).unexplained == ()


def test_a_model_whose_blocks_cannot_be_told_is_refused_with_a_sentence() -> None:
    model = text_model("LlamaConfig")
    model.config.num_hidden_layers = LAYERS + 3
    with pytest.raises(UnavailableError, match="7 decoder blocks of LlamaForCausalLM cannot be told"):
        find_blocks(model)
