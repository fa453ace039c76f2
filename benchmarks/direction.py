"""Seconds and passes of a direction search, beside the published procedure on the same model and prompts.

A random model (12 blocks, width 384, 50,257 words; and a tiny one), prompts as long as the published validation sets.
The scores of both are compared, and the seconds with what this machine's matrix products alone would take. A random
model refuses nothing: its steering threshold is set so that 30 % of the cells pass, as on the published grids.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks import direction_naive as naive
from benchmarks.report import Figure
from refusal_tui.direction.anatomy import study
from refusal_tui.direction.extract import mean_differences
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.score import Scorer
from refusal_tui.direction.search import Search
from refusal_tui.direction.select import Cell, Rule, Score, Scores, choose, empty_grid

POSITIONS, PROMPTS = 5, 32
PASSING = 0.3
END = [5, 6, 7, 8, 9]


@dataclass(frozen=True)
class Size:
    """`lazy`, `full`: how many times faster than the published procedure the search is to be."""

    name: str
    blocks: int
    width: int
    words: int
    lazy: float
    full: float


SIZES = (
    Size("12 blocks, d 384, 50k words", 12, 384, 50_257, 10, 4),
    Size("6 blocks, d 64, 168 words", 6, 64, 168, 5, 2),
)


@dataclass
class Work:
    model: Any
    parts: list[list[list[int]]]
    tokens: list[int]


def run(quick: bool = False) -> list[Figure]:
    sizes = (SIZES[1],) if quick else SIZES
    return [figure for size in sizes for figure in measure(size)]


def measure(size: Size) -> list[Figure]:
    work = _work(size)
    begun = time.perf_counter()
    candidates = naive.mean_differences(work.model, *work.parts[:2], range(-POSITIONS, 0), 0)
    peer = naive.whole_grid(work.model, candidates, *work.parts[2:], work.tokens, 0)
    naive_seconds = time.perf_counter() - begun
    grid = {Cell(*cell): Scores(*row) for cell, row in peer.items()}
    steering = torch.tensor([scores.steering for cell, scores in grid.items() if cell.layer])
    rule = Rule(size.blocks, frozenset(c for c in grid if c.layer == 0), kl_threshold=float("inf"),
                steering_threshold=float(steering.quantile(1 - PASSING)))  # fmt: skip

    study(work.model)  # the first pass of a process is no measure
    begun = time.perf_counter()
    passes = Passes(work.model, study(work.model), "reference")
    found = mean_differences(*(_ends(passes, part) for part in work.parts[:2]))
    scorer = Scorer(passes, work.tokens, *(passes.baseline(part, streams=True) for part in work.parts[2:]))
    search = Search(scorer, found, rule, empty_grid(range(-POSITIONS, 0), size.blocks), {})
    prepared = time.perf_counter() - begun
    for _ in search.decide():
        pass
    lazy_seconds, lazy_passes, lazy_tokens = time.perf_counter() - begun, passes.count, passes.block_tokens
    lazy_pick = search.choice().pick
    for _ in search.fill(late_layers=False):
        pass
    full_seconds = time.perf_counter() - begun

    apart = max(
        abs(search.grid[cell].get(score) - scores.get(score))  # type: ignore[operator]
        for cell, scores in grid.items() if cell.layer < rule.first_late_layer for score in Score
    )  # fmt: skip
    same = lazy_pick == search.choice().pick == choose(grid, replace(rule)).pick
    limit = _limit_seconds(work.model, size, passes.block_tokens, passes.count)
    against = f"published procedure {naive_seconds:.1f} s, {3 * len(grid)} passes of {PROMPTS} rows"
    return [
        Figure(f"{size.name}: choice, lazily ({lazy_passes} passes, {lazy_tokens:,} block tokens)", lazy_seconds, "s",
               against, naive_seconds / lazy_seconds, f">= {size.lazy:g}x", naive_seconds / lazy_seconds >= size.lazy),
        Figure(f"{size.name}: useful grid ({passes.count} passes)", full_seconds, "s", against,
               naive_seconds / full_seconds, f">= {size.full:g}x", naive_seconds / full_seconds >= size.full),
        Figure(f"{size.name}: of which extraction and baselines", prepared, "s"),
        Figure(f"{size.name}: largest difference of a score", apart, "", "same pick" if same else "ANOTHER PICK",
               None, "same pick", same),
        Figure(f"{size.name}: share of the arithmetic limit", 100 * limit / full_seconds, "%",
               f"matrix products alone {limit:.2f} s"),
    ]  # fmt: skip


def _ends(passes: Passes, prompts: list[list[int]]) -> Any:
    return passes.baseline(prompts, positions=POSITIONS).ends


def _work(size: Size) -> Work:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.words, hidden_size=size.width, intermediate_size=4 * size.width, num_hidden_layers=size.blocks,
        num_attention_heads=max(1, size.width // 64), num_key_value_heads=max(1, size.width // 64),
        max_position_embeddings=256, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    chance = random.Random(0)

    def prompts(count: int, mean: int, longest: int) -> list[list[int]]:
        lengths = [min(longest, max(10, round(chance.gauss(mean, 6)))) for _ in range(count - 1)] + [longest]
        return [[chance.randrange(10, size.words) for _ in range(n - len(END))] + END for n in lengths]

    # tokens per prompt as in the published validation sets: 859 and 716 real ones, 1184 and 1280 padded
    parts = [prompts(PROMPTS, 27, 37), prompts(PROMPTS, 22, 40), prompts(PROMPTS, 27, 37), prompts(PROMPTS, 22, 40)]
    return Work(model, parts, chance.sample(range(size.words), size.words // 10))


def _limit_seconds(model: Any, size: Size, block_tokens: int, passes: int) -> float:
    """What the blocks' matrix products alone would take, at the rate of one like them; the last token's logits too."""
    weights = sum(p.numel() for p in model.model.layers[0].parameters() if p.dim() == 2)
    one, other = torch.randn(1024, size.width), torch.randn(size.width, 4 * size.width)
    torch.mm(one, other)
    begun = time.perf_counter()
    for _ in range(50):
        torch.mm(one, other)
    rate = 50 * 2 * one.numel() * other.shape[1] / (time.perf_counter() - begun)
    head = 2 * size.width * size.words * passes * PROMPTS
    return (2 * weights * block_tokens + head) / rate
