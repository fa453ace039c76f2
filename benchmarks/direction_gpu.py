"""The same on a CUDA device, with random models shaped as those of 1.5 and 7 billion weights: `make bench-gpu`."""

from __future__ import annotations

import torch

from benchmarks.direction import GPU_SIZES, measure
from benchmarks.report import Figure


def run(quick: bool = False) -> list[Figure]:
    """Raises SystemExit where there is no device."""
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here (torch.cuda.is_available() is False): nothing was measured.")
    sizes = GPU_SIZES[:1] if quick else GPU_SIZES
    return [figure for size in sizes for figure in measure(size, "cuda", torch.bfloat16)]
