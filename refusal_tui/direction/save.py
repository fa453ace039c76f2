"""What does a run leave behind? Tensors under the names that others know, and a card to reproduce them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.apply import CARD, KEY, TENSORS
from refusal_tui.direction.extraction import Extraction
from refusal_tui.direction.select import Choice, Reason, Rule, Scores
from refusal_tui.jobs.compute import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = "candidate_directions"
SCORES = "all_direction_scores.json"


def save_tensors(folder: Path, extraction: Extraction, choice: Choice) -> list[Path]:
    """`refusal_direction` [width] (where one was found) and `candidate_directions` [positions, blocks, width], float32,
    each as .safetensors and as .pt."""
    tensors = {CANDIDATES: extraction.candidates.float()}
    if choice.pick is not None:
        tensors[KEY] = extraction.candidates[choice.pick.position, choice.pick.layer].float()
    return [path for name, tensor in tensors.items() for path in _both(folder, name, tensor)]


def _both(folder: Path, name: str, tensor: Tensor) -> list[Path]:
    """A copy of its own: torch.save writes the whole storage that a view belongs to."""
    import torch
    from safetensors.torch import save

    tensor = tensor.clone().contiguous()
    buffer = io.BytesIO()
    torch.save(tensor, buffer)
    write_atomically(folder / f"{name}.safetensors", save({name: tensor}))
    write_atomically(folder / f"{name}.pt", buffer.getvalue())
    return [folder / f"{name}.safetensors", folder / f"{name}.pt"]


def save_scores(folder: Path, extraction: Extraction, grid: Mapping[Any, Scores], choice: Choice) -> Path:
    """Every cell with its scores (null: not measured), its reason and its reliability."""
    first = -len(extraction.norms)
    rows = [
        {
            "position": cell.position,
            "layer": cell.layer,
            "ablation_refusal": scores.ablation,
            "steering_refusal": scores.steering,
            "kl_div": scores.kl,
            "reason": choice.reasons[cell].value,
            "norm": extraction.norms[cell.position - first][cell.layer],
            "split_half": extraction.split_half[cell.position - first][cell.layer],
            "bootstrap_floor": extraction.bootstrap_floor[cell.position - first][cell.layer],
            "auroc": extraction.auroc[cell.position - first][cell.layer],
        }
        for cell, scores in sorted(grid.items())
    ]
    return save_json(folder / SCORES, rows)


def save_card(folder: Path, choice: Choice, rule: Rule, grid: Mapping[Any, Scores], facts: Mapping[str, Any]) -> Path:
    """`position` and `layer` (null: none found; also as `pos`, the paper's name), its scores, why the other cells were
    not chosen, and `facts`."""
    pick = choice.pick
    reasons = {reason.value: count for reason in Reason if (count := list(choice.reasons.values()).count(reason))}
    scores = None if pick is None else grid[pick]
    card = {
        "position": pick.position if pick else None,
        "pos": pick.position if pick else None,
        "layer": pick.layer if pick else None,
        "scores": None if scores is None else {s: getattr(scores, s) for s in ("ablation", "steering", "kl")},
        "survivors": len(choice.survivors),
        "reasons": reasons,
        "rule": {"kl_threshold": rule.kl_threshold, "steering_threshold": rule.steering_threshold,
                 "layers_below": rule.first_late_layer},
        **facts,
    }  # fmt: skip
    return save_json(folder / CARD, card)


def save_json(path: Path, value: object) -> Path:
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
    return path


__all__ = ["CANDIDATES", "CARD", "KEY", "SCORES", "TENSORS", "save_card", "save_json", "save_scores", "save_tensors"]
