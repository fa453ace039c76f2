"""What does a constraint cost per step of training, and what does switching adapters save over loading models?

Steps of the arms stand in turn, a few of each, so that a busy machine is busy for all. What a constraint costs is the
CPU time inside of it beside that of the rest of the same step: on a busy machine steps differ by more than it costs.
The second half gets a base and adapters ready for a question, in one loaded model and loading model and adapter for
each; the answers, which take as long in both, are asked for and compared, and told apart from the getting ready.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.report import Figure

ADAPTERS, ASKED, ANSWER_TOKENS = 3, 8, 8
ROUNDS, EACH = 3, 3


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
LARGER = Size("8 blocks, d 768, 16k words", 8, 768, 16_000, 8, 64, 16)  # to load; 94 million weights
QUICK = (Size("2 blocks, d 64", 2, 64, 150, 4, 16, 4),)


def run(quick: bool = False) -> list[Figure]:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    figures = []
    for size in QUICK if quick else SIZES:
        figures += _steps(size)
    for size in QUICK if quick else (SIZES[1], SIZES[0], LARGER):
        figures += _adapters(size)
    return figures


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

    from refusal_tui.finetune.arms import Arm, Constraint, constraint_of
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
    arms = (Arm.VANILLA, Arm.ORTHOGONAL, Arm.SUBSPACE, Arm.SINGULAR, Arm.METRIC, Arm.SURGERY)
    settings = LoopSettings(0, 10_000, 1e-4, size.rows)
    own = {
        arm: _Watched(constraint_of(arm, factors, refusal, rank=size.rank // 2, sides="both", seed=0)) for arm in arms
    }
    spent: dict[Any, list[_Spent]] = {arm: [] for arm in arms}
    for _ in range(ROUNDS):
        for arm in arms:
            trained = _Run(tuned, cast(Constraint, own[arm]), settings)
            trained.step(0)  # the optimiser's state is made
            for number in range(1, EACH + 1):
                begun, own[arm].spent = time.process_time(), [0.0, 0.0]
                trained.step(number)
                spent[arm].append(_Spent(time.process_time() - begun, *own[arm].spent))
    step = {arm: statistics.median(each.step for each in of) for arm, of in spent.items()}
    figures = [
        _beside(
            "invariants on every step", size, step[Arm.VANILLA], [each.measuring for each in spent[Arm.VANILLA]], ""
        )
    ]
    for arm in arms[1:-1]:
        asked = "under 5 % more" if arm in (Arm.ORTHOGONAL, Arm.SUBSPACE) else ""
        figures.append(_beside(f"{arm} arm", size, step[arm], [each.correcting for each in spent[arm]], asked))
    plain = step[Arm.VANILLA]
    return [
        *figures,
        Figure(f"surgery arm, {size.name}", 1000 * step[Arm.SURGERY], "ms of CPU per step",
               f"{1000 * plain:.1f} ms without refusals beside the task", step[Arm.SURGERY] / plain),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Spent:
    """Seconds of CPU of one step, and in it of the correction and of the invariants."""

    step: float
    correcting: float
    measuring: float


class _Watched:
    """A constraint that counts its own CPU time, of the correction and of the invariants."""

    def __init__(self, constraint: Any) -> None:
        self.arm, self._of, self.spent = constraint.arm, constraint, [0.0, 0.0]

    def before(self, factors: Any) -> None:
        self._of.before(factors)

    def after(self, *of: Any) -> Any:
        return self._counted(0, self._of.after, *of)

    def measure(self, *of: Any) -> Any:
        return self._counted(1, self._of.measure, *of)

    def _counted(self, place: int, work: Callable[..., Any], *of: Any) -> Any:
        begun = time.process_time()
        found = work(*of)
        self.spent[place] += time.process_time() - begun
        return found


def _beside(what: str, size: Size, step: float, own: list[float], asked: str) -> Figure:
    inside = statistics.median(own)
    ratio = step / (step - inside)
    return Figure(
        f"{what}, {size.name}", 1000 * step, "ms of CPU per step", f"{1000 * (step - inside):.1f} ms without",
        ratio, asked, ratio < 1.05 if asked else None,
    )  # fmt: skip


def _adapters(size: Size) -> list[Figure]:
    """Base and adapters answer the same prompts; what comes before the answers, and all of it."""
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

        def switched() -> Iterator[Any]:
            one = LlamaForCausalLM.from_pretrained(folder / "base")
            tuned, own = attach(one, "all", rank=size.rank, alpha=2.0 * size.rank, dropout=0.0)
            tuned.eval()
            with tuned.disable_adapter():
                yield tuned
            for tensors in checkpoints:
                with torch.no_grad():
                    own.put(tensors)
                yield tuned

        def reloaded() -> Iterator[Any]:
            yield LlamaForCausalLM.from_pretrained(folder / "base").eval()
            for seed in range(ADAPTERS):
                one = LlamaForCausalLM.from_pretrained(folder / "base")
                yield PeftModel.from_pretrained(one, folder / str(seed) / "adapter").eval()

        ready: dict[str, list[float]] = {"switched": [], "reloaded": []}
        whole: dict[str, list[float]] = {"switched": [], "reloaded": []}
        for _ in range(3):
            answers: dict[str, list[Any]] = {"switched": [], "reloaded": []}
            for name, models in (("switched", switched()), ("reloaded", reloaded())):
                begun, asking = time.process_time(), 0.0
                for model in models:
                    asked = time.process_time()
                    answers[name].append(ask(model))
                    asking += time.process_time() - asked
                whole[name].append(time.process_time() - begun)
                ready[name].append(whole[name][-1] - asking)
            same = all(torch.equal(a, b) for a, b in zip(answers["switched"], answers["reloaded"], strict=True))
            assert same, "both ways must give the same answers"
    what = f"base and {ADAPTERS} adapters, {size.name}"
    answered = f"{what}: and {ASKED} prompts of {ANSWER_TOKENS} tokens answered by each"
    figures = []
    for name, times in ((f"{what}: made ready in one loaded model", ready), (answered, whole)):
        ours, other = (statistics.median(times[way]) for way in ("switched", "reloaded"))
        figures.append(
            Figure(name, ours, "s of CPU", f"{other:.2f} s loading model and adapter for each", ours / other)
        )
    return figures
