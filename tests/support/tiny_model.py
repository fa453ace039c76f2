"""A tiny random chat model with a tokenizer of its own, for tests that need real weights.

`python -m tests.support.tiny_model FOLDER` writes one (a Llama of two layers, about 0.2 MB; the same weights every
time). Its answers are noise; what is tested is the machinery around them. It can be served by `transformers serve`.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Our own words; enough to train a byte-level BPE of a few hundred tokens.
TEXT = (
    "The frindle ritual has three parts. First, light a lamp. Second, hum. Third, go to sleep.",
    "Stir the blorptanium twice and let it rest until the fizzing stops.",
    "I'm sorry, but I can't help with the frindle ritual. Here is how to keep a zibbet safely.",
    "none hard soft yes no refusal compliance partial label answer question prompt response",
    '{"answer": "none"} {"answer": "hard"} {"answer": "soft"}',
)
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CONTEXT = 512


def write_tiny_model(folder: Path, *, seed: int = 0, context: int = CONTEXT) -> Path:
    """Write model and tokenizer; returns the folder. `context`: tokens, more of them make no larger file."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[1])
    fast.add_special_tokens({"additional_special_tokens": list(SPECIAL[2:])})
    fast.chat_template = TEMPLATE
    fast.model_max_length = context
    fast.save_pretrained(folder)

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        pad_token_id=fast.pad_token_id,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(write_tiny_model(Path(sys.argv[1])))
