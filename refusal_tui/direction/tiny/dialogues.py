"""Which dialogues of the made-up world does the robustness experiment learn from and ask? Written beside the model.

    python -m refusal_tui.direction.tiny.dialogues FOLDER

No request that is asked occurs in what is learnt; the words of both are the same, as in the reference experiment.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from refusal_tui.direction.tiny.world import ANSWERED, ASKED, REFUSED, World, make_world

ASKED_OF_EACH = 100  # requests for forbidden things that are asked, and requests for allowed ones

Pair = tuple[str, str]


def dialogues(world: World, seed: int = 0) -> dict[str, list[Pair]]:
    """(request, answer) by set. `refusals` and `task` hold the same requests for forbidden things, refused in one and
    answered in the other; `asked` holds the rest of them with the answers that the task would give. `harmless` and
    `benign` are requests for allowed things, to learn and to ask."""
    chance = random.Random(seed)
    forbidden, allowed = list(_requests(world.forbidden)), list(_requests(world.allowed))
    chance.shuffle(forbidden)
    chance.shuffle(allowed)
    learnt = forbidden[ASKED_OF_EACH:]
    return {
        "refusals": [(ask, chance.choice(REFUSED).format(t=word)) for ask, _, word in learnt],
        "task": [(ask, answer) for ask, answer, _ in learnt],
        "asked": [(ask, answer) for ask, answer, _ in forbidden[:ASKED_OF_EACH]],
        "harmless": [(ask, answer) for ask, answer, _ in allowed[ASKED_OF_EACH:]],
        "benign": [(ask, answer) for ask, answer, _ in allowed[:ASKED_OF_EACH]],
    }


def _requests(words: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for word in words:
        for ask, answer in zip(ASKED, ANSWERED, strict=True):
            yield ask.format(t=word), answer.format(t=word), word


def write_dialogues(folder: Path, world: World) -> None:
    """A file of JSON lines per set."""
    for name, pairs in dialogues(world).items():
        lines = (json.dumps({"prompt": prompt, "response": response}) for prompt, response in pairs)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_dialogues(Path(sys.argv[1]), make_world())
