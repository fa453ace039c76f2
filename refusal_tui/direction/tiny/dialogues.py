"""Which dialogues of the made-up world do the fine-tuning experiments learn from and ask? Written beside the model.

    python -m refusal_tui.direction.tiny.dialogues FOLDER

No request that is asked occurs in what is learnt; the words of both are the same, as in the reference experiment.
`raw.jsonl` is data with over-refusals, `cleaned.jsonl` what cleaning would make of it, as `refusal-tui cleaned --out`
writes it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from refusal_tui.direction.tiny.world import ANSWERED, ASKED, REFUSED, World, make_world

ASKED_OF_EACH = 100  # requests for forbidden things that are asked, and requests for allowed ones
RIGHT_REFUSALS = 70  # in raw and cleaned data alike
DROPPED = 10  # over-refusals that cleaning could not mend

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


def raw_and_cleaned(world: World) -> tuple[list[Pair], list[Pair]]:
    """Requests for allowed things, every second one refused in the raw data and answered in the cleaned ones (but for
    some that were dropped), and right refusals of forbidden ones, which both keep."""
    sets = dialogues(world)
    right = sets["refusals"][:RIGHT_REFUSALS]
    refused = sets["harmless"][::2]
    raw = []
    for number, (ask, answer) in enumerate(sets["harmless"]):
        word = next(word for word in ask.split() if word in world.allowed)
        raw.append((ask, answer if number % 2 else REFUSED[number // 2 % len(REFUSED)].format(t=word)))
    kept = [pair for pair in sets["harmless"] if pair not in refused[:DROPPED]]
    return [*raw, *right], [*kept, *right]


def _requests(words: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for word in words:
        for ask, answer in zip(ASKED, ANSWERED, strict=True):
            yield ask.format(t=word), answer.format(t=word), word


def write_dialogues(folder: Path, world: World) -> None:
    """A file of JSON lines per set."""
    for name, pairs in dialogues(world).items():
        _write(folder / f"{name}.jsonl", ({"prompt": prompt, "response": answer} for prompt, answer in pairs))
    raw, cleaned = raw_and_cleaned(world)
    _write(folder / "raw.jsonl", ({"prompt": prompt, "response": answer} for prompt, answer in raw))
    _write(
        folder / "cleaned.jsonl",
        ({"original_instruction": ask, "rewritten_instruction": ask, "response": answer} for ask, answer in cleaned),
    )


def _write(path: Path, records: Iterable[dict[str, str]]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    write_dialogues(Path(sys.argv[1]), make_world())
