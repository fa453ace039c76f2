"""Does an intervention reach its own rows alone, and is the model the same to the bit afterwards?"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.anatomy import study
from refusal_tui.direction.apply import Direction
from refusal_tui.direction.intervene import Rows, intervene, recorded
from refusal_tui.errors import InputError
from tests.direction.conftest import Planted
from tests.direction.families import prompt_ids, text_model

WIDTH = 32


@pytest.fixture(scope="module")
def model() -> Any:
    return text_model("Qwen2Config")


def unit_rows(count: int) -> Any:
    rows = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1))
    return rows / rows.norm(dim=1, keepdim=True)


def run(model: Any, ids: Any) -> Any:
    with torch.inference_mode():
        return model(input_ids=ids).logits


def test_each_row_loses_its_own_direction_and_no_other(model: Any) -> None:
    ids, units = prompt_ids(3), unit_rows(3)
    points = study(model).points("exact")
    with intervene(points, Rows(ablate=units)), recorded(points.blocks) as streams:
        together = run(model, ids)
    for layer, stream in streams.items():
        cosines = torch.einsum("rtd,kd->rtk", stream, units).abs() / stream.norm(dim=-1, keepdim=True)
        own = torch.stack([cosines[row, :, row] for row in range(3)])
        assert own.max() < 1e-6, layer
        assert cosines[0, :, 1].max() > 1e-2, "another row's direction is still there"
    for row in range(3):
        with intervene(points, Rows(ablate=units[row : row + 1])):
            alone = run(model, ids[row : row + 1])
        assert (together[row] - alone[0]).abs().max() < 1e-4


def test_rows_of_zeros_are_left_as_they_are_to_the_bit(model: Any) -> None:
    ids, units = prompt_ids(2), unit_rows(2)
    units[0] = 0
    add = torch.zeros(2, WIDTH)
    add[1] = 1
    points = study(model).points("exact")
    before = run(model, ids)
    with intervene(points, Rows(ablate=units, add={1: add})):
        after = run(model, ids)
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_a_vector_is_added_at_its_block_and_only_where_it_is_asked_for(model: Any) -> None:
    ids = prompt_ids(2)
    points = study(model).points("exact")
    vector = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(2))
    tokens = torch.zeros_like(ids, dtype=torch.bool)
    tokens[:, 4:6] = True
    with recorded(points.blocks) as plain:
        run(model, ids)
    with intervene(points, Rows(add={2: vector}, tokens=tokens)), recorded(points.blocks) as changed:
        run(model, ids)
    assert torch.equal(changed[1], plain[1])
    difference = changed[2] - plain[2]
    assert torch.equal(difference[:, :4], torch.zeros_like(difference[:, :4]))
    assert torch.allclose(difference[:, 4:6], vector.expand(2, 2, -1), atol=1e-5)


def test_ablating_twice_is_ablating_once(model: Any) -> None:
    ids, unit = prompt_ids(2), unit_rows(1)
    points = study(model).points("exact")
    with intervene(points, Rows(ablate=unit)):
        once = run(model, ids)
        with intervene(points, Rows(ablate=unit)):
            twice = run(model, ids)
    assert (once - twice).abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["ablate", "add"])
def test_after_the_block_the_model_is_the_same_to_the_bit(model: Any, mode: Any) -> None:
    ids = prompt_ids(3)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = run(model, ids)
    direction = Direction(torch.randn(WIDTH, generator=torch.Generator().manual_seed(5)), layer=2, position=-1)
    with direction.apply(model, mode=mode):
        assert not torch.allclose(run(model, ids), before)
    assert torch.equal(run(model, ids), before)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_an_exception_inside_the_block_also_puts_the_model_back(model: Any) -> None:
    ids = prompt_ids(1)
    before = run(model, ids)
    direction = Direction(torch.ones(WIDTH), layer=1, position=-1)
    with pytest.raises(RuntimeError, match="kettle"), direction.apply(model):
        raise RuntimeError("the kettle boiled over")
    assert torch.equal(run(model, ids), before)


@pytest.mark.parametrize("mode", ["ablate", "add"])
def test_a_coefficient_of_zero_is_the_baseline(model: Any, mode: Any) -> None:
    ids = prompt_ids(2)
    direction = Direction(torch.ones(WIDTH), layer=1, position=-1)
    with direction.apply(model, mode=mode, coefficient=0.0):
        assert torch.equal(run(model, ids), run(model, ids))
        inside = run(model, ids)
    assert torch.equal(inside, run(model, ids))


def test_half_an_ablation_leaves_half_of_the_component(model: Any) -> None:
    ids, points = prompt_ids(1), study(model).points("exact")
    vector = unit_rows(1)[0] * 7
    with recorded(points.blocks) as plain:
        run(model, ids)
    with Direction(vector, layer=1, position=-1).apply(model, coefficient=0.5), recorded(points.blocks) as changed:
        run(model, ids)
    ratio = (changed[0] @ vector) / (plain[0] @ vector)
    assert torch.allclose(ratio, torch.full_like(ratio, 0.5), atol=1e-3)


def test_a_direction_of_another_width_or_depth_is_refused_with_a_sentence(model: Any) -> None:
    narrow, deep = Direction(torch.ones(7), layer=1, position=-1), Direction(torch.ones(WIDTH), layer=40, position=-1)
    with pytest.raises(InputError, match="7 numbers, the residual stream of this model 32"), narrow.apply(model):
        pass
    with pytest.raises(InputError, match="layer 40; this model has 4 layers"), deep.apply(model):
        pass


def test_three_arms_are_generated_in_one_call_and_equal_those_generated_alone(planted: Planted) -> None:
    prompt = torch.tensor([planted.prompts[2][0]])
    passes = planted.passes()
    r = planted.truth[None]
    arms = [Rows(), Rows(ablate=r), Rows(add={3: -4 * r})]
    together = Rows(ablate=torch.cat([r * 0, r, r * 0]), add={3: torch.cat([r * 0, r * 0, -4 * r])})

    def generate(rows: Rows, copies: int) -> list[list[int]]:
        ids = prompt.repeat(copies, 1)
        with intervene(passes.points, rows):
            found = planted.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, eos_token_id=None
            )
        return found.tolist()

    assert generate(together, 3) == [generate(rows, 1)[0] for rows in arms]


def test_the_planted_direction_turns_refusal_off_and_on(planted: Planted) -> None:
    """Behaviour, not only scores: the first word of the answers."""
    direction = Direction(planted.truth * 3.8, layer=3, position=-1)

    def first_words(prompts: list[list[int]]) -> set[str]:
        words = set()
        for prompt in prompts:
            ids = torch.tensor([prompt])
            found = planted.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False
            )
            words.add(planted.world.tokenizer.decode(found[0, -1:]))
        return words

    harmful, harmless = planted.prompts[2][:8], planted.prompts[3][:8]
    assert first_words(harmful) == {"I"}
    assert "I" not in first_words(harmless)
    with direction.apply(planted.model):
        assert "I" not in first_words(harmful)
    with direction.apply(planted.model, mode="add"):
        assert first_words(harmless) == {"I"}
    assert first_words(harmful) == {"I"}
