"""Support, response and energy bounds of exact aggregates against linear programs over all members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.kinds import Assignments, Members, to_kwh
from totalflex_env.flexoffer.makers import numbered, programmes
from totalflex_env.flexoffer.members import empty, identities, select
from totalflex_env.flexoffer.offers import load
from totalflex_env.flexoffer.starts import best_starts, count_windows
from totalflex_env.flexoffer.support import energy_bounds, respond, respond_members, support, support_width

RandomMembers = Callable[..., Members]
MakeOracle = Callable[[Members], Any]
SLOTS = 8


def prices(seed: int, rows: int, slots: int = SLOTS) -> Tensor:
    """Prices in tenths with ties, zeros and negative ones among them."""
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randint(-5, 6, (rows, slots), generator=draw).double()


def together(members: Members, assignments: Assignments) -> Tensor:
    """The profile [T] kWh of assignments of all members."""
    programmes = members.programmes
    profile = sum(
        part.sum(0) for part in (assignments.boxes, assignments.vehicles, assignments.storages, assignments.chains)
    ) + load(members.movables.offers, assignments.movable_start, assignments.movables, members.slots).sum(0)
    for shape, start in zip(programmes.shape.tolist(), assignments.programmes.tolist()):
        energy = to_kwh(programmes.shapes[shape])[: members.slots - start]
        profile[start : start + len(energy)] += energy
    return profile


@pytest.mark.parametrize("kind", ["boxes", "vehicles", "storages", "heat", "programmes", "movables", "mixed"])
@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_support_is_the_linear_program_over_the_members(
    kind: str, seed: int, random_members: RandomMembers, oracle: MakeOracle
) -> None:
    members = random_members(seed, 3, SLOTS) if kind == "mixed" else random_members(seed, 3, SLOTS, (kind,))
    aggregate, program, directions = aggregate_exact(members), oracle(members), prices(seed, 3)
    expected = torch.tensor([program.support(direction) for direction in directions], dtype=torch.float64)
    torch.testing.assert_close(support(aggregate, directions), expected, rtol=0.0, atol=1e-6)
    for profile in respond(aggregate, directions):
        assert program.contains(profile)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_members_add_up_to_the_response_of_their_aggregate(seed: int, random_members: RandomMembers) -> None:
    members, price = random_members(seed, 3, SLOTS), prices(seed, 1)
    apart = together(members, respond_members(members, price[0]))
    torch.testing.assert_close(apart, respond(aggregate_exact(members), price)[0], rtol=0.0, atol=1e-8)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_support_adds_up_over_members(seed: int, random_members: RandomMembers) -> None:
    members, directions = random_members(seed, 2, SLOTS), prices(seed, 2)
    alone = [aggregate_exact(select(members, offer[None])) for offer in identities(members)]
    total = torch.stack([support(one, directions) for one in alone]).sum(0)
    torch.testing.assert_close(support(aggregate_exact(members), directions), total, rtol=0.0, atol=1e-8)
    width = torch.stack([support_width(one, directions) for one in alone]).sum(0)
    assert (width >= -1e-9).all()
    torch.testing.assert_close(support_width(aggregate_exact(members), directions), width, rtol=0.0, atol=1e-8)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_energy_of_any_set_of_slots_is_what_a_linear_program_finds(
    seed: int, random_members: RandomMembers, oracle: MakeOracle
) -> None:
    members = random_members(seed, 2, SLOTS)
    draw = torch.Generator().manual_seed(seed)
    sets = torch.rand(3, SLOTS, generator=draw) < 0.5
    least, most = energy_bounds(aggregate_exact(members), sets)
    program = oracle(members)
    for inside, low, high in zip(sets.double(), least, most):
        assert float(high) == pytest.approx(program.support(inside), abs=1e-6)
        assert float(low) == pytest.approx(-program.support(-inside), abs=1e-6)


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_energy_bounds_are_paramodular(seed: int, random_members: RandomMembers) -> None:
    """b submodular, p supermodular and the cross inequality: the aggregate is a generalized polymatroid."""
    slots = 5
    aggregate = aggregate_exact(random_members(seed, 2, slots, ("boxes", "vehicles", "storages")))
    number = torch.arange(2**slots)
    p, b = energy_bounds(aggregate, (number[:, None] >> torch.arange(slots)) % 2 == 1)
    x, y = number[:, None], number
    assert (b[x] + b[y] >= b[x | y] + b[x & y] - 1e-9).all()
    assert (p[x] + p[y] <= p[x | y] + p[x & y] + 1e-9).all()
    assert (b[x] - p[y] >= b[x & ~y] - p[y & ~x] - 1e-9).all()


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 8])
def test_a_window_of_all_slots_starts_at_the_first_of_the_best(slots: int) -> None:
    """The grid is no longer than the window: the ranges of 2^level starts reach beyond its end."""
    window = torch.tensor([0]), torch.tensor([slots - 1])
    machine = programmes(numbered(1), slots, window, torch.ones(1, 1).double())
    direction = prices(0, 20, slots)
    first = (direction == direction.amax(1, keepdim=True)).long().argmax(1)
    assert torch.equal(best_starts(count_windows(machine.programmes), direction)[:, 0], first)


def test_an_empty_aggregate_answers_nothing() -> None:
    aggregate = aggregate_exact(empty(SLOTS))
    assert (support(aggregate, prices(0, 2)) == 0.0).all()
    assert (respond(aggregate, prices(0, 2)) == 0.0).all()
    assert (energy_bounds(aggregate, torch.ones(1, SLOTS) > 0.0)[1] == 0.0).all()


def test_prices_that_are_none_are_refused(random_members: RandomMembers) -> None:
    aggregate = aggregate_exact(random_members(0, 1, SLOTS))
    with pytest.raises(OfferError, match="prices are finite numbers"):
        support(aggregate, torch.full((1, SLOTS), torch.nan))
    with pytest.raises(OfferError, match=r"prices and sets have the shape \[R, 8\]"):
        respond(aggregate, torch.zeros(1, SLOTS + 1))
