"""How is a step of training kept from moving along a direction? By changing the weights after the step, exactly.

Projecting the gradient does not do it: AdamW scales it per weight, momentum mixes old normals, and weight decay adds
its own (reference document of the experiment, section 5.3). What is corrected here is the step that was really made,
whatever optimiser made it. Pure functions on stacks of matrices, as in `directions.py`; `up` is LoRA's B [m, out, r],
`down` its A [m, r, in], the update of the weight is scale * up @ down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.finetune.directions import Directions, along, change, squared_norm

if TYPE_CHECKING:
    from torch import Tensor

_MOST_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Corrected:
    """`halved` [m]: how often the step of each matrix was halved because no correction of it exists."""

    up: Tensor
    down: Tensor
    halved: Tensor


def correct(
    old_up: Tensor, old_down: Tensor, up: Tensor, down: Tensor, of: Directions, scale: float, target: Tensor
) -> Corrected:
    """The factors after a step, moved so that <scale * up @ down, U> is `target` [m] again (section 5.4).

    The correction goes along the normals at the old point, n_down = s B0^T U and n_up = s U A0^T; the constraint is
    then a quadratic f(t) = c0 - c1 t + c2 t^2, of which the root nearest 0 is taken in its stable form. Where there is
    none, the step of that matrix is halved. The total is constrained, not the step, so that rounding does not add up.
    """
    import torch

    kind = up.dtype
    left, right = of.left * of.values[:, None, :], of.right
    # What the factors share with the direction, [m, r, k] each: all that the quadratic needs. The normals' own shares
    # follow from left^T left = diag(values^2) and right^T right = 1.
    old_a, old_b = old_up.double().transpose(-1, -2) @ left, old_down.double() @ right
    normal_a, normal_b = scale * old_b * of.values.square()[:, None, :], scale * old_a
    normal_up, normal_down = scale * left @ old_b.transpose(-1, -2), scale * old_a @ right.transpose(-1, -2)
    c2 = scale * (normal_a * normal_b).sum(dim=(-1, -2))

    def quadratic(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        c0 = scale * (a * b).sum(dim=(-1, -2)) - target
        return c0, scale * (normal_a * b + a * normal_b).sum(dim=(-1, -2))

    a, b = up.double().transpose(-1, -2) @ left, down.double() @ right
    c0, c1 = quadratic(a, b)
    halved = torch.zeros(len(up), dtype=torch.long, device=up.device)
    for _ in range(_MOST_HALVINGS):
        impossible = c1 * c1 - 4 * c0 * c2 < 0
        if not bool(impossible.any()):
            break
        half = impossible[:, None, None]
        up, down = torch.where(half, (up + old_up) / 2, up), torch.where(half, (down + old_down) / 2, down)
        a, b = torch.where(half, (a + old_a) / 2, a), torch.where(half, (b + old_b) / 2, b)
        halved += impossible
        c0, c1 = quadratic(a, b)
    t = root(c0, c1, c2)[:, None, None]
    up, down = (up.double() - t * normal_up).to(kind), (down.double() - t * normal_down).to(kind)
    return Corrected(_finely(up, down, left, right, scale, target), down, halved)


def _finely(up: Tensor, down: Tensor, left: Tensor, right: Tensor, scale: float, target: Tensor) -> Tensor:
    """What rounding to float32 has left goes into one number of each `up`: of those that the constraint feels most, the
    one nearest to 0, which spells a small change finest. A late step is so short that rounding alone would show."""
    import torch

    b = down.double() @ right
    normal = (scale * left @ b.transpose(-1, -2)).flatten(1)
    left_over = scale * ((up.double().transpose(-1, -2) @ left) * b).sum(dim=(-1, -2)) - target
    felt = normal.abs() >= normal.abs().amax(dim=1, keepdim=True) / 2
    values = up.flatten(1)
    place = torch.where(felt, values.abs(), float("inf")).argmin(dim=1, keepdim=True)
    slope = normal.gather(1, place)
    change_of = torch.where(slope.abs() > 1e-300, left_over[:, None] / slope, torch.zeros_like(slope))
    exact = values.gather(1, place).double() - change_of
    return values.scatter(1, place, exact.to(up.dtype)).reshape(up.shape)


def root(c0: Tensor, c1: Tensor, c2: Tensor) -> Tensor:
    """The root of c0 - c1 t + c2 t^2 nearest to 0, without cancellation; 0 where nothing can be corrected (c1 = 0)."""
    import torch

    sign = torch.where(c1 < 0, -1.0, 1.0).to(c1.dtype)
    below = c1 + sign * (c1 * c1 - 4 * c0 * c2).clamp(min=0.0).sqrt()
    usable = below.abs() > 1e-300
    return torch.where(usable, 2 * c0 / torch.where(usable, below, torch.ones_like(below)), torch.zeros_like(c0))


def blocked(
    up: Tensor, down: Tensor, of: Directions, *, left: bool = True, right: bool = True
) -> tuple[Tensor, Tensor]:
    """The factors without what they write into span(P) (`left`) and read from span(Q) (`right`): B <- (I - P P^T) B,
    A <- A (I - Q Q^T). Linear in one factor each, so exact for any optimiser (section 5.8)."""
    new_up, new_down = up.double(), down.double()
    if left:
        new_up = new_up - of.left @ (of.left.transpose(-1, -2) @ new_up) if _leaves_room(of.left) else new_up * 0
    if right:
        new_down = (
            new_down - (new_down @ of.right) @ of.right.transpose(-1, -2) if _leaves_room(of.right) else new_down * 0
        )
    return new_up.to(up.dtype), new_down.to(down.dtype)


def _leaves_room(basis: Tensor) -> bool:
    """Whether a basis [m, width, k] spans less than all of it; else nothing is left but rounding."""
    return int(basis.shape[-1]) < int(basis.shape[-2])


def without_conflict(gradient: Sequence[Tensor], guard: Sequence[Tensor]) -> tuple[list[Tensor], float]:
    """Gradient surgery (SafeGrad, arXiv 2508.07172; PCGrad): where the task's gradient g conflicts with the one h of
    refusing, <g, h> < 0, g - <g, h>/|h|^2 h; else g itself. Also the cosine of g and h. One inner product over all."""
    import torch

    product = torch.stack([(g.double() * h.double()).sum() for g, h in zip(gradient, guard, strict=True)]).sum()
    own = torch.stack([g.double().square().sum() for g in gradient]).sum()
    length = torch.stack([h.double().square().sum() for h in guard]).sum()
    cosine = float(product / (own * length).sqrt().clamp(min=1e-300))
    if float(product) >= 0 or float(length) == 0:
        return list(gradient), cosine
    share = (product / length).to(gradient[0].dtype)
    return [g - share * h for g, h in zip(gradient, guard, strict=True)], cosine


def as_published(gradient: Tensor, factor: Tensor) -> Tensor:
    """The labelled control: a factor's gradient [m, ...] without its part along the refusal adapter's own factor.

    This is the published method. It depends on the random start of the factors and does not survive AdamW.
    """
    flat, unit = gradient.flatten(1).double(), factor.flatten(1).double()
    unit = unit / unit.norm(dim=1, keepdim=True).clamp(min=1e-300)
    return (flat - (flat * unit).sum(dim=1, keepdim=True) * unit).to(gradient.dtype).reshape(gradient.shape)


@dataclass(frozen=True, slots=True)
class Violation:
    """Of m matrices: `step` |<D, U>|/|D| of the step that was made, `total` |<dW, U>|/|dW| of the whole update (0 where
    nothing moved), `inner` <dW, U> with its sign, `norm` |dW|, `moved` |D|. All [m], float64."""

    step: Tensor
    total: Tensor
    inner: Tensor
    norm: Tensor
    moved: Tensor


def violation(
    old_up: Tensor, old_down: Tensor, up: Tensor, down: Tensor, of: Directions, scale: float, start: Tensor
) -> Violation:
    """How far a step and the whole update lie along the direction; `start` [m] is <dW, U> before the first step."""
    wide_up, wide_down = change(old_up, old_down, up, down)
    moved = scale * squared_norm(wide_up, wide_down).sqrt()
    norm = scale * squared_norm(up, down).sqrt()
    inner = scale * along(up, down, of) - start
    step = (scale * along(wide_up, wide_down, of)).abs() / moved.clamp(min=1e-300)
    return Violation(step, inner.abs() / norm.clamp(min=1e-300), inner, norm, moved)


def outside(up: Tensor, down: Tensor, of: Directions, *, left: bool = True, right: bool = True) -> Tensor:
    """[m] the share of the update |dW| that lies in the blocked subspaces: max of |P^T dW| and |dW Q| over |dW|."""
    norm = squared_norm(up, down).sqrt().clamp(min=1e-300)
    shares = []
    if left:
        shares.append(squared_norm(of.left.transpose(-1, -2) @ up.double(), down).sqrt() / norm)
    if right:
        shares.append(squared_norm(up, down.double() @ of.right).sqrt() / norm)
    largest = shares[0]
    for share in shares[1:]:
        largest = largest.maximum(share)
    return largest
