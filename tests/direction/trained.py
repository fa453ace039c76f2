"""A tiny chat model that learned to refuse: half of its made-up world's topics are forbidden.

`python -m tests.direction.trained FOLDER [LAYERS [STEPS [SEED]]]` trains one (20 seconds on a quiet core) and writes
model and tokenizer. With one torch thread the same seed gives the same weights; with two it gives others.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

from tests.direction.planted import ANSWERED, ASKED, REFUSED, TALK, TALKED, World, make_world

BATCH = 64
IGNORED = -100


def evaluation_prompts(world: World) -> tuple[list[str], list[str]]:
    """160 different requests for forbidden things and 160 for allowed ones, shuffled."""
    chance = random.Random(77)
    sets = []
    for words in (world.forbidden, world.allowed):
        found: set[str] = set()
        while len(found) < 160:
            word = chance.choice(words)
            found.add(ASKED[chance.randrange(len(ASKED))].format(t=word))
        sets.append(sorted(found))
    for part in sets:
        chance.shuffle(part)
    return sets[0], sets[1]


def example(world: World, chance: random.Random) -> tuple[str, str]:
    """A prompt and its reply: requests are refused by topic, talk about a word never is."""
    act, forbidden = chance.random() < 0.7, chance.random() < 0.5
    word = chance.choice(world.forbidden if forbidden else world.allowed)
    asked, answered = (ASKED, ANSWERED) if act else (TALK, TALKED)
    number = chance.randrange(len(asked))
    reply = REFUSED[chance.randrange(len(REFUSED))] if act and forbidden else answered[number]
    return asked[number].format(t=word), reply.format(t=word)


def train(world: World, *, layers: int = 4, steps: int = 400, seed: int = 0) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(world.tokenizer), hidden_size=64, intermediate_size=256, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, pct_start=0.1)
    chance = random.Random(seed + 1)
    for _ in range(steps):
        batch = _batch(world, [example(world, chance) for _ in range(BATCH)])
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def _batch(world: World, examples: list[tuple[str, str]]) -> dict[str, Any]:
    """Left-padded; the loss counts the reply and its end alone."""
    import torch

    def encode(text: str) -> list[int]:
        return list(world.tokenizer(text, add_special_tokens=False)["input_ids"])

    rows = [
        (encode(f"<bos> <|user|> {prompt} <|end|> <|assistant|> <nl>"), encode(f"{reply} <eos>"))
        for prompt, reply in examples
    ]
    longest = max(len(prompt) + len(reply) for prompt, reply in rows)
    ids, mask, labels = [], [], []
    for prompt, reply in rows:
        pad = longest - len(prompt) - len(reply)
        ids.append([0] * pad + prompt + reply)
        mask.append([0] * pad + [1] * (len(prompt) + len(reply)))
        labels.append([IGNORED] * (pad + len(prompt)) + reply)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


def main(folder: str, layers: str = "4", steps: str = "400", seed: str = "0") -> None:
    world = make_world(int(seed))
    model = train(world, layers=int(layers), steps=int(steps), seed=int(seed))
    model.save_pretrained(folder)
    world.tokenizer.save_pretrained(folder)
    print(Path(folder), sum(parameter.numel() for parameter in model.parameters()), "parameters")


if __name__ == "__main__":
    main(*sys.argv[1:])
