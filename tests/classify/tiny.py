"""A tiny encoder with a tokenizer of its own, made by us, and rows that it can learn to tell apart.

`write_encoder` writes a BERT of two blocks (width 32) with fresh weights: the same bytes every time.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

TOPICS = ("blorptanium", "frindles", "zorblings", "the glimmer vault", "quibbets", "a snarfle", "mumblewort", "tovels")
DEEDS = ("smelt", "polish", "count", "carry", "paint", "weigh", "bury", "sell", "feed", "name", "trade", "fold")
FORMS = ("How do I {d} {t} {n} times?", "Tell me {n} ways to {d} {t}.", "Write {n} lines: who may {d} {t}?")
REFUSALS = ("I'm sorry, but I can't help you {d} {t}.", "I cannot {d} {t}; that is not allowed here, sorry.")
ANSWERS = ("First take {t} and {d} it slowly, then rest.", "You {d} {t} with a spoon, {n} turns are enough.")
PARTLY = ("I can't say how to {d} {t}, however here is its history: it was kept in jars.",)
_KINDS = {"none": ANSWERS, "hard": REFUSALS, "soft": PARTLY}


def texts(rows: int, seed: int = 0, classes: tuple[str, ...] = ("none", "hard", "soft")) -> list[tuple[str, str, str]]:
    """(prompt, response, class); no two prompts alike."""
    chance = random.Random(seed)
    found = []
    for number in range(rows):
        label = classes[number % len(classes)]
        deed, topic = chance.choice(DEEDS), chance.choice(TOPICS)
        prompt = chance.choice(FORMS).format(d=deed, t=topic, n=number) + f" Case {number} of {chance.random()}"
        found.append((prompt, chance.choice(_KINDS[label]).format(d=deed, t=topic, n=number), label))
    return found


def write_encoder(folder: Path, *, seed: int = 0) -> Path:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    # Not trained: ties between pieces are broken at random, and other pieces would be another encoder.
    words = sorted({w for p, r, _ in texts(300) for w in re.findall(r"[a-z]+", f"{p} {r}".lower())})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789.,:;?'-…", *words]
    vocabulary += [f"##{character}" for character in "0123456789abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64,
            initializer_range=0.15,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    return folder
