"""A model whose refusal direction, layer and position are known, because they were built in; no training.

It lives in the made-up world of words of `refusal_tui.direction.tiny`: half of them are forbidden topics. Block 2 looks
at the whole prompt and writes `r` into the stream where a forbidden word stands in it; the output layer answers `I`
where it finds `r`. So the one true direction is `r`, and it is there from the input of block 3 on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refusal_tui.direction.tiny.world import World, make_world

PLANTED_BLOCK = 2
LAYERS = 6
WIDTH = 64
N_TRAIN, N_VAL = 64, 32


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
