"""Does the constraint hold after every step of any optimiser, and does what was published not hold?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch

from refusal_tui.finetune.directions import Directions, along, directions_of, random_directions
from refusal_tui.finetune.projection import (
    as_published,
    blocked,
    correct,
    outside,
    root,
    violation,
    without_conflict,
)

M, OUT, IN, RANK, SCALE = 3, 24, 20, 4, 2.0
PER_STEP, IN_TOTAL = 1e-5, 1e-6


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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


def trained(
    optimiser: str,
    of: Directions,
    after: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None,
    *,
    steps: int = 60,
    gradient: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> tuple[float, float, float, torch.Tensor, torch.Tensor]:
    """Factors that learn to be a matrix with much of the direction in it: worst step, worst total, last loss."""
    wanted = drawn(10, M, OUT, IN) + 5 * (of.left * of.values[:, None, :] @ of.right.transpose(-1, -2)).float()
    up = torch.zeros(M, OUT, RANK, requires_grad=True)
    down = (drawn(11, M, RANK, IN) / IN**0.5).requires_grad_()
    step_by = OPTIMISERS[optimiser]([up, down])
    start = torch.zeros(M, dtype=torch.float64)
    worst = loss = 0.0
    for _ in range(steps):
        step_by.zero_grad()
        error = (SCALE * up @ down - wanted).square().mean()
        error.backward()
        loss = float(error.detach())
        assert up.grad is not None and down.grad is not None
        if gradient is not None:
            up.grad, down.grad = gradient(up.grad, down.grad)
        with torch.no_grad():
            old_up, old_down = up.clone(), down.clone()
            step_by.step()
            if after is not None:
                new_up, new_down = after(old_up, old_down, up.clone(), down.clone())
                up.copy_(new_up)
                down.copy_(new_down)
            found = violation(old_up, old_down, up, down, of, SCALE, start)
        worst = max(worst, float(found.step.max()))
    return worst, float(found.total.max()), loss, up.detach(), down.detach()


@pytest.fixture(scope="module")
def of() -> Directions:
    return directions_of(drawn(0, M, OUT, 3), drawn(1, M, 3, IN))


def exactly(of: Directions) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def after(old_up: torch.Tensor, old_down: torch.Tensor, up: torch.Tensor, down: torch.Tensor):  # type: ignore[no-untyped-def]
        done = correct(old_up, old_down, up, down, of, SCALE, torch.zeros(M, dtype=torch.float64))
        assert not bool(done.halved.any())
        return done.up, done.down

    return after


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_no_step_moves_along_the_direction_whatever_optimiser_made_it(optimiser: str, of: Directions) -> None:
    worst, total, loss, *_ = trained(optimiser, of, exactly(of))
    assert worst <= PER_STEP and total <= IN_TOTAL
    free = trained(optimiser, of, None)
    assert free[0] > 0.05, "without the correction it does move along it: the test is not empty"
    assert free[2] < loss, "what is forbidden was worth something"


def test_projecting_the_gradient_does_not_hold_under_adamw(of: Directions) -> None:
    """As published, in the factors, with the direction's own factors: worse than 1 % of the step lies along it."""
    own_up, own_down = drawn(2, M, OUT, RANK), drawn(3, M, RANK, IN)

    def gradient(up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return as_published(up, own_up), as_published(down, own_down)

    assert trained("adamw", of, None, gradient=gradient)[0] > 1e-2
    found = as_published(drawn(4, M, OUT, RANK), own_up)
    assert torch.allclose((found * own_up).sum(dim=(1, 2)), torch.zeros(M), atol=1e-4), "the gradient itself is free"


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


def test_a_step_that_no_correction_can_mend_is_halved_until_one_can() -> None:
    """Factors turned by a right angle: c1 = 0, and f(t) = 3.41 + t^2 has no root. Half of the turn can be mended."""
    of = directions_of(torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    old_up, old_down = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0], [0.0]]])
    up, down = torch.tensor([[[0.0, 2.1]]]), torch.tensor([[[0.0], [2.1]]])
    done = correct(old_up, old_down, up, down, of, 1.0, along(old_up, old_down, of))
    assert int(done.halved) == 2
    assert float(along(done.up, done.down, of)) == pytest.approx(1.0, abs=1e-6)


def test_also_the_short_steps_of_a_falling_learning_rate_do_not_move_along_it(of: Directions) -> None:
    """A step a hundred thousand times shorter than the update: rounding to float32 alone would be as large."""
    own = exactly(of)
    *_, up, down = trained("adamw", of, own)
    for size in (1e-3, 1e-4, 1e-5):
        new_up, new_down = up + size * up.std() * drawn(7, *up.shape), down + size * down.std() * drawn(8, *down.shape)
        done = own(up, down, new_up, new_down)
        found = violation(up, down, *done, of, SCALE, torch.zeros(M, dtype=torch.float64))
        assert float(found.step.max()) <= PER_STEP and float(found.total.max()) <= 1e-9, size


def test_the_root_nearest_zero_is_taken_also_where_the_quadratic_is_none() -> None:
    def one(*values: float) -> float:
        return float(root(*(torch.tensor([v], dtype=torch.float64) for v in values)))

    assert one(2.0, 4.0, 0.0) == 0.5
    assert one(2.0, 3.0, 1.0) == pytest.approx(1.0)  # roots 1 and 2
    assert one(-2.0, -3.0, -1.0) == pytest.approx(1.0)
    assert one(1e-18, 1.0, 1.0) == pytest.approx(1e-18, rel=1e-12)
    assert one(0.0, 0.0, 0.0) == 0.0


def test_a_blocked_subspace_stays_empty_under_adamw_and_after_merging(of: Directions) -> None:
    *_, loss, up, down = trained("adamw", of, lambda _up, _down, *new: blocked(*new, of), steps=40)
    assert float(outside(up, down, of).max()) < 1e-6
    merged = SCALE * up @ down
    assert float((of.left.transpose(-1, -2).float() @ merged).norm() / merged.norm()) < 1e-6
    assert float((merged @ of.right.float()).norm() / merged.norm()) < 1e-6
    assert loss > trained("adamw", of, None, steps=40)[2]
    one_sided = blocked(up + 1, down + 1, of, right=False)
    assert torch.equal(one_sided[1], down + 1)
    assert float(outside(*one_sided, of, right=False).max()) < 1e-6 < float(outside(*one_sided, of).max())


def test_a_matrix_with_no_more_dimensions_than_are_blocked_does_not_learn_at_all() -> None:
    whole = directions_of(drawn(0, 1, 3, 3), drawn(1, 1, 3, 9))
    up, down = blocked(drawn(2, 1, 3, 2), drawn(3, 1, 2, 9), whole)
    assert not bool(up.any()) and bool(down.any()) and float(outside(up, down, whole)) == 0.0


def test_a_random_direction_is_obeyed_as_exactly_as_a_real_one(of: Directions) -> None:
    control = random_directions(of, 3, tuple("abc"))
    worst, total, _, up, down = trained("adamw", control, exactly(control))
    assert worst <= PER_STEP and total <= IN_TOTAL
    assert float(violation(up, down, up, down, of, SCALE, torch.zeros(M, dtype=torch.float64)).total.max()) > 1e-3


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
