"""Dispatch slot by slot: nothing done now makes the rest impossible, and one window is served exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.disaggregate import disaggregate
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.kinds import Members, Vehicles, to_kwh
from totalflex_env.flexoffer.members import expand
from totalflex_env.flexoffer.online import Moment, advance, begin, follow, ranges, totals
from totalflex_env.flexoffer.support import respond_members

SEEDS = st.integers(0, 10_000)


def number(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def cars(departure: list[int], power: Tensor, energy: Tensor, slots: int = 4) -> Members:
    window = torch.zeros(len(power), dtype=torch.int64), torch.tensor(departure)
    return makers.vehicles(makers.numbered(len(power)), slots, window, power, (energy, energy))


@given(seed=SEEDS)
def test_any_actions_clipped_to_their_ranges_end_feasible(random_members: Callable[..., Members], seed: int) -> None:
    draw, slots = torch.Generator().manual_seed(seed), 6
    members = random_members(seed, 4, slots, ("storages", "heat"))
    for chains in (expand(members.storages, slots), members.chains):
        progress = begin(len(chains.offer))
        for slot in range(slots):
            least, most = ranges(chains, progress)
            assert bool((least <= most + 1e-9).all())
            wish = 8.0 * torch.rand(len(least), generator=draw, dtype=torch.float64) - 4.0
            energy = torch.minimum(torch.maximum(wish, least), most)
            assert bool(
                (energy >= chains.lower[:, slot] - 1e-9).all() and (energy <= chains.upper[:, slot] + 1e-9).all()
            )
            progress = advance(chains, progress, energy)
            assert bool((progress.level >= chains.level_lower[:, slot] - 1e-9).all())
            assert bool((progress.level <= chains.level_upper[:, slot] + 1e-9).all())


@given(seed=SEEDS)
def test_fuse_ramp_and_dwell_narrow_the_range_and_never_leave_it(
    random_members: Callable[..., Members], seed: int
) -> None:
    draw, slots, count = torch.Generator().manual_seed(seed), 6, 4
    chains = random_members(seed, count, slots, ("heat",)).chains
    moment = Moment(number(*[0.5] * count), number(*[0.25] * count), torch.full((count,), 2), number(*[0.125] * count))
    progress = begin(count)
    for _ in range(slots):
        wide, narrow = ranges(chains, progress), ranges(chains, progress, moment)
        assert bool((narrow[0] >= wide[0]).all() and (narrow[1] <= wide[1]).all())
        assert bool((narrow[0] <= narrow[1] + 1e-9).all())
        kept = (narrow[0] > wide[0]) | (narrow[1] < wide[1])
        free = (wide[0] <= -0.5) & (wide[1] >= 0.5)
        assert bool((kept | ~free).all())
        share = torch.rand(count, generator=draw, dtype=torch.float64)
        progress = advance(chains, progress, narrow[0] + share * (narrow[1] - narrow[0]))


def test_dwell_keeps_a_device_off_and_then_on() -> None:
    energy = number(0.0).expand(1, 4), number(2.0).expand(1, 4)
    level = number(-9.0).expand(1, 4), number(9.0).expand(1, 4)
    heat = makers.heat(makers.numbered(1), energy, level, number(1.0), torch.ones(1, 4, dtype=torch.float64)).chains
    moment = Moment(number(9.0), number(9.0), torch.tensor([2]), number(0.5))
    on = advance(heat, begin(1), number(1.0))
    assert [float(bound) for bound in ranges(heat, on, moment)] == [0.5, 2.0]
    off = advance(heat, advance(heat, on, number(1.0)), number(0.0))
    assert [float(bound) for bound in ranges(heat, off, moment)] == [0.0, 0.0]


@given(seed=SEEDS, count=st.integers(1, 6))
def test_one_window_is_served_exactly_without_look_ahead(seed: int, count: int) -> None:
    draw, slots = torch.Generator().manual_seed(seed), 6

    def share(*shape: int) -> Tensor:
        return torch.randint(0, 9, shape, generator=draw).double() / 8.0

    power = share(count) + 0.125
    most = share(count) * power * slots
    window = torch.zeros(count, dtype=torch.int64), torch.full((count,), slots)
    members = makers.vehicles(makers.numbered(count), slots, window, power, (most * share(count), most))
    prices = torch.randint(-4, 5, (3, slots), generator=draw).double()
    profile = torch.stack([respond_members(members, price).vehicles.sum(0) for price in prices]).mean(0)
    energies, missed = follow(members.vehicles, profile)
    assert float(missed.abs().max()) < 1e-9
    assert_valid(members.vehicles, energies)


def test_h3_earliest_deadline_first_fails_where_the_profile_is_feasible() -> None:
    power, energy, profile = number(2.0, 1.0, 1.0), number(4.0, 1.0, 4.0), number(2.0, 3.0, 3.0, 1.0)
    members = cars([4, 4, 4], power, energy)
    assert missed_by(members.vehicles, profile, lambda left, slot: torch.arange(3)) > 0.5  # all deadlines are equal
    split = disaggregate(aggregate_exact(members), profile).vehicles
    assert torch.allclose(split.sum(0), profile, atol=1e-9)
    energies, missed = follow(members.vehicles, profile)  # one window: levelling needs no look-ahead
    assert float(missed.abs().max()) < 1e-9
    assert_valid(members.vehicles, energies)


def test_h3_least_laxity_first_fails_where_the_profile_is_feasible() -> None:
    power, energy, profile = number(1.0, 1.0, 1.0), number(1.0, 1.0, 2.0), number(2.0, 2.0, 0.0, 0.0)
    departure = torch.tensor([2, 1, 4])
    members = cars(departure.tolist(), power, energy)
    laxity = lambda left, slot: (departure - slot - left).argsort(stable=True)  # noqa: E731
    assert missed_by(members.vehicles, profile, laxity) > 0.5
    split = disaggregate(aggregate_exact(members), profile).vehicles
    assert torch.allclose(split.sum(0), profile, atol=1e-9)
    energies, missed = follow(members.vehicles, profile)  # different windows: what is missed is told
    assert torch.allclose(energies.sum(0) + missed, profile, atol=1e-9)
    assert torch.allclose(energies.sum(1), energy, atol=1e-9)


def test_totals_outside_the_bounds_are_refused() -> None:
    vehicles = cars([4, 4], number(1.0, 1.0), number(1.0, 2.0)).vehicles
    assert torch.allclose(totals(vehicles, 3.0), number(1.0, 2.0))
    with pytest.raises(OfferError, match=r"3\.0 to 3\.0 kWh"):
        totals(vehicles, 3.5)


def missed_by(vehicles: Vehicles, profile: Tensor, order: Callable[[Tensor, int], Tensor]) -> float:
    """What a rule that fills members one after the other, most urgent first, cannot place."""
    power, left = to_kwh(vehicles.power), to_kwh(vehicles.most)
    missed = 0.0
    for slot, wanted in enumerate(profile.tolist()):
        for row in order(left, slot).tolist():
            taken = min(float(power[row]), float(left[row]), wanted) if slot < int(vehicles.departure[row]) else 0.0
            left[row] -= taken
            wanted -= taken
        missed += wanted
    return missed


def assert_valid(vehicles: Vehicles, energies: Tensor) -> None:
    slot, total = torch.arange(energies.shape[1]), energies.sum(1)
    inside = (slot >= vehicles.arrival[:, None]) & (slot < vehicles.departure[:, None])
    assert bool((energies >= -1e-9).all())
    assert bool((energies <= to_kwh(vehicles.power)[:, None] * inside + 1e-9).all())
    assert bool((total >= to_kwh(vehicles.least) - 1e-9).all() and (total <= to_kwh(vehicles.most) + 1e-9).all())
