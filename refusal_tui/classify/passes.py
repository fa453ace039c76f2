"""How do rows go through a model: as one padded batch, on which device, and what if the memory is too small?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.encode import Encoded
from refusal_tui.classify.plan import fill
from refusal_tui.errors import InputError, JobError

# Tokens of a pass on a CPU: larger ones do not stay in its caches (MiniLM, one core: 28 rows/s against 20 with 8,000).
MOST_ON_CPU = 1_024


def make_accelerator(device: str = "auto", precision: str = "no") -> Any:
    """accelerate's choice of a device and a number format (`no`: float32, `bf16`).

    Raises InputError where the GPU does not compute in that format.
    """
    import torch
    from accelerate import Accelerator

    on_gpu = device != "cpu" and torch.cuda.is_available()
    if precision == "bf16" and on_gpu and not torch.cuda.is_bf16_supported():
        raise InputError(
            f"{torch.cuda.get_device_name()} does not compute in bf16.", "Leave out --precision, or take --device cpu."
        )
    return Accelerator(mixed_precision=precision, cpu=device == "cpu")


def predict(
    model: Any,
    texts: Encoded,
    batch_tokens: int,
    *,
    accelerator: Any,
    pad: int,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Logits in the order of the rows, shape (rows, classes); `check` is called between batches and may raise."""
    import torch

    model.eval()
    lengths = texts.lengths
    if accelerator.device.type == "cpu":
        batch_tokens = min(batch_tokens, MOST_ON_CPU)
    found: NDArray[np.float32] | None = None
    for batch in fill(sorted(range(len(texts)), key=lambda i: lengths[i]), lengths, batch_tokens):
        check()
        for rows, logits in halving(batch, lambda rows: _forward(model, texts, rows, accelerator, pad), torch):
            found = np.zeros((len(texts), logits.shape[-1]), np.float32) if found is None else found
            found[rows] = logits
    return np.zeros((0, 0), np.float32) if found is None else found


def _forward(model: Any, texts: Encoded, rows: Sequence[int], accelerator: Any, pad: int) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode(), accelerator.autocast():
        logits = model(**inputs(texts, rows, pad, accelerator.device)).logits
    return np.asarray(logits.float().cpu().numpy(), np.float32)


def halving(
    rows: list[int], work: Callable[[list[int]], Any], torch: Any, noted: Callable[[int], None] = lambda size: None
) -> Iterator[tuple[list[int], Any]]:
    """`work` on the rows; where the device's memory is too small, on each half of them."""
    try:
        result = work(rows)
    except torch.OutOfMemoryError as error:
        if len(rows) == 1:
            raise JobError(
                "One row alone does not fit into the device's memory.",
                "Use a smaller --max-tokens, --gradient-checkpointing, a smaller encoder or another device.",
            ) from error
        result = None
    if result is not None:
        yield rows, result
        return
    torch.cuda.empty_cache()
    noted(len(rows))
    half = len(rows) // 2
    yield from halving(rows[:half], work, torch, noted)
    yield from halving(rows[half:], work, torch, noted)


def inputs(texts: Encoded, rows: Sequence[int], pad: int, device: Any) -> dict[str, Any]:
    """The rows as one batch, padded to the longest."""
    import torch

    width = max(len(texts.ids[row]) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    types = None if texts.types is None else torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        length = len(texts.ids[row])
        ids[place, :length] = torch.tensor(texts.ids[row])
        mask[place, :length] = 1
        if types is not None and texts.types is not None:
            types[place, :length] = torch.tensor(texts.types[row])
    batch = {"input_ids": ids, "attention_mask": mask} | ({} if types is None else {"token_type_ids": types})
    return {name: tensor.to(device) for name, tensor in batch.items()}
