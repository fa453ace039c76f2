"""What is a direction in weight space? The product of LoRA's factors, per matrix, as a thin SVD.

Every function works on a stack of m matrices of one shape: `up` [m, out, r] (LoRA's B, with the scale in it where it
says so), `down` [m, r, in] (LoRA's A). The product [m, out, in] is never made. Formulas: the reference document of the
experiment, section 4; QR and SVD after Halko, Martinsson and Tropp, SIAM Review 53 (2011), section 5.

A factor by itself is no direction: (R A, B R^-1) is the same update for every invertible R.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Directions:
    """Of each of m matrices, left diag(values) right^T with Frobenius norm 1.

    `left` [m, out, k] and `right` [m, in, k] have orthonormal columns, `values` [m, k] falls. `norms` [m]: the length
    of what the direction was made of. All float64.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    norms: Tensor

    @property
    def rank(self) -> int:
        return int(self.values.shape[-1])

    def cut(self, rank: int) -> Directions:
        """The first `rank` singular directions, again of norm 1. Raises InputError where there are fewer."""
        if not 1 <= rank <= self.rank:
            raise InputError(
                f"These directions have rank {self.rank}; {rank} is asked for.",
                "Ask for fewer, or train the refusal adapter with a larger --rank.",
            )
        values = self.values[:, :rank]
        length = values.norm(dim=-1, keepdim=True)
        return Directions(
            self.left[..., :rank], values / length.clamp(min=_TINY), self.right[..., :rank],
            self.norms * length[:, 0],
        )  # fmt: skip


_TINY = 1e-300
# Larger matrices are looked at through random projections (Halko et al., algorithm 4.4), rank + 16 of them.
_WHOLE_SVD, _MORE, _ROUNDS = 512, 16, 6


def directions_of(up: Tensor, down: Tensor) -> Directions:
    """The unit directions of `up @ down`, in O((out + in) r^2). A product of zeros has values of zero."""
    import torch

    up, down = up.double(), down.double()
    left, left_r = torch.linalg.qr(up)
    right, right_r = torch.linalg.qr(down.transpose(-1, -2))
    inner_left, values, inner_right = torch.linalg.svd(left_r @ right_r.transpose(-1, -2), full_matrices=False)
    norms = values.norm(dim=-1)
    return Directions(
        left @ inner_left, values / norms.clamp(min=_TINY)[:, None], right @ inner_right.transpose(-1, -2), norms
    )


def directions_of_difference(difference: Tensor, rank: int) -> Directions:
    """The first `rank` singular directions of whole matrices [m, out, in]: of a model and what it was before."""
    import torch

    difference = difference.double()
    if min(difference.shape[-2:]) > _WHOLE_SVD:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            left, values, right = torch.svd_lowrank(difference, q=rank + _MORE, niter=_ROUNDS)
    else:
        left, values, right_rows = torch.linalg.svd(difference, full_matrices=False)
        right = right_rows.transpose(-1, -2)
    norms = values.norm(dim=-1)
    whole = Directions(left, values / norms.clamp(min=_TINY)[:, None], right, norms)
    return whole.cut(rank)


def each_alone(of: Directions) -> Directions:
    """Singular directions as k unit directions p_i q_i^T of their own, whatever their singular values; values that are
    nothing but rounding have none."""
    return Directions(of.left, (of.values > 1e-9).to(of.values.dtype), of.right, of.norms)


def random_directions(like: Directions, seed: int, names: tuple[str, ...]) -> Directions:
    """Unit directions without meaning, with the rank and the spectrum of `like`: the control of a constraint.

    Each matrix draws from its own name, so that the draw does not depend on how matrices are stacked.
    """
    import torch

    from refusal_tui.jobs.schedule import stable_seed

    lefts: list[Tensor] = []
    rights: list[Tensor] = []
    for name, left, right in zip(names, like.left, like.right, strict=True):
        chance = torch.Generator().manual_seed(stable_seed(seed, "random direction", name))
        for found, shape in ((lefts, left.shape), (rights, right.shape)):
            drawn = torch.randn(shape, generator=chance, dtype=torch.float64)
            found.append(torch.linalg.qr(drawn)[0])
    return Directions(torch.stack(lefts), like.values.clone(), torch.stack(rights), torch.ones_like(like.norms))


def along(up: Tensor, down: Tensor, of: Directions) -> Tensor:
    """[m] <up @ down, U> in float64: the sum of (up^T P diag(v)) * (down Q), two small matrices."""
    return along_each(up, down, of).sum(dim=-1)


def along_each(up: Tensor, down: Tensor, of: Directions) -> Tensor:
    """[m, k] <up @ down, v_i p_i q_i^T>, in float64."""
    wide = up.transpose(-1, -2).double() @ of.left
    return (wide * (down.double() @ of.right)).sum(dim=-2) * of.values


def squared_norm(up: Tensor, down: Tensor) -> Tensor:
    """[m] the squared Frobenius norm of up @ down, in float64."""
    up, down = up.double(), down.double()
    return ((up.transpose(-1, -2) @ up) * (down @ down.transpose(-1, -2))).sum(dim=(-1, -2)).clamp(min=0.0)


def change(old_up: Tensor, old_down: Tensor, up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of up @ down - old_up @ old_down, of rank 2r: up [m, out, 2r], down [m, 2r, in], in float64.

    Written as (up - old_up) down + old_up (down - old_down): no difference of two large products.
    """
    import torch

    up, down, old_up, old_down = (each.double() for each in (up, down, old_up, old_down))
    return torch.cat([up - old_up, old_up], dim=-1), torch.cat([down, down - old_down], dim=-2)


def cosines(one: Directions, other: Directions) -> Tensor:
    """[m] the cosine between the directions of two runs, matrix by matrix."""
    return along(one.left * one.values[:, None, :], one.right.transpose(-1, -2), other)
