"""How much of a direction is left in the stream while it is ablated? 1e-7 for verified writers in float32.

The hook points of the published procedure leave some of it wherever a family puts a norm behind attention or MLP
(measured with random directions: 7 % in the middle of Gemma 2 blocks). Then a low effect may be the hooks' doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.batches import make_batch
from refusal_tui.direction.blocks import output_of
from refusal_tui.direction.intervene import Rows, intervene, recorded
from refusal_tui.direction.passes import Passes

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Leak:
    """Largest |cosine| of the stream with the ablated direction: between the writers of a block, and behind the last
    block. `middle` is None where no block has two known writers."""

    middle: float | None
    final: float


def measure_leak(passes: Passes, direction: Tensor, prompt: Sequence[int]) -> Leak:
    """One pass over one prompt (token ids); `direction` [width]."""
    r = (direction / direction.norm()).float().cpu()
    written: dict[tuple[int, int], Tensor] = {}
    final: list[Tensor] = []
    handles: list[Any] = []

    def keeper(key: tuple[int, int]) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            written[key] = output_of(output).detach().float().cpu().reshape(len(prompt), -1)

        return keep

    anatomy = passes.anatomy
    try:
        with intervene(passes.points, Rows(ablate=r[None])), recorded(anatomy.blocks.modules) as streams:
            for place, (block, shape) in enumerate(zip(anatomy.blocks.modules, anatomy.shapes, strict=True)):
                for order, name in enumerate(shape.writers.names):
                    handles.append(block.get_submodule(name).register_forward_hook(keeper((place, order))))
            last = anatomy.blocks.modules[-1]
            handles.append(last.register_forward_hook(lambda _, __, out: final.append(output_of(out).detach())))
            passes.last_logits(make_batch([prompt], [0], 0), len(prompt))  # all tokens, also in the last block
    finally:
        for handle in handles:
            handle.remove()
    middle = None
    for place, shape in enumerate(anatomy.shapes):
        stream = streams[place][0].float().cpu()
        for order, scale in enumerate(shape.writers.scales[:-1]):
            stream = stream + scale * written[place, order]
            middle = max(middle or 0.0, _cosine(stream, r))
    return Leak(middle, _cosine(final[0][0].float().cpu(), r))


def _cosine(stream: Tensor, r: Tensor) -> float:
    return float(((stream @ r).abs() / stream.norm(dim=-1).clamp_min(1e-30)).max())
