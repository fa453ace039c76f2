"""Is a direction of a LoRA adapter a property of the update, and never of the factors that happen to spell it?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch

from refusal_tui.errors import InputError
from refusal_tui.finetune.directions import (
    Directions,
    along,
    change,
    cosines,
    directions_of,
    directions_of_difference,
    random_directions,
    squared_norm,
)

sizes = st.tuples(st.integers(1, 3), st.integers(4, 9), st.integers(4, 9), st.integers(1, 4), st.integers(0, 10_000))


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(of: Directions) -> torch.Tensor:
    return of.left * of.values[:, None, :] @ of.right.transpose(-1, -2)


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_a_direction_is_the_product_of_the_factors_with_norm_one(size: tuple[int, ...]) -> None:
    m, out, into, rank, seed = size
    up, down = drawn(seed, m, out, rank), drawn(seed + 1, m, rank, into)
    of = directions_of(up, down)
    product = up @ down
    assert torch.allclose(whole(of), product / product.flatten(1).norm(dim=1)[:, None, None], atol=1e-12)
    assert torch.allclose(of.norms, product.flatten(1).norm(dim=1))
    assert torch.allclose(of.left.transpose(-1, -2) @ of.left, torch.eye(rank, dtype=torch.float64), atol=1e-10)
    assert bool((of.values.diff(dim=-1) <= 1e-12).all())


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_another_spelling_of_the_same_update_has_the_same_direction_and_its_factors_have_not(
    size: tuple[int, ...],
) -> None:
    m, out, into, rank, seed = size
    up, down = drawn(seed, m, out, rank), drawn(seed + 1, m, rank, into)
    gauge = torch.eye(rank, dtype=torch.float64) * 3 + 0.3 * torch.tanh(drawn(seed + 2, m, rank, rank))
    other_up, other_down = up @ torch.linalg.inv(gauge), gauge @ down
    one, other = directions_of(up, down), directions_of(other_up, other_down)
    assert torch.allclose(whole(one), whole(other), atol=1e-10)
    assert torch.allclose(cosines(one, other), torch.ones(m, dtype=torch.float64))
    assert not torch.allclose(down, other_down, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_inner_products_and_norms_need_no_whole_matrix(size: tuple[int, ...]) -> None:
    m, out, into, rank, seed = size
    up, down = drawn(seed, m, out, rank), drawn(seed + 1, m, rank, into)
    of = directions_of(drawn(seed + 2, m, out, 2), drawn(seed + 3, m, 2, into))
    assert torch.allclose(along(up, down, of), (up @ down * whole(of)).sum(dim=(-1, -2)))
    assert torch.allclose(squared_norm(up, down), (up @ down).square().sum(dim=(-1, -2)))
    new_up, new_down = up + 1e-3 * drawn(seed + 4, *up.shape), down + 1e-3 * drawn(seed + 5, *down.shape)
    wide_up, wide_down = change(up, down, new_up, new_down)
    assert torch.allclose(wide_up @ wide_down, new_up @ new_down - up @ down, atol=1e-12)


def test_a_cut_direction_has_norm_one_and_the_largest_parts() -> None:
    of = directions_of(drawn(0, 2, 8, 4), drawn(1, 2, 4, 9))
    cut = of.cut(2)
    assert torch.allclose(whole(cut).flatten(1).norm(dim=1), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(cut.left, of.left[..., :2]) and bool((cut.norms < of.norms).all())
    with pytest.raises(InputError, match="rank 4; 5 is asked for"):
        of.cut(5)


def test_the_difference_of_two_models_gives_directions_of_the_same_kind() -> None:
    up, down = drawn(0, 2, 8, 2), drawn(1, 2, 2, 9)
    assert torch.allclose(whole(directions_of_difference(up @ down, 2)), whole(directions_of(up, down)), atol=1e-10)


def test_an_adapter_that_learned_nothing_has_no_length_and_no_numbers_that_are_none() -> None:
    of = directions_of(torch.zeros(1, 5, 2), drawn(0, 1, 2, 6))
    assert float(of.norms) == 0.0 and bool(torch.isfinite(of.values).all()) and not bool(of.values.any())


def test_random_directions_have_the_spectrum_of_the_real_ones_and_depend_on_name_and_seed_alone() -> None:
    of = directions_of(drawn(0, 2, 30, 3), drawn(1, 2, 3, 40))
    one = random_directions(of, 7, ("a", "b"))
    assert torch.equal(one.values, of.values)
    assert torch.allclose(one.left.transpose(-1, -2) @ one.left, torch.eye(3, dtype=torch.float64), atol=1e-12)
    swapped = random_directions(of, 7, ("b", "a"))
    assert torch.equal(one.left[0], swapped.left[1]) and not torch.equal(one.left[0], one.left[1])
    assert float(cosines(one, of).abs().max()) < 0.5
    assert not torch.equal(random_directions(of, 8, ("a", "b")).left, one.left)
