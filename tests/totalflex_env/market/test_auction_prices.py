"""Prices where several would do, acceptance over several slots, storages, and prices explained by limit and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env.batch import equal, take_rows
from totalflex_env.market import book as books
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, GridLimits, StepCurves, element_limits, join_limits
from totalflex_env.market.price_rules import PriceRule
from totalflex_env.market.prices import binding, explain

MakeBook = Callable[..., AuctionBook]


@pytest.mark.parametrize("rule", [PriceRule.CONVEX_HULL, PriceRule.FIXED, PriceRule.EUROPEAN])
def test_an_indeterminate_price_is_the_same_for_the_same_book(market: Any, rule: PriceRule) -> None:
    """Supply 10 at 20 and demand 10 at 100: every price between them supports the trade."""
    offers = market.offers([[0.0]] * 3, [[5.0], [3.0], [2.0]], [(0, 0)] * 3)
    worth, none = market.prices(-100.0, -100.0, -100.0), market.prices(0.0, 0.0, 0.0)
    orders = books.optional(offers, torch.zeros(3, dtype=torch.int64), 1, worth, none)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    curves = StepCurves(torch.tensor([0]), 0.0 * one[..., 0], 10.0 * one, 20.0 * one)
    book = replace(market.book(orders, [[0.0]], 0.0), curves=curves)
    cleared = clear(book, rule, 1e-9)
    assert 20.0 - 1e-9 <= float(cleared.prices.balance) <= 100.0 + 1e-9
    assert float(cleared.allocation.supplied) == pytest.approx(10.0)
    for rows in ([2, 1, 0], [1, 2, 0]):
        again = clear(replace(book, orders=take_rows(orders, torch.tensor(rows))), rule, 1e-9)
        assert equal(again.prices, cleared.prices) and equal(again.payments, cleared.payments)


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), count=st.integers(2, 6))
def test_a_better_bid_over_several_slots_is_never_accepted_less(random_book: MakeBook, seed: int, count: int) -> None:
    """What an optimum accepts, every optimum accepts when that order alone is worth more."""
    book = random_book(seed, count, rigid=True)
    free = (~book.orders.must_run).nonzero()[:, 0].tolist()
    for row in free[:1]:
        accepted = []
        for more in (0.0, 0.9, 6.0):
            worth = book.orders.worth.clone()
            worth[row] += more
            cleared = clear(replace(book, orders=replace(book.orders, worth=worth)), tolerance=1e-9)
            mine = cleared.book.orders.id == book.orders.id[row]
            accepted.append(bool((cleared.allocation.accepted & mine).any()))
        assert accepted == sorted(accepted)


def test_a_storage_buys_cheap_and_sells_dear_within_its_levels(market: Any) -> None:
    """1 kWh fits: the storage fills in the cheap slot, empties in the dear one and ends as it began."""
    offers = market.offers([[-2.0] * 4], [[2.0] * 4], [(0, 0)], default=[[0.0] * 4], total=[(0.0, 0.0)])
    level = torch.tensor([[0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    offers = replace(offers, level_lower=level, level_upper=level + 1.0)
    free = market.prices(0.0)
    orders = books.must_run(offers, torch.tensor([1]), 4, free, free)
    cleared = clear(market.book(orders, [[0.2, 0.2], [0.1, 0.1], [0.5, 0.5], [0.3, 0.3]], 50.0), tolerance=1e-9)
    assert cleared.allocation.energy[0].tolist() == pytest.approx([0.0, 1.0, -1.0, 0.0])
    assert cleared.allocation.cost == pytest.approx(-0.4)
    assert float(cleared.payments.order) == pytest.approx(0.4)
    assert "moved because" in explain(cleared, 0).sentence


def test_a_storage_is_paid_to_relieve_a_transformer(market: Any) -> None:
    offers = market.offers([[-2.0] * 2], [[2.0] * 2], [(0, 0)], default=[[0.0] * 2], total=[(0.0, 0.0)])
    level = torch.zeros(1, 2, dtype=torch.float64)
    offers = replace(offers, level_lower=level, level_upper=level + 1.0)
    orders = books.must_run(offers, torch.tensor([1]), 2, market.prices(0.0), market.prices(0.0))
    behind, base = torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[1.0, 5.0]], dtype=torch.float64)
    limits = element_limits(("T1",), behind, base, torch.full_like(base, 4.5), 2.0)
    cleared = clear(market.book(orders, [[0.1, 0.1]] * 2, 50.0, limits), tolerance=1e-9)
    assert float(cleared.allocation.value[0, 1]) <= 4.5 + 1e-9
    assert float(cleared.payments.order) >= -1e-9


@pytest.fixture
def evening(market: Any) -> AuctionBook:
    """A machine that may wait one slot from 17:45 on; a transformer and a voltage are beyond their limits then."""
    offers = replace(market.offers([[2.0]], [[2.0]], [(0, 1)]), price_shift=market.prices(0.3))
    orders = books.must_run(offers, torch.tensor([2]), 2, market.prices(0.0), market.prices(0.0))
    base = torch.tensor([[7.0, 1.0]], dtype=torch.float64)
    transformer = element_limits(("transformer T1",), torch.ones(1, 3), base, torch.full_like(base, 4.0), 0.11)
    one, endless = torch.ones(1, 2, dtype=torch.float64), torch.full((1, 2), torch.inf, dtype=torch.float64)
    voltage = GridLimits(
        name=("node 2",),
        voltage=torch.tensor([True]),
        sensitivity=torch.tensor([[0.0, -0.005, -0.01]], dtype=torch.float64),
        base=torch.tensor([[0.92, 0.99]], dtype=torch.float64),
        lower=0.95 * one,
        upper=1.05 * one,
        fall=endless,
        rise=endless,
        cap=10.0 * one,
    )
    made: AuctionBook = market.book(orders, [[0.1, 0.1]] * 2, 50.0, join_limits(transformer, voltage))
    return replace(made, begin=made.begin + timedelta(hours=17, minutes=45))


def test_a_move_is_explained_by_element_voltage_and_time(evening: AuctionBook) -> None:
    cleared = clear(evening, tolerance=1e-9)
    told = explain(cleared, 0)
    assert told.shift == 1
    assert "transformer T1 was at its limit at 17:45" in told.sentence
    assert "the voltage at node 2 was at its limit at 17:45" in told.sentence
    assert told.sentence.count(" EUR") >= 2
    worth = {share.cause.name: share.worth for share in told.shares if share.cause.slot == 0}
    for name, amount in worth.items():
        if name != "balance":
            assert f"{amount:.2f} EUR" in told.sentence
    assert told.received == pytest.approx(sum(share.worth for share in told.shares) + told.uplift - told.charge)
    assert {row[1] for row in binding(cleared)} == {"transformer T1", "node 2"}
