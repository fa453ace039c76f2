"""Are the shipped dialogues those that the made-up world gives, and is nothing asked that is learnt?"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")

from refusal_tui.direction.tiny.dialogues import dialogues, write_dialogues
from refusal_tui.direction.tiny.world import make_world
from tests.finetune.bench import TINY


def test_the_files_are_those_that_the_world_gives(tmp_path: Path) -> None:
    write_dialogues(tmp_path, make_world())
    for path in tmp_path.iterdir():
        assert path.read_text() == (TINY / path.name).read_text(), path.name


def test_what_is_asked_is_not_learnt_and_every_forbidden_request_is_made_up() -> None:
    world = make_world()
    sets = {name: [prompt for prompt, _ in pairs] for name, pairs in dialogues(world).items()}
    learnt = {*sets["refusals"], *sets["task"], *sets["harmless"]}
    assert not learnt & {*sets["asked"], *sets["benign"]} and sets["refusals"] == sets["task"]
    assert len(sets["asked"]) == len(sets["benign"]) == 100
    words = {*world.forbidden}
    assert all(words & set(prompt.split()) for prompt in (*sets["task"], *sets["asked"]))
