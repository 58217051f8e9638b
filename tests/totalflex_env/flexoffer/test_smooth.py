"""Smooth answers: feasible, close to the hard ones for small widths, with the right gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.kinds import Members, to_kwh
from totalflex_env.flexoffer.members import expand, select
from totalflex_env.flexoffer.membership import Answer, contains
from totalflex_env.flexoffer.smooth import answer, assignments, prepare, respond_smoothly
from totalflex_env.flexoffer.support import support

SEEDS = st.integers(0, 10_000)
SLOTS = 6
CONVEX = ("boxes", "vehicles", "storages", "heat")


def prices(seed: int, rows: int = 1) -> Tensor:
    return torch.randn(rows, SLOTS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=5)
@given(seed=SEEDS)
def test_answers_can_be_made_and_approach_the_least_cost(random_members: Callable[..., Members], seed: int) -> None:
    aggregate = aggregate_exact(random_members(seed, 2, SLOTS, CONVEX))
    price, least = prices(seed), -support(aggregate, -prices(seed))[0]
    costs = []
    for width in (1.0, 0.1, 0.01):
        profile = respond_smoothly(aggregate, price, width)[0]
        costs.append(float(price[0] @ profile - least))
    assert contains(aggregate, profile).answer == Answer.INSIDE
    assert costs[0] >= costs[1] - 1e-9 >= costs[2] - 2e-9 >= -3e-9
    ranges = float(support(aggregate, torch.ones(1, SLOTS)) + support(aggregate, -torch.ones(1, SLOTS)))
    assert costs[2] <= 0.01 * (4.0 * SLOTS * 8.0 + ranges)


@settings(max_examples=3)
@given(seed=SEEDS)
def test_gradients_agree_with_differences(random_members: Callable[..., Members], seed: int) -> None:
    aggregate = aggregate_exact(random_members(seed, 1, SLOTS, (*CONVEX, "programmes")))
    price = prices(seed).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: respond_smoothly(aggregate, p, 0.7), (price,), atol=1e-5, rtol=1e-4)


@settings(max_examples=20)
@given(seed=SEEDS)
def test_where_prices_are_equal_what_is_taken_still_falls_as_they_rise(seed: int) -> None:
    """Vehicles that need every slot or none of them, at prices of two values: kinks of all kinds."""
    draw = torch.Generator().manual_seed(seed)
    arrival = torch.randint(0, 6, (12,), generator=draw)
    departure = arrival + torch.randint(1, 7, (12,), generator=draw)
    need = (torch.rand(12, generator=draw) * (departure - arrival + 1)).floor().double()
    spare = torch.randint(0, 2, (12,), generator=draw)
    cars = makers.vehicles(makers.numbered(12), 12, (arrival, departure), torch.ones(12), (need - spare, need + spare))
    price = torch.randint(0, 2, (12,), generator=draw).double()
    derivative = answer(prepare(cars), price, 1.0)[1]
    assert torch.equal(derivative, derivative.mT)
    assert torch.linalg.eigvalsh(derivative).amax() < 1e-9


@settings(max_examples=10)
@given(seed=SEEDS, width=st.sampled_from([0.01, 0.3, 2.0]))
def test_answers_are_the_optimum_of_their_cost(random_members: Callable[..., Members], seed: int, width: float) -> None:
    """Each member's energies cost least at the marginal cost that they themselves have: so no other costs less."""
    members, price = random_members(seed, 3, SLOTS, ("vehicles", "storages", "heat")), prices(seed)[0]
    cars, stored = members.vehicles, expand(members.storages, SLOTS)
    slot = torch.arange(SLOTS)
    inside = (slot >= cars.arrival[:, None]) & (slot < cars.departure[:, None])
    power = to_kwh(cars.power)[:, None] * inside
    made = assignments(members, prepare(members), price, width)
    chains = members.chains
    kinds = (
        (cars.offer, made.vehicles, torch.zeros_like(power), power),
        (stored.offer, made.storages, stored.lower, stored.upper),
        (chains.offer, made.chains, chains.lower, chains.upper),
    )
    for offers, energies, lower, upper in kinds:
        place = (energies - lower) / (upper - lower).clamp(min=1e-12)
        marginal = price + width * (place - 0.5)
        for offer, energy, cost in zip(offers, energies, marginal):
            least = -float(support(aggregate_exact(select(members, offer[None])), -cost[None]))
            assert float(cost @ energy) == pytest.approx(least, abs=1e-7)


def test_no_width_no_price_and_starts_to_settle_are_refused(random_members: Callable[..., Members]) -> None:
    aggregate = aggregate_exact(random_members(1, 1, SLOTS, CONVEX))
    with pytest.raises(OfferError, match="width"):
        respond_smoothly(aggregate, prices(1), 0.0)
    with pytest.raises(OfferError, match="finite"):
        respond_smoothly(aggregate, prices(1) * torch.nan, 1.0)
    moving = random_members(4, 3, SLOTS, ("movables",))
    assert len(moving.movables.offer)
    with pytest.raises(OfferError, match="settled"):
        respond_smoothly(aggregate_exact(moving), prices(1), 1.0)
