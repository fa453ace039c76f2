"""How many tokens go through a model at a time? Measured before training, not found out by running out of memory.

What a pass keeps for its way back is counted by PyTorch's hooks on saved tensors, on any device; a CPU gives no error
when its memory is too small, the operating system ends the process. The tokens of an optimiser step stay as they were
set: a batch that does not fit goes in parts, with the same gradient but for rounding.
"""

from __future__ import annotations

from typing import Any

from refusal_tui.classify.encode import Encoded
from refusal_tui.classify.passes import MOST_ON_CPU, inputs
from refusal_tui.llm.weights import free_memory

_USABLE = 0.7  # of what is free: the allocator's gaps, other processes, rows longer than the mean
_MOST_CPU, _MOST_GPU = MOST_ON_CPU, 32_768  # tokens: beyond, a pass is no faster


def kept_per_token(model: Any, width: int, device: Any, pad: int) -> float:
    """Bytes that the backward pass needs of every token of a row of `width` tokens, weights not counted."""
    import torch

    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    row = Encoded([[pad + 1] * width], None, 0)
    was_training = model.training
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = model(**inputs(row, [0], pad, device)).logits.sum()
        del out
    model.train(was_training)
    return sum(kept.values()) / width


def fitting_tokens(model: Any, width: int, accelerator: Any, pad: int) -> int:
    """The largest power of two of tokens whose pass fits beside gradients and the optimiser's state; at least one row.

    At most 1,024 on a CPU and 32,768 on a GPU. The model is on its device.
    """
    device = accelerator.device
    most = _MOST_GPU if device.type == "cuda" else _MOST_CPU
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    free = _free(device) * _USABLE - 12 * trained  # float32: a gradient and AdamW's two moments
    each = kept_per_token(model, width, device, pad)
    tokens = most
    while tokens > width and tokens * each > free:
        tokens //= 2
    return max(tokens, width)


def _free(device: Any) -> float:
    if device.type != "cuda":
        known = free_memory()
        return float("inf") if known is None else known
    import torch

    return float(torch.cuda.mem_get_info(device)[0])


def peak_memory(device: Any) -> int:
    """Bytes that this process has held at most: of the GPU's memory where it has one, else of the machine's."""
    if device is not None and device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
