"""What has to be known of a model before anything is measured? Everything is tried on the model itself.

Decoder blocks, writers of the residual stream, whether padded rows give the same answer as unpadded ones, and whether a
run can start in the middle. What fails its check is not used: the run gets slower, never wrong.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from refusal_tui.direction.blocks import Blocks, device_of, find_blocks, text_config
from refusal_tui.direction.intervene import HookPoints, last_tokens_alone, recorded, start_from
from refusal_tui.direction.writers import BlockShape, find_writers
from refusal_tui.errors import UnavailableError

if TYPE_CHECKING:
    from torch import Tensor, nn

Mode = Literal["exact", "reference"]
Padding = Literal["positions", "plain", "none"]

_ATTENTION = re.compile(r"attn|attention|mixer|mamba|conv", re.IGNORECASE)
_MLP = re.compile(r"mlp|feed_forward|ffn|moe|^ff$", re.IGNORECASE)
_NORM = re.compile(r"norm|^ln", re.IGNORECASE)
_PROBE_TOKENS = 12
_NOISE, _HALF_NOISE = 1e-4, 0.08  # mean difference of logits over their spread, in float32 and in half precision


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What is known of a model.

    padding: "positions" (left-padded rows need position ids that count real tokens), "plain" (they are right as they
    are) or "none" (rows must have the same length). starts_midway: a run may begin at a cached residual stream.
    keeps_last: the model can compute the logits of the last token alone. last_part: the MLP of the last block, where it
    can be left out for all tokens but those whose logits are wanted.
    """

    blocks: Blocks
    width: int
    vocabulary: int
    shapes: tuple[BlockShape, ...]
    padding: Padding
    starts_midway: bool
    keeps_last: bool
    last_part: nn.Module | None = None

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def returns(self) -> tuple[int, ...]:
        return tuple(shape.returns for shape in self.shapes)

    @property
    def unexplained(self) -> tuple[int, ...]:
        """Blocks whose writers were not found: there, input and output are cleaned and the middle may leak."""
        return tuple(place for place, shape in enumerate(self.shapes) if not shape.writers.names)

    def points(self, mode: Mode) -> HookPoints:
        """Where vectors are projected out.

        exact: what enters the first block, and the output of every verified writer. reference: the input of every block
        and the output of every attention and MLP module, as published (andyrdt/refusal_direction). Raises
        UnavailableError where a block has no part of such a name.
        """
        modules = self.blocks.modules
        if mode == "reference":
            parts = [part for block in modules for part in _published_parts(block)]
            return HookPoints(modules, modules, tuple(parts))
        inputs, outputs = [modules[0]], []
        for place, (block, shape) in enumerate(zip(modules, self.shapes, strict=True)):
            if shape.writers.names:
                outputs += [block.get_submodule(name) for name in shape.writers.names]
            else:
                outputs.append(block)
                inputs += [block] if place else []
        return HookPoints(modules, tuple(inputs), tuple(dict.fromkeys(outputs)))

    def facts(self) -> dict[str, object]:
        """For the card of a run."""
        names = [shape.writers.names for shape in self.shapes]
        errors = [shape.writers.error for shape in self.shapes if shape.writers.names]
        return {
            "blocks": self.blocks.path,
            "layers": self.n_layers,
            "width": self.width,
            "writers": [list(n) for n in dict.fromkeys(names)],
            "writer_error": max(errors, default=None),
            "unexplained_blocks": list(self.unexplained),
            "padding": self.padding,
            "starts_midway": self.starts_midway,
        }


def _published_parts(block: Any) -> list[Any]:
    children = [(name, child) for name, child in block.named_children() if not _NORM.search(name)]
    found = [next((child for name, child in children if pattern.search(name)), None) for pattern in (_ATTENTION, _MLP)]
    if None in found:
        raise UnavailableError(
            f"A block of type {type(block).__name__} has no attention or MLP module to hook as the published procedure "
            "does.",
            "Use --mode exact.",
        )
    return found


def study(model: Any, probe: Tensor | None = None) -> Anatomy:
    """Find out about a model in a handful of tiny passes.

    `probe`: [tokens] ids of an ordinary prompt; without one, ids that are no special tokens. Raises UnavailableError
    when the blocks cannot be found.
    """
    import torch

    blocks = find_blocks(model)
    ids = (probe if probe is not None else _ordinary_ids(model)).to(device_of(model))[None]
    keeps_last = "logits_to_keep" in inspect.signature(model.forward).parameters
    shapes = tuple(find_writers(model, blocks, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}))
    if len(shapes) != len(blocks):
        raise UnavailableError(
            f"{len(shapes)} blocks of {type(model).__name__} ran in one pass, but it has {len(blocks)}.",
            "Use a model without layers that are skipped or repeated.",
        )
    with recorded(blocks.modules) as streams:
        logits = _last_logits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    anatomy = Anatomy(
        blocks, int(streams[0].shape[-1]), int(logits.shape[-1]), shapes, _padding(model, ids, logits),
        starts_midway=True, keeps_last=keeps_last, last_part=_last_part(model, blocks, ids, logits),
    )  # fmt: skip
    if all(_starts_at(model, anatomy, ids, streams, layer, logits) for layer in {1, len(blocks) // 2, len(blocks) - 1}):
        return anatomy
    return replace(anatomy, starts_midway=False)


def _last_part(model: Any, blocks: Blocks, ids: Tensor, expected: Tensor) -> nn.Module | None:
    """The MLP of the last block, if the last token's logits stay what they are when it sees that token alone."""
    import torch

    for name, part in blocks.modules[-1].named_children():
        if _MLP.search(name) and not _NORM.search(name):
            try:
                with last_tokens_alone(part, 1):
                    found = _last_logits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
            except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError):
                return None
            return part if _same(found, expected) else None
    return None


def _ordinary_ids(model: Any) -> Tensor:
    """The first ids that no setting of the model names (padding, images, end of turn, ...)."""
    import torch

    special: set[int] = set()
    for config in (model.config, text_config(model)):
        for name, value in config.to_dict().items():
            if name.endswith(("token_id", "token_index", "token_ids")):
                special.update(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int))
    size = text_config(model).vocab_size
    return torch.tensor([i for i in range(3, size) if i not in special][:_PROBE_TOKENS])


def _padding(model: Any, ids: Tensor, expected: Tensor) -> Padding:
    """The first way of padding on the left that leaves the last token's logits as they are."""
    import torch

    for way in ("positions", "plain"):
        pad, row = torch.zeros_like(ids[:, :5]), torch.ones_like(ids)
        mask = torch.cat([torch.zeros_like(pad), row], dim=1)
        inputs = padded_inputs(way, torch.cat([pad + ids[0, 0], ids], dim=1), mask)
        try:
            found = _last_logits(model, inputs)
        except (TypeError, ValueError, RuntimeError, IndexError):  # it takes no such argument, or in another shape
            continue
        if _same(found, expected):
            return way
    return "none"


def padded_inputs(way: Padding, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The arguments of a pass over left-padded rows; positions count real tokens alone."""
    inputs = {"input_ids": ids, "attention_mask": mask}
    if way == "positions":
        inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp_min(0)
    return inputs


def _starts_at(
    model: Any, anatomy: Anatomy, ids: Tensor, streams: Mapping[int, Tensor], layer: int, expected: Tensor
) -> bool:
    import torch

    try:
        with start_from(anatomy.blocks.modules, anatomy.returns, layer, streams[layer]):
            found = _last_logits(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError):
        return False  # layers that share keys and values, say
    return bool(torch.equal(found, expected)) or _same(found, expected)


def _last_logits(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """[rows, vocabulary], in the precision of the model."""
    import torch

    with torch.inference_mode():
        logits: Tensor = model(**inputs, use_cache=False).logits[:, -1]
    return logits


def _same(found: Tensor, expected: Tensor) -> bool:
    """Equal up to the rounding of another kernel; a wrong position or a skipped mask differs by far more."""
    half = expected.element_size() < 4
    found, expected = found.float(), expected.float()
    spread = float(expected.std()) or 1.0
    return float((found - expected).abs().mean()) / spread < (_HALF_NOISE if half else _NOISE)
