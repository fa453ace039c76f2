"""Does a stored direction work on another model? Its three scores there, beside those of that model's own direction.

Two models of one width need not share their basis: a cosine near zero and no effect are the ordinary outcome for
unrelated ones. Fine-tunes of one base, or a text model and the vision-language model made of it, do share it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.apply import TENSORS, Direction
from refusal_tui.direction.score import Scorer, unit
from refusal_tui.direction.select import Cell, Scores
from refusal_tui.errors import InputError
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.jobs import get_job

if TYPE_CHECKING:
    from torch import Tensor

FILE = "transfer.json"


@dataclass(frozen=True, slots=True)
class Transfer:
    """source: the run or folder of the stored direction; model, position, layer, layers, norm: where it was found.
    applied_at: the layer here, at the same depth. ablation, steering, kl: its scores here, and `cosine` with the
    direction that this model has of its own (`own`: its place, norm and scores; both None: it has none). closest: the
    candidate here that points most nearly the same way."""

    source: str
    model: str
    position: int
    layer: int
    layers: int
    norm: float
    applied_at: int
    ablation: float
    steering: float
    kl: float
    cosine: float | None
    own: dict[str, float] | None
    closest: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def require_direction(connection: sqlite3.Connection, source: str) -> None:
    """Raises InputError when `source` is the number of a job that found no direction, or of none at all."""
    if not source.isdigit():
        return
    job = get_job(connection, int(source))
    if job.state.active:
        raise InputError(f"Job {job.id} has not ended yet.", f"Wait for it: refusal-tui jobs watch {job.id}")
    if TENSORS not in {Path(artifact.path).name for artifact in list_artifacts(connection, job.id)}:
        raise InputError(
            f"Job {job.id} ({job.kind}) has found no direction.", "See what runs have found: refusal-tui direction list"
        )


def folder_of(artifacts: Path, source: str) -> Path:
    """`source`: the number of a job of this workspace, or a folder."""
    return artifacts / f"job-{source}" if source.isdigit() else Path(source)


def try_stored(
    scorer: Scorer,
    direction: Direction,
    source: str,
    candidates: Tensor,
    pick: Cell | None,
    grid: Mapping[Cell, Scores],
) -> Transfer:
    """`candidates` [positions, blocks, width] and `pick` of the model that `scorer` runs."""
    anatomy = scorer.passes.anatomy
    vector = direction.vector.double()
    layers = int(direction.card.get("anatomy", {}).get("layers") or anatomy.n_layers)
    applied_at = min(anatomy.n_layers - 1, round(direction.layer * anatomy.n_layers / layers))
    units = unit(candidates.double())
    cosines = units @ unit(vector[None])[0]
    closest = Cell(*divmod(int(cosines.argmax()), cosines.shape[1]))
    return Transfer(
        source=source,
        model=str(direction.card.get("model", "")),
        position=direction.position,
        layer=direction.layer,
        layers=layers,
        norm=float(vector.norm()),
        applied_at=applied_at,
        ablation=float(scorer.ablation(vector[None]).mean()),
        steering=float(scorer.steering(applied_at, vector[None]).mean()),
        kl=float(scorer.kl(vector[None]).mean()),
        cosine=None if pick is None else float(cosines[pick.position, pick.layer]),
        own=None if pick is None else _own(candidates, pick, grid[pick]),
        closest={
            "position": closest.position - cosines.shape[0], "layer": closest.layer,
            "cosine": float(cosines[closest.position, closest.layer]),
        },
    )  # fmt: skip


def _own(candidates: Tensor, pick: Cell, scores: Scores) -> dict[str, float]:
    assert scores.ablation is not None and scores.steering is not None and scores.kl is not None
    norm = float(candidates[pick.position, pick.layer].norm())
    return {
        "position": pick.position, "layer": pick.layer, "norm": norm, "ablation": scores.ablation,
        "steering": scores.steering, "kl": scores.kl,
    }  # fmt: skip
