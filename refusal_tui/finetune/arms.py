"""What does each arm do to a step of training? Nothing, to the gradient, or to the weights after the step.

The question is the orthogonal arm; the random arms take as much away without meaning, so that what they cost or protect
is no merit of the direction. `published` is the method as it was coded, kept as a labelled control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from refusal_tui.errors import InputError
from refusal_tui.finetune.directions import Directions, along, each_alone, random_directions
from refusal_tui.finetune.factors import Factors, Stack
from refusal_tui.finetune.projection import (
    Motion,
    Violation,
    as_published,
    blocked,
    correct,
    correct_upper,
    motion,
    outside,
    violation,
    violation_of_each,
)

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
    # Further modes and controls, not among the defaults.
    SINGULAR = "singular"
    RANDOM_SINGULAR = "random-singular"
    FROZEN = "frozen"
    RANDOM_FROZEN = "random-frozen"
    ONE_SIDED = "one-sided"
    METRIC = "metric"
    PUBLISHED = "published"

    @property
    def rule(self) -> Arm:
        """The arm whose constraint this one obeys: of a control with random directions, what it is the control of."""
        return _RULES.get(self, self)

    @property
    def exact(self) -> bool:
        """Whether it has a constraint that must hold at every step."""
        return self.rule not in {Arm.VANILLA, Arm.SURGERY, Arm.PUBLISHED}


_RULES = {
    Arm.RANDOM: Arm.ORTHOGONAL,
    Arm.RANDOM_SUBSPACE: Arm.SUBSPACE,
    Arm.RANDOM_SINGULAR: Arm.SINGULAR,
    Arm.RANDOM_FROZEN: Arm.FROZEN,
}
# Which arm takes as much away without meaning. One-sided and metric take one dimension, as the orthogonal arm does.
CONTROLS: Mapping[str, Arm] = {
    Arm.ORTHOGONAL: Arm.RANDOM,
    Arm.ONE_SIDED: Arm.RANDOM,
    Arm.METRIC: Arm.RANDOM,
    Arm.SINGULAR: Arm.RANDOM_SINGULAR,
    Arm.FROZEN: Arm.RANDOM_FROZEN,
    Arm.SUBSPACE: Arm.RANDOM_SUBSPACE,
}
DEFAULT_ARMS = (Arm.VANILLA, Arm.ORTHOGONAL, Arm.SUBSPACE, Arm.SURGERY, Arm.RANDOM, Arm.RANDOM_SUBSPACE)

WORDS: Mapping[Arm, str] = {
    Arm.VANILLA: "no constraint",
    Arm.ORTHOGONAL: "the update keeps at right angles to the refusal direction, exactly, after every step",
    Arm.SUBSPACE: "the update neither writes into nor reads from the first dimensions of the refusal directions",
    Arm.SURGERY: "what of a gradient conflicts with refusing is taken out, and refusing is learnt beside the task",
    Arm.RANDOM: "control: the orthogonal arm's constraint with a random direction",
    Arm.RANDOM_SUBSPACE: "control: the subspace arm's block with random dimensions",
    Arm.SINGULAR: "the update keeps at right angles to each of the first singular directions of refusing by itself",
    Arm.RANDOM_SINGULAR: "control: the singular arm's constraints with as many random directions",
    Arm.FROZEN: "A is not trained, so that the orthogonal arm's constraint is linear in B",
    Arm.RANDOM_FROZEN: "control: A is not trained, B keeps at right angles to a random direction",
    Arm.ONE_SIDED: "no step moves away from the refusal direction; towards it each may",
    Arm.METRIC: "the orthogonal arm's constraint, corrected along the shortest way as AdamW measures",
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
        if self.arm.rule is Arm.FROZEN:  # or the gradient's length is clipped by what is not trained
            for stack in factors.stacks:
                assert stack.down.grad is not None
                stack.down.grad.zero_()

    def after(
        self,
        factors: Factors,
        old: Sequence[tuple[Tensor, Tensor]],
        metric: Callable[[Tensor], Tensor] | None = None,
    ) -> int:
        """To the weights, after it; how many matrices had their step halved. `metric`: the optimiser's preconditioner
        of a parameter, for the metric arm."""
        halved = 0
        if not self.arm.exact:
            return halved
        for stack, (old_up, old_down), of in zip(factors.stacks, old, self.own, strict=True):
            own_metric = None
            if self.arm is Arm.METRIC:
                assert metric is not None
                own_metric = metric(stack.up), metric(stack.down)
            up, down, count = self._kept(stack, old_up, old_down, of, own_metric)
            stack.up.copy_(up)
            stack.down.copy_(down)
            halved += count
        return halved

    def _kept(
        self, stack: Stack, old_up: Tensor, old_down: Tensor, of: Directions, metric: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, int]:
        """The factors of a stack as the arm's constraint wants them, and how many steps were halved."""
        rule = self.arm.rule
        if rule is Arm.SUBSPACE:
            left, right = self.sides != "right", self.sides != "left"
            return *blocked(stack.up, stack.down, of, left=left, right=right), 0
        if rule is Arm.FROZEN:
            return correct_upper(stack.up, old_down, of, self.scale), old_down, 0
        target = of.norms.new_zeros(len(stack.names))  # a fresh adapter starts at <dW, U> = 0
        if rule is Arm.ONE_SIDED:  # what a step has gained stays
            target = self.scale * along(old_up, old_down, of).maximum(along(stack.up, stack.down, of))
        done = correct(
            old_up, old_down, stack.up, stack.down, of, self.scale, target, each=rule is Arm.SINGULAR, metric=metric
        )
        return done.up, done.down, int(done.halved.sum())

    def measure(self, factors: Factors, old: Sequence[tuple[Tensor, Tensor]]) -> Invariants:
        """What the step has done, over all matrices."""
        import torch

        lines = []
        for stack, (old_up, old_down), refusal, of in zip(factors.stacks, old, self.refusal, self.own, strict=True):
            done = motion(old_up, old_down, stack.up, stack.down, self.scale)
            real = violation(refusal, done, self.scale)
            own = self._violated(stack, of, done, real)
            lines.append(torch.stack([own.step, own.total, real.inner, done.norm, done.moved]))
        step, total, inner, norm, moved = torch.cat(lines, dim=1)
        relative = inner / norm.clamp(min=1e-300)
        figures = torch.stack(
            [step.max(), total.max(), relative.mean(), relative.abs().max(), norm.norm(), moved.norm()]
        ).tolist()
        worst, of_all, mean, most, length, way = figures
        return Invariants(worst, of_all, mean, most, length, way, relative)

    def _violated(self, stack: Stack, of: Directions, done: Motion, real: Violation) -> Violation:
        """How far the step is from what this arm promises; of an arm that promises nothing, how far it goes along the
        refusal direction."""
        match self.arm.rule:
            case Arm.SUBSPACE:  # the share of the update inside the block: a step cannot leave what the total keeps
                left, right = self.sides != "right", self.sides != "left"
                share = outside(stack.up, stack.down, of, left=left, right=right)
                return Violation(share, share, real.inner)
            case Arm.SINGULAR:
                return violation_of_each(of, done, self.scale)
            case Arm.ONE_SIDED:
                return violation(of, done, self.scale, one_sided=True)
            case _:
                return real if self.arm.rule is self.arm else violation(of, done, self.scale)


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
    """The constraint of an arm. `rank`: dimensions per side that the subspace arms block, directions of the singular
    arms. Raises InputError."""
    several = arm.rule in {Arm.SUBSPACE, Arm.SINGULAR}
    own = [of.cut(rank) for of in refusal] if several else list(refusal)
    if arm.rule is Arm.SINGULAR:
        own = [each_alone(of) for of in own]
    if arm.rule is not arm:
        own = [
            _on(random_directions(of, seed, stack.names), stack.up.device)
            for of, stack in zip(own, factors.stacks, strict=True)
        ]
    if several:
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
