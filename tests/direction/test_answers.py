"""What does the model say under the three arms, and where in a text does the direction show?"""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
from refusal_tui.direction.answers import ARMS, Arm, answer_in_arms, project_texts
from tests.direction.conftest import Planted
from tests.direction.planted import LAYERS, PLANTED_BLOCK

LAYER = PLANTED_BLOCK + 1


def test_the_three_arms_refuse_answer_and_refuse_again(planted: Planted) -> None:
    passes, tokenizer = planted.passes(), planted.world.tokenizer
    vector = planted.truth * 3.8
    harmful = answer_in_arms(passes, tokenizer, planted.prompts[2][:6], vector, LAYER, coefficient=-1, max_new_tokens=3)
    harmless = answer_in_arms(passes, tokenizer, planted.prompts[3][:6], vector, LAYER, max_new_tokens=3)
    assert all(set(answers) == set(ARMS) for answers in (*harmful, *harmless))
    for answers in harmful:
        assert answers[Arm.BASELINE].startswith("I")
        assert not answers[Arm.ABLATED].startswith("I") and not answers[Arm.STEERED].startswith("I")
    for answers in harmless:
        assert not answers[Arm.BASELINE].startswith("I") and not answers[Arm.ABLATED].startswith("I")
        assert answers[Arm.STEERED].startswith("I")


def test_answers_are_those_of_one_prompt_at_a_time(planted: Planted) -> None:
    prompts, vector = planted.prompts[2][:5], planted.truth * 3.8
    tokenizer = planted.world.tokenizer
    together = answer_in_arms(planted.passes(), tokenizer, prompts, vector, LAYER, max_new_tokens=4)
    alone = planted.passes(tokens_per_pass=1)
    assert answer_in_arms(alone, tokenizer, prompts, vector, LAYER, max_new_tokens=4) == together
    assert alone.tokens_per_pass == 1


def test_steering_the_prompt_alone_leaves_the_models_own_tokens_alone(planted: Planted) -> None:
    prompts, vector = planted.prompts[3][:3], planted.truth * 3.8
    passes, tokenizer = planted.passes(), planted.world.tokenizer
    everywhere = answer_in_arms(passes, tokenizer, prompts, vector, LAYER, max_new_tokens=4)
    at_prompt = answer_in_arms(passes, tokenizer, prompts, vector, LAYER, max_new_tokens=4, at_prompt_only=True)
    assert all(answers[Arm.STEERED].startswith("I I I I") for answers in everywhere), "each token is pushed again"
    assert all(answers[Arm.STEERED].startswith("I") for answers in at_prompt)
    assert all(answers[Arm.STEERED] != "I I I I" for answers in at_prompt)


def test_projections_show_where_in_the_text_refusal_arises(planted: Planted) -> None:
    """Attention in the planted block spreads it from the forbidden word on to all that follows."""
    passes = planted.passes()
    prompt = planted.prompts[2][0]
    forbidden = set(planted.world.tokenizer.convert_tokens_to_ids(list(planted.world.forbidden)))
    word = next(place for place, token in enumerate(prompt) if token in forbidden)
    projections, harmless = project_texts(passes, [prompt, planted.prompts[3][0]], planted.truth * 7)
    assert projections.shape == (LAYERS, len(prompt))
    assert projections[LAYER, word:].min() > 1 > projections[LAYER, :word].abs().max()
    assert projections[: PLANTED_BLOCK + 1].abs().max() < 1
    assert project_texts(passes, [prompt], planted.truth, ablated=True)[0].abs().max() < 1e-4
    assert harmless.shape == (LAYERS, len(planted.prompts[3][0])) and harmless[LAYER].abs().max() < 1
