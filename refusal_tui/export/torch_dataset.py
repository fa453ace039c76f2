"""How does a PyTorch training loop read a final dataset? All heads as tensors, rows by number, text by memory map.

    from torch.utils.data import DataLoader
    from refusal_tui.export.torch_dataset import IGNORE, FinalDataset

    data = FinalDataset("final", "train")
    for batch in DataLoader(data, batch_size=32, shuffle=True):
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"]["head_a"], ignore_index=IGNORE)

`batch["labels"]` of B rows:

    refusal3   int64    [B]      0 none, 1 hard, 2 soft
    head_a     int64    [B]      place in CLASSES["head_a"] (12 outcomes)
    head_b     int64    [B]      place in CLASSES["head_b"] (23 styles)
    head_c_a   float32  [B, 27]  1.0 where the harm applies
    head_c_b   float32  [B, 20]  1.0 where the topic applies
    head_d     float32  [B, 3]   prompt_harmful, response_harmful, response_refusal

A missing label is IGNORE (-100), the value that `cross_entropy` leaves out; of a several-of head it fills the whole
row, of head_d the one flag. `binary_cross_entropy` knows no such value: weight it with `(labels != IGNORE).float()`.

This is the one module of the export that imports torch, and nothing imports it: it is for training scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.export.final_files import DATASETS, SHARD
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.taxonomy import HARMS, HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, HEAD_D, STYLES, TOPICS, Outcome
from refusal_tui.labels.verdict import Refusal3

try:
    import torch
    from torch.utils.data import Dataset
except ImportError as error:
    raise UnavailableError("PyTorch is not installed.", "Install it with: pip install 'refusal-tui[ml]'") from error

IGNORE = -100
CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        REFUSAL3: tuple(map(str, Refusal3)),
        HEAD_A: tuple(map(str, Outcome)),
        HEAD_B: tuple(map(str, STYLES)),
        HEAD_C_A: HARMS,
        HEAD_C_B: TOPICS,
        HEAD_D: BOOLEAN_HEADS,
    }
)
_NUMBERS = {head: {name: number for number, name in enumerate(names)} for head, names in CLASSES.items()}

Encode = Callable[[str, str], Mapping[str, Any]]


class FinalDataset(Dataset[dict[str, Any]]):  # type: ignore[misc, unused-ignore]
    """The rows of one part of a folder that `refusal-tui export --final` wrote.

    A row is `{"prompt": str, "response": str, "id": str, "labels": {head: tensor}}`. `encode(prompt, response)`, such
    as a tokenizer, adds its tensors beside them. Rows whose text was held back are left out. Raises InputError for a
    folder that is no final dataset, or has no such part.
    """

    def __init__(self, folder: str | Path, part: str = "train", encode: Encode | None = None) -> None:
        self._path = _file_of(Path(folder), part)
        self._encode = encode
        self._open()

    def _open(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        # A memory map: rows are read from the file when they are asked for.
        self._table = pa.ipc.open_stream(pa.memory_map(str(self._path))).read_all()
        has_text = pc.and_(pc.is_valid(self._table["prompt"]), pc.is_valid(self._table["response"]))
        self._rows = pc.indices_nonzero(has_text).to_numpy()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        (row,) = self._table.slice(int(self._rows[index]), 1).to_pylist()
        item = {
            "prompt": row["prompt"], "response": row["response"], "id": row["metadata"]["id"], "labels": labels_of(row),
        }  # fmt: skip
        return item if self._encode is None else {**item, **self._encode(row["prompt"], row["response"])}

    def __getstate__(self) -> dict[str, Any]:
        """A DataLoader's workers open the file for themselves."""
        return {"_path": self._path, "_encode": self._encode}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def labels_of(row: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The labels of one row of the dataset: tensors of shape [], [27], [20] and [3]."""
    flags = row["head_d"]
    return {
        REFUSAL3: _one(REFUSAL3, row["metadata"]["refusal3"]),
        HEAD_A: _one(HEAD_A, row[HEAD_A]),
        HEAD_B: _one(HEAD_B, row[HEAD_B]),
        HEAD_C_A: _several(HEAD_C_A, row[HEAD_C_A]),
        HEAD_C_B: _several(HEAD_C_B, row[HEAD_C_B]),
        HEAD_D: torch.tensor([float(IGNORE if flags[name] is None else flags[name]) for name in BOOLEAN_HEADS]),
    }


def _one(head: str, value: str | None) -> torch.Tensor:
    # STYLE.RATE_LIMIT, of older data, is no class of its own.
    return torch.tensor(IGNORE if value is None else _NUMBERS[head].get(value, IGNORE))


def _several(head: str, values: Sequence[str] | None) -> torch.Tensor:
    if values is None:
        return torch.full((len(CLASSES[head]),), float(IGNORE))
    found = torch.zeros(len(CLASSES[head]))
    found[[_NUMBERS[head][value] for value in values]] = 1.0
    return found


def _file_of(folder: Path, part: str) -> Path:
    try:
        parts = json.loads((folder / DATASETS / "dataset_dict.json").read_bytes())["splits"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} is no final dataset.", "Write one with: refusal-tui export --final --out DIR"
        ) from error
    if part not in parts:
        raise InputError(f"{folder} has no part {part!r}.", f"Choose one of: {', '.join(parts)}.")
    return folder / DATASETS / part / SHARD
