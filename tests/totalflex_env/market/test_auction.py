"""What holds for every auction: feasible awards, money that adds up, nobody who loses, no matter in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import concatenate_rows, equal, take_rows
from totalflex_env.flexoffer.offers import contains
from totalflex_env.market.admission import admit
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, FlexOrders
from totalflex_env.market.dual import curve_bound, limit_bound, overload_cost, supply_cost
from totalflex_env.market.patterns import discomfort
from totalflex_env.market.price_rules import PriceRule
from totalflex_env.market.relaxation import relax

MakeBook = Callable[..., AuctionBook]


def allocation_cost(book: AuctionBook, deviation: Tensor, pays: Tensor, supplied: Tensor) -> float:
    """The cost of an allocation from its definition."""
    change = torch.zeros(book.limits.sensitivity.shape[1], book.slots, dtype=torch.float64).index_add(
        0, book.orders.node, deviation
    )
    value = book.limits.base + book.limits.sensitivity @ change
    return float(pays.sum() + supply_cost(book.curves, supplied).sum() + overload_cost(book.limits, value).sum())


def take_orders(book: AuctionBook, rows: Tensor) -> AuctionBook:
    return replace(book, orders=take_rows(book.orders, rows))


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 8), rule=st.sampled_from(list(PriceRule)))
def test_awards_are_feasible_and_money_adds_up(random_book: MakeBook, seed: int, count: int, rule: PriceRule) -> None:
    cleared = clear(random_book(seed, count), rule, 1e-6)
    book, done, paid = cleared.book, cleared.allocation, cleared.payments
    orders = book.orders
    inside = contains(orders.offers, done.start, done.energy)
    assert bool((inside | ~done.accepted).all()) and bool(done.accepted[orders.must_run].all())
    assert bool((done.deviation[~done.accepted] == 0.0).all())
    assert torch.allclose(done.deviation.sum(0), done.supplied.sum(0), atol=1e-7)
    bears = torch.where(done.accepted, discomfort(orders, done.start, done.deviation), 0.0)
    assert torch.allclose(bears, done.discomfort, atol=1e-9)
    assert done.cost == pytest.approx(allocation_cost(book, done.deviation, bears, done.supplied), abs=1e-6)
    assert paid.residual == pytest.approx(0.0, abs=1e-7)
    for group in set(orders.group.tolist()) - {-1}:
        assert int(done.accepted[orders.group == group].sum()) <= 1
    for child in (orders.parent >= 0).nonzero()[:, 0].tolist():
        parent = orders.id.tolist().index(int(orders.parent[child]))
        assert not done.accepted[child] or done.accepted[parent]


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 8))
def test_the_duality_gap_is_what_everybody_misses(random_book: MakeBook, seed: int, count: int) -> None:
    """Cost - bound = what families, BRPs and the grid operator miss at the prices: uplifts and unused capacity."""
    cleared = clear(random_book(seed, count), PriceRule.CONVEX_HULL, 1e-6)
    book, done, prices = cleared.book, cleared.allocation, cleared.prices
    curves = supply_cost(book.curves, done.supplied) - prices.balance * done.supplied
    rent = overload_cost(book.limits, done.value) - prices.limit * (done.value - book.limits.base)
    missed = (curves - curve_bound(book.curves, prices.balance)).sum() + (
        rent - limit_bound(book.limits, prices.limit)
    ).sum()
    assert done.cost - cleared.bound == pytest.approx(float(cleared.missed.sum() + missed), abs=1e-6)
    assert bool((cleared.missed >= -1e-7).all())


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 8), rule=st.sampled_from(list(PriceRule)))
def test_nobody_loses_by_a_family_of_awards(random_book: MakeBook, seed: int, count: int, rule: PriceRule) -> None:
    """Orders that can keep to their position earn at least what they bear; uplifts are paid by the buyers."""
    cleared = clear(random_book(seed, count), rule, 1e-6)
    orders, done = cleared.book.orders, cleared.allocation
    earns = cleared.payments.order + cleared.payments.charge[: len(orders.id)] - done.discomfort
    alone = (orders.group < 0) & (orders.parent < 0) & ~torch.isin(orders.id, orders.parent)
    assert bool((earns[alone] >= -1e-5).all())


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), count=st.integers(2, 7))
def test_the_order_of_rows_changes_nothing(random_book: MakeBook, seed: int, count: int) -> None:
    book = random_book(seed, count)
    shuffled = list(range(count))
    Random(seed).shuffle(shuffled)
    first, second = clear(book, tolerance=1e-6), clear(take_orders(book, torch.tensor(shuffled)), tolerance=1e-6)
    assert equal(first.allocation, second.allocation) and equal(first.prices, second.prices)


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_splitting_an_order_changes_neither_cost_nor_bound(random_book: MakeBook, seed: int, count: int) -> None:
    """Two halves of every order: the relaxation is the same market."""
    book = random_book(seed, count)
    alone = torch.full_like(book.orders.id, -1)
    book = replace(book, orders=replace(book.orders, group=alone, parent=alone))
    half = _scaled(book.orders, 0.5)
    halves = concatenate_rows([half, replace(half, id=half.id + 100)])
    whole, split = relax(admit(book)[0], 1e-9), relax(admit(replace(book, orders=halves))[0], 1e-9)
    assert split.cost == pytest.approx(whole.cost, abs=1e-6)


def _scaled(orders: FlexOrders, factor: float) -> FlexOrders:
    offers = orders.offers
    names = ("lower", "upper", "total_lower", "total_upper", "level_lower", "level_upper", "default", "price_shift")
    scaled = replace(offers, **{name: vars(offers)[name] * factor for name in names})
    return replace(orders, offers=scaled, position=orders.position * factor, worth=orders.worth * factor)


def test_the_rounds_do_not_grow_with_the_book(random_book: MakeBook) -> None:
    """Four times the orders take about as many rounds; `benchmarks clearing` measures the time."""
    few, many = (relax(admit(random_book(3, count))[0], 1e-3) for count in (40, 160))
    assert many.rounds <= few.rounds + 10
