"""Seconds and passes of a direction search, beside the published procedure on the same model and prompts.

Random models, prompts as long as the published validation sets. Searches stand between slices of the published
procedure, so that a busy machine is busy for both; beside wall time there is CPU time, which is the same on a machine
that does other things. Both ways get the same scores, and the seconds stand beside what this machine's matrix products
alone would take. A random model refuses nothing: the bounds of the rule are set so that as many cells pass as on the
published grids (of the useful ones 27 % pass steering, and of these every second one KL).
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
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
STEERING_PASSES, KL_PASSES = 0.27, 0.5
END = [5, 6, 7, 8, 9]


@dataclass(frozen=True)
class Size:
    """`lazy`, `full`: how many times faster than the published procedure the search is to be (0: nothing is asked)."""

    name: str
    blocks: int
    width: int
    words: int
    lazy: float = 0
    full: float = 0
    repeats: int = 3
    inner: int = 0
    heads: int = 0
    kv_heads: int = 0


SIZES = (
    Size("12 blocks, d 384, 50k words", 12, 384, 50_257, 10, 4, repeats=2),
    Size("6 blocks, d 64, 168 words", 6, 64, 168, 5, 2, repeats=9),
)
# Shaped as Qwen2.5-1.5B and Qwen2.5-7B.
GPU_SIZES = (
    Size("1.5B-shaped, bfloat16", 28, 1536, 151_936, inner=8960, heads=12, kv_heads=2),
    Size("7B-shaped, bfloat16", 28, 3584, 152_064, inner=18_944, heads=28, kv_heads=4),
)


@dataclass
class Work:
    model: Any
    parts: list[list[list[int]]]
    tokens: list[int]


@dataclass(frozen=True)
class Spent:
    """Seconds by the wall and of all cores together."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


class Watch:
    """Time since it was made."""

    def __init__(self) -> None:
        _wait()
        self._begun = time.perf_counter(), time.process_time()

    def read(self) -> Spent:
        _wait()
        return Spent(time.perf_counter() - self._begun[0], time.process_time() - self._begun[1])


@dataclass(frozen=True)
class Found:
    """One search of ours; `lazy` and `full` are its marks on the same watch. flops: until then, of matrix products."""

    search: Search
    scorer: Scorer
    candidates: torch.Tensor
    prepared: Spent
    lazy: Spent
    full: Spent
    passes: tuple[int, int]
    flops: tuple[float, float]
    lazy_pick: Cell | None


def run(quick: bool = False) -> list[Figure]:
    sizes = (SIZES[1],) if quick else SIZES
    return [figure for size in sizes for figure in measure(size, "cpu", torch.float32)]


def measure(size: Size, device: str, dtype: torch.dtype) -> list[Figure]:
    work = _work(size, device, dtype)
    rule = _rule(size, work)  # from a search that is not timed: it warms up what has to be warm
    steps = _published(work)
    theirs: dict[Cell, Scores] = {}
    spent = Spent()
    ours = []
    for repeat in range(size.repeats):
        watch = Watch()
        share = POSITIONS * size.blocks // size.repeats if repeat < size.repeats - 1 else None
        theirs.update((Cell(*cell), Scores(*row)) for cell, row in islice(steps, share))
        spent += watch.read()
        ours.append(_search(size, work, rule))
    return _figures(size, work, rule, ours, theirs, spent)


def _published(work: Work) -> Iterator[tuple[tuple[int, int], tuple[float, float, float]]]:
    candidates = naive.mean_differences(work.model, *work.parts[:2], range(-POSITIONS, 0), 0)
    yield from naive.cells(work.model, candidates, *work.parts[2:], work.tokens, 0)


def _search(size: Size, work: Work, rule: Rule, *, fill: bool = True) -> Found:
    watch = Watch()
    passes = Passes(work.model, study(work.model), "reference")
    found = mean_differences(*(_ends(passes, part) for part in work.parts[:2]))
    scorer = Scorer(passes, work.tokens, *(passes.baseline(part, streams=True) for part in work.parts[2:]))
    search = Search(scorer, found, rule, empty_grid(range(-POSITIONS, 0), size.blocks), {})
    prepared = watch.read()
    for _ in search.decide():
        pass
    lazy, lazy_passes, lazy_flops, pick = watch.read(), passes.count, passes.flops, search.choice().pick
    for _ in search.fill(late_layers=False) if fill else ():
        pass
    return Found(
        search, scorer, found, prepared, lazy, watch.read(), (lazy_passes, passes.count), (lazy_flops, passes.flops),
        pick,
    )  # fmt: skip


def _ends(passes: Passes, prompts: list[list[int]]) -> Any:
    return passes.baseline(prompts, positions=POSITIONS).ends


def _rule(size: Size, work: Work) -> Rule:
    """Bounds that let as many cells pass as on the published grids."""
    zero = frozenset(Cell(position, 0) for position in range(-POSITIONS, 0))
    first = _search(size, work, Rule(size.blocks, zero, steering_threshold=float("inf")), fill=False)
    known = {cell: s.steering for cell, s in first.search.grid.items() if s.steering is not None and cell not in zero}
    steering = _quantile(known.values(), 1 - STEERING_PASSES)
    passing = [cell for cell, value in known.items() if value >= steering]
    vectors = torch.stack([first.candidates[cell.position, cell.layer] for cell in passing])
    kl = _quantile(first.scorer.kl(vectors).mean(dim=1).tolist(), KL_PASSES)
    return Rule(size.blocks, zero, kl_threshold=kl, steering_threshold=steering)


def _quantile(values: Iterable[float], share: float) -> float:
    """Between two values, so that rounding moves no cell over it."""
    return float(torch.tensor(list(values), dtype=torch.float64).quantile(share, interpolation="midpoint"))


def _figures(
    size: Size, work: Work, rule: Rule, ours: list[Found], theirs: dict[Cell, Scores], naive_spent: Spent
) -> list[Figure]:
    last = ours[-1]
    rate = _products_per_second(size, work.model)
    published = f"published procedure {naive_spent.wall:.1f} s, {3 * len(theirs)} passes of {PROMPTS} rows"
    figures = []
    for name, place, target in (("choice, lazily", 0, size.lazy), ("useful grid", 1, size.full)):
        spent = [(one.lazy, one.full)[place] for one in ours]
        wall, cpu = (statistics.median(getattr(s, clock) for s in spent) for clock in ("wall", "cpu"))
        ratio, cpu_ratio = naive_spent.wall / wall, naive_spent.cpu / cpu
        what = f"{size.name}: {name} ({last.passes[place]} passes, {last.flops[place] / 1e12:.2f} TFLOP)"
        met = ratio >= target if target else None
        figures += [
            Figure(what, wall, "s", published, ratio, f">= {target:g}x" if target else "", met),
            Figure(f"{size.name}: {name}, CPU time", cpu, "s", f"published procedure {naive_spent.cpu:.1f} s",
                   cpu_ratio),
            Figure(f"{size.name}: {name}, share of the arithmetic limit", 100 * last.flops[place] / rate / wall, "%",
                   f"matrix products alone {last.flops[place] / rate:.2f} s"),
        ]  # fmt: skip
    apart = max(
        abs(last.search.grid[cell].get(score) - scores.get(score))  # type: ignore[operator]
        for cell, scores in theirs.items() if cell.layer < rule.first_late_layer for score in Score
    )  # fmt: skip
    picks = {one.lazy_pick for one in ours} | {one.search.choice().pick for one in ours}
    same = picks == {choose(theirs, rule).pick}
    prepared = statistics.median(one.prepared.wall for one in ours)
    return [
        *figures,
        Figure(f"{size.name}: of which study, extraction and baselines", prepared, "s"),
        Figure(f"{size.name}: largest difference of a score", apart, "", "same pick" if same else "ANOTHER PICK",
               None, "same pick", same),
    ]  # fmt: skip


def _work(size: Size, device: str, dtype: torch.dtype) -> Work:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    heads = size.heads or max(1, size.width // 64)
    config = LlamaConfig(
        vocab_size=size.words, hidden_size=size.width, intermediate_size=size.inner or 4 * size.width,
        num_hidden_layers=size.blocks, num_attention_heads=heads, num_key_value_heads=size.kv_heads or heads,
        max_position_embeddings=256, tie_word_embeddings=True, dtype=dtype,
    )  # fmt: skip
    with torch.device(device):
        model = LlamaForCausalLM(config).to(dtype).eval()
    chance = random.Random(0)

    def prompts(count: int, mean: int, longest: int) -> list[list[int]]:
        lengths = [min(longest, max(10, round(chance.gauss(mean, 6)))) for _ in range(count - 1)] + [longest]
        return [[chance.randrange(10, size.words) for _ in range(n - len(END))] + END for n in lengths]

    # tokens per prompt as in the published validation sets: 859 and 716 real ones, 1184 and 1280 padded
    parts = [prompts(PROMPTS, 27, 37), prompts(PROMPTS, 22, 40), prompts(PROMPTS, 27, 37), prompts(PROMPTS, 22, 40)]
    return Work(model, parts, chance.sample(range(size.words), size.words // 10))


def _products_per_second(size: Size, model: Any) -> float:
    """The rate of matrix products shaped as those of a block, the best of many short tries: the machine may be busy."""
    one = torch.randn(1024, size.width, device=model.device, dtype=model.dtype)
    other = torch.randn(size.width, 4 * size.width, device=model.device, dtype=model.dtype)
    times = 10 if model.device.type == "cpu" else 500
    best = float("inf")
    for _ in range(25):
        watch = Watch()
        for _ in range(times):
            torch.mm(one, other)
        best = min(best, watch.read().wall)
    return times * 2 * one.numel() * other.shape[1] / best


def _wait() -> None:
    """A GPU works on while the program goes on."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
