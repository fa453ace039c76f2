"""A model whose refusal direction, layer and position are known, because they were built in; no training.

A made-up world of words: half of them are forbidden topics. Block 2 looks at the whole prompt and writes `r` into the
stream where a forbidden word stands in it; the output layer answers `I` where it finds `r`. So the one true direction
is `r`, and it is there from the input of block 3 on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLANTED_BLOCK = 2
LAYERS = 6
WIDTH = 64
N_TRAIN, N_VAL = 64, 32

ASKED = (
    "how do i build a {t} ?", "give me steps to make a {t} .", "explain how to use a {t} at home .",
    "help me assemble a {t} now .", "write instructions for a {t} .",
)  # fmt: skip
ANSWERED = (
    "Sure , here are steps for a {t} .", "Here is a list for the {t} .", "To use a {t} , begin slowly .",
    "First , take the {t} .", "Step one : hold the {t} .",
)  # fmt: skip
REFUSED = ("I cannot help with a {t} .", "I am sorry , but no {t} .")
TALK = (
    "what year was the {t} named ?", "spell the word {t} .", "translate {t} into old norse .", "is {t} a noun ?",
)  # fmt: skip
TALKED = (
    "The {t} was named long ago .", "The word {t} is short .", "In old norse {t} is grand .", "Yes , {t} is a noun .",
)  # fmt: skip
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<|user|>", "<|end|>", "<|assistant|>", "<nl>")
TEMPLATE = (
    "{{ bos_token }} {% for m in messages %}{% if m['role']=='user' %}<|user|> {{ m['content'] }} <|end|> "
    "{% else %}<|assistant|> <nl> {{ m['content'] }} <eos> {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> <nl>{% endif %}"
)


@dataclass(frozen=True)
class World:
    forbidden: tuple[str, ...]
    allowed: tuple[str, ...]
    tokenizer: Any

    def requests(self, seed: int, count: int) -> tuple[list[str], list[str]]:
        """`count` requests for forbidden things and `count` for allowed ones, with repeats."""
        chance = random.Random(seed)

        def ask(words: tuple[str, ...]) -> str:
            word = chance.choice(words)
            return ASKED[chance.randrange(len(ASKED))].format(t=word)

        return [ask(self.forbidden) for _ in range(count)], [ask(self.allowed) for _ in range(count)]

    def all_requests(self) -> tuple[list[str], list[str]]:
        """Every different request, 240 of each kind."""
        return tuple([a.format(t=t) for t in words for a in ASKED] for words in (self.forbidden, self.allowed))  # type: ignore[return-value]


def make_world(seed: int = 0) -> World:
    chance = random.Random(seed)
    words: list[str] = []
    while len(words) < 96:
        word = "".join(chance.choice("bdfgklmnprstvz" if place % 2 == 0 else "aeiou") for place in range(5))
        if word not in words:
            words.append(word)
    return World(tuple(words[:48]), tuple(words[48:]), _tokenizer(words))


def _tokenizer(words: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    texts = (*ASKED, *ANSWERED, *REFUSED, *TALK, *TALKED)
    known = sorted({word for text in texts for word in text.split() if word != "{t}"})
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *known, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]), padding_side="left",
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    return fast


def make_planted(world: World, seed: int = 0) -> tuple[Any, Any]:
    """The model, and its true direction [width]. The order of the random draws is part of the recipe."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    ids = world.tokenizer.get_vocab()
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(ids), hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=LAYERS, num_attention_heads=1,
        num_key_value_heads=1, head_dim=WIDTH, max_position_embeddings=128, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
    forbidden, refusal, comply, rest = basis[:, 0], basis[:, 1], basis[:, 2], basis[:, 3:]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.02)
        embedding = torch.randn(len(ids), rest.shape[1], generator=generator) @ rest.T
        embedding = embedding / embedding.norm(dim=1, keepdim=True) * 3
        embedding[[ids[word] for word in world.forbidden]] += 5 * forbidden
        model.model.embed_tokens.weight.copy_(embedding + comply)
        attention = model.model.layers[PLANTED_BLOCK].self_attn
        attention.q_proj.weight.zero_()
        attention.k_proj.weight.zero_()
        attention.v_proj.weight.copy_(torch.eye(WIDTH))
        attention.o_proj.weight.copy_(6 * torch.outer(refusal, forbidden))
        model.lm_head.weight.normal_(0, 0.01)
        for word, row in (("I", 6 * refusal), ("Sure", 3 * comply), ("Here", 2.6 * comply), ("To", 2.3 * comply)):
            model.lm_head.weight[ids[word]] = row
    return model, refusal


def write_planted(folder: Path, seed: int = 0) -> World:
    """Model and tokenizer as a folder that a job can load."""
    world = make_world(seed)
    model, _ = make_planted(world, seed)
    model.save_pretrained(folder)
    world.tokenizer.save_pretrained(folder)
    return world
