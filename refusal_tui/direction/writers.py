"""Which parts of a block write to the residual stream? Found by arithmetic, so that an ablation leaves no leak.

On one forward pass, the parts whose outputs sum to (block output - block input) are the block's writers: attention and
MLP in most families, the norms behind them in Gemma 2 and OLMo 2, a mixer alone in others. Projecting a direction out
of everything that is written keeps the whole stream free of it. The hook points of the published procedure do not: a
norm behind the hook lets up to 7 % of a random direction back in (Gemma 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.blocks import Blocks, hidden_of, output_of

if TYPE_CHECKING:
    from torch import Tensor, nn

EXACT_TOLERANCE = 1e-4  # float32
ROUNDED_TOLERANCE = 5e-2  # half precision: the difference of two rounded streams is mostly rounding
_SIZES = (2, 1, 3)
_LEAST_SHARE = 1e-3  # a part that adds less than this to a fit is no writer


@dataclass(frozen=True, slots=True)
class Writers:
    """The writers of one block. `names` relative to the block, in the order in which they run (none: not found);
    `scales` are what the block multiplies them with; `error` is the median over tokens of |what is unexplained| / |what
    the block adds|."""

    names: tuple[str, ...]
    scales: tuple[float, ...] = ()
    error: float = float("inf")


@dataclass(frozen=True, slots=True)
class BlockShape:
    """What one pass shows of a block: its writers, and how many things it returns (0: a bare tensor)."""

    writers: Writers
    returns: int


def find_writers(model: Any, blocks: Blocks, inputs: dict[str, Tensor]) -> list[BlockShape]:
    """One forward pass over `inputs` (one prompt of ten tokens or more is enough)."""
    import torch

    shapes: list[BlockShape] = []
    hopeless: set[frozenset[str]] = set()
    handles = [handle for block in blocks.modules for handle in _watch(block, shapes, hopeless)]
    try:
        with torch.inference_mode():
            model(**inputs, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _watch(block: nn.Module, shapes: list[BlockShape], hopeless: set[frozenset[str]]) -> Iterator[Any]:
    """Hooks that keep what enters the block and what its parts return, and judge it when the block is done.

    `hopeless`: parts of blocks that could not be explained; blocks like them are not tried again.
    """
    seen: dict[str, Tensor] = {}
    entered: list[Tensor] = []

    def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entered.append(_copied(hidden_of(args, kwargs)))

    def part(name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            tensor = output_of(output)
            # Copied at once: Falcon adds attention to the MLP's output in place.
            like = entered[-1]
            if hasattr(tensor, "numel") and tensor.numel() == like.numel() and tensor.shape[-1] == like.shape[-1]:
                seen[name] = _copied(tensor).reshape(like.shape)  # OPT flattens rows and tokens

        return keep

    def leave(_: nn.Module, __: Any, ___: Any, output: Any) -> None:
        half = output_of(output).element_size() < 4
        known = shapes[-1].writers.names if shapes else ()
        written = _copied(output_of(output)) - entered[-1]
        parts = frozenset(seen)
        found = Writers(())
        if parts not in hopeless:
            found = explain(written, seen, ROUNDED_TOLERANCE if half else EXACT_TOLERANCE, first=known)
        if not found.names:
            hopeless.add(parts)
        shapes.append(BlockShape(found, len(output) if isinstance(output, tuple) else 0))
        entered.clear()
        seen.clear()

    yield block.register_forward_pre_hook(enter, with_kwargs=True)
    for name, module in block.named_modules():
        if name and name.count(".") < 2:
            yield module.register_forward_hook(part(name))
    yield block.register_forward_hook(leave, with_kwargs=True)


def _copied(tensor: Tensor) -> Tensor:
    """In float64 on the CPU: small, and not every device has that precision."""
    import torch

    return tensor.detach().to("cpu", copy=True).to(torch.float64)


def explain(written: Tensor, parts: dict[str, Tensor], tolerance: float, first: Sequence[str] = ()) -> Writers:
    """The parts that sum to `written` ([batch, tokens, width]): two, one or three of them, as they are or scaled.

    `parts` in the order in which they ran. Outer parts are preferred to those inside them, other modules to dropouts
    (which pass on what they get). `first` are names that explained another block.

    >>> import torch
    >>> a, b = torch.randn(2, 1, 5, 8, dtype=torch.float64)
    >>> explain(a + b, {"attn": a, "norm": b * 7, "mlp": b}, 1e-4).names
    ('attn', 'mlp')
    """
    import torch

    preferred = {name: place for place, name in enumerate(first)}
    order = sorted(parts, key=lambda name: (preferred.get(name, len(preferred)), name.count("."), "drop" in name))
    ones = torch.ones(max(_SIZES), dtype=torch.float64)
    for scaled in (False, True):
        for names in (names for size in _SIZES for names in combinations(order, size)):
            chosen = torch.stack([parts[name] for name in names])
            scales = _fit(chosen.flatten(1), written.flatten()) if scaled else ones[: len(names)]
            if scales is None:
                continue
            error = _unexplained(written, torch.tensordot(scales, chosen, dims=1))
            if error <= tolerance:
                scale_of = dict(zip(names, scales.tolist(), strict=True))
                ran = [name for name in parts if name in scale_of]
                return Writers(tuple(ran), tuple(round(scale_of[name], 4) for name in ran), error)
    return Writers(())


def _fit(parts: Tensor, written: Tensor) -> Tensor | None:
    """Least squares over `parts` [parts, values]; None where two say the same, or one of them adds next to nothing."""
    import torch

    norms = parts.norm(dim=1)
    if bool((norms == 0).any()):
        return None
    unit = parts / norms[:, None]
    if float(torch.linalg.det(unit @ unit.T)) < 1e-9:
        return None
    scales = torch.linalg.solve(parts @ parts.T, parts @ written)
    return scales if bool((scales.abs() * norms > _LEAST_SHARE * written.norm()).all()) else None


def _unexplained(written: Tensor, sum_of_parts: Tensor) -> float:
    rest = (written - sum_of_parts).norm(dim=-1)
    return float((rest / written.norm(dim=-1).clamp_min(1e-30)).median())
