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

from refusal_tui.finetune.directions import Directions, along, along_each, change, squared_norm

if TYPE_CHECKING:
    from torch import Tensor

_MOST_HALVINGS = 60
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Corrected:
    """`halved` [m]: how often the step of each matrix was halved because no correction of it exists."""

    up: Tensor
    down: Tensor
    halved: Tensor


def correct(
    old_up: Tensor,
    old_down: Tensor,
    up: Tensor,
    down: Tensor,
    of: Directions,
    scale: float,
    target: Tensor,
    *,
    each: bool = False,
    metric: tuple[Tensor, Tensor] | None = None,
) -> Corrected:
    """The factors after a step, moved so that <scale * up @ down, U> is `target` [m] again (section 5.4).

    The correction goes along the normals at the old point, n_down = s B0^T U and n_up = s U A0^T; the constraint is
    then a quadratic f(t) = c0 - c1 t + c2 t^2, of which the root nearest 0 is taken in its stable form. Where there is
    none, the step of that matrix is halved. The total is constrained, not the step, so that rounding does not add up.

    `each` (5.7): every singular direction v_i p_i q_i^T is a constraint of its own. Their k x k Gram system is
    diagonal, because p and q are orthonormal: moving along one normal leaves the other inner products alone, and k
    quadratics in closed form take the place of Newton's iteration. `metric` (5.5), for one direction: the optimiser's
    preconditioner P of `up` and `down`; the correction goes along P n, the shortest one as the optimiser measures.
    """
    import torch

    wide_up, wide_down, weight = up.double(), down.double(), (scale * of.values)[:, None, :]
    old_a, old_b = shares(old_up.double(), old_down.double(), of, weight)
    if metric is None:  # the shares of the normals follow from p and q being orthonormal
        normal_a, normal_b = old_b, old_a * weight.square()
    else:
        normal_up = metric[0] * (of.left @ old_b.transpose(-1, -2))
        normal_down = metric[1] * ((old_a * weight) @ of.right.transpose(-1, -2))
        normal_a, normal_b = shares(normal_up, normal_down, of, weight)

    def inner(a: Tensor, b: Tensor) -> Tensor:
        """[m, k] with each of the directions, or [m, 1] with their sum."""
        return (a * b).sum(dim=-2) if each else (a * b).sum(dim=(-1, -2))[:, None]

    def quadratic(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return inner(a, b) - target[:, None], inner(normal_a, b) + inner(a, normal_b)

    c2 = inner(normal_a, normal_b)
    a, b = shares(wide_up, wide_down, of, weight)
    c0, c1 = quadratic(a, b)
    halved = torch.zeros(len(up), dtype=torch.long, device=up.device)
    for _ in range(_MOST_HALVINGS):
        impossible = (c1 * c1 - 4 * c0 * c2 < 0).any(dim=-1)
        if not bool(impossible.any()):
            break
        half = impossible[:, None, None]
        wide_up = torch.where(half, (wide_up + old_up) / 2, wide_up)
        wide_down = torch.where(half, (wide_down + old_down) / 2, wide_down)
        a, b = torch.where(half, (a + old_a) / 2, a), torch.where(half, (b + old_b) / 2, b)
        halved += impossible
        c0, c1 = quadratic(a, b)
    t = root(c0, c1, c2)[:, None, :]
    if metric is None:
        new_up = wide_up.baddbmm(of.left, (t * old_b).transpose(-1, -2), alpha=-1)
        new_down = wide_down.baddbmm(t * weight * old_a, of.right.transpose(-1, -2), alpha=-1)
    else:
        new_up, new_down = wide_up - t * normal_up, wide_down - t * normal_down
    new_up, new_down = new_up.to(up.dtype), new_down.to(down.dtype)
    finely = _finely_each if each else _finely
    return Corrected(finely(new_up, new_down, of, weight, target), new_down, halved)


def correct_upper(up: Tensor, down: Tensor, of: Directions, scale: float) -> Tensor:
    """`up` after a step with a frozen `down` (section 5.6): B - <B, n_B>/|n_B|^2 n_B with the constant n_B = s U A^T,
    so that <scale * up @ down, U> is 0. Linear, and always possible."""
    weight = (scale * of.values)[:, None, :]
    _, b = shares(up.double(), down.double(), of, weight)
    normal = of.left @ b.transpose(-1, -2)
    share = (up * normal).sum(dim=(-1, -2)) / normal.square().sum(dim=(-1, -2)).clamp(min=_TINY)
    new_up = (up - share[:, None, None] * normal).to(up.dtype)
    return _finely(new_up, down, of, weight, share.new_zeros(len(share)))


def _finely(up: Tensor, down: Tensor, of: Directions, weight: Tensor, target: Tensor) -> Tensor:
    """What rounding to float32 has left goes into one number of each `up`, one near to 0, which spells a small change
    finely. A late step is so short that rounding alone would show."""
    import torch

    a, b = shares(up.double(), down.double(), of, weight)
    left_over = (a * b).sum(dim=(-1, -2)) - target
    normal = (of.left @ b.transpose(-1, -2)).flatten(1)
    values = up.flatten(1)
    place = _finest(values, normal.abs(), 1)
    slope = normal.gather(1, place)
    change_of = torch.where(slope.abs() > _TINY, left_over[:, None] / slope, 0.0)
    exact = values.gather(1, place) - change_of
    return values.scatter(1, place, exact.to(up.dtype)).reshape(up.shape)


def _finely_each(up: Tensor, down: Tensor, of: Directions, weight: Tensor, target: Tensor) -> Tensor:
    """The same with k directions at once: k numbers take what k constraints have left."""
    import torch

    a, b = shares(up.double(), down.double(), of, weight)
    left_over = (a * b).sum(dim=-2) - target[:, None]
    felt = (of.left.square() @ b.square().transpose(-1, -2)).sqrt().flatten(1)
    values = up.flatten(1)
    places = _finest(values, felt, min(of.rank, values.shape[1]))
    every = torch.arange(len(up), device=up.device)[:, None]
    slopes = of.left[every, places // up.shape[-1]] * b[every, places % up.shape[-1]]  # [m, places, k]
    gram = slopes.transpose(-1, -2) @ slopes
    firm = 1e-9 * gram.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[:, None, None] + _TINY  # also where a direction is none
    gram = gram + firm * torch.eye(of.rank, dtype=gram.dtype, device=gram.device)
    change_of = (slopes @ torch.linalg.solve(gram, left_over[..., None]))[..., 0]
    exact = values.gather(1, places) - change_of
    return values.scatter(1, places, exact.to(up.dtype)).reshape(up.shape)


def _finest(values: Tensor, felt: Tensor, count: int) -> Tensor:
    """[m, count] places of numbers that are near to 0, for how much the constraint feels them."""
    coarse = values.abs() / felt.clamp(min=_TINY)
    return coarse.argmin(dim=1, keepdim=True) if count == 1 else coarse.topk(count, dim=1, largest=False).indices


def shares(up: Tensor, down: Tensor, of: Directions, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What factors share with a direction, up^T P and down Q diag(weight), [m, r, k] each, in float64 as the factors
    should be. With `weight` scale * values the sum of their product is the inner product of the update with it."""
    return up.transpose(-1, -2) @ of.left, (down @ of.right) * weight


def root(c0: Tensor, c1: Tensor, c2: Tensor) -> Tensor:
    """The root of c0 - c1 t + c2 t^2 nearest to 0, without cancellation, 2 c0 / (c1 + sgn(c1) sqrt(c1^2 - 4 c0 c2)); 0
    where nothing can be corrected (c1 = 0)."""
    import torch

    below = c1 + (c1 * c1 - 4 * c0 * c2).clamp(min=0.0).sqrt().copysign(c1)
    return torch.where(below.abs() > _TINY, 2 * c0 / below, 0.0)


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
    cosine = float(product / (own * length).sqrt().clamp(min=_TINY))
    if float(product) >= 0 or float(length) == 0:
        return list(gradient), cosine
    share = (product / length).to(gradient[0].dtype)
    return [g - share * h for g, h in zip(gradient, guard, strict=True)], cosine


def as_published(gradient: Tensor, factor: Tensor) -> Tensor:
    """The labelled control: a factor's gradient [m, ...] without its part along the refusal adapter's own factor.

    This is the published method. It depends on the random start of the factors and does not survive AdamW.
    """
    flat, unit = gradient.flatten(1).double(), factor.flatten(1).double()
    unit = unit / unit.norm(dim=1, keepdim=True).clamp(min=_TINY)
    return (flat - (flat * unit).sum(dim=1, keepdim=True) * unit).to(gradient.dtype).reshape(gradient.shape)


@dataclass(frozen=True, slots=True)
class Motion:
    """What a step has done to m matrices: the new factors, those of the change D (rank 2r), in float64; `norm` [m] |dW|
    of the whole update and `moved` [m] |D|."""

    up: Tensor
    down: Tensor
    wide_up: Tensor
    wide_down: Tensor
    norm: Tensor
    moved: Tensor


def motion(old_up: Tensor, old_down: Tensor, up: Tensor, down: Tensor, scale: float) -> Motion:
    up, down = up.double(), down.double()
    wide_up, wide_down = change(old_up, old_down, up, down)
    norm, moved = squared_norm(up, down).sqrt(), squared_norm(wide_up, wide_down).sqrt()
    return Motion(up, down, wide_up, wide_down, scale * norm, scale * moved)


@dataclass(frozen=True, slots=True)
class Violation:
    """Of m matrices: `step` |<D, U>|/|D| of the step that was made, `total` |<dW, U>|/|dW| of the whole update (0 where
    nothing moved), `inner` <dW, U> with its sign. All [m], float64."""

    step: Tensor
    total: Tensor
    inner: Tensor


def violation(of: Directions, done: Motion, scale: float, *, one_sided: bool = False) -> Violation:
    """How far a step and the whole update lie along the direction; `one_sided`: only what points away from it."""
    step = scale * along(done.wide_up, done.wide_down, of)
    inner = scale * along(done.up, done.down, of)
    away, astray = (-step, -inner) if one_sided else (step.abs(), inner.abs())
    return Violation(
        away.clamp(min=0.0) / done.moved.clamp(min=_TINY), astray.clamp(min=0.0) / done.norm.clamp(min=_TINY), inner
    )


def violation_of_each(of: Directions, done: Motion, scale: float) -> Violation:
    """The same of k directions at once: of that one which is violated most."""
    step = scale * along_each(done.wide_up, done.wide_down, of).abs().amax(dim=-1)
    inner = scale * along_each(done.up, done.down, of).abs().amax(dim=-1)
    return Violation(step / done.moved.clamp(min=_TINY), inner / done.norm.clamp(min=_TINY), inner)


def outside(up: Tensor, down: Tensor, of: Directions, *, left: bool = True, right: bool = True) -> Tensor:
    """[m] the share of the update |dW| that lies in the blocked subspaces: max of |P^T dW| and |dW Q| over |dW|."""
    norm = squared_norm(up, down).sqrt().clamp(min=_TINY)
    shares = []
    if left:
        shares.append(squared_norm(of.left.transpose(-1, -2) @ up.double(), down).sqrt() / norm)
    if right:
        shares.append(squared_norm(up, down.double() @ of.right).sqrt() / norm)
    largest = shares[0]
    for share in shares[1:]:
        largest = largest.maximum(share)
    return largest
