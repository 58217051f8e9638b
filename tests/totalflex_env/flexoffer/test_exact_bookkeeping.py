"""Inserting, deleting, nesting and ordering: the books of an exact aggregate are those of a rebuild, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import equal, take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact, by_node, delete, insert, merge, subtrees
from totalflex_env.flexoffer.kinds import Exactness, Members, Vehicles
from totalflex_env.flexoffer.makers import numbered, vehicles
from totalflex_env.flexoffer.members import at_node, drop, empty, identities, join, select
from totalflex_env.flexoffer.support import support
from totalflex_env.flexoffer.windows import WindowTables, add_vehicles, no_windows

RandomMembers = Callable[..., Members]
SLOTS = 6


def check(a: ExactAggregate, b: ExactAggregate) -> None:
    assert equal(a, b)
    directions = torch.randn(2, SLOTS, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(support(a, directions), support(b, directions))


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_nesting_order_and_deletion_change_no_bit(seed: int, random_members: RandomMembers) -> None:
    members = random_members(seed, 3, SLOTS)
    offer = identities(members)
    order = offer[torch.randperm(len(offer), generator=torch.Generator().manual_seed(seed))]
    some, rest = select(members, order[: len(order) // 2]), drop(members, order[: len(order) // 2])
    whole, half = aggregate_exact(members), aggregate_exact(some)
    check(merge([aggregate_exact(rest), half]), whole)
    check(merge([merge([half]), merge([aggregate_exact(rest), aggregate_exact(empty(SLOTS))])]), whole)
    check(aggregate_exact(join([rest, some])), whole)
    check(insert(half, rest), whole)
    check(delete(whole, identities(rest)), half)
    check(delete(half, identities(some)), aggregate_exact(empty(SLOTS)))


def fleet(seed: int, count: int, first: int) -> Members:
    draw = torch.Generator().manual_seed(seed)
    arrival = torch.randint(0, 20, (count,), generator=draw)
    departure = arrival + 1 + (torch.rand(count, generator=draw) * (23 - arrival)).long()
    power = torch.rand(count, generator=draw).double()
    least, more = (torch.rand(count, generator=draw).double() * power * (departure - arrival) for _ in range(2))
    return vehicles(numbered(count, first), 24, (arrival, departure), power, (least, torch.maximum(least, more)))


def test_h8_a_million_insertions_and_deletions_leave_no_trace() -> None:
    """1,000,000 operations on window tables in random order of batches: equal to a rebuild from those that stay."""
    batches = [fleet(seed, 10_000, 10_000 * seed).vehicles for seed in range(60)]
    draw = torch.Generator().manual_seed(1)
    inside: set[int] = set()
    tables: WindowTables = no_windows(24)
    for operation in range(100):
        batch = int(torch.randint(len(batches), (1,), generator=draw))
        tables = add_vehicles(tables, batches[batch], -1 if batch in inside else 1)
        inside ^= {batch}
        assert operation < 99 or inside
    rebuilt = no_windows(24)
    for batch in sorted(inside):
        rebuilt = add_vehicles(rebuilt, batches[batch])
    assert equal(tables, rebuilt)
    for batch in inside:
        tables = add_vehicles(tables, batches[batch], -1)
    assert equal(tables, no_windows(24))


def test_h8_deleting_one_of_many_is_a_rebuild_without_it() -> None:
    members = fleet(3, 100_000, 0)
    gone = torch.tensor([77_777])
    assert equal(delete(aggregate_exact(members), gone), aggregate_exact(drop(members, gone)))


def test_many_changes_one_by_one(random_members: RandomMembers) -> None:
    """Single offers of all kinds come and go; the aggregate stays equal to a rebuild."""
    pool = random_members(5, 6, SLOTS)
    offer, draw = identities(pool), torch.Generator().manual_seed(2)
    aggregate, inside = aggregate_exact(empty(SLOTS)), torch.zeros(len(offer), dtype=torch.bool)
    for _ in range(120):
        one = int(torch.randint(len(offer), (1,), generator=draw))
        if inside[one]:
            aggregate = delete(aggregate, offer[one : one + 1])
        else:
            aggregate = insert(aggregate, select(pool, offer[one : one + 1]))
        inside[one] = ~inside[one]
    check(aggregate, aggregate_exact(select(pool, offer[inside])))


def test_aggregates_follow_the_grid(random_members: RandomMembers) -> None:
    members = random_members(9, 4, SLOTS)  # at the nodes 0, 1 and 2
    nodes = by_node(members)
    assert sorted(nodes) == [0, 1, 2]
    tree = subtrees(members, [-1, 0, 1, 1])
    check(tree[0], aggregate_exact(members))
    check(tree[1], merge([nodes[1], nodes[2]]))
    check(tree[2], aggregate_exact(at_node(members, 2)))
    check(tree[3], aggregate_exact(empty(SLOTS)))
    with pytest.raises(OfferError, match="its node is one of 0 to 1"):
        subtrees(members, [-1, 0])
    with pytest.raises(OfferError, match="lead to a root"):
        subtrees(members, [1, 0, 1])


def test_identities_and_grids_must_fit(random_members: RandomMembers) -> None:
    members = random_members(0, 2, SLOTS)
    with pytest.raises(OfferError, match="flex-offer 0: 0 breaks the rule: identities are unique"):
        join([members, members])
    with pytest.raises(OfferError, match="identities are unique"):
        insert(aggregate_exact(members), select(members, torch.tensor([3])))
    with pytest.raises(OfferError, match="flex-offer 99: 99 breaks the rule: only members can be selected or deleted"):
        delete(aggregate_exact(members), torch.tensor([1, 99]))
    with pytest.raises(OfferError, match="one grid of 6 slots"):
        join([members, empty(SLOTS + 1)])


def test_sums_that_integers_cannot_hold_are_refused() -> None:
    window, power = (torch.zeros(3, dtype=torch.int64), torch.full((3,), 24)), torch.full((3,), 1e8).double()
    members = vehicles(numbered(3), 24, window, power, (0.0 * power, power))
    with pytest.raises(OfferError, match="energies add up to at most"):
        aggregate_exact(members)
    assert aggregate_exact(select(members, torch.tensor([0]))).exactness == Exactness.EXACT


def test_one_inner_member_makes_the_aggregate_inner(random_members: RandomMembers) -> None:
    members = random_members(4, 2, SLOTS, ("vehicles", "storages"))
    assert aggregate_exact(members).exactness == Exactness.EXACT
    cars: Vehicles = members.vehicles
    marked: Tensor = cars.offer == cars.offer[1]
    inner = aggregate_exact(replace(members, vehicles=replace(cars, inner=marked)))
    assert inner.exactness == Exactness.INNER
    assert delete(inner, cars.offer[1:2]).exactness == Exactness.EXACT
    assert len(take_rows(cars, marked).offer) == 1
