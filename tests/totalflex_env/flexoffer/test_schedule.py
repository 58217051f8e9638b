"""The schedule is as good as it says: bounds hold, members are valid, and solvers find nothing better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.disaggregate import disaggregate, total_load
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.kinds import Members
from totalflex_env.flexoffer.objective import Limit, Objective, conjugate, cost, dual_bounds, objective
from totalflex_env.flexoffer.schedule import schedule

SEEDS = st.integers(0, 10_000)
SLOTS = 6
CONVEX = ("boxes", "vehicles", "storages", "heat")
ROUND = 1e-6  # EUR


def numbers(seed: int, *shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(1, 9, shape, generator=draw).double() / 8.0


def linear_optimum(oracle: Any, aim: Objective) -> float:
    """The least cost by HiGHS: the members' program with variables for energy above and below the target and limits."""
    slots, variables = oracle.load.shape
    away = np.hstack([np.eye(slots), -np.eye(slots)])  # above, below
    price = aim.price.numpy()
    costs = np.concatenate([price @ oracle.load, aim.above.numpy(), aim.below.numpy()])
    rows = np.hstack([oracle.rows, np.zeros((len(oracle.rows), 2 * slots))])
    low, high = np.isfinite(oracle.limits[:, 0]), np.isfinite(oracle.limits[:, 1])
    found = linprog(
        costs,
        A_ub=np.concatenate([rows[high], -rows[low]]),
        b_ub=np.concatenate([oracle.limits[high, 1], -oracle.limits[low, 0]]),
        A_eq=np.hstack([oracle.load, -away]),
        b_eq=aim.target.numpy(),
        bounds=np.concatenate([oracle.bounds, np.tile([0.0, np.inf], (2 * slots, 1))]),
        method="highs",
    )
    assert found.status == 0 and variables == len(oracle.bounds), found.message
    return float(found.fun)


@settings(max_examples=4)
@given(seed=SEEDS)
def test_linear_costs_reach_the_optimum_of_highs_within_the_gap(
    random_members: Callable[..., Members], oracle: Callable[[Members], Any], seed: int
) -> None:
    members = random_members(seed, 2, SLOTS, CONVEX)
    aim = objective(numbers(seed, SLOTS), 4.0 * numbers(seed + 1, SLOTS), above=0.25, below=0.5)
    found, best = schedule(aggregate_exact(members), aim), linear_optimum(oracle(members), aim)
    size = max(abs(found.cost), abs(found.bound))
    assert found.bound - ROUND <= best <= found.cost + ROUND
    assert found.gap <= 1e-3 and found.cost - best <= 1e-3 * size + ROUND
    assert torch.allclose(total_load(members, found.assignments), found.profile, atol=1e-9)
    disaggregate(aggregate_exact(members), found.profile)  # it can be made


@settings(max_examples=3)
@given(seed=SEEDS)
def test_squared_imbalance_meets_its_own_bound(random_members: Callable[..., Members], seed: int) -> None:
    members = random_members(seed, 2, SLOTS, CONVEX)
    aim = objective(numbers(seed, SLOTS), 4.0 * numbers(seed + 1, SLOTS) - 2.0, square=numbers(seed + 2, SLOTS))
    found = schedule(aggregate_exact(members), aim)
    assert found.bound <= found.cost + ROUND and found.gap <= 1e-3
    assert found.cost == pytest.approx(cost(aim, found.profile[None]))


@settings(max_examples=3)
@given(seed=SEEDS)
def test_whole_starts_are_rounded_and_the_gap_says_what_that_costs(
    random_members: Callable[..., Members], oracle: Callable[[Members], Any], seed: int
) -> None:
    members = random_members(seed, 2, SLOTS, (*CONVEX, "programmes", "movables"))
    aim = objective(numbers(seed, SLOTS), 4.0 * numbers(seed + 1, SLOTS), above=0.25, below=0.5)
    found, relaxed = schedule(aggregate_exact(members), aim, gap=1e-2), linear_optimum(oracle(members), aim)
    assert found.bound - ROUND <= relaxed <= found.cost + ROUND
    assert torch.allclose(total_load(members, found.assignments), found.profile, atol=1e-9)
    programmes, start = members.programmes, found.assignments.programmes
    assert bool(((start >= programmes.earliest) & (start <= programmes.latest)).all())


def test_rounding_matters_less_the_more_members_there_are() -> None:
    few, many = (whole_gap(count) for count in (10, 1000))
    assert many < 1e-2 and many < 0.5 * few


def whole_gap(count: int) -> float:
    """The gap of `count` programmes against a flat target."""
    draw = torch.Generator().manual_seed(3)
    earliest = torch.randint(0, 6, (count,), generator=draw)
    library = torch.tensor([[1.0, 0.5, 0.25], [0.5, 0.5, 0.5], [0.25, 1.0, 1.0]], dtype=torch.float64)
    profile = library[torch.randint(0, 3, (count,), generator=draw)]
    members = makers.programmes(makers.numbered(count), 12, (earliest, earliest + 4), profile)
    flat = torch.full((12,), count * 0.13, dtype=torch.float64)
    return schedule(aggregate_exact(members), objective(torch.ones(12), flat, square=10.0 / count)).gap


def vehicles_at_nodes() -> Members:
    """Two vehicles at node 1 and one at node 2, 1 kWh per slot each, that need 2 kWh each in 4 slots."""
    window, one = (torch.zeros(3, dtype=torch.int64), torch.full((3,), 4)), torch.ones(3, dtype=torch.float64)
    members = makers.vehicles(makers.numbered(3), 4, window, one, (2.0 * one, 2.0 * one))
    return replace(members, vehicles=replace(members.vehicles, node=torch.tensor([1, 1, 2])))


def test_hard_limits_hold_at_a_price_of_their_own() -> None:
    price = torch.tensor([0.1, 0.2, 0.4, 0.8], dtype=torch.float64)
    most = torch.full((4,), 1.25, dtype=torch.float64)
    limit = Limit(torch.tensor([1]), torch.zeros(4, dtype=torch.float64), most)
    aim = objective(price, torch.zeros(4), above=0.0, below=0.0, limits=[limit])
    found = schedule(aggregate_exact(vehicles_at_nodes()), aim, gap=1e-4)
    node = found.assignments.vehicles[:2].sum(0)
    assert bool((node <= most + 1e-5).all())
    best = (0.1 + 0.2) + 1.25 * (0.1 + 0.2 + 0.4) + 0.25 * 0.8  # filled in the order of price
    assert found.cost == pytest.approx(best, rel=1e-3)
    assert found.gap <= 1e-4 and float(found.limit_prices[0, 0]) > 0.2


def test_limits_that_no_member_can_keep_are_refused_and_priced_ones_are_not() -> None:
    members, zero = aggregate_exact(vehicles_at_nodes()), torch.zeros(4, dtype=torch.float64)
    tight = Limit(torch.tensor([1]), zero, zero + 0.5)
    with pytest.raises(OfferError, match="limit 0"):
        schedule(members, objective(zero + 0.1, zero, limits=[tight]))
    found = schedule(members, objective(zero + 0.1, zero, limits=[replace(tight, cap=1.0)]))
    assert found.cost == pytest.approx(0.1 * 6.0 + 1.0 * 2.0, rel=1e-3)


def test_powers_in_steps_stay_in_steps() -> None:
    count = 50
    window = torch.zeros(count, dtype=torch.int64), torch.full((count,), 8)
    one = torch.ones(count, dtype=torch.float64)
    members = makers.chargers(makers.numbered(count), 8, window, (1.5 * one, 2.5 * one), (6.0 * one, 9.0 * one))
    target = torch.full((8,), 1.0 * count, dtype=torch.float64)
    found = schedule(aggregate_exact(members), objective(0.1 * numbers(5, 8), target, above=0.2, below=0.2))
    steps = found.assignments.vehicles * 1e9 / members.vehicles.quantum[:, None]
    assert torch.allclose(steps, steps.round(), atol=1e-6)
    assert found.bound <= found.cost and found.gap < 0.1


@settings(max_examples=10)
@given(seed=SEEDS)
def test_the_conjugate_is_the_least_cost_beyond_a_price(seed: int) -> None:
    square = numbers(seed, 3) * (seed % 2)
    aim = objective(numbers(seed + 1, 3), numbers(seed + 2, 3), square=square, above=0.5, below=0.25)
    low, high = dual_bounds(aim)
    price = torch.minimum(torch.maximum(4.0 * numbers(seed + 3, 3)[None] - 2.0, low), high)
    energies = torch.linspace(-40.0, 40.0, 801, dtype=torch.float64)
    worth = max(float(price[0, 0] * y) - cost(_slot(aim, 0), y.view(1, 1)) for y in energies)
    assert conjugate(_slot(aim, 0), price[:, :1]) == pytest.approx(worth, abs=5e-2)


def _slot(aim: Objective, slot: int) -> Objective:
    fields = {name: value[slot : slot + 1] for name, value in vars(aim).items() if isinstance(value, Tensor)}
    return replace(aim, **fields)


def test_bad_objectives_are_refused() -> None:
    two = torch.zeros(2)
    with pytest.raises(OfferError, match="convex"):
        objective(two, two, square=-1.0)
    with pytest.raises(OfferError, match="finite"):
        objective(two + torch.nan, two)
    with pytest.raises(OfferError, match="limit 0"):
        objective(two, two, limits=[Limit(torch.tensor([0]), two + 1.0, two)])
    with pytest.raises(OfferError, match="4 slots"):
        schedule(aggregate_exact(vehicles_at_nodes()), objective(two, two))
