"""The contenders of `classify.py` with a model shaped as roberta-base (random weights), in bf16 on a CUDA device."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks import classify
from benchmarks.report import Figure
from refusal_tui.classify.passes import make_accelerator

NAME = "roberta-base-shaped, bf16"


def run(quick: bool = False) -> list[Figure]:
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here.")
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(classify.encoder_folder()[1])
    torch.manual_seed(0)
    shape = RobertaConfig(
        max_position_embeddings=514, num_labels=len(classify.CLASSES), type_vocab_size=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = RobertaForSequenceClassification(shape)
    work = classify.make_work(NAME, model, tokenizer, 640 if quick else 9_600, make_accelerator("auto", "bf16"))
    figures = classify.measure(work, 1 if quick else classify.REPEATS)
    blocks = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    flops = 6 * blocks * work.mean  # of a trained row, forwards and backwards, without attention's own products
    limit = _products_per_second(shape)
    beside = f"{limit / 1e12:.0f} TFLOP/s of matrix products shaped as a block's"
    share = 100 * figures[0].value * flops / limit
    return [*figures, Figure(f"{NAME}: training, share of the matmul limit", share, "%", beside)]


def _products_per_second(shape: Any) -> float:
    """The best of five tries."""
    one = torch.randn(8_192, shape.hidden_size, device="cuda", dtype=torch.bfloat16)
    other = torch.randn(shape.hidden_size, shape.intermediate_size, device="cuda", dtype=torch.bfloat16)
    best = float("inf")
    for _ in range(5):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(200):
            torch.mm(one, other)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return 200 * 2 * one.numel() * other.shape[1] / best
