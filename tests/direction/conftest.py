"""The planted model, made once for this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from refusal_tui.direction.tiny.world import World, make_world
from tests.direction.planted import N_TRAIN, N_VAL, make_planted


@dataclass(frozen=True)
class Planted:
    """`prompts`: harmful and harmless to train, harmful and harmless to validate, as token ids."""

    world: World
    model: Any
    truth: Any
    template: Any
    prompts: tuple[list[list[int]], ...]

    def passes(self, **settings: Any) -> Any:
        from refusal_tui.direction.anatomy import study
        from refusal_tui.direction.passes import Passes

        return Passes(self.model, study(self.model), **settings)

    def scorer(self, passes: Any | None = None, *, cached: bool = True) -> Any:
        from refusal_tui.direction.score import Scorer

        passes = passes or self.passes()
        harmful, harmless = (passes.baseline(part, streams=cached) for part in self.prompts[2:])
        return Scorer(passes, [self.world.tokenizer.convert_tokens_to_ids("I")], harmful, harmless)


def plant(seed: int) -> Planted:
    from refusal_tui.direction.template import read_template

    world = make_world(seed)
    model, truth = make_planted(world, seed)
    harmful, harmless = world.requests(5, N_TRAIN + N_VAL)
    template = read_template(world.tokenizer, "none", harmful[:4])
    parts = (harmful[:N_TRAIN], harmless[:N_TRAIN], harmful[N_TRAIN:], harmless[N_TRAIN:])
    return Planted(world, model, truth, template, tuple([template.encode(p) for p in part] for part in parts))


@pytest.fixture(scope="session")
def planted() -> Planted:
    pytest.importorskip("torch")
    return plant(0)
