"""Any profile of an aggregate goes back to its members, exactly and validly; any other is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.disaggregate import disaggregate, total_load
from totalflex_env.flexoffer.exact import aggregate_exact, delete
from totalflex_env.flexoffer.kinds import Assignments, Chains, Members, to_kwh
from totalflex_env.flexoffer.members import expand, join
from totalflex_env.flexoffer.offers import contains
from totalflex_env.flexoffer.support import respond_members

SEEDS = st.integers(0, 10_000)
SLOTS = 6
CONVEX = ("boxes", "vehicles", "storages", "heat")


def mixture(members: Members, seed: int) -> Assignments:
    """Assignments at random: the members' answers to some prices, mixed with weights that may be zero."""
    draw = torch.Generator().manual_seed(seed)
    prices = torch.randint(-4, 5, (3, members.slots), generator=draw).double()
    weights = torch.randint(0, 3, (3,), generator=draw).double() + torch.tensor([1.0, 0.0, 0.0])
    parts = [respond_members(members, price) for price in prices]
    mixed = {
        name: sum(weight * vars(part)[name] for weight, part in zip(weights / weights.sum(), parts))
        for name in ("boxes", "vehicles", "storages", "chains")
    }
    return replace(parts[0], **mixed)


@settings(max_examples=20)
@given(seed=SEEDS)
def test_convex_members_split_any_profile_they_can_make(random_members: Callable[..., Members], seed: int) -> None:
    members = random_members(seed, 1 + seed % 4, SLOTS, CONVEX)
    profile = total_load(members, mixture(members, seed))
    split = disaggregate(aggregate_exact(members), profile)
    assert float((total_load(members, split) - profile).abs().max()) <= 1e-6
    assert_valid(members, split)


@settings(max_examples=5)
@given(seed=SEEDS)
def test_starts_and_energies_together_split_any_profile_they_can_make(
    random_members: Callable[..., Members], seed: int
) -> None:
    members = random_members(seed, 2, SLOTS, (*CONVEX, "programmes", "movables"))
    profile = total_load(members, respond_members(members, torch.linspace(-1.0, 1.0, SLOTS).roll(seed).double()))
    split = disaggregate(aggregate_exact(members), profile)
    assert float((total_load(members, split) - profile).abs().max()) <= 1e-6
    assert_valid(members, split)


@settings(max_examples=8)
@given(seed=SEEDS)
def test_refused_if_and_only_if_the_linear_program_has_no_split(
    random_members: Callable[..., Members], oracle: Callable[[Members], Any], seed: int
) -> None:
    members = random_members(seed, 2, SLOTS, CONVEX)
    draw = torch.Generator().manual_seed(seed)
    away = torch.randn(SLOTS, generator=draw, dtype=torch.float64)
    profile = total_load(members, mixture(members, seed)) + away * (seed % 3) / 4.0
    distance = oracle(members).distance(profile)
    if 1e-7 < distance < 1e-4:
        return  # too close to the border for either to decide
    if distance <= 1e-7:
        assert_valid(members, disaggregate(aggregate_exact(members), profile))
    else:
        with pytest.raises(OfferError):
            disaggregate(aggregate_exact(members), profile)


def test_h1_two_vehicles_cannot_take_their_summed_total_in_two_slots() -> None:
    window = torch.tensor([0, 0]), torch.tensor([4, 4])
    energy = torch.tensor([1.0, 3.0], dtype=torch.float64)
    members = makers.vehicles(makers.numbered(2), 4, window, torch.ones(2, dtype=torch.float64), (energy, energy))
    with pytest.raises(OfferError, match=r"slots \[0, 1\] together take from .* to 3.000000 kWh"):
        disaggregate(aggregate_exact(members), torch.tensor([2.0, 2.0, 0.0, 0.0]))
    split = disaggregate(aggregate_exact(members), torch.tensor([2.0, 1.0, 1.0, 0.0]))
    assert torch.allclose(split.vehicles.sum(1), energy)


def test_h2_storages_cannot_take_what_sums_of_slices_promise() -> None:
    window = torch.tensor([0, 0]), torch.tensor([3, 3])
    one = torch.ones(2, dtype=torch.float64)
    level = torch.tensor([0.0, -1.0]).double(), torch.tensor([4.0, 0.0]).double()
    members = makers.storages(makers.numbered(2), 3, window, (one, one), (level, level))
    with pytest.raises(OfferError):
        disaggregate(aggregate_exact(members), torch.tensor([-1.0, 2.0, 2.0]))
    assert_valid(members, disaggregate(aggregate_exact(members), torch.tensor([-1.0, 2.0, 1.0])))


def test_h6_one_slot_no_range_and_no_members() -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    fixed = makers.boxes(makers.numbered(1), 1, (zero - 2.0, zero - 2.0))
    assert torch.equal(disaggregate(aggregate_exact(fixed), zero[0] - 2.0).boxes, zero - 2.0)
    nobody = aggregate_exact(makers.boxes(makers.numbered(0), 3, (torch.zeros(0, 3), torch.zeros(0, 3))))
    assert disaggregate(nobody, torch.zeros(3)).boxes.shape == (0, 3)
    with pytest.raises(OfferError):
        disaggregate(nobody, torch.ones(3))


def test_h10_without_a_canceled_member_the_rest_splits_what_it_still_can_and_refuses_the_rest() -> None:
    window = torch.zeros(3, dtype=torch.int64), torch.full((3,), 4)
    energy = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    members = makers.vehicles(makers.numbered(3), 4, window, torch.ones(3, dtype=torch.float64), (energy, energy))
    aggregate, profile = aggregate_exact(members), torch.tensor([2.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    split = disaggregate(aggregate, profile)
    rest = delete(aggregate, torch.tensor([1]))
    with pytest.raises(OfferError):
        disaggregate(rest, profile)
    again = disaggregate(rest, profile - split.vehicles[1])
    assert_valid(rest.members, again)
    assert torch.allclose(again.vehicles.sum(0) + split.vehicles[1], profile, atol=1e-6)


def test_powers_in_steps_go_back_in_steps_and_what_no_steps_make_is_refused() -> None:
    window = torch.zeros(2, dtype=torch.int64), torch.full((2,), 3)
    power = torch.full((2,), 1.0, dtype=torch.float64), torch.full((2,), 2.0, dtype=torch.float64)
    total = torch.full((2,), 2.0, dtype=torch.float64)
    aggregate = aggregate_exact(makers.chargers(makers.numbered(2), 3, window, power, (total, total)))
    profile = total_load(aggregate.members, respond_members(aggregate.members, torch.tensor([0.1, 0.2, 0.3])))
    split = disaggregate(aggregate, profile).vehicles
    assert torch.equal(split.sum(0), profile) and torch.equal(split, split.round())
    between = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)  # no vertex, and the mean of vertices
    split = disaggregate(aggregate, between).vehicles
    assert torch.equal(split.sum(0), between) and torch.equal(split, split.round())
    with pytest.raises(OfferError, match="whole numbers"):
        disaggregate(aggregate, torch.tensor([1.5, 1.5, 1.0]))


@settings(max_examples=10)
@given(seed=SEEDS, count=st.integers(1, 30))
def test_steps_add_up_to_whatever_sum_of_steps_is_wanted(seed: int, count: int) -> None:
    """Random whole energies of chargers with totals in a range: their sum alone tells members to make it again."""
    draw = torch.Generator().manual_seed(seed)
    arrival = torch.randint(0, 6, (count,), generator=draw)
    departure = arrival + torch.randint(1, 6, (count,), generator=draw)
    slot, most = torch.arange(12), torch.randint(1, 4, (count,), generator=draw)
    inside = (slot >= arrival[:, None]) & (slot < departure[:, None])
    chosen = (torch.rand(count, 12, generator=draw) * (most[:, None] + 1)).long() * inside
    total = chosen.sum(1).double()
    spare = torch.randint(0, 2, (count,), generator=draw).double()
    power = torch.ones(count, dtype=torch.float64), most.double()
    members = makers.chargers(makers.numbered(count), 12, (arrival, departure), power, (total - spare, total + spare))
    aggregate, profile = aggregate_exact(members), chosen.sum(0).double()
    split = disaggregate(aggregate, profile)
    assert_valid(aggregate.members, split)
    assert torch.equal(split.vehicles.sum(0), profile) and torch.equal(split.vehicles, split.vehicles.round())


def test_members_with_any_power_make_up_for_the_steps_of_others() -> None:
    slots, window = 8, (torch.zeros(20, dtype=torch.int64), torch.full((20,), 8))
    one = torch.ones(20, dtype=torch.float64)
    stepped = makers.chargers(makers.numbered(20), slots, window, (0.345 * one, 0.92 * one), (1.0 * one, 3.0 * one))
    free = makers.vehicles(makers.numbered(20, 20), slots, window, one, (2.0 * one, 4.0 * one))
    aggregate = aggregate_exact(join([stepped, free]))
    profile = 12.0 + 2.0 * torch.sin(torch.arange(slots).double())
    split = disaggregate(aggregate, profile)
    assert_valid(aggregate.members, split)
    steps = split.vehicles[:20] * 1e9 / aggregate.members.vehicles.quantum[:20, None]
    assert torch.allclose(split.vehicles.sum(0), profile, atol=1e-6)
    assert torch.allclose(steps, steps.round(), atol=1e-6)


def test_members_alike_use_alike_shares() -> None:
    window = torch.zeros(2, dtype=torch.int64), torch.full((2,), 4)
    power = torch.tensor([1.0, 3.0], dtype=torch.float64)
    members = makers.vehicles(makers.numbered(2), 4, window, power, (2.0 * power, 2.0 * power))
    split = disaggregate(aggregate_exact(members), torch.tensor([3.0, 1.0, 2.5, 1.5])).vehicles
    assert torch.allclose(split[0] / power[0], split[1] / power[1])


def test_many_vehicles_of_one_total_miss_nothing() -> None:
    count = 20_000
    draw = torch.Generator().manual_seed(1)
    arrival = torch.randint(0, 40, (count,), generator=draw)
    departure = arrival + torch.randint(8, 50, (count,), generator=draw)
    power = torch.full((count,), 2.75, dtype=torch.float64)
    total = power * torch.randint(1, 8, (count,), generator=draw)
    members = join([makers.vehicles(makers.numbered(count), 96, (arrival, departure), power, (total, total))])
    price = torch.sin(torch.arange(96) / 7.0).double()
    profile = 0.5 * (respond_members(members, price).vehicles + respond_members(members, -price).vehicles).sum(0)
    split = disaggregate(aggregate_exact(members), profile)
    assert float((split.vehicles.sum(0) - profile).abs().max()) < 1e-6
    assert_valid(members, split)


def assert_valid(members: Members, split: Assignments) -> None:
    """Every member keeps its own bounds."""
    slot, cars = torch.arange(members.slots), members.vehicles
    boxes = to_kwh(members.boxes.lower), to_kwh(members.boxes.upper)
    assert bool((split.boxes >= boxes[0] - 1e-9).all() and (split.boxes <= boxes[1] + 1e-9).all())
    inside = (slot >= cars.arrival[:, None]) & (slot < cars.departure[:, None])
    total = split.vehicles.sum(1)
    assert bool((split.vehicles >= -1e-9).all())
    assert bool((split.vehicles <= to_kwh(cars.power)[:, None] * inside + 1e-9).all())
    assert bool((total >= to_kwh(cars.least) - 1e-9).all() and (total <= to_kwh(cars.most) + 1e-9).all())
    assert_keeps(expand(members.storages, members.slots), split.storages)
    assert_keeps(members.chains, split.chains)
    programmes = members.programmes
    assert bool((split.programmes >= programmes.earliest).all() and (split.programmes <= programmes.latest).all())
    if len(members.movables.offer):
        assert bool(contains(members.movables.offers, split.movable_start, split.movables).all())


def assert_keeps(chains: Chains, energy: Tensor) -> None:
    assert bool((energy >= chains.lower - 1e-8).all() and (energy <= chains.upper + 1e-8).all())
    level = torch.zeros_like(chains.retention)
    for slot in range(energy.shape[1]):
        level = chains.retention * level + chains.gains[chains.profile, slot] * energy[:, slot]
        assert bool((level >= chains.level_lower[:, slot] - 1e-8).all())
        assert bool((level <= chains.level_upper[:, slot] + 1e-8).all())
