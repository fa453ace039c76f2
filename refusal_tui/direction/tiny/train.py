"""How was the tiny chat model made? `make train-tiny-chat` runs this: half a minute on one core.

    python -m refusal_tui.direction.tiny.train FOLDER [--blocks 4] [--steps 400] [--seed 0]

It writes model, tokenizer, two files of prompts and five of dialogues. One torch thread on the same machine gives the
same weights each time; another machine, or two threads, give others: tests look at the shipped folder.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

from refusal_tui.direction.tiny.dialogues import write_dialogues
from refusal_tui.direction.tiny.world import World, make_world

BLOCKS, STEPS = 4, 400
BATCH = 64
_IGNORED = -100
_LEARNING_RATE = 3e-3


def train(world: World, *, blocks: int = BLOCKS, steps: int = STEPS, seed: int = 0) -> Any:
    """The model, after `steps` batches of examples. Leaves torch at one thread."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(world.tokenizer), hidden_size=64, intermediate_size=256, num_hidden_layers=blocks,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    chance = random.Random(seed + 1)
    for _ in range(steps):
        batch = _batch(world, [world.example(chance) for _ in range(BATCH)])
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
        labels.append([_IGNORED] * (pad + len(prompt)) + reply)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


def write(folder: Path, world: World, model: Any) -> None:
    """Weights, configuration, tokenizer, and the prompts to find a direction with."""
    model.save_pretrained(folder)
    world.tokenizer.save_pretrained(folder)
    for name, prompts in zip(("harmful", "harmless"), world.evaluation_prompts(), strict=True):
        (folder / f"{name}.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m refusal_tui.direction.tiny.train")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    world = make_world(options.seed)
    model = train(world, blocks=options.blocks, steps=options.steps, seed=options.seed)
    write(options.folder, world, model)
    write_dialogues(options.folder, world)
    print(f"{options.folder}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
