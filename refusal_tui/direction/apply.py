"""A refusal direction, and how a program of yours uses it on a model: `with direction.apply(model, mode="ablate"):`.

    direction = load_direction("artifacts/job-7")
    with direction.apply(model, mode="ablate"):
        model.generate(...)                      # does not refuse
    with direction.apply(model, mode="add", coefficient=1.0):
        model.generate(...)                      # refuses

Weights are never changed; when the block ends, also by an exception, the model is what it was, to the bit.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from refusal_tui.direction.anatomy import Anatomy, Mode, study
from refusal_tui.direction.intervene import Rows, intervene
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, CARD, KEY = "refusal_direction.safetensors", "direction_metadata.json", "refusal_direction"

_studied: weakref.WeakKeyDictionary[Any, Anatomy] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Direction:
    """`vector` [width]: the difference of means as it is, not normalised. `layer`: the block whose input it was taken
    at. `position`: at which token, from the end (-1: the last)."""

    vector: Tensor
    layer: int
    position: int
    hook_points: Mode = "exact"
    card: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def apply(
        self,
        model: Any,
        mode: Literal["ablate", "add"] = "ablate",
        coefficient: float = 1.0,
        *,
        anatomy: Anatomy | None = None,
    ) -> Iterator[None]:
        """Change what `model` computes, inside the `with` block alone.

        mode "ablate": project the direction out of the residual stream everywhere (`coefficient` 1: all, 0: nothing).
        mode "add": add `coefficient` times the vector at the input of its block, at every token.
        Raises InputError when the model has another width or too few layers.
        """
        known = anatomy or _studied.get(model)
        if known is None:
            known = _studied[model] = study(model)
        self.require_fit(known)
        vector = self.vector.double()
        if mode == "ablate":
            # x - (x·s)s with |s|² = coefficient removes that share of the component.
            if not 0 <= coefficient <= 1:
                raise InputError("The share to ablate lies between 0 and 1.", 'For more, use mode="add".')
            rows = Rows(ablate=(vector / vector.norm().clamp_min(1e-8) * coefficient**0.5)[None].float())
        else:
            rows = Rows(add={self.layer: (coefficient * vector)[None].float()})
        with intervene(known.points(self.hook_points), rows):
            yield

    def require_width(self, anatomy: Anatomy) -> None:
        """Raises InputError when the residual stream of a model is wider or narrower than the direction."""
        width = int(self.vector.shape[0])
        if width != anatomy.width:
            raise InputError(
                f"The direction has {width} numbers, the residual stream of this model {anatomy.width}.",
                "Use a direction of this model, or of one of the same width.",
            )

    def require_fit(self, anatomy: Anatomy) -> None:
        """Raises InputError when the direction is none of this model's streams."""
        self.require_width(anatomy)
        if self.layer >= anatomy.n_layers:
            raise InputError(
                f"The direction belongs to layer {self.layer}; this model has {anatomy.n_layers} layers.",
                "Use a direction of this model.",
            )


def load_direction(folder: str | Path) -> Direction:
    """What a `direction` job has written. Raises InputError when the folder holds none."""
    from safetensors.torch import load_file

    path = Path(folder)
    try:
        card = json.loads((path / CARD).read_text())
        if card["pos"] is None:
            raise InputError(f"The run in {path} found no direction.", "Its reasons are in all_direction_scores.json.")
        vector = load_file(path / TENSORS)[KEY]
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} holds no refusal direction ({error}).", "Name the artifact folder of a run."
        ) from error
    return Direction(vector, int(card["layer"]), int(card["pos"]), card.get("mode", "exact"), card)
