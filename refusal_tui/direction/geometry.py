"""How do the candidates of a run lie to each other, and how far do prompts lie along each of them?

Written by the job as soon as there are candidates; read by faces with numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from refusal_tui.direction.select import Cell

FILE = "geometry.safetensors"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Geometry:
    """across_layers [positions, layers, layers] and across_positions [layers, positions, positions]: cosines of the
    candidates; a candidate that is zero has cosine 0 with all, also with itself. harmful, harmless [positions, layers,
    prompts]: how far each validation prompt that counts lies along the candidate, in units of the stream. The earliest
    position first.
    """

    across_layers: Array
    across_positions: Array
    harmful: Array
    harmless: Array

    @property
    def n_layers(self) -> int:
        return int(self.across_layers.shape[1])

    def place(self, cell: Cell) -> tuple[int, int]:
        """Where a candidate stands in the arrays."""
        return cell.position + self.across_layers.shape[0], cell.layer

    def projections(self, cell: Cell) -> tuple[Array, Array]:
        """Of harmful and of harmless prompts on one candidate."""
        return self.harmful[self.place(cell)], self.harmless[self.place(cell)]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of both sets in bins of one width between low and high."""

    low: float
    high: float
    harmful: list[int]
    harmless: list[int]


def histogram(harmful: Array, harmless: Array, bins: int) -> Histogram:
    """Both sets over one range.

    >>> histogram(np.array([1.0, 2.0], np.float32), np.array([0.0, 0.0], np.float32), 2)
    Histogram(low=0.0, high=2.0, harmful=[0, 2], harmless=[2, 0])
    """
    both = np.concatenate([harmful, harmless]).astype(np.float64)
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 0.0)
    if high - low < 1e-9 * max(1.0, abs(high)):  # all the same, as at layer 0
        low, high = low - 0.5, high + 0.5
    counts = [np.histogram(part, bins=bins, range=(low, high))[0].tolist() for part in (harmful, harmless)]
    return Histogram(low, high, counts[0], counts[1])


def save_geometry(folder: Path, candidates: Tensor, harmful: Tensor, harmless: Tensor) -> Path:
    """candidates [positions, layers, width]; harmful, harmless [prompts, positions, layers, width]: validation prompts
    at their ends."""
    import torch
    from safetensors.torch import save

    from refusal_tui.direction.score import unit
    from refusal_tui.jobs.compute import write_atomically

    units = unit(candidates.double())

    def along(ends: Tensor) -> Tensor:  # layer by layer: no second copy of all activations
        layers = [(ends[:, :, n].double() * units[:, n]).sum(dim=-1) for n in range(units.shape[1])]
        return torch.stack(layers).permute(2, 0, 1)

    tensors = {
        "across_layers": units @ units.transpose(1, 2),
        "across_positions": units.transpose(0, 1) @ units.permute(1, 2, 0),
        "harmful": along(harmful),
        "harmless": along(harmless),
    }
    path = folder / FILE
    write_atomically(path, save({name: tensor.float().contiguous() for name, tensor in tensors.items()}))
    return path


def read_geometry(folder: Path) -> Geometry | None:
    """None where the run has not come so far, or was made by an older version. Raises InputError for another file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Geometry(**load_file(path))
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not what a direction run writes ({error}).",
            "Start the run again; a copy of a run must hold all of its files.",
        ) from error
