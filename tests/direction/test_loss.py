"""What do ablation and addition cost on harmless answers?"""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.apply import Direction
from refusal_tui.direction.loss import measure_loss
from tests.direction.conftest import Planted
from tests.direction.planted import PLANTED_BLOCK

LAYER = PLANTED_BLOCK + 1
TOKENS = 6


def plain_loss(planted: Planted, prompts: list[list[int]], direction: Direction | None, how: dict[str, Any]) -> float:
    """Nats per token of the model's own answers, prompt by prompt, without padding."""
    model, total = planted.model, 0.0
    for prompt in prompts:
        ids = torch.tensor([prompt])
        answer = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, attention_mask=torch.ones_like(ids))
        labels = answer.clone()
        labels[:, : len(prompt)] = -100
        with torch.inference_mode():
            if direction is None:
                loss = model(answer, labels=labels).loss
            else:
                with direction.apply(model, **how):
                    loss = model(answer, labels=labels).loss
        total += float(loss) / len(prompts)
    return total


def test_the_losses_are_those_of_one_prompt_and_one_arm_at_a_time(planted: Planted) -> None:
    prompts, vector = planted.prompts[3][:5], planted.truth * 3.8
    found = measure_loss(planted.passes(), prompts, vector, LAYER, coefficient=1.0, max_new_tokens=TOKENS)
    direction = Direction(vector, LAYER, -1)
    assert (found.answers, found.tokens) == (5, 5 * TOKENS)
    assert found.baseline == pytest.approx(plain_loss(planted, prompts, None, {}), abs=1e-4)
    assert found.ablated == pytest.approx(plain_loss(planted, prompts, direction, {"mode": "ablate"}), abs=1e-4)
    assert found.steered == pytest.approx(plain_loss(planted, prompts, direction, {"mode": "add"}), abs=1e-4)


def test_an_ablation_of_what_harmless_text_does_not_hold_is_nearly_free_and_an_addition_is_not(
    planted: Planted,
) -> None:
    prompts, vector = planted.prompts[3][:8], planted.truth * 3.8
    found = measure_loss(planted.passes(), prompts, vector, LAYER, coefficient=1.0, max_new_tokens=TOKENS)
    assert abs(found.ablated - found.baseline) < 0.2 and 0 <= found.kl_ablated < 0.1
    assert found.steered > found.baseline + 1 and found.kl_steered > 1


def test_small_batches_give_the_same(planted: Planted) -> None:
    prompts, vector = planted.prompts[3][:5], planted.truth * 3.8
    whole, alone = (
        measure_loss(planted.passes(tokens_per_pass=size), prompts, vector, LAYER, max_new_tokens=TOKENS)
        for size in (2048, 1)
    )
    for name in ("baseline", "ablated", "steered", "kl_ablated", "kl_steered"):
        assert getattr(whole, name) == pytest.approx(getattr(alone, name), abs=1e-4)
    assert math.isfinite(whole.steered)


def test_answers_count_up_to_the_token_that_ends_them(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first token of every answer as the end, one token each is left."""
    prompts = planted.prompts[2][:4]  # all begin with I
    end = planted.world.tokenizer.convert_tokens_to_ids("I")
    monkeypatch.setattr(planted.model.generation_config, "eos_token_id", [end, 2])
    found = measure_loss(planted.passes(), prompts, planted.truth * 3.8, LAYER, max_new_tokens=TOKENS)
    assert (found.answers, found.tokens) == (4, 4)
    assert found.ablated > found.baseline + 1
