"""What does a constraint cost per step of training, and what does switching adapters save over loading models?

Steps of the arms stand in turn, a few of each, so that a busy machine is busy for all; CPU time beside it is the same
on a machine that does other things. "Plain" is the same loop without constraint and without invariants. The second half
asks one prompt set of a base and of adapters: in one loaded model, and loading model and adapter for each.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Figure

ADAPTERS, ASKED, ANSWER_TOKENS = 6, 32, 12
ROUNDS, EACH = 4, 3


@dataclass(frozen=True)
class Size:
    name: str
    blocks: int
    width: int
    words: int
    rows: int
    tokens: int
    rank: int


SIZES = (
    Size("6 blocks, d 512, 8k words", 6, 512, 8_000, 8, 64, 16),
    Size("4 blocks, d 64, 150 words (the tiny chat model's)", 4, 64, 150, 32, 24, 8),
)
QUICK = (Size("2 blocks, d 64", 2, 64, 150, 4, 16, 4),)


def run(quick: bool = False) -> list[Figure]:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    figures = []
    for size in QUICK if quick else SIZES:
        figures += _steps(size)
    return [*figures, *_adapters(QUICK[0] if quick else SIZES[0])]


def _model(size: Size) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.words, hidden_size=size.width, intermediate_size=4 * size.width, pad_token_id=0,
        num_hidden_layers=size.blocks, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    return LlamaForCausalLM(config).requires_grad_(False)


def _steps(size: Size) -> list[Figure]:
    import torch

    from refusal_tui.finetune.arms import Arm, constraint_of
    from refusal_tui.finetune.directions import directions_of
    from refusal_tui.finetune.encode import Example
    from refusal_tui.finetune.factors import attach
    from refusal_tui.finetune.loop import LoopSettings, Tuned, _Run

    model, factors = attach(_model(size), "all", rank=size.rank, alpha=2.0 * size.rank, dropout=0.05)
    chance = torch.Generator().manual_seed(1)
    rows = [
        Example(tuple(ids[: size.tokens // 2]), tuple(ids[size.tokens // 2 :]))
        for ids in torch.randint(3, size.words, (4 * size.rows, size.tokens), generator=chance).tolist()
    ]
    refusal = [
        directions_of(torch.randn(stack.up.shape, generator=chance), torch.randn(stack.down.shape, generator=chance))
        for stack in factors.stacks
    ]
    tuned = Tuned(model, factors, 0, rows, rows, size.rows)
    arms = (None, Arm.VANILLA, Arm.ORTHOGONAL, Arm.SUBSPACE, Arm.SURGERY)
    settings = LoopSettings(0, 10_000, 1e-4, size.rows)
    own = {
        arm: None if arm is None else constraint_of(arm, factors, refusal, rank=size.rank // 2, sides="both", seed=0)
        for arm in arms
    }
    spent: dict[Any, list[tuple[float, float]]] = {arm: [] for arm in arms}
    for _ in range(ROUNDS):
        for arm in arms:
            trained = _Run(tuned, own[arm], settings)
            trained.step(0)  # the optimiser's state is made
            for number in range(1, EACH + 1):
                spent[arm].append(_timed(lambda one=trained, at=number: one.step(at)))  # type: ignore[misc]
    wall = {arm: statistics.median(w for w, _ in of) for arm, of in spent.items()}
    cpu = {arm: statistics.median(c for _, c in of) for arm, of in spent.items()}
    matrices = len(factors.names)
    figures = [Figure(f"plain step, {size.name}, {matrices} matrices", 1000 * cpu[None], "ms of CPU",
                      f"{1000 * wall[None]:.0f} ms by the wall")]  # fmt: skip
    for arm in arms[1:]:
        assert arm is not None
        more = cpu[arm] / cpu[Arm.VANILLA] - 1
        asked = arm in (Arm.ORTHOGONAL, Arm.SUBSPACE)
        against = cpu[None] if arm is Arm.VANILLA else cpu[Arm.VANILLA]
        what = "invariants on every step" if arm is Arm.VANILLA else f"{arm} arm"
        figures.append(
            Figure(
                f"{what}, {size.name}", 1000 * cpu[arm], "ms of CPU",
                f"{1000 * against:.1f} ms {'plain' if arm is Arm.VANILLA else 'without a constraint'}",
                cpu[arm] / against, "under 5 % more" if asked else "", more < 0.05 if asked else None,
            )
        )  # fmt: skip
    return figures


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _adapters(size: Size) -> list[Figure]:
    """Base and adapters answer the same prompts."""
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    from refusal_tui.finetune.direction_files import save_adapter
    from refusal_tui.finetune.factors import attach

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        base = _model(size)
        base.save_pretrained(folder / "base")
        model, factors = attach(base, "all", rank=size.rank, alpha=2.0 * size.rank, dropout=0.0)
        checkpoints = []
        for seed in range(ADAPTERS):
            factors.start(seed)
            with torch.no_grad():
                for stack in factors.stacks:
                    stack.up.normal_(std=0.02, generator=torch.Generator().manual_seed(seed))
            (folder / str(seed)).mkdir()
            save_adapter(folder / str(seed), model, {"base_model": "base"})
            checkpoints.append({name: tensor.clone() for name, tensor in factors.tensors().items()})
        ids = torch.randint(3, size.words, (ASKED, 16), generator=torch.Generator().manual_seed(2))

        def ask(of: Any) -> Any:
            with torch.inference_mode():
                return of.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False,
                    pad_token_id=0, eos_token_id=None,
                )  # fmt: skip

        def switched() -> list[Any]:
            one = LlamaForCausalLM.from_pretrained(folder / "base")
            tuned, own = attach(one, "all", rank=size.rank, alpha=2.0 * size.rank, dropout=0.0)
            tuned.eval()
            with tuned.disable_adapter():
                said = [ask(tuned)]
            for tensors in checkpoints:
                with torch.no_grad():
                    own.put(tensors)
                said.append(ask(tuned))
            return said

        def reloaded() -> list[Any]:
            said = [ask(LlamaForCausalLM.from_pretrained(folder / "base").eval())]
            for seed in range(ADAPTERS):
                one = LlamaForCausalLM.from_pretrained(folder / "base")
                said.append(ask(PeftModel.from_pretrained(one, folder / str(seed) / "adapter").eval()))
            return said

        times: dict[str, list[float]] = {"switched": [], "reloaded": []}
        for _ in range(3):
            answers = {}
            for name, work in (("switched", switched), ("reloaded", reloaded)):
                begun = time.process_time()
                answers[name] = work()
                times[name].append(time.process_time() - begun)
            same = all(torch.equal(a, b) for a, b in zip(answers["switched"], answers["reloaded"], strict=True))
            assert same, "both ways must give the same answers"
    ours, other = (statistics.median(times[name]) for name in ("switched", "reloaded"))
    return [
        Figure(
            f"base and {ADAPTERS} adapters, {ASKED} prompts each, in one loaded model, {size.name}", ours, "s of CPU",
            f"{other:.2f} s loading model and adapter for each", ours / other,
        )
    ]  # fmt: skip
