"""What does each arm do to a step of training? Nothing, to the gradient, or to the weights after the step.

The question is the orthogonal arm; the random arms take as much away without meaning, so that what they cost or protect
is no merit of the direction. `published` is the method as it was coded, kept as a labelled control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from refusal_tui.errors import InputError
from refusal_tui.finetune.directions import Directions, random_directions
from refusal_tui.finetune.factors import Factors, Stack
from refusal_tui.finetune.projection import Violation, as_published, blocked, correct, outside, violation

if TYPE_CHECKING:
    from torch import Tensor

Sides = Literal["both", "left", "right"]


class Arm(StrEnum):
    VANILLA = "vanilla"
    ORTHOGONAL = "orthogonal"
    SUBSPACE = "subspace"
    SURGERY = "surgery"
    RANDOM = "random"
    RANDOM_SUBSPACE = "random-subspace"
    PUBLISHED = "published"

    @property
    def control_of(self) -> Arm | None:
        """Of which arm this is the control: the same constraint without meaning."""
        return {Arm.RANDOM: Arm.ORTHOGONAL, Arm.RANDOM_SUBSPACE: Arm.SUBSPACE}.get(self)

    @property
    def blocks(self) -> bool:
        return self in {Arm.SUBSPACE, Arm.RANDOM_SUBSPACE}

    @property
    def corrects(self) -> bool:
        return self in {Arm.ORTHOGONAL, Arm.RANDOM}


WORDS: Mapping[Arm, str] = {
    Arm.VANILLA: "no constraint",
    Arm.ORTHOGONAL: "the update keeps at right angles to the refusal direction, exactly, after every step",
    Arm.SUBSPACE: "the update neither writes into nor reads from the first dimensions of the refusal directions",
    Arm.SURGERY: "what of a gradient conflicts with refusing is taken out, and refusing is learnt beside the task",
    Arm.RANDOM: "control: the orthogonal arm's constraint with a random direction",
    Arm.RANDOM_SUBSPACE: "control: the subspace arm's block with random dimensions",
    Arm.PUBLISHED: "control: gradients projected factor by factor, as published; does not hold under AdamW",
}


def parse_arms(text: str) -> tuple[Arm, ...]:
    """Comma-separated arms; vanilla, which the others are compared with, always comes first. Raises InputError.

    >>> parse_arms("orthogonal, random")
    (<Arm.VANILLA: 'vanilla'>, <Arm.ORTHOGONAL: 'orthogonal'>, <Arm.RANDOM: 'random'>)
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name not in set(Arm)]
    if unknown or not names:
        raise InputError(
            f"There is no arm {unknown[0]!r}." if unknown else "No arm is named.", f"Name some of: {', '.join(Arm)}."
        )
    return tuple(dict.fromkeys([Arm.VANILLA, *map(Arm, names)]))


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an arm does with its stacks. `refusal`: the refusal directions, one per stack, which are measured in every
    arm; `own`: the directions that this arm obeys; `published`: the refusal adapter's own factors by stack."""

    arm: Arm
    scale: float
    refusal: Sequence[Directions]
    own: Sequence[Directions]
    sides: Sides = "both"
    published: Sequence[tuple[Tensor, Tensor]] = ()

    def before(self, factors: Factors) -> None:
        """To the gradients, before the optimiser's step."""
        if self.arm is Arm.PUBLISHED:
            for stack, (up, down) in zip(factors.stacks, self.published, strict=True):
                assert stack.up.grad is not None and stack.down.grad is not None
                stack.up.grad.copy_(as_published(stack.up.grad, up))
                stack.down.grad.copy_(as_published(stack.down.grad, down))

    def after(self, factors: Factors, old: Sequence[tuple[Tensor, Tensor]]) -> int:
        """To the weights, after it; how many matrices had their step halved."""
        halved = 0
        if not (self.arm.corrects or self.arm.blocks):
            return halved
        for stack, (old_up, old_down), of in zip(factors.stacks, old, self.own, strict=True):
            if self.arm.blocks:
                up, down = blocked(stack.up, stack.down, of, left=self.sides != "right", right=self.sides != "left")
            else:
                target = of.norms.new_zeros(len(stack.names))  # a fresh adapter starts at <dW, U> = 0
                done = correct(old_up, old_down, stack.up, stack.down, of, self.scale, target)
                up, down, halved = done.up, done.down, halved + int(done.halved.sum())
            stack.up.copy_(up)
            stack.down.copy_(down)
        return halved

    def measure(self, factors: Factors, old: Sequence[tuple[Tensor, Tensor]]) -> Invariants:
        """What the step has done, over all matrices."""
        import torch

        real, own = [], []
        for stack, (old_up, old_down), refusal, of in zip(factors.stacks, old, self.refusal, self.own, strict=True):
            start = refusal.norms.new_zeros(len(stack.names))
            found = violation(old_up, old_down, stack.up, stack.down, refusal, self.scale, start)
            real.append(found)
            if self.arm is Arm.RANDOM:
                own.append(violation(old_up, old_down, stack.up, stack.down, of, self.scale, start))
            elif self.arm.blocks:
                own.append(_blocked(stack, of, found, self.sides))
            else:
                own.append(found)
        joined = {
            name: torch.cat([getattr(each, field) for each in source])
            for name, source, field in (
                ("step", own, "step"), ("total", own, "total"), ("inner", real, "inner"), ("norm", real, "norm"),
                ("moved", real, "moved"),
            )
        }  # fmt: skip
        relative = joined["inner"] / joined["norm"].clamp(min=1e-300)
        figures = torch.stack(
            [joined["step"].max(), joined["total"].max(), relative.mean(), relative.abs().max(),
             joined["norm"].square().sum().sqrt(), joined["moved"].square().sum().sqrt()]
        ).tolist()  # fmt: skip
        step, total, mean, most, norm, moved = figures
        return Invariants(step, total, mean, most, norm, moved, relative)


def _blocked(stack: Stack, of: Directions, found: Violation, sides: Sides) -> Violation:
    """For a block both figures are the share of the update inside it: the step cannot leave what the total keeps."""
    share = outside(stack.up, stack.down, of, left=sides != "right", right=sides != "left")
    return Violation(share, share, found.inner, found.norm, found.moved)


@dataclass(frozen=True, slots=True)
class Invariants:
    """Of all matrices together. `step` and `total`: how far the arm's own constraint is violated, relative, in the
    worst matrix; of an arm without one, how far it goes along the refusal direction. `inner`: <dW, U>/|dW| with the
    refusal direction, the mean with its sign, and `inner_most` the largest without. `norm` |dW|, `moved` the length of
    the last step. `by_matrix` [matrices]: `inner` of each."""

    step: float
    total: float
    inner: float
    inner_most: float
    norm: float
    moved: float
    by_matrix: Tensor


def constraint_of(
    arm: Arm,
    factors: Factors,
    refusal: Sequence[Directions],
    *,
    rank: int,
    sides: Sides,
    seed: int,
    published: Sequence[tuple[Tensor, Tensor]] = (),
) -> Constraint:
    """The constraint of an arm. `rank`: dimensions per side that the subspace arms block. Raises InputError."""
    own = [of.cut(rank) for of in refusal] if arm.blocks else list(refusal)
    if arm.control_of is not None:
        own = [
            _on(random_directions(of, seed, stack.names), stack.up.device)
            for of, stack in zip(own, factors.stacks, strict=True)
        ]
    if arm.blocks:
        own = [_where_there_is_one(mine, of) for mine, of in zip(own, refusal, strict=True)]
    if arm is Arm.PUBLISHED and not published:
        raise InputError(
            "The published arm needs the refusal adapter's own factors, of the same rank.",
            "Name a refusal adapter that was trained with this --rank, or leave the arm out.",
        )
    return Constraint(arm, factors.scale, refusal, own, sides, published)


def _where_there_is_one(own: Directions, refusal: Directions) -> Directions:
    """A matrix that has learnt nothing of refusing has no dimensions to block, in the arm and in its control."""
    real = (refusal.norms > 0).to(own.left.dtype)[:, None, None]
    return Directions(own.left * real, own.values, own.right * real, own.norms)


def _on(of: Directions, device: object) -> Directions:
    return Directions(of.left.to(device), of.values.to(device), of.right.to(device), of.norms.to(device))
