"""Does the constraint hold after every step of any optimiser, and does what was published not hold?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch

from refusal_tui.finetune.directions import Directions, along, directions_of, each_alone, random_directions
from refusal_tui.finetune.projection import (
    Motion,
    Violation,
    as_published,
    blocked,
    correct,
    correct_upper,
    motion,
    outside,
    root,
    violation,
    violation_of_each,
    without_conflict,
)

M, OUT, IN, RANK, SCALE = 3, 24, 20, 4, 2.0
PER_STEP, IN_TOTAL = 1e-5, 1e-6


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole(of: Directions) -> torch.Tensor:
    return of.left * of.values[:, None, :] @ of.right.transpose(-1, -2)


class Lion(torch.optim.Optimizer):
    """Sign of a momentum (Chen et al. 2023), with decoupled weight decay: a third kind of step."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * (0.9 * momentum + 0.1 * p.grad).sign())
                momentum.mul_(0.99).add_(p.grad, alpha=0.01)


OPTIMISERS: dict[str, Callable[[list[torch.Tensor]], torch.optim.Optimizer]] = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.01),
    "lion": lambda p: Lion(p, lr=1e-3, weight_decay=0.1),
}


Factors = tuple[torch.Tensor, torch.Tensor]
After = Callable[[torch.optim.Optimizer, Factors, Factors], Factors]


@dataclass(frozen=True)
class Learnt:
    """The worst violation of a step and of the whole update at any step, the last loss, the factors."""

    step: float
    total: float
    loss: float
    up: torch.Tensor
    down: torch.Tensor


def trained(
    optimiser: str,
    of: Directions,
    after: After | None,
    *,
    steps: int = 60,
    gradient: Callable[[Factors, Factors], Factors] | None = None,
    measured: Callable[[Directions, Motion, float], Violation] = violation,
    rate: float | None = None,
    along_it: float = 5,
    goal: Directions | None = None,
) -> Learnt:
    """Factors that learn to be a matrix with much of the direction in it (`along_it`; below 0: of its opposite), or of
    `goal`. `gradient` sees the factors and their gradients, `after` the optimiser, the old and the new factors."""
    wanted = drawn(10, M, OUT, IN) + along_it * whole(of if goal is None else goal).float()
    up = torch.zeros(M, OUT, RANK, requires_grad=True)
    down = (drawn(11, M, RANK, IN) / IN**0.5).requires_grad_()
    step_by = OPTIMISERS[optimiser]([up, down])
    for group in step_by.param_groups:
        group["lr"] = group["lr"] if rate is None else rate
    worst = worst_total = loss = 0.0
    for _ in range(steps):
        step_by.zero_grad()
        error = (SCALE * up @ down - wanted).square().mean()
        error.backward()
        loss = float(error.detach())
        assert up.grad is not None and down.grad is not None
        with torch.no_grad():
            if gradient is not None:
                up.grad, down.grad = gradient((up, down), (up.grad, down.grad))
            old = up.clone(), down.clone()
            step_by.step()
            if after is not None:
                new_up, new_down = after(step_by, old, (up.clone(), down.clone()))
                up.copy_(new_up)
                down.copy_(new_down)
            found = measured(of, motion(*old, up, down, SCALE), SCALE)
        worst, worst_total = max(worst, float(found.step.max())), max(worst_total, float(found.total.max()))
    return Learnt(worst, worst_total, loss, up.detach(), down.detach())


@pytest.fixture(scope="module")
def of() -> Directions:
    return directions_of(drawn(0, M, OUT, 3), drawn(1, M, 3, IN))


def zeros() -> torch.Tensor:
    return torch.zeros(M, dtype=torch.float64)


def exactly(of: Directions) -> After:
    def after(_: object, old: Factors, new: Factors) -> Factors:
        done = correct(*old, *new, of, SCALE, zeros())
        assert not bool(done.halved.any())
        return done.up, done.down

    return after


def each_exactly(of: Directions) -> After:
    def after(_: object, old: Factors, new: Factors) -> Factors:
        done = correct(*old, *new, of, SCALE, zeros(), each=True)
        return done.up, done.down

    return after


def with_frozen_a(of: Directions) -> After:
    return lambda _, old, new: (correct_upper(new[0], old[1], of, SCALE), old[1])


def never_away(of: Directions) -> After:
    def after(_: object, old: Factors, new: Factors) -> Factors:
        done = correct(*old, *new, of, SCALE, SCALE * along(*old, of).maximum(along(*new, of)))
        return done.up, done.down

    return after


def as_adamw_measures(of: Directions) -> After:
    def after(optimiser: torch.optim.Optimizer, old: Factors, new: Factors) -> Factors:
        up, down = optimiser.param_groups[0]["params"]
        state = [optimiser.state[each] for each in (up, down)]
        metric = [1 / ((s["exp_avg_sq"].double() / (1 - 0.999 ** float(s["step"]))).sqrt() + 1e-8) for s in state]
        done = correct(*old, *new, of, SCALE, zeros(), metric=(metric[0], metric[1]))
        return done.up, done.down

    return after


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_no_step_moves_along_the_direction_whatever_optimiser_made_it(optimiser: str, of: Directions) -> None:
    kept, free = trained(optimiser, of, exactly(of)), trained(optimiser, of, None)
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    assert free.step > 0.05, "without the correction it does move along it: the test is not empty"
    assert free.loss < kept.loss, "what is forbidden was worth something"


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_no_step_moves_along_any_of_k_directions(optimiser: str, of: Directions) -> None:
    each = each_alone(of)
    kept = trained(optimiser, each, each_exactly(each), measured=violation_of_each)
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    alone = trained(optimiser, each, exactly(of), measured=violation_of_each)
    assert alone.step > 1e-3, "a constraint on their sum leaves each of them free"


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_frozen_a_keeps_the_update_off_the_direction_and_does_not_move(optimiser: str, of: Directions) -> None:
    kept = trained(optimiser, of, with_frozen_a(of))
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    assert torch.equal(kept.down, drawn(11, M, RANK, IN) / IN**0.5) and bool(kept.up.any())


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_one_sided_steps_never_move_away_from_the_direction(optimiser: str, of: Directions) -> None:
    one_sided = partial(violation, one_sided=True)
    kept = trained(optimiser, of, never_away(of), measured=one_sided, along_it=-5)
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    assert trained(optimiser, of, None, measured=one_sided, along_it=-5).step > 0.05


def test_one_sided_steps_towards_the_direction_are_left_alone(of: Directions) -> None:
    towards, free = (trained("sgd", of, after, rate=3.0) for after in (never_away(of), None))
    assert float(along(towards.up, towards.down, of).min()) > 0.1
    assert torch.allclose(towards.up, free.up, atol=1e-5) and torch.allclose(towards.down, free.down, atol=1e-5)


def test_the_metric_of_adamw_holds_as_exactly_and_is_the_shortest_way_as_it_measures(of: Directions) -> None:
    kept = trained("adamw", of, as_adamw_measures(of))
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    old_up, old_down = drawn(20, M, OUT, RANK), drawn(21, M, RANK, IN)
    old = SCALE * along(old_up, old_down, of)
    new_up, new_down = old_up + 1e-5 * drawn(22, *old_up.shape), old_down + 1e-5 * drawn(23, *old_down.shape)
    metric = drawn(24, *old_up.shape).exp(), drawn(25, *old_down.shape).exp()

    def length(up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        pairs = ((up, new_up, metric[0]), (down, new_down, metric[1]))
        return torch.stack([((a - b).square() / p).sum(dim=(1, 2)) for a, b, p in pairs]).sum(dim=0)

    double = [each.double() for each in (old_up, old_down, new_up, new_down)]
    new_up, new_down = double[2:]
    mine = correct(*double, of, SCALE, old, metric=(metric[0].double(), metric[1].double()))
    plain = correct(*double, of, SCALE, old)
    assert bool((length(mine.up, mine.down) < length(plain.up, plain.down)).all())


def test_projecting_the_gradient_does_not_hold_under_adamw(of: Directions) -> None:
    """As published, in the factors, with the direction's own factors: worse than 1 % of the step lies along it."""
    own_up, own_down = drawn(2, M, OUT, RANK), drawn(3, M, RANK, IN)

    def gradient(_: Factors, of_them: Factors) -> Factors:
        return as_published(of_them[0], own_up), as_published(of_them[1], own_down)

    assert trained("adamw", of, None, gradient=gradient).step > 1e-2
    found = as_published(drawn(4, M, OUT, RANK), own_up)
    assert torch.allclose((found * own_up).sum(dim=(1, 2)), torch.zeros(M), atol=1e-4), "the gradient itself is free"


def of_the_weight(of: Directions) -> Callable[[Factors, Factors], Factors]:
    """The gradient without its part along the normals (section 5.3): as good as it gets before the optimiser."""
    u = whole(of).float()

    def gradient(at: Factors, of_them: Factors) -> Factors:
        normals = SCALE * u @ at[1].transpose(-1, -2), SCALE * at[0].transpose(-1, -2) @ u
        product = sum((g * n).sum(dim=(1, 2)) for g, n in zip(of_them, normals, strict=True))
        share = (product / sum(n.square().sum(dim=(1, 2)) for n in normals))[:, None, None]
        return of_them[0] - share * normals[0], of_them[1] - share * normals[1]

    return gradient


def test_a_projected_gradient_holds_to_first_order_under_plain_sgd_alone(of: Directions) -> None:
    """A tenth of the learning rate, a tenth of the violation; AdamW breaks it by itself."""
    at = drawn(30, M, OUT, RANK), drawn(31, M, RANK, IN)
    freed = of_the_weight(of)(at, (drawn(32, M, OUT, RANK), drawn(33, M, RANK, IN)))

    def violated(rate: float) -> float:
        new_up, new_down = (each.double() - rate * g.double() for each, g in zip(at, freed, strict=True))
        return float(violation(of, motion(*at, new_up, new_down, SCALE), SCALE).step.max())

    found = [violated(rate) for rate in (0.1, 0.01, 0.001)]
    assert found[0] > 1e-3 and [one / other for one, other in pairwise(found)] == pytest.approx([10, 10], rel=0.2)
    adamw, free = trained("adamw", of, None, gradient=of_the_weight(of)), trained("adamw", of, None)
    assert adamw.step > 1e-2 and adamw.step > 0.1 * free.step


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e-1))
def test_a_correction_is_exact_from_any_point(seed: int, size: float) -> None:
    of = directions_of(drawn(seed, 1, 9, 2), drawn(seed + 1, 1, 2, 7))
    old_up, old_down = drawn(seed + 2, 1, 9, 3), drawn(seed + 3, 1, 3, 7)
    up, down = old_up + size * drawn(seed + 4, 1, 9, 3), old_down + size * drawn(seed + 5, 1, 3, 7)
    target = along(old_up, old_down, of)
    done = correct(old_up, old_down, up, down, of, 1.0, target)
    found = along(done.up, done.down, of) - target
    assert abs(float(found)) <= 1e-6 * float((done.up @ done.down).norm())


def test_the_first_step_corrects_the_upper_factor_alone() -> None:
    of = directions_of(drawn(0, 1, 9, 2), drawn(1, 1, 2, 7))
    old_down = drawn(3, 1, 3, 7)
    up, down = 0.01 * drawn(4, 1, 9, 3), old_down + 0.01 * drawn(5, 1, 3, 7)
    zero = torch.zeros(1, dtype=torch.float64)
    done = correct(torch.zeros(1, 9, 3), old_down, up, down, of, 1.0, zero)
    assert torch.equal(done.down, down) and not torch.equal(done.up, up)
    assert abs(float(along(done.up, done.down, of))) < 1e-9


@pytest.mark.parametrize("each", [False, True])
def test_a_step_that_no_correction_can_mend_is_halved_until_one_can(each: bool) -> None:
    """Factors turned by a right angle: c1 = 0, and f(t) = 3.41 + t^2 has no root. Half of the turn can be mended."""
    of = directions_of(torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    old_up, old_down = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0], [0.0]]])
    up, down = torch.tensor([[[0.0, 2.1]]]), torch.tensor([[[0.0], [2.1]]])
    done = correct(old_up, old_down, up, down, of, 1.0, along(old_up, old_down, of), each=each)
    assert int(done.halved) == 2
    assert float(along(done.up, done.down, of)) == pytest.approx(1.0, abs=1e-6)


def test_also_the_short_steps_of_a_falling_learning_rate_do_not_move_along_it(of: Directions) -> None:
    """A step a hundred thousand times shorter than the update: rounding to float32 alone would be as large."""
    own = exactly(of)
    learnt = trained("adamw", of, own)
    up, down = learnt.up, learnt.down
    for size in (1e-3, 1e-4, 1e-5):
        new = up + size * up.std() * drawn(7, *up.shape), down + size * down.std() * drawn(8, *down.shape)
        done = own(None, (up, down), new)  # type: ignore[arg-type]
        found = violation(of, motion(up, down, *done, SCALE), SCALE)
        assert float(found.step.max()) <= PER_STEP and float(found.total.max()) <= 1e-9, size


def test_also_k_directions_hold_for_short_steps() -> None:
    """A matrix of usual size: there are numbers enough near 0 to spell what rounding has left."""
    each = each_alone(directions_of(drawn(0, 1, 64, 8), drawn(1, 1, 8, 48)))
    zero = torch.zeros(1, dtype=torch.float64)
    down = drawn(3, 1, 8, 48) / 7
    begun = correct(torch.zeros(1, 64, 8), down, 0.01 * drawn(2, 1, 64, 8), down, each, SCALE, zero, each=True)
    up, down = begun.up, begun.down
    for size in (1e-3, 1e-4, 1e-5):
        new = up + size * up.std() * drawn(7, *up.shape), down + size * down.std() * drawn(8, *down.shape)
        done = correct(up, down, *new, each, SCALE, zero, each=True)
        found = violation_of_each(each, motion(up, down, done.up, done.down, SCALE), SCALE)
        assert float(found.step) <= PER_STEP and float(found.total) <= 1e-8, size


def test_the_root_nearest_zero_is_taken_also_where_the_quadratic_is_none() -> None:
    def one(*values: float) -> float:
        return float(root(*(torch.tensor([v], dtype=torch.float64) for v in values)))

    assert one(2.0, 4.0, 0.0) == 0.5
    assert one(2.0, 3.0, 1.0) == pytest.approx(1.0)  # roots 1 and 2
    assert one(-2.0, -3.0, -1.0) == pytest.approx(1.0)
    assert one(1e-18, 1.0, 1.0) == pytest.approx(1e-18, rel=1e-12)
    assert one(0.0, 0.0, 0.0) == 0.0


def test_a_constraint_that_forbids_what_is_learnt_costs_something(of: Directions) -> None:
    """The power check: the direction is what training without a constraint comes to."""
    free = trained("adamw", of, None)
    own = directions_of(free.up, free.down)
    kept = trained("adamw", own, exactly(own), goal=of)
    assert kept.loss > free.loss + 0.01 and kept.step <= PER_STEP


def test_another_spelling_of_the_refusal_adapter_changes_nothing_but_what_was_published(of: Directions) -> None:
    up, down = drawn(2, M, OUT, RANK), drawn(3, M, RANK, IN)
    gauge = torch.eye(RANK) * 3 + 0.3 * torch.tanh(drawn(5, M, RANK, RANK))
    other_up, other_down = up @ torch.linalg.inv(gauge), gauge @ down
    old, new = (up * 0.1, down), (up * 0.1 + 0.01 * drawn(6, *up.shape), down + 0.01 * drawn(7, *down.shape))
    one, other = (exactly(directions_of(*pair))(None, old, new) for pair in ((up, down), (other_up, other_down)))  # type: ignore[arg-type]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))
    gradient = drawn(8, *up.shape)
    assert not torch.allclose(as_published(gradient, up), as_published(gradient, other_up), atol=1e-2)


def test_a_blocked_subspace_stays_empty_under_adamw_and_after_merging(of: Directions) -> None:
    learnt = trained("adamw", of, lambda _, old, new: blocked(*new, of), steps=40)
    up, down = learnt.up, learnt.down
    assert float(outside(up, down, of).max()) < 1e-6
    merged = SCALE * up @ down
    assert float((of.left.transpose(-1, -2).float() @ merged).norm() / merged.norm()) < 1e-6
    assert float((merged @ of.right.float()).norm() / merged.norm()) < 1e-6
    assert learnt.loss > trained("adamw", of, None, steps=40).loss
    one_sided = blocked(up + 1, down + 1, of, right=False)
    assert torch.equal(one_sided[1], down + 1)
    assert float(outside(*one_sided, of, right=False).max()) < 1e-6 < float(outside(*one_sided, of).max())


def test_a_matrix_with_no_more_dimensions_than_are_blocked_does_not_learn_at_all() -> None:
    whole = directions_of(drawn(0, 1, 3, 3), drawn(1, 1, 3, 9))
    up, down = blocked(drawn(2, 1, 3, 2), drawn(3, 1, 2, 9), whole)
    assert not bool(up.any()) and bool(down.any()) and float(outside(up, down, whole)) == 0.0


def test_a_random_direction_is_obeyed_as_exactly_as_a_real_one(of: Directions) -> None:
    control = random_directions(of, 3, tuple("abc"))
    kept = trained("adamw", control, exactly(control))
    assert kept.step <= PER_STEP and kept.total <= IN_TOTAL
    at_rest = motion(kept.up, kept.down, kept.up, kept.down, SCALE)
    assert float(violation(of, at_rest, SCALE).total.max()) > 1e-3


def test_surgery_takes_out_what_conflicts_and_leaves_the_rest_alone() -> None:
    guard = [torch.tensor([1.0, 0.0]), torch.tensor([0.0])]
    agreeing = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    same, cosine = without_conflict(agreeing, guard)
    assert all(torch.equal(a, b) for a, b in zip(same, agreeing, strict=True)) and cosine > 0
    freed, cosine = without_conflict([torch.tensor([-1.0, 2.0]), torch.tensor([3.0])], guard)
    assert torch.equal(freed[0], torch.tensor([0.0, 2.0])) and torch.equal(freed[1], torch.tensor([3.0])) and cosine < 0
    untouched, _ = without_conflict([torch.tensor([-1.0, 2.0])], [torch.zeros(2)])
    assert torch.equal(untouched[0], torch.tensor([-1.0, 2.0]))


def test_a_matrix_that_learnt_nothing_of_refusing_has_no_dimensions_to_block() -> None:
    from refusal_tui.finetune.arms import Arm, constraint_of
    from refusal_tui.finetune.factors import Factors, Stack

    up = drawn(0, 2, 8, 2)
    up[0] = 0
    refusal = [directions_of(up, drawn(1, 2, 2, 9))]
    for arm in (Arm.SUBSPACE, Arm.RANDOM_SUBSPACE):
        stack = Stack(("a", "b"), drawn(2, 2, 8, 2), drawn(3, 2, 2, 9))
        before = stack.up.clone()
        factors = Factors((stack,), 1.0, 2)
        constraint = constraint_of(arm, factors, refusal, rank=2, sides="both", seed=0)
        constraint.after(factors, [(stack.up.clone(), stack.down.clone())])
        assert torch.equal(stack.up[0], before[0]) and not torch.equal(stack.up[1], before[1])
