"""Where do an adapter's factors lie? In stacks of matrices of one shape, which peft's modules look into.

One adapter sits in the loaded model for a whole run; every arm writes its own factors into it, and the base answers
with the adapter switched off. Optimiser, projection and invariants work on a stack at a time, not on each of hundreds
of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.directions import Directions
from refusal_tui.jobs.schedule import stable_seed

if TYPE_CHECKING:
    from torch import Tensor

NAME = "default"  # of the adapter, as peft reads it back
ALL = "all"
_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class Stack:
    """Matrices of one shape: `names` as the base model has them, `down` [m, r, in] and `up` [m, out, r], float32 leaves
    with gradients of their own."""

    names: tuple[str, ...]
    up: Tensor
    down: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return int(self.up.shape[1]), int(self.down.shape[2])

    @property
    def key(self) -> str:
        return "x".join(map(str, self.shape))


@dataclass(frozen=True, slots=True)
class Factors:
    """The adapter of a model; `scale` is alpha / rank."""

    stacks: tuple[Stack, ...]
    scale: float
    rank: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for stack in self.stacks for name in stack.names)

    def parameters(self) -> list[Tensor]:
        return [each for stack in self.stacks for each in (stack.up, stack.down)]

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a checkpoint."""
        pairs = ((f"{s.key}.up", s.up) for s in self.stacks), ((f"{s.key}.down", s.down) for s in self.stacks)
        return {name: t.detach() for pair in pairs for name, t in pair}

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    def start(self, seed: int) -> None:
        """As peft starts them: `down` uniform within 1 / sqrt(in), `up` zero. Each matrix draws from its own name."""
        import torch

        for stack in self.stacks:
            bound = 1 / math.sqrt(stack.shape[1])
            with torch.no_grad():
                stack.up.zero_()
                for place, name in enumerate(stack.names):
                    chance = torch.Generator().manual_seed(stable_seed(seed, "factor", name))
                    drawn = torch.rand(stack.down.shape[1:], generator=chance) * 2 * bound - bound
                    stack.down[place].copy_(drawn)


def attach(model: Any, targets: str | Sequence[str], *, rank: int, alpha: float, dropout: float) -> tuple[Any, Factors]:
    """The model with one LoRA adapter (peft), and its factors. `targets`: "all" (every linear layer of the blocks),
    comma-separated last parts of names, or whole names. Raises InputError where a target is not in the model."""
    from peft import LoraConfig, get_peft_model

    wanted = targets if not isinstance(targets, str) else _wanted(targets)
    _require(model, wanted)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none", task_type="CAUSAL_LM",
        target_modules="all-linear" if wanted == [ALL] else list(wanted),
    )  # fmt: skip
    try:
        tuned = get_peft_model(model, config)
    except ValueError as error:
        raise InputError(
            f"LoRA cannot be put on this model: {str(error).splitlines()[0]}", _targets_told(model)
        ) from error
    return tuned, _stacked(tuned, alpha / rank, rank)


def _wanted(targets: str) -> list[str]:
    return [part.strip() for part in targets.split(",") if part.strip()] or [ALL]


def _require(model: Any, wanted: Sequence[str]) -> None:
    """peft passes over a target that is not there as long as another one is."""
    if list(wanted) == [ALL]:
        return
    names = [name for name, _ in model.named_modules()]
    absent = [part for part in wanted if not any(name == part or name.endswith(f".{part}") for name in names)]
    if absent:
        raise InputError(
            f"LoRA targets not found in {type(model).__name__}: {', '.join(absent[:4])}"
            f"{f' and {len(absent) - 4} more' if len(absent) > 4 else ''}.",
            _targets_told(model),
        )


def _targets_told(model: Any) -> str:
    from torch import nn

    last = sorted({name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)})
    return f"Its linear layers are called: {', '.join(last) or 'nothing that is known here'}; or use --targets all."


def _stacked(tuned: Any, scale: float, rank: int) -> Factors:
    import torch
    from torch import nn

    by_shape: dict[tuple[int, int], list[tuple[str, Any]]] = {}
    for name, module in tuned.named_modules():
        if NAME in getattr(module, "lora_A", {}):
            shape = module.lora_B[NAME].weight.shape[0], module.lora_A[NAME].weight.shape[1]
            by_shape.setdefault(shape, []).append((name.removeprefix(_PREFIX), module))
    stacks = []
    for modules in by_shape.values():
        up, down = (
            nn.Parameter(torch.stack([getattr(m, part)[NAME].weight.detach().float() for _, m in modules]))
            for part in ("lora_B", "lora_A")
        )
        up.grad, down.grad = torch.zeros_like(up), torch.zeros_like(down)
        for place, (_, module) in enumerate(modules):
            for part, whole in (("lora_B", up), ("lora_A", down)):
                weight = getattr(module, part)[NAME].weight
                weight.data, weight.grad = whole.data[place], whole.grad[place]
        stacks.append(Stack(tuple(name for name, _ in modules), up, down))
    return Factors(tuple(stacks), scale, rank)


def matched(factors: Factors, found: Mapping[str, Directions]) -> list[Directions]:
    """The directions of single matrices as a stack per stack of factors, on its device. Raises InputError for a matrix
    that has none, or one of another width."""
    import torch

    stacked = []
    for stack in factors.stacks:
        for name in stack.names:
            if name not in found:
                raise InputError(
                    f"The refusal adapter has no direction for {name}.",
                    "Use the model that the refusal adapter was trained on.",
                )
            shape = int(found[name].left.shape[1]), int(found[name].right.shape[1])
            if shape != stack.shape:
                raise InputError(
                    f"Width mismatch at {name}: the direction is for {shape[0]} x {shape[1]}, the model has "
                    f"{stack.shape[0]} x {stack.shape[1]}.",
                    "Use the model that the refusal adapter was trained on.",
                )
        parts = [found[name] for name in stack.names]
        device = stack.up.device
        stacked.append(
            Directions(
                *(torch.cat([getattr(part, field) for part in parts]).to(device)
                  for field in ("left", "values", "right", "norms"))
            )
        )  # fmt: skip
    return stacked
