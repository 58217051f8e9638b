"""Membership in exact aggregates: both ways against linear programs, and certificates that can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.hull import search
from totalflex_env.flexoffer.kinds import Exactness, Members, to_kwh
from totalflex_env.flexoffer.makers import (
    LossyBattery,
    chargers,
    lossy_batteries,
    numbered,
    programmes,
    storages,
    vehicles,
)
from totalflex_env.flexoffer.members import empty, join
from totalflex_env.flexoffer.membership import Answer, Membership, contains, require_inside
from totalflex_env.flexoffer.starts import assign_starts, counts_load, hall
from totalflex_env.flexoffer.support import best, energy_bounds, respond, support

RandomMembers = Callable[..., Members]
MakeOracle = Callable[[Members], Any]
SLOTS = 6


def kwh(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def near_the_edge(aggregate: ExactAggregate, seed: int) -> list[Tensor]:
    """Profiles well inside, on a vertex, and a little and far beyond the boundary of an aggregate."""
    draw = torch.Generator().manual_seed(seed)
    vertices = best(aggregate, torch.randn(6, SLOTS, generator=draw).double())
    share = torch.rand(6, generator=draw).double()
    middle = (share / share.sum()) @ vertices
    outward = vertices[0] - middle
    return [middle, vertices[0], middle + 0.9 * outward, middle + 1.1 * outward, middle + 3.0 * outward]


def check_certificate(aggregate: ExactAggregate, profile: Tensor, found: Membership, polymatroid: bool) -> None:
    """Prices and slots must prove by themselves that a profile is outside."""
    assert found.distance > 0.0
    excess = float(found.price @ profile - support(aggregate, found.price[None])[0])
    assert excess == pytest.approx(found.distance, rel=1e-6, abs=1e-8)
    assert bool(found.slots.any()) or not polymatroid
    if bool(found.slots.any()):
        least, most = energy_bounds(aggregate, found.slots[None])
        assert found.bounds == (float(least[0]), float(most[0]))
        assert found.energy < found.bounds[0] or found.energy > found.bounds[1]
    with pytest.raises(OfferError, match="flex-offer aggregate: "):
        require_inside(found)


@pytest.mark.parametrize("kinds", [("vehicles",), ("boxes", "vehicles", "storages"), ("storages", "heat"), ("heat",)])
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_convex_kinds_contain_what_a_linear_program_can_make(
    kinds: tuple[str, ...], seed: int, random_members: RandomMembers, oracle: MakeOracle
) -> None:
    members = random_members(seed, 2, SLOTS, kinds)
    aggregate, program = aggregate_exact(members), oracle(members)
    assert aggregate.exactness == Exactness.EXACT
    for profile in near_the_edge(aggregate, seed):
        found = contains(aggregate, profile)
        assert (found.answer == Answer.INSIDE) == program.contains(profile)
        if found.answer == Answer.OUTSIDE:
            check_certificate(aggregate, profile, found, "heat" not in kinds)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_mixed_kinds_answer_outside_exactly_where_no_mixture_exists(
    seed: int, random_members: RandomMembers, oracle: MakeOracle
) -> None:
    members = random_members(seed, 1, SLOTS)
    aggregate, program = aggregate_exact(members), oracle(members)
    for profile in near_the_edge(aggregate, seed):
        found = contains(aggregate, profile)
        assert (found.answer != Answer.OUTSIDE) == program.contains(profile)
        if found.answer == Answer.OUTSIDE:
            check_certificate(aggregate, profile, found, polymatroid=False)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-2, 1.0]), hair=st.sampled_from([1e-9, 1e-5]))
@example(seed=496, scale=0.1, hair=1e-9)
def test_a_hull_of_few_points_settles_targets_a_hair_from_a_vertex(seed: int, scale: float, hair: float) -> None:
    """Points on a coarse grid share planes: some weights are 0. Only a hair lost in rounding may stay unsettled."""
    draw = torch.Generator().manual_seed(seed)
    points = scale * torch.randint(-2, 3, (6, 1 + seed % 5), generator=draw).double()
    target = points[0] + hair * torch.randint(-1, 2, points[0].shape, generator=draw)
    found = search(lambda direction: points[(points @ direction).argmax()], target, 0.1 * hair, 60, target)
    if found is None:
        assert hair < 1e-6 * scale
    elif found.inside:
        kept = torch.stack([points[(points @ direction).argmax()] for direction in found.directions])
        assert float((found.weights @ kept - target).norm()) <= 0.1001 * hair
        assert float(found.weights.sum()) == pytest.approx(1.0)
    else:
        assert found.distance > 0.0
        assert float(found.normal @ target - (points @ found.normal).max()) == pytest.approx(found.distance, rel=1e-4)


def test_h1_summed_totals_allow_what_two_vehicles_cannot_do() -> None:
    window = torch.tensor([0, 0]), torch.tensor([4, 4])
    need = kwh(1.0, 3.0)
    aggregate = aggregate_exact(vehicles(numbered(2), 4, window, kwh(1.0, 1.0), (need, need)))
    found = contains(aggregate, kwh(2.0, 2.0, 0.0, 0.0))
    assert found.answer == Answer.OUTSIDE
    assert found.slots.tolist() in ([True, True, False, False], [False, False, True, True])
    check_certificate(aggregate, kwh(2.0, 2.0, 0.0, 0.0), found, polymatroid=True)
    assert contains(aggregate, kwh(2.0, 1.0, 1.0, 0.0)).answer == Answer.INSIDE


def test_h2_bounds_per_slot_allow_what_two_storages_cannot_do() -> None:
    """Powers of 1, capacities 4 and 1, the first empty and the second full: after (-1, 2) only one can charge."""
    window = torch.tensor([0, 0]), torch.tensor([3, 3])
    level = kwh(0.0, -1.0), kwh(4.0, 0.0)
    aggregate = aggregate_exact(storages(numbered(2), 3, window, (kwh(1.0, 1.0), kwh(1.0, 1.0)), (level, level)))
    found = contains(aggregate, kwh(-1.0, 2.0, 2.0))
    assert found.answer == Answer.OUTSIDE
    check_certificate(aggregate, kwh(-1.0, 2.0, 2.0), found, polymatroid=True)
    assert float(support(aggregate, kwh(-3.0, 3.0, 2.0)[None])[0]) == pytest.approx(11.0)
    assert contains(aggregate, kwh(-1.0, 2.0, 1.0)).answer == Answer.INSIDE


def test_h6_narrow_members_and_none() -> None:
    nothing = kwh(0.0)
    window = torch.tensor([0]), torch.tensor([1])
    one = aggregate_exact(vehicles(numbered(1), 1, window, kwh(2.0), (kwh(1.5), kwh(1.5))))
    assert contains(one, kwh(1.5)).answer == Answer.INSIDE
    assert contains(one, kwh(1.4)).answer == Answer.OUTSIDE
    fixed = aggregate_exact(
        storages(numbered(1), 1, window, (nothing, nothing), ((nothing, nothing), (nothing, nothing)))
    )
    assert contains(fixed, nothing).answer == Answer.INSIDE
    mixed = (kwh(1.0), kwh(1.0)), ((kwh(-1.0), kwh(1.0)), (nothing, nothing))  # both signs, net zero
    swing = aggregate_exact(storages(numbered(1), 2, (torch.tensor([0]), torch.tensor([2])), *mixed))
    assert contains(swing, kwh(0.7, -0.7)).answer == Answer.INSIDE
    assert contains(swing, kwh(0.7, -0.6)).answer == Answer.OUTSIDE


def battery(efficiency: float) -> LossyBattery:
    share = kwh(efficiency)
    return LossyBattery(kwh(1.0), kwh(1.0), share, share, kwh(2.0), kwh(0.0), kwh(4.0), kwh(1.0))


def test_h7_a_battery_that_loses_energy_is_never_exact() -> None:
    window = torch.tensor([0]), torch.tensor([SLOTS])
    assert aggregate_exact(lossy_batteries(numbered(1), SLOTS, window, battery(1.0))).exactness == Exactness.EXACT
    assert aggregate_exact(lossy_batteries(numbered(1), SLOTS, window, battery(0.9))).exactness == Exactness.INNER
    power = kwh(0.35), kwh(0.92)
    charger = chargers(numbered(1), SLOTS, window, power, (kwh(1.0), kwh(3.0)))
    assert aggregate_exact(charger).exactness == Exactness.INNER


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), efficiency=st.sampled_from([0.8, 0.9, 0.95]))
def test_a_lossy_battery_can_do_whatever_its_inner_offer_allows(seed: int, efficiency: float) -> None:
    """Its physics, simulated: charging and discharging lose energy, the stored energy keeps its bounds and its need."""
    window = torch.tensor([0]), torch.tensor([SLOTS])
    aggregate = aggregate_exact(lossy_batteries(numbered(1), SLOTS, window, battery(efficiency)))
    profiles = near_the_edge(aggregate, seed)[:3]
    for profile in [*profiles, torch.zeros(SLOTS, dtype=torch.float64)]:
        assert contains(aggregate, profile).answer == Answer.INSIDE
        stored = 2.0
        for energy in profile.tolist():
            stored += efficiency * energy if energy >= 0.0 else energy / efficiency
            assert -1e-6 <= stored <= 4.0 + 1e-6
        assert stored >= 1.0 - 1e-6


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_chargers_with_a_least_power_never_take_less_than_it(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    window = torch.tensor([0, 1]), torch.tensor([SLOTS, 5])
    aggregate = aggregate_exact(
        chargers(numbered(2), SLOTS, window, (kwh(0.345, 0.345), kwh(0.92, 0.8)), (kwh(1.0, 0.5), kwh(3.1, 2.2)))
    )
    for offer in range(2):
        alone = aggregate_exact(
            chargers(
                numbered(1),
                SLOTS,
                (window[0][offer : offer + 1], window[1][offer : offer + 1]),
                (kwh(0.345), kwh(0.92, 0.8)[offer : offer + 1]),
                (kwh(1.0, 0.5)[offer : offer + 1], kwh(3.1, 2.2)[offer : offer + 1]),
            )
        )
        energy = respond(alone, torch.randn(4, SLOTS, generator=draw).double())
        assert ((energy == 0.0) | (energy >= 0.345 - 1e-9)).all()
        least, most = ((1.0, 3.1), (0.5, 2.2))[offer]
        assert ((energy.sum(1) >= least) & (energy.sum(1) <= most)).all()
        assert contains(alone, energy[0]).answer == Answer.INSIDE
    between = kwh(0.1, 0.9, 0.9, 0.0, 0.0, 0.0)
    assert contains(aggregate, between).answer in (Answer.HULL, Answer.OUTSIDE)


def machines(windows: list[tuple[int, int]], profile: list[float], slots: int, first: int = 0) -> Members:
    start = torch.tensor([w[0] for w in windows]), torch.tensor([w[1] for w in windows])
    return programmes(numbered(len(windows), first), slots, start, kwh(*profile).repeat(len(windows), 1))


@settings(max_examples=30)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda w: (min(w), max(w))), min_size=1, max_size=4
    ),
    counts=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_halls_condition_earliest_deadline_first_and_brute_force_agree_on_starts(
    windows: list[tuple[int, int]], counts: list[int]
) -> None:
    members = machines(windows, [1.0, 2.0], 5)
    aggregate = aggregate_exact(members)
    starts = torch.tensor([[*counts, 0]])
    possible = {tuple(sorted(chosen)) for chosen in product(*[range(w[0], w[1] + 1) for w in windows])}
    expected = tuple(sorted(slot for slot, number in enumerate(counts) for _ in range(number))) in possible
    assert bool(hall(aggregate.starts, starts).all()) == expected
    assert (assign_starts(members.programmes, starts) is not None) == expected
    found = contains(aggregate, to_kwh(counts_load(aggregate.starts, starts)))
    assert found.answer == (Answer.INSIDE if expected else Answer.OUTSIDE)
    if expected:
        assert torch.equal(found.starts, starts)
        served = assign_starts(members.programmes, found.starts)
        assert served is not None
        assert ((served >= members.programmes.earliest) & (served <= members.programmes.latest)).all()


def test_shiftables_have_a_third_answer() -> None:
    aggregate = aggregate_exact(machines([(0, 1)], [1.0], 2))
    assert contains(aggregate, kwh(1.0, 0.0)).answer == Answer.INSIDE
    found = contains(aggregate, kwh(0.5, 0.5))
    assert found.answer == Answer.HULL
    with pytest.raises(OfferError, match="whole numbers of starts and steps make the profile"):
        require_inside(found)
    assert contains(aggregate, kwh(1.0, 1.0)).answer == Answer.OUTSIDE


def test_starts_are_found_beside_convex_members() -> None:
    """One machine of 1 kWh and a vehicle that fills half a slot: (1.3, 0.2) is the machine first, and the rest."""
    window = torch.tensor([0]), torch.tensor([2])
    car = vehicles(numbered(1, 7), 2, window, kwh(0.5), (kwh(0.0), kwh(1.0)))
    aggregate = aggregate_exact(join([machines([(0, 1)], [1.0], 2), car]))
    found = contains(aggregate, kwh(1.3, 0.2))
    assert found.answer == Answer.INSIDE
    assert found.starts.tolist() == [[1, 0]]


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_inside_means_that_members_can_do_it(seed: int, random_members: RandomMembers, oracle: MakeOracle) -> None:
    """The starts found, taken as settled, leave a profile that a linear program makes."""
    members = random_members(seed, 1, SLOTS, ("vehicles", "storages", "programmes"))
    aggregate, rest = aggregate_exact(members), oracle(replace(members, programmes=empty(SLOTS).programmes))
    for profile in near_the_edge(aggregate, seed):
        found = contains(aggregate, profile)
        if found.answer == Answer.INSIDE:
            assert assign_starts(members.programmes, found.starts) is not None
            assert rest.contains(profile - to_kwh(counts_load(aggregate.starts, found.starts)))


@pytest.mark.parametrize(
    ("profile", "rule"),
    [(kwh(1e200, 0), "lie within 4.6e"), (kwh(0, torch.nan), "finite numbers"), (kwh(1, 1, 1), "has the shape")],
)
def test_what_is_no_profile_is_refused_with_its_reason(profile: Tensor, rule: str) -> None:
    with pytest.raises(OfferError, match=rule):
        contains(aggregate_exact(machines([(0, 1)], [1.0], 2)), profile)


def test_the_boundary_of_mixed_and_leaky_aggregates_is_settled(random_members: RandomMembers) -> None:
    """A corner, the middle of a face that has thousands of corners, and a little beyond it."""
    aggregate = aggregate_exact(random_members(5, 12, 24, ("boxes", "vehicles", "storages", "heat")))
    flat, draw = torch.zeros(24, dtype=torch.float64), torch.Generator().manual_seed(1)
    flat[:6] = 1.0
    corners = best(aggregate, flat + 1e-6 * torch.randn(3, 24, generator=draw).double())
    for face in (corners[0], corners.mean(0)):
        assert contains(aggregate, face).answer == Answer.INSIDE
    beyond = contains(aggregate, face + 1e-3 * flat)
    assert beyond.answer == Answer.OUTSIDE and 0.0 < beyond.distance <= 1e-3 * 6.0**0.5 + 1e-9
    assert float(beyond.price @ (face + 1e-3 * flat)) > float(support(aggregate, beyond.price[None]))
