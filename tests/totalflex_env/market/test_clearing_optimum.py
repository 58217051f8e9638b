"""The clearing against a linear program and against the conditions of an equilibrium, on random small books.

Numbers are small whole numbers, so that the program's optimum is exact to far better than one.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from totalflex_env.batch import take_rows
from totalflex_env.market.clearing import clear
from totalflex_env.trade_types import Award, Orders

WHOLE = torch.int64


def nested(random: Random, houses: int) -> list[list[bool]]:
    """Sets of houses, each pair disjoint or one inside the other, the smaller ones first."""
    blocks = [{house} for house in range(houses)]
    elements = [block for block in blocks for _ in range(random.choice([0, 0, 1, 2]))]
    while len(blocks) > 1:
        first = blocks.pop(random.randrange(len(blocks)))
        blocks.append(first | blocks.pop(random.randrange(len(blocks))))
        elements += [blocks[-1]] * random.choice([0, 1, 1, 2])
    return [[house in element for house in range(houses)] for element in elements]


@st.composite
def books(draw: st.DrawFn) -> Orders:
    houses, segments, steps = draw(st.integers(1, 4)), draw(st.integers(0, 7)), draw(st.integers(1, 4))
    random = Random(draw(st.integers(0, 2**32)))

    def row(size: int, low: int, high: int) -> list[int]:
        return [random.randint(low, high) for _ in range(size)]

    members = torch.tensor(nested(random, houses), dtype=torch.bool).reshape(-1, houses)
    return Orders(
        quantity=torch.tensor([row(segments, 0, 9)], dtype=WHOLE),
        price=torch.tensor([row(segments, -12, 12)], dtype=WHOLE),
        house=torch.tensor(row(segments, 0, houses - 1), dtype=WHOLE),
        fixed=torch.tensor([row(houses, -12, 8)], dtype=WHOLE),
        position=torch.tensor(row(1, -15, 15), dtype=WHOLE),
        brp_price=torch.tensor([sorted(row(steps, -8, 8))], dtype=WHOLE),
        brp_quantity=torch.tensor([row(steps, 0, 9)], dtype=WHOLE),
        brp_start=torch.tensor(row(1, -20, 10), dtype=WHOLE),
        limit=torch.tensor([row(len(members), 0, 12)], dtype=WHOLE),
        members=members,
        cap=torch.tensor(row(1, 0, 10), dtype=WHOLE),
    )


def energy_cost(orders: Orders, energy: int) -> int:
    """What the BRP asks for the energy beyond the nomination, counted from the start of its curve; row 0."""
    prices, widths = orders.brp_price[0].tolist(), orders.brp_quantity[0].tolist()
    at, cost = int(orders.brp_start[0]), 0
    if energy < at:
        return prices[0] * (energy - at)
    for price, width in zip(prices[:-1], widths[:-1]):
        cost += price * min(width, max(energy - at, 0))
        at += width
    return cost + prices[-1] * max(energy - at, 0)


def flows(orders: Orders, award: Award) -> list[int]:
    """Net consumption behind each element, row 0."""
    net = orders.fixed[0].tolist()
    for house, energy in zip(orders.house.tolist(), award.accepted[0].tolist()):
        net[house] += energy
    return [sum(value for value, inside in zip(net, row) if inside) for row in orders.members.tolist()]


def welfare(orders: Orders, award: Award) -> int:
    taken = award.accepted[0].tolist()
    worth = sum(price * energy for price, energy in zip(orders.price[0].tolist(), taken))
    over = sum(max(abs(flow) - limit, 0) for flow, limit in zip(flows(orders, award), orders.limit[0].tolist()))
    return worth - energy_cost(orders, int(orders.position[0]) + sum(taken)) - int(orders.cap[0]) * over


def best_welfare(orders: Orders) -> float:
    """The optimum as a linear program: accepted, BRP steps (the outer two endless), overload."""
    Q, K, L = orders.quantity.shape[1], orders.brp_price.shape[1], orders.limit.shape[1]
    worth = np.concatenate([-orders.price[0], orders.brp_price[0], torch.full((L,), int(orders.cap[0]))])
    supply = [(0, width) for width in orders.brp_quantity[0].tolist()]
    supply[0] = (None, supply[0][1])
    supply[-1] = (supply[-1][0], None)
    bounds = [(0, width) for width in orders.quantity[0].tolist()] + supply + [(0, None)] * L
    balance = np.concatenate([np.ones(Q), -np.ones(K), np.zeros(L)])[None]
    behind = orders.members.numpy()[:, orders.house.numpy()].astype(float)
    fixed = orders.members.numpy().astype(float) @ orders.fixed[0].numpy()
    forward = np.hstack([behind, np.zeros((L, K)), -np.eye(L)])
    reverse = np.hstack([-behind, np.zeros((L, K)), -np.eye(L)])
    limit = orders.limit[0].numpy()
    result = linprog(
        worth,
        A_ub=np.vstack([forward, reverse]),
        b_ub=np.concatenate([limit - fixed, limit + fixed]),
        A_eq=balance,
        b_eq=[int(orders.brp_start[0]) - int(orders.position[0])],
        bounds=bounds,
    )
    assert result.status == 0
    return -float(result.fun)


@settings(max_examples=150)
@given(books())
def test_welfare_is_the_optimum_of_the_linear_program(orders: Orders) -> None:
    award = clear(orders)
    assert bool(((award.accepted >= 0) & (award.accepted <= orders.quantity)).all())
    assert abs(welfare(orders, award) - best_welfare(orders)) < 1e-6


@settings(max_examples=150)
@given(books())
def test_prices_support_the_allocation(orders: Orders) -> None:
    """Nobody wants another quantity at these prices: not a segment, not the BRP, not the DSO at any element."""
    award = clear(orders)
    price, taken, offered = orders.price[0], award.accepted[0], orders.quantity[0]
    nodal = (award.balance_price[:, None] + award.grid_price)[0]
    assert bool((taken == offered)[price > nodal[orders.house]].all())
    assert bool((taken == 0)[price < nodal[orders.house]].all())
    at, balance = int(orders.position[0] + taken.sum()), int(award.balance_price[0])
    cost = energy_cost(orders, at)
    assert cost - energy_cost(orders, at - 1) <= balance <= energy_cost(orders, at + 1) - cost
    flow, limit, cap = torch.tensor(flows(orders, award), dtype=WHOLE), orders.limit[0], int(orders.cap[0])
    least = cap * ((flow > limit).long() - (flow <= -limit).long())
    most = cap * ((flow >= limit).long() - (flow < -limit).long())
    behind = orders.members.long()
    assert bool(((behind * least[:, None]).sum(0) <= award.grid_price[0]).all())
    assert bool(((behind * most[:, None]).sum(0) >= award.grid_price[0]).all())


@settings(max_examples=80)
@given(books(), st.integers(0, 6), st.integers(1, 9))
def test_a_higher_bid_is_never_served_less(orders: Orders, index: int, more: int) -> None:
    if index >= orders.quantity.shape[1]:
        return
    price = orders.price.clone()
    price[0, index] += more
    assert int(clear(replace(orders, price=price)).accepted[0, index]) >= int(clear(orders).accepted[0, index])


@settings(max_examples=80)
@given(books(), st.integers(0, 2**32))
def test_the_order_of_the_segments_changes_neither_welfare_nor_prices(orders: Orders, seed: int) -> None:
    order = torch.randperm(orders.quantity.shape[1], generator=torch.Generator().manual_seed(seed))
    shuffled = replace(
        orders, quantity=orders.quantity[:, order], price=orders.price[:, order], house=orders.house[order]
    )
    first, second = clear(orders), clear(shuffled)
    assert welfare(orders, first) == welfare(shuffled, second)
    assert_same_prices(first, second)


@settings(max_examples=80)
@given(books(), st.lists(st.integers(0, 9), min_size=7, max_size=7))
def test_splitting_segments_changes_nothing(orders: Orders, parts: list[int]) -> None:
    """A segment bid as two neighbours of the same price is served as the whole one was."""
    first = torch.minimum(torch.tensor([parts[: orders.quantity.shape[1]]], dtype=WHOLE), orders.quantity)
    split = replace(
        orders,
        quantity=torch.stack([first, orders.quantity - first], 2).flatten(1),
        price=orders.price.repeat_interleave(2, 1),
        house=orders.house.repeat_interleave(2),
    )
    whole, halves = clear(orders), clear(split)
    assert torch.equal(whole.accepted, halves.accepted.unflatten(1, (-1, 2)).sum(2))
    assert_same_prices(whole, halves)


@settings(max_examples=40)
@given(books(), st.integers(0, 2**31))
def test_a_row_of_a_batch_equals_the_row_alone(orders: Orders, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def others(values: torch.Tensor, low: int, high: int) -> torch.Tensor:
        return torch.cat([values, torch.randint(low, high, (4, *values.shape[1:]), generator=generator)])

    batch = replace(
        orders,
        quantity=others(orders.quantity, 0, 9),
        price=others(orders.price, -12, 12),
        fixed=others(orders.fixed, -12, 8),
        position=others(orders.position, -15, 15),
        brp_price=others(orders.brp_price, -8, 8).sort(1).values,
        brp_quantity=others(orders.brp_quantity, 0, 9),
        brp_start=others(orders.brp_start, -20, 10),
        limit=others(orders.limit, 0, 12),
        cap=others(orders.cap, 0, 10),
    )
    together = clear(batch)
    for row in range(5):
        fields = {name: getattr(batch, name)[row : row + 1] for name in vars(batch) if name not in {"house", "members"}}
        alone = clear(replace(batch, **fields))
        of_batch = take_rows(together, torch.tensor([row]))
        assert torch.equal(alone.accepted, of_batch.accepted)
        assert_same_prices(alone, of_batch)


def assert_same_prices(first: Award, second: Award) -> None:
    assert torch.equal(first.balance_price, second.balance_price)
    assert torch.equal(first.grid_price, second.grid_price)
