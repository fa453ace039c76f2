"""How are directions and factors kept? As safetensors under the names of the base model's matrices, and as a card.

`directions.safetensors`: NAME.left [out, k], NAME.values [k] (they fall; sum of squares 1), NAME.right [in, k] and
NAME.norm [] (of scale * up @ down), float32. `directions.json`: what they were made of, the spectrum of each matrix,
and how well the directions of other seeds agree with them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.directions import Directions
from refusal_tui.finetune.factors import NAME, Factors
from refusal_tui.finetune.files import ADAPTER, DIRECTIONS, DIRECTIONS_CARD, NOTE
from refusal_tui.jobs.compute import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "adapter_model.safetensors"  # as peft calls them
_FIELDS = ("left", "values", "right", "norm")


def save_directions(
    folder: Path, factors: Factors, found: Sequence[Directions], facts: Mapping[str, Any]
) -> list[Path]:
    """Both files; `found` has a stack per stack of factors."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    matrices = {}
    for stack, of in zip(factors.stacks, found, strict=True):
        for place, name in enumerate(stack.names):
            parts = (of.left[place], of.values[place], of.right[place], of.norms[place])
            tensors |= {
                f"{name}.{field}": part.float().cpu().contiguous() for field, part in zip(_FIELDS, parts, strict=True)
            }
            matrices[name] = {
                "shape": stack.shape,
                "norm": float(of.norms[place]),
                "spectrum": of.values[place].tolist(),
            }
    write_atomically(folder / DIRECTIONS, save(tensors))
    card = {"matrices": matrices, "scale": factors.scale, "rank": factors.rank, **facts}
    write_atomically(folder / DIRECTIONS_CARD, (json.dumps(card, indent=1) + "\n").encode())
    return [folder / DIRECTIONS, folder / DIRECTIONS_CARD]


def load_directions(folder: Path) -> dict[str, Directions]:
    """By the name of the matrix, each as a stack of one, orthonormal again in float64. Raises InputError for a file
    that is not there or damaged."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / DIRECTIONS)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The directions in {folder.name} cannot be read: {error}.", "Name a refusal-adapter run that is done."
        ) from error
    found = {}
    for name in [key.removesuffix(".left") for key in tensors if key.endswith(".left")]:
        left, values, right, norm = (tensors[f"{name}.{field}"].double()[None] for field in _FIELDS)
        # QR keeps the columns but for rounding and sign; the signs of R's diagonal put those back.
        (left, left_r), (right, right_r) = torch.linalg.qr(left), torch.linalg.qr(right)
        left = left * torch.diagonal(left_r, dim1=-2, dim2=-1).sign()[:, None, :]
        right = right * torch.diagonal(right_r, dim1=-2, dim2=-1).sign()[:, None, :]
        found[name] = Directions(left, values / values.norm().clamp(min=1e-300), right, norm.reshape(1))
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """Raises InputError where it is not there."""
    try:
        card: dict[str, Any] = json.loads((folder / DIRECTIONS_CARD).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"There are no directions in {folder.name}.", "Name a refusal-adapter run that is done."
        ) from error
    return card


def save_adapter(folder: Path, tuned: Any, note: Mapping[str, Any], name: str = ADAPTER) -> Path:
    """The adapter as peft reads it, in `folder/name`, whole or not there; `note` goes into a file of its own and says
    what the base model is called (`base_model`)."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    final, draft = folder / name, folder / f"{name}.tmp"
    for old in (draft, final):
        shutil.rmtree(old, ignore_errors=True)
    draft.mkdir()
    # Not `save_pretrained` of the model: that one asks the hub about the base, and writes the folder's place down.
    config = copy(tuned.peft_config[NAME])
    config.base_model_name_or_path, config.inference_mode = note["base_model"], True
    config.save_pretrained(draft)
    state = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    tensors = {key: tensor.detach().cpu().clone() for key, tensor in state.items()}
    # An arm's note says "upload": "no"; its weights say so as well, wherever they are copied to.
    marks = {key: str(note[key]) for key in ("upload",) if key in note}
    write_atomically(draft / WEIGHTS, _in_order(save(tensors, metadata={"format": "pt", **marks})))
    write_atomically(draft / NOTE, (json.dumps(note, indent=1) + "\n").encode())
    draft.rename(final)
    return final


def _in_order(content: bytes) -> bytes:
    """safetensors writes several notes in an order that changes from process to process; the same adapter is the same
    file, bit for bit."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(end - 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_factors(folder: Path, factors: Factors) -> list[tuple[Tensor, Tensor]]:
    """The factors of a saved adapter as stacks; [] where its rank or its matrices are others."""
    import torch
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / ADAPTER / WEIGHTS)
        stacks = []
        for stack in factors.stacks:
            up, down = (
                torch.stack([tensors[f"base_model.model.{name}.{part}.weight"].float() for name in stack.names])
                for part in ("lora_B", "lora_A")
            )
            if (up.shape, down.shape) != (stack.up.shape, stack.down.shape):
                return []
            stacks.append((up.to(stack.up.device), down.to(stack.up.device)))
    except (OSError, KeyError, RuntimeError):
        return []
    return stacks
